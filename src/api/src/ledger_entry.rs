//! `LedgerEntry`: how the Kubernetes ledger stores one key. Internal; users never write it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every request to TENIOS for one resource, and its outcome. Written by the operator only; deleting an
/// entry lets the resource of that name order again.
///
/// There is no status subresource: an entry is created whole, together with its first intent.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tenios.dev",
    version = "v1alpha1",
    kind = "LedgerEntry",
    doc = "Every request to TENIOS for one resource, and its outcome. Written by the operator only; deleting an entry lets the resource of that name order again.",
    plural = "ledgerentries",
    namespaced,
    derive = "PartialEq",
    printcolumn(name = "Kind", json_path = ".spec.kind", type_ = "string"),
    printcolumn(name = "Namespace", json_path = ".spec.namespace", type_ = "string"),
    printcolumn(name = "Resource", json_path = ".spec.name", type_ = "string"),
    printcolumn(name = "Revision", json_path = ".spec.revision", type_ = "integer"),
    printcolumn(name = "Age", json_path = ".metadata.creationTimestamp", type_ = "date"),
    validation = Rule::new("self.spec.kind == oldSelf.spec.kind && self.spec.__namespace__ == oldSelf.spec.__namespace__ && self.spec.name == oldSelf.spec.name && self.spec.revision >= oldSelf.spec.revision")
        .message("the resource that an entry belongs to is immutable, and its revision must not decrease")
)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntrySpec {
    /// Kind of the resource; `Cancellation` for the requests to cancel the number of a `PhoneNumberOrder`.
    #[schemars(length(min = 1, max = 63), extend("enum" = ["PhoneVerification", "PhoneNumberOrder", "Cancellation"]))]
    pub kind: String,
    /// Namespace of the resource.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Name of the resource.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Number of appends so far.
    #[schemars(range(min = 1), extend("format" = "int64"))]
    pub revision: u64,
    /// The writers of the newest revisions, newest first: a random id for each write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("items" = {"type": "string", "maxLength": 32})
    )]
    pub writers: Vec<String>,
    /// The state that older events were folded into.
    #[schemars(extend("type" = "object", "x-kubernetes-preserve-unknown-fields" = true), with = "serde_json::Value")]
    pub snapshot: serde_json::Value,
    /// The newest events, oldest first.
    #[schemars(
        length(max = 64),
        extend("items" = {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"type": "string", "maxLength": 32}},
            "x-kubernetes-preserve-unknown-fields": true
        })
    )]
    pub events: Vec<serde_json::Value>,
    /// How far this entry is in the ledger outside the cluster, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<StoredUpTo>,
}

/// How far an entry is in a ledger outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoredUpTo {
    /// The random id of that ledger.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// The number of the newest object of this entry there; 0 where there is none yet.
    #[schemars(extend("format" = "int64"))]
    pub sequence: u64,
    /// The revision in that object; later ones are in the cluster only.
    #[schemars(extend("format" = "int64"))]
    pub revision: u64,
}
