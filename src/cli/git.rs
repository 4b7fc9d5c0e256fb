//! The same change for Git: a tool that applies from there reverts what it does not find.

use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::target::{self, Target};
use super::yaml;

/// The manifest's changed part, with who would revert it, where that can be seen.
pub(super) fn change(target: &Target, object: &DynamicObject, changed: &Value) -> String {
    let types = target::types(target.kind);
    let mut manifest = json!({
        "apiVersion": types.api_version,
        "kind": types.kind,
        "metadata": {"name": target.name, "namespace": object.namespace()},
    });
    for (section, fields) in changed.as_object().into_iter().flatten() {
        for (name, value) in fields.as_object().into_iter().flatten() {
            manifest[section][name] = value.clone();
        }
    }
    let heading = match owner(object) {
        Some(owner) => format!("{owner} reverts this unless Git says the same:"),
        None => "If the manifest is kept in Git, say the same there:".into(),
    };
    format!("{heading}\n\n{}", yaml::document(&manifest))
}

fn owner(object: &DynamicObject) -> Option<String> {
    let label = |name: &str| object.labels().get(name);
    let annotation = |name: &str| object.annotations().get(name);
    // `<application>:<group>/<kind>:<namespace>/<name>`
    let argo = annotation("argocd.argoproj.io/tracking-id").and_then(|id| id.split(':').next());
    let argo = argo.or_else(|| label("argocd.argoproj.io/instance").map(String::as_str));
    let named = |what: &str, name: &str| super::out::harmless(&format!("{what} {name}"));
    argo.map(|name| named("Argo CD application", name))
        .or_else(|| label("kustomize.toolkit.fluxcd.io/name").map(|name| named("Flux Kustomization", name)))
        .or_else(|| label("helm.toolkit.fluxcd.io/name").map(|name| named("Flux HelmRelease", name)))
        .or_else(|| annotation("meta.helm.sh/release-name").map(|name| named("Helm release", name)))
}
