//! `export`: manifests that bring everything back elsewhere and order nothing.

use std::collections::BTreeMap;

use clap::Args;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::out::{self, Format};
use super::{Failure, target};
use tenios_api::NOT_PLACED_ANNOTATION;
use tenios_ledger::Kind;

/// Marks of tools that own the resource here; elsewhere they would own it, too, and prune it.
const MARKS_OF_OWNERS: [&str; 9] = [
    "argocd.argoproj.io/instance",
    "argocd.argoproj.io/tracking-id",
    "helm.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/namespace",
    "kubectl.kubernetes.io/last-applied-configuration",
    "kustomize.toolkit.fluxcd.io/name",
    "kustomize.toolkit.fluxcd.io/namespace",
    "meta.helm.sh/release-name",
    "meta.helm.sh/release-namespace",
];

#[derive(Debug, Args)]
pub(super) struct ExportOptions {
    /// Export all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Output format: a YAML stream or a JSON list.
    #[arg(long, short, default_value = "yaml")]
    output: Format,
}

pub(super) async fn run(options: &ExportOptions, cluster: &Cluster) -> Result<(), Failure> {
    let namespace = (!options.all_namespaces).then_some(cluster.namespace.as_str());
    let found = target::all(cluster, namespace).await?;
    let manifests: Vec<Value> = found.iter().map(|(kind, object)| manifest(*kind, object)).collect();
    match options.output {
        Format::Json => {
            out::print_as(Format::Json, &json!({"apiVersion": "v1", "kind": "List", "items": manifests}))?;
        }
        Format::Yaml => {
            for manifest in &manifests {
                out::print("---\n")?;
                out::print_as(Format::Yaml, manifest)?;
            }
        }
    }
    for (kind, object) in &found {
        if let Some(warning) = warning(*kind, object) {
            eprintln!(
                "{}/{} in {}: {warning}",
                kind.short(),
                object.name_any(),
                object.namespace().unwrap_or_default()
            );
        }
    }
    eprintln!(
        "{} resources exported. Secrets are not exported: back up documents and access keys separately.",
        found.len()
    );
    Ok(())
}

fn manifest(kind: Kind, object: &DynamicObject) -> Value {
    let types = target::types(kind);
    let mut metadata = Map::new();
    metadata.insert("name".into(), json!(object.name_any()));
    metadata.insert("namespace".into(), json!(object.namespace()));
    for (field, marks) in [("labels", object.labels()), ("annotations", object.annotations())] {
        let kept: BTreeMap<_, _> = marks.iter().filter(|(name, _)| is_kept(name)).collect();
        if !kept.is_empty() {
            metadata.insert(field.into(), json!(kept));
        }
    }
    json!({"apiVersion": types.api_version, "kind": types.kind, "metadata": metadata, "spec": spec(kind, object)})
}

/// The attempt that `not-placed` names is in the ledger of this cluster only.
fn is_kept(name: &str) -> bool {
    name != NOT_PLACED_ANNOTATION && !MARKS_OF_OWNERS.contains(&name)
}

fn spec(kind: Kind, object: &DynamicObject) -> Value {
    let mut spec = object.data["spec"].clone();
    for field in ids(kind) {
        if let Some(value) = target::text(object, &format!("/status/{field}")) {
            spec["adopt"][*field] = json!(value);
        }
    }
    if kind == Kind::Verification && state(object) == Some("Approved") {
        // An order may have proven it, which no ledger elsewhere knows.
        spec["approval"] = json!("Approved");
    }
    if let Some(date) = target::text(object, "/status/cancellationDate") {
        let number = target::text(object, "/status/cancellation/phoneNumber");
        let number = number.or(target::text(object, "/status/phoneNumber"));
        // What TENIOS wrote in another form is for a person to say there.
        let done = date.parse::<jiff::civil::Date>().is_ok().then_some(date);
        spec["cancel"] = json!({"phoneNumber": number, "done": done});
    }
    if spec["adopt"].is_null() {
        spec["suspend"] = json!(true);
    }
    if let Some(fields) = spec.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    spec
}

fn ids(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Verification => &["verificationId"],
        Kind::Order | Kind::Cancellation => &["orderId", "phoneNumber"],
    }
}

fn state(object: &DynamicObject) -> Option<&str> {
    target::text(object, "/status/state")
}

/// What a person has to know about this one.
fn warning(kind: Kind, object: &DynamicObject) -> Option<String> {
    let state = state(object).unwrap_or("not reconciled yet");
    if spec(kind, object)["adopt"].is_null() {
        let what = match kind {
            Kind::Verification => "verification id",
            Kind::Order | Kind::Cancellation => "order id",
        };
        return Some(format!(
            "has no {what} yet ({state}): exported with spec.suspend: true, so that nothing is sent again"
        ));
    }
    let asked = object.data["spec"]["cancel"].is_object();
    if asked && target::text(object, "/status/cancellationDate").is_none() {
        return Some(
            "is to be cancelled, and it is not known whether that was carried out: elsewhere, the operator asks a person before it cancels anything".into(),
        );
    }
    (state == "AwaitingNumber").then(|| {
        "is waiting for its number, which is pushed to this cluster's operator: export again once it has arrived".into()
    })
}
