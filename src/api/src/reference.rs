//! References. All are by name, within the namespace of the resource that holds them: no tenant
//! can borrow another's authority by naming its objects.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A resource of this group in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct ResourceRef {
    /// Name of the resource, in the same namespace.
    #[schemars(length(min = 1, max = 253), extend("example" = "cologne-office"))]
    pub name: String,
}

/// One key of a Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret, in the same namespace.
    #[schemars(length(min = 1, max = 253), extend("example" = "trade-register"))]
    pub name: String,
    /// Key within the Secret's data.
    #[schemars(length(min = 1, max = 253), extend("pattern" = "^[-._a-zA-Z0-9]+$", "example" = "extract.pdf"))]
    pub key: String,
}

impl std::fmt::Display for SecretKeyRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {:?} of Secret {:?}", self.key, self.name)
    }
}
