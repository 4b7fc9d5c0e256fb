//! Objects that today's schemas would not let in, and schemas that do.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tenios_api::crd;

use crate::testbed::merge;

/// Values that must not be told on.
pub const TEXT: &str = "Domkloster, expected Domkloster";
pub const NUMBER: u64 = 7_777_777_777; // more digits in a row than a log's times have
const VERIFICATION: (&str, &str) = ("PhoneVerification", "phoneverifications");
const ORDER: (&str, &str) = ("PhoneNumberOrder", "phonenumberorders");

/// Whether any of them is told.
pub fn quotes_what_is_wrong(text: &str) -> bool {
    text.contains("Domkloster") || text.contains(&NUMBER.to_string())
}

/// One object that today's schema would not let in.
pub struct Poison {
    pub kind: &'static str,
    pub plural: &'static str,
    pub name: String,
    /// Where the wrong value is: `spec.address.zip`.
    pub path: String,
    pub object: Value,
}

impl Poison {
    fn new((kind, plural): (&'static str, &'static str), name: &str, path: &str, parts: Value) -> Self {
        let mut object =
            json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}});
        merge(&mut object, parts);
        Self { kind, plural, name: name.to_owned(), path: path.to_owned(), object }
    }

    /// As a message has it: items of lists in brackets.
    pub fn shown_path(&self) -> String {
        self.path.replace(".0", "[0]")
    }

    /// What may be done with it other than to report it.
    pub fn may_be_handled_as(&self, reason: &str) -> bool {
        match reason {
            // A status is rewritten, and then it can be read.
            "Suspended" if self.path.starts_with("status") => true,
            // serde reads a list as the fields of an object, in their order.
            "Suspended" => self.name.starts_with("list-at") && self.path.ends_with("Ref"),
            // A name that nothing can have is the name of nothing.
            "DocumentNotFound" | "AccessKeyNotFound" | "AwaitingVerification" => {
                self.path.ends_with("Ref.name")
            }
            _ => false,
        }
    }
}

/// Every wrong type at every path of both kinds, and other shapes.
pub fn poisons() -> Vec<Poison> {
    let mut poisons = shapes();
    poisons.extend(old_conditions());
    for kind in [VERIFICATION, ORDER] {
        let crd = crd::all().into_iter().find(|c| c.spec.names.kind == kind.0).unwrap();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let mut paths = Vec::new();
        for part in ["spec", "status"] {
            walk(part, &schema.properties.as_ref().unwrap()[part], &mut paths);
        }
        assert!(paths.len() > 25, "{} has {} paths", kind.0, paths.len());
        for (path, type_) in paths {
            for (wrong, value) in wrong_values(&type_) {
                let name = format!("{wrong}-at-{}", path.replace('.', "-").to_lowercase());
                let mut object = sound(kind.0);
                put(&mut object, &path, value);
                poisons.push(Poison::new(kind, &name, &path, object));
            }
        }
    }
    poisons
}

/// Every path with its type; `0` stands for the first item of a list.
fn walk(path: &str, schema: &JSONSchemaProps, paths: &mut Vec<(String, String)>) {
    // Where not every text fits, a text is a wrong value, too.
    let has_form =
        schema.enum_.is_some() || schema.pattern.is_some() || schema.format.as_deref() == Some("date-time");
    let type_ = if has_form { "form".to_owned() } else { schema.type_.clone().unwrap_or_default() };
    paths.push((path.to_owned(), type_));
    for (name, child) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), child, paths);
    }
    let items = serde_json::to_value(&schema.items).unwrap();
    if let Ok(Some(items)) = serde_json::from_value::<Option<JSONSchemaProps>>(items) {
        walk(&format!("{path}.0"), &items, paths);
    }
}

fn wrong_values(type_: &str) -> impl Iterator<Item = (&'static str, Value)> {
    let all = [
        ("string", "text", json!(TEXT)),
        ("integer", "number", json!(NUMBER)),
        ("number", "float", json!(77_777.5)),
        ("boolean", "bool", json!(true)),
        ("array", "list", json!([TEXT, NUMBER])),
        ("array", "no-list", json!([])),
        ("object", "map", json!({TEXT: NUMBER})),
        ("object", "no-map", json!({})),
    ];
    let type_ = type_.to_owned();
    all.into_iter().filter(move |(is, ..)| *is != type_).map(|(_, name, value)| (name, value))
}

/// Spec and status as they should be, with every field that does not exclude another.
fn sound(kind: &str) -> Value {
    let key = json!({"name": "tenios", "key": "access-key"});
    let condition = json!({"type": "Ready", "status": "False", "reason": "Suspended", "message": "",
        "observedGeneration": 1, "lastTransitionTime": "2026-11-22T09:00:00Z"});
    let status = json!({"observedGeneration": 1, "state": "Suspended", "conditions": [condition]});
    let spec = if kind == VERIFICATION.0 {
        json!({"areaCode": "221", "approval": "Pending", "suspend": true, "accessKeySecretRef": key,
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Gasse", "houseNumber": "4"},
            "document": {"type": "CONTRACT", "secretRef": {"name": "trade-register", "key": "extract.pdf"}}})
    } else {
        json!({"verificationId": "v", "numberType": "GEOGRAPHICAL", "suspend": true,
            "linkTo": {"phoneNumber": "+4922112345678"}, "accessKeySecretRef": key})
    };
    json!({"spec": spec, "status": status})
}

