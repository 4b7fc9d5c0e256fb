// flux-health says what a wait of Flux makes of objects: by kstatus, and by the healthCheckExprs of a Kustomization.
// It reads {"objects": […], "exprs": […]} and prints, for each object, what each of the two says.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	var question struct {
		Objects []unstructured.Unstructured   `json:"objects"`
		Exprs   []kustomize.CustomHealthCheck `json:"exprs"`
	}
	must(json.NewDecoder(os.Stdin).Decode(&question))
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range question.Exprs {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		must(err)
		evaluators[check.Kind] = evaluator
	}
	for _, object := range question.Objects {
		computed, err := status.Compute(&object)
		must(err)
		evaluated := "-"
		if evaluator, ok := evaluators[object.GetKind()]; ok {
			// A wait goes on over an error, until its timeout.
			evaluated = "Error"
			if result, err := evaluator.Evaluate(context.Background(), &object); err == nil {
				evaluated = string(result.Status)
			}
		}
		fmt.Println(computed.Status, evaluated)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
