//! What `deploy/base` ships, read by kubectl's own kustomize.

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Kubectl, Result, checkout};

/// The name of the operator's roles and of its `ServiceAccount`.
pub const OPERATOR: &str = "tenios-operator";

/// The manifests of the Kustomize base.
pub struct ShippedManifests {
    documents: Vec<Value>,
}

impl ShippedManifests {
    /// Renders the base.
    pub async fn render(kubectl: &Kubectl) -> Result<Self> {
        let base = checkout("deploy/base");
        let output = kubectl.run(&["kustomize", &base.to_string_lossy()]).await;
        if !output.success {
            return Err(format!("{} failed:\n{}", output.command, output.stderr).into());
        }
        // `0440` is octal to kubectl.
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        Ok(Self { documents: serde_saphyr::from_multiple_with_options(&output.stdout, options)? })
    }

    /// All objects of a kind.
    pub fn all<T: DeserializeOwned>(&self, kind: &str) -> Result<Vec<T>> {
        let of_kind = self.documents.iter().filter(|document| document["kind"] == kind);
        Ok(of_kind
            .map(|document| serde_json::from_value(document.clone()))
            .collect::<std::result::Result<_, _>>()?)
    }

    /// The rules of the operator's Role in its own namespace.
    pub fn own_namespace_rules(&self) -> Result<Vec<PolicyRule>> {
        let roles: Vec<Role> = self.all("Role")?;
        let role = roles.into_iter().find(|role| role.metadata.name.as_deref() == Some(OPERATOR));
        let role = role.ok_or("deploy/base has no Role tenios-operator")?;
        Ok(role.rules.unwrap_or_default())
    }

    /// Applies the `ClusterRole`s: the operator's and those for tenants. They are bound by nobody yet.
    pub async fn apply_cluster_roles(&self, client: &Client) -> Result<()> {
        let roles: Api<ClusterRole> = Api::all(client.clone());
        for role in self.all::<ClusterRole>("ClusterRole")? {
            let name = role.metadata.name.clone().ok_or("a ClusterRole without a name")?;
            let how = PatchParams::apply("tenios-test-harness").force();
            roles.patch(&name, &how, &Patch::Apply(role)).await?;
        }
        Ok(())
    }
}
