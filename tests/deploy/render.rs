//! What the chart and Kustomize make.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::tools::{helm, run};
use harness::{checkout, control_plane};

/// The operator's namespace in `deploy/base`.
pub const NAMESPACE: &str = "tenios-system";

/// The chart's directory.
pub fn chart_directory() -> String {
    checkout("deploy/chart").to_string_lossy().into_owned()
}

/// `helm template` of the chart. The name of the release must not matter.
pub fn chart(arguments: &[&str]) -> String {
    let chart = chart_directory();
    let template = [&["template", "any-name", &chart, "--namespace", NAMESPACE], arguments].concat();
    helm(&template).expect_success()
}

/// `kubectl kustomize` of a directory below `deploy`.
pub fn kustomize(directory: &str) -> String {
    let kubectl = control_plane::binaries().unwrap().join("kubectl");
    run(Command::new(kubectl).arg("kustomize").arg(checkout("deploy").join(directory))).expect_success()
}

/// The overlays, and the file with the values that make the same of the chart.
pub fn overlays() -> Vec<(String, PathBuf)> {
    let directory = std::fs::read_dir(checkout("deploy/overlays")).unwrap();
    let mut overlays: Vec<_> = directory
        .map(|entry| {
            let entry = entry.unwrap();
            (format!("overlays/{}", entry.file_name().display()), entry.path().join("values.yaml"))
        })
        .collect();
    overlays.sort();
    overlays
}

/// The chart by its defaults and by the values of each overlay: every part that can be turned on. What Kustomize
/// makes is the same (`same.rs`).
pub fn every_chart() -> &'static [(String, String)] {
    static CHARTS: OnceLock<Vec<(String, String)>> = OnceLock::new();
    CHARTS.get_or_init(|| {
        let mut charts = vec![("the defaults".to_owned(), chart(&[]))];
        for (overlay, values) in overlays() {
            charts.push((overlay, chart(&["--values", &values.to_string_lossy()])));
        }
        charts
    })
}

/// The documents of a YAML stream.
pub fn documents(yaml: &str) -> Vec<Value> {
    // Kubernetes reads YAML 1.1, where 0440 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(yaml, options).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// The same, by kind, namespace and name.
pub fn objects(yaml: &str) -> BTreeMap<String, Value> {
    let documents = documents(yaml);
    let count = documents.len();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects: BTreeMap<_, _> = documents
        .into_iter()
        .map(|object| {
            let metadata = &object["metadata"];
            (
                format!(
                    "{} {}/{}",
                    text(&object["kind"]),
                    text(&metadata["namespace"]),
                    text(&metadata["name"])
                ),
                object,
            )
        })
        .collect();
    assert_eq!(objects.len(), count, "an object stands there twice");
    objects
}
