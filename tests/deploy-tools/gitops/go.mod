// Not built: the CRDs of these are what deploy/gitops is checked against. A module of its own, so that they have no say
// in the versions that helm is built with.
module tenios.dev/deploy-tools/gitops

go 1.26.0

require (
	github.com/argoproj/argo-cd/v3 v3.5.0
	github.com/fluxcd/helm-controller v1.6.1
	github.com/fluxcd/kustomize-controller v1.9.1
	github.com/fluxcd/source-controller v1.9.1
	github.com/vmware-tanzu/velero v1.18.2
)
