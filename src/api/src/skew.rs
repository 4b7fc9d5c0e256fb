//! How the CRD in a cluster differs from the one that this operator was built with.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fields by their path, such as `spec.linkTo.phoneNumber`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// What the cluster's schema lacks. The apiserver drops these fields.
    pub lacking: BTreeSet<String>,
    /// What only the cluster's schema has. The operator does not read these fields.
    pub unknown: BTreeSet<String>,
}

impl Skew {
    /// Compares two schemas of one kind, as `OpenAPI` v3.
    #[must_use]
    pub fn between(own: &Value, clusters: &Value) -> Self {
        let (own, clusters) = (fields(own), fields(clusters));
        Self {
            lacking: own.difference(&clusters).cloned().collect(),
            unknown: clusters.difference(&own).cloned().collect(),
        }
    }

    /// Whether both know the same fields.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.lacking.is_empty() && self.unknown.is_empty()
    }
}

/// Those below spec and status. A part without a schema of its own has none.
fn fields(schema: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in ["spec", "status"] {
        collect(&schema["properties"][part], part, &mut found);
    }
    found
}

fn collect(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        collect(property, &path, found);
        found.insert(path);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            collect(&schema[inner], &format!("{path}[]"), found);
        }
    }
}
