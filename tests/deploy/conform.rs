//! `kubeconform -strict` over everything that is shipped, without a network.

use std::process::Command;

use serde_json::Value;

use crate::render::{documents, every_chart, kustomize, overlays};
use crate::schemas::{self, LOCATION};
use crate::tools::{directory, run};
use harness::{ControlPlane, Output, checkout};

#[tokio::test]
async fn everything_shipped_conforms_to_strict_schemas() {
    let mut shipped: Vec<_> = every_chart().iter().map(|(_, yaml)| yaml.clone()).collect();
    shipped.push(kustomize("base"));
    // In no overlay: a PodMonitor does the same.
    shipped.push(kustomize("monitoring/service-monitor"));
    shipped.extend(overlays().into_iter().map(|(overlay, _)| kustomize(&overlay)));
    let samples = std::fs::read_dir(checkout("deploy/samples")).unwrap().map(|sample| sample.unwrap().path());
    for file in samples.chain([checkout("crds/tenios.dev.yaml")]) {
        shipped.push(std::fs::read_to_string(file).unwrap());
    }
    shipped.extend(crate::gitops::manifests().into_iter().map(|(_, yaml)| yaml));
    let objects: Vec<_> = shipped.iter().flat_map(|yaml| documents(yaml)).collect();
    let said = kubeconform("shipped", &shipped, &objects).await.expect_success();
    let summary = format!("Valid: {}, Invalid: 0, Errors: 0, Skipped: 0", objects.len());
    assert!(objects.len() > 100 && said.contains(&summary), "expected {summary}: {said}");
}

#[tokio::test]
async fn strict_schemas_refuse_what_a_manifest_must_not_have() {
    let kinds = documents(
        "{apiVersion: tenios.dev/v1alpha1, kind: PhoneNumberOrder}\n---\n{apiVersion: v1, kind: Service}",
    );
    let order = "apiVersion: tenios.dev/v1alpha1\nkind: PhoneNumberOrder\nmetadata: {name: a}\nspec: ";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: ";
    for (name, manifest, says) in [
        ("unknown", format!("{order}{{verificationId: a, numberTyp: GEOGRAPHICAL}}"), "numberTyp"),
        ("enum", format!("{order}{{verificationId: a, numberType: MOBILE}}"), "numberType"),
        ("duplicate", format!("{order}{{verificationId: a}}\nkind: PhoneNumberOrder"), "kind"),
        ("built-in", format!("{service}{{ports: [{{port: 1, targetport: push}}]}}"), "targetport"),
    ] {
        let said = kubeconform(name, &[manifest], &kinds).await;
        assert!(!said.success && said.stdout.contains(says), "{name}: {said:?}");
    }
}

/// kubeconform over manifests, with the schemas of the kinds of these objects.
async fn kubeconform(name: &str, manifests: &[String], objects: &[Value]) -> Output {
    let plane = ControlPlane::shared().await;
    let home = plane.directory().join("conform").join(name);
    std::fs::create_dir_all(&home).unwrap();
    schemas::write(&plane, objects, &home).await;
    let write = |(index, yaml): (usize, &String)| {
        let file = home.join(format!("{index}.yaml"));
        std::fs::write(&file, yaml).unwrap();
        file
    };
    let files: Vec<_> = manifests.iter().enumerate().map(write).collect();
    run(Command::new(directory().join("kubeconform"))
        .args(["-strict", "-summary", "-schema-location"])
        .arg(home.join(LOCATION))
        .args(files))
}
