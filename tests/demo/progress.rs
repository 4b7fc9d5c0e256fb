//! Prints each resource's state whenever it moves.

use std::collections::BTreeMap;
use std::time::Instant;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;

use harness::Result;

/// What was last printed of each resource.
pub(crate) struct Progress {
    kinds: Vec<Api<DynamicObject>>,
    shown: BTreeMap<String, String>,
    began: Instant,
}

/// The status of every resource, by name.
pub(crate) struct Snapshot(BTreeMap<String, Value>);

impl Progress {
    /// Of both kinds in a namespace, read like any user reads them.
    pub(crate) fn new(client: &Client, namespace: &str) -> Self {
        let api = |kind: &str| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tenios.dev", "v1alpha1", kind));
            Api::namespaced_with(client.clone(), namespace, &resource)
        };
        let kinds = ["PhoneVerification", "PhoneNumberOrder"].map(api).into();
        Self { kinds, shown: BTreeMap::new(), began: Instant::now() }
    }

    /// Reads all and prints what is new.
    pub(crate) async fn look(&mut self) -> Result<Snapshot> {
        let mut all = BTreeMap::new();
        for kind in &self.kinds {
            for object in kind.list(&ListParams::default()).await? {
                all.insert(object.metadata.name.unwrap_or_default(), object.data["status"].clone());
            }
        }
        for (name, status) in &all {
            self.print_if_new(name, describe(status));
        }
        Ok(Snapshot(all))
    }

    fn print_if_new(&mut self, name: &str, line: String) {
        if self.shown.get(name) != Some(&line) && !line.is_empty() {
            println!("  {:>5.1} s  {name:<15} {line}", self.began.elapsed().as_secs_f64());
            self.shown.insert(name.to_owned(), line);
        }
    }
}

impl Snapshot {
    /// A text of a resource's status.
    pub(crate) fn field(&self, name: &str, field: &str) -> Option<&str> {
        self.0.get(name)?.get(field)?.as_str()
    }

    /// The number of an order.
    pub(crate) fn number(&self, order: &str) -> Option<&str> {
        self.field(order, "phoneNumber")
    }

    /// Whether each has its condition `Ready`.
    pub(crate) fn all_ready(&self) -> bool {
        let ready =
            |status: &Value| condition(status, "Ready").is_some_and(|ready| ready["status"] == "True");
        !self.0.is_empty() && self.0.values().all(ready)
    }
}

fn describe(status: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = text(&status["phoneNumber"]);
    let detail = if number.is_empty() {
        condition(status, "Ready").map(|ready| text(&ready["reason"])).unwrap_or_default()
    } else {
        number
    };
    format!("{:<17} {detail}", text(&status["state"])).trim().to_owned()
}

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind)
}
