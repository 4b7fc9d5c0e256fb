//! The chart and Kustomize make the same objects.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::render::{chart, documents, kustomize, objects, overlays};
use harness::checkout;

#[test]
fn the_chart_by_its_defaults_makes_the_objects_of_the_base() {
    assert_same("base", &chart(&["--set", "crds.install=false"]), &kustomize("base"));
}

#[test]
fn the_chart_with_the_values_of_an_overlay_makes_its_objects() {
    let overlays = overlays();
    assert!(overlays.len() >= 4, "{overlays:?}");
    for (overlay, values) in overlays {
        let chart = chart(&["--set", "crds.install=false", "--values", &values.to_string_lossy()]);
        assert_same(&overlay, &chart, &kustomize(&overlay));
    }
}

#[test]
fn the_chart_installs_the_committed_crds_and_keeps_them() {
    let committed = std::fs::read_to_string(checkout("crds/tenios.dev.yaml")).unwrap();
    let copy = std::fs::read_to_string(checkout("deploy/chart/files/crds.yaml")).unwrap();
    assert!(committed == copy, "deploy/chart/files/crds.yaml is out of date: run `make crds`");

    let rendered = documents(&chart(&["--show-only", "templates/crds.yaml"]));
    let mut bare = rendered.clone();
    for crd in &mut bare {
        let annotations = crd["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
        let kept = serde_json::json!({
            "helm.sh/resource-policy": "keep",
            "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        });
        assert_eq!(annotations, kept);
    }
    assert_eq!(bare, documents(&committed));
}

fn assert_same(what: &str, chart: &str, kustomize: &str) {
    let (chart, mut kustomize) = (comparable(chart), comparable(kustomize));
    // Helm's way is `--create-namespace`: a release can't hold the namespace that it is stored in.
    kustomize.remove("Namespace /tenios-system").expect("the base has a Namespace");
    let names = |objects: &BTreeMap<String, String>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&chart), names(&kustomize), "{what}: the chart's objects and Kustomize's");
    for (name, object) in &chart {
        assert!(
            *object == kustomize[name],
            "{what}: {name} differs.\nThe chart:\n{object}\nKustomize:\n{}",
            kustomize[name]
        );
    }
}

fn comparable(yaml: &str) -> BTreeMap<String, String> {
    let text = |mut object: Value| {
        let labels = object["metadata"]["labels"].as_object_mut();
        let labels = labels.unwrap_or_else(|| panic!("an object without labels:\n{yaml}"));
        // What says that Helm made it, and with which chart.
        for label in ["app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"] {
            labels.remove(label);
        }
        if object["kind"] == "Deployment" {
            let pod = &mut object["spec"]["template"]["spec"];
            // Kustomize merges what is new to the front.
            sort_by_name(&mut pod["volumes"]);
            sort_by_name(&mut pod["containers"][0]["env"]);
            sort_by_name(&mut pod["containers"][0]["volumeMounts"]);
        }
        serde_json::to_string_pretty(&object).unwrap()
    };
    objects(yaml).into_iter().map(|(name, object)| (name, text(object))).collect()
}

fn sort_by_name(list: &mut Value) {
    let list = list.as_array_mut().expect("a list");
    list.sort_by_key(|element| element["name"].as_str().map(str::to_owned));
}