fn put(object: &mut Value, path: &str, value: Value) {
    // One excludes the other.
    for (this, other) in [("spec.verificationRef", "verificationId"), ("spec.linkTo.orderRef", "phoneNumber")]
    {
        if path.starts_with(this) {
            let spec =
                if other == "phoneNumber" { &mut object["spec"]["linkTo"] } else { &mut object["spec"] };
            spec[other].take();
        }
    }
    let mut at = object;
    for part in path.split('.') {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    *at = value;
}

/// What is wrong in another way than by the type of one field.
fn shapes() -> Vec<Poison> {
    let mut shapes = vec![Poison::new(ORDER, "no-spec", "spec", json!({}))];
    shapes.push(Poison::new(VERIFICATION, "no-spec", "spec", json!({})));
    // About as large as the apiserver takes.
    let long = "ß".repeat(500_000);
    for (name, path, spec) in [
        ("no-field", "spec", json!({})),
        ("both", "spec", json!({"verificationId": "v", "verificationRef": {"name": "v"}})),
        ("large", "spec.verificationId", json!({"verificationId": long})),
        ("large-list", "spec.verificationId", json!({"verificationId": [long]})),
        ("large-name", "spec.verificationRef.name", json!({"verificationRef": {"name": long}})),
        ("empty", "spec.verificationId", json!({"verificationId": ""})),
        ("not-ascii", "spec.verificationId", json!({"verificationId": "größe-\u{1F4DE}"})),
        ("no-link", "spec.linkTo", json!({"verificationId": "v", "linkTo": {}})),
        ("no-adoption", "spec.adopt", json!({"verificationId": "v", "adopt": {}})),
        ("adopts-large", "spec.adopt.orderId", json!({"verificationId": "v", "adopt": {"orderId": long}})),
        ("type", "spec.numberType", json!({"verificationId": "v", "numberType": "Domkloster"})),
        ("ref-not-ascii", "spec.verificationRef.name", json!({"verificationRef": {"name": "größe / ?"}})),
        (
            "key-not-ascii",
            "spec.accessKeySecretRef.name",
            json!({"verificationId": "v", "accessKeySecretRef": {"name": "größe / ?", "key": "k"}}),
        ),
    ] {
        shapes.push(Poison::new(ORDER, name, path, json!({"spec": spec})));
    }
    for (name, path, value) in [
        ("large", "spec.address.street", json!(long)),
        ("empty", "spec.address.city", json!("")),
        ("large-area", "spec.areaCode", json!(long)),
        ("area", "spec.areaCode", json!("größe")),
        ("adopts-large", "spec.adopt", json!({"verificationId": long})),
        ("secret-not-ascii", "spec.document.secretRef.name", json!("größe / ?")),
        ("large-secret", "spec.document.secretRef.name", json!(long)),
    ] {
        let mut object = sound(VERIFICATION.0);
        object["spec"]["suspend"] = json!(false);
        object["spec"]["accessKeySecretRef"] = Value::Null;
        put(&mut object, path, value);
        shapes.push(Poison::new(VERIFICATION, &format!("shape-{name}"), path, object));
    }
    // As from before a field was there.
    for field in ["address", "document", "areaCode"] {
        let mut object = sound(VERIFICATION.0);
        object["spec"][field] = Value::Null;
        shapes.push(Poison::new(VERIFICATION, &format!("no-{}", field.to_lowercase()), "spec", object));
    }
    shapes
}

/// Conditions of other versions, and statuses without the fields that came last.
fn old_conditions() -> Vec<Poison> {
    let condition = |type_: &str, reason: &str| {
        json!({"type": type_, "status": "Unknown", "reason": reason, "message": "",
        "lastTransitionTime": "2026-11-22T09:00:00Z"})
    };
    let mut poisons = Vec::new();
    for kind in [VERIFICATION, ORDER] {
        for (name, status) in [
            ("old-state", json!({"state": "Größer"})),
            ("old-type", json!({"conditions": [condition("Größer", "Suspended")]})),
            ("old-reason", json!({"conditions": [condition("Ready", "Größer")]})),
            (
                "twice",
                json!({"conditions": [condition("Ready", "Suspended"), condition("Ready", "Suspended")]}),
            ),
            ("bare", json!({"conditions": [{"type": "Ready"}]})),
            ("no-conditions", json!({"conditions": null})),
            ("no-status", Value::Null),
        ] {
            let mut object = sound(kind.0);
            merge(&mut object["status"], status);
            poisons.push(Poison::new(kind, name, "status", object));
        }
    }
    poisons
}

pub fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("tenios.dev", "v1alpha1", kind), plural)
}

/// Lets everything in, as a schema that was never applied would.
pub async fn loosen(client: &Client, plural: &str) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("{plural}.tenios.dev");
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut crd = crds.get(&name).await.unwrap();
    let version = &mut crd.spec.versions[0];
    version.selectable_fields = None;
    version.schema.as_mut().unwrap().open_api_v3_schema = serde_json::from_value(anything).unwrap();
    let patch = json!({"spec": {"versions": crd.spec.versions}});
    crds.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}
