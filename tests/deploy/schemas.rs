//! JSON schemas for kubeconform: of built-in kinds out of the apiserver's own `OpenAPI`, of all others out of their CRDs.
//! Both leave unknown fields to the apiserver; here each object has the declared fields and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use crate::render::documents;
use crate::tools;
use harness::{ControlPlane, checkout};

/// The name of a schema's file, as kubeconform fills it in.
pub const LOCATION: &str = "{{.ResourceKind}}-{{.Group}}-{{.ResourceAPIVersion}}.json";

/// Writes the schema of each kind that one of the objects has.
pub async fn write(plane: &ControlPlane, objects: &[Value], directory: &Path) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let custom = custom_resources();
    let mut built_in: BTreeMap<String, Value> = BTreeMap::new();
    let kinds: BTreeSet<_> = objects.iter().map(|o| (text(&o["apiVersion"]), text(&o["kind"]))).collect();
    for (api_version, kind) in kinds {
        let schema = if let Some(schema) = custom.get(&(api_version.clone(), kind.clone())) {
            schema.clone()
        } else {
            if !built_in.contains_key(&api_version) {
                built_in.insert(api_version.clone(), open_api(plane, &api_version).await);
            }
            built_in_kind(&built_in[&api_version], &api_version, &kind)
        };
        let (group, version) = api_version.split_once('/').unwrap_or((&api_version, &api_version));
        let file = directory.join(format!("{}-{group}-{version}.json", kind.to_lowercase()));
        std::fs::write(file, schema.to_string()).unwrap();
    }
}

async fn open_api(plane: &ControlPlane, api_version: &str) -> Value {
    let prefix = if api_version.contains('/') { "apis" } else { "api" };
    let request = http::Request::get(format!("/openapi/v3/{prefix}/{api_version}")).body(Vec::new()).unwrap();
    let mut document: Value = plane.client().await.request(request).await.unwrap();
    for (_, schema) in document["components"]["schemas"].as_object_mut().unwrap() {
        close(schema);
    }
    document
}

fn built_in_kind(document: &Value, api_version: &str, kind: &str) -> Value {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let wanted = json!({"group": group, "kind": kind, "version": version});
    let mut schemas = document["components"]["schemas"].as_object().unwrap().iter();
    let (name, _) = schemas
        .find(|(_, schema)| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&wanted))
        })
        .unwrap_or_else(|| panic!("the apiserver doesn't know {api_version} {kind}"));
    json!({"$ref": format!("#/components/schemas/{name}"), "components": document["components"]})
}

/// Ours, and those of the Gateway API and cert-manager.
fn custom_resources() -> BTreeMap<(String, String), Value> {
    let others =
        std::fs::read_dir(tools::directory().join("crds")).unwrap().map(|entry| entry.unwrap().path());
    let files = others.chain([checkout("crds/tenios.dev.yaml")]);
    let mut schemas = BTreeMap::new();
    for crd in files.flat_map(|file| documents(&std::fs::read_to_string(file).unwrap())) {
        let spec = &crd["spec"];
        for version in spec["versions"].as_array().unwrap() {
            let api_version =
                format!("{}/{}", spec["group"].as_str().unwrap(), version["name"].as_str().unwrap());
            let mut schema = version["schema"]["openAPIV3Schema"].clone();
            // Every object has them; a CRD need not say so.
            for (field, kind) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
                schema["properties"][field] = json!({"type": kind});
            }
            close(&mut schema);
            schemas.insert((api_version, spec["names"]["kind"].as_str().unwrap().to_owned()), schema);
        }
    }
    schemas
}

/// Only along properties and elements: what stands below `anyOf` and the like shows a part of an object.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let open = schema.contains_key("additionalProperties")
        || schema.get("x-kubernetes-preserve-unknown-fields").is_some_and(|open| open == true);
    if schema.contains_key("properties") && !open {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    for property in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        close(property.1);
    }
    for keyword in ["items", "additionalProperties"] {
        schema.get_mut(keyword).into_iter().for_each(close);
    }
}
