//! Who asks the apiserver, and the kubeconfig file to ask with.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Result;

/// A user of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// May do everything.
    Admin,
    /// May do what roles allow.
    ServiceAccount {
        /// The namespace it lives in.
        namespace: String,
        /// Its name.
        name: String,
    },
}

impl Identity {
    /// The `ServiceAccount` of that name.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::ServiceAccount { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The name that the audit log knows it by.
    pub fn user(&self) -> String {
        match self {
            Self::Admin => "admin".to_owned(),
            Self::ServiceAccount { namespace, name } => {
                format!("system:serviceaccount:{namespace}:{name}")
            }
        }
    }
}

/// Writes a kubeconfig file (JSON is YAML).
pub fn write_kubeconfig(
    path: &Path,
    server: &str,
    authority: &Path,
    user: &str,
    token: &str,
) -> Result<PathBuf> {
    let content = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": authority}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        "current-context": "test",
    });
    std::fs::write(path, serde_json::to_vec_pretty(&content)?)?;
    Ok(path.to_owned())
}
