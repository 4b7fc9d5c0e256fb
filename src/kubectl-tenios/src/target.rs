//! Resources as they are named on the command line and read from the cluster.

use std::str::FromStr;

use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::ApiResource;
use serde_json::Value;

use super::Failure;
use super::cluster::Cluster;
use tenios_api::name::is_dns_subdomain;
use tenios_api::{PhoneNumberOrder, PhoneVerification};
use tenios_ledger::Kind;

/// The field manager of what a person says through this command.
pub(super) const FIELD_MANAGER: &str = "kubectl-tenios";

/// `pno/NAME` or `pver/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) name: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or((text, ""));
        let kind = kind.trim_end_matches(".tenios.dev").to_lowercase();
        let is_named = |of: &Kind| [of.short(), of.plural(), &of.as_str().to_lowercase()].contains(&&*kind);
        match Kind::RESOURCES.into_iter().find(is_named) {
            Some(kind) if !name.is_empty() => Ok(Self { kind, name: resource_name(name)? }),
            _ => Err("expected pno/NAME or pver/NAME".into()),
        }
    }
}

/// A name as a resource may have one: what else is in a path would ask for something else.
pub(super) fn resource_name(text: &str) -> Result<String, String> {
    if is_dns_subdomain(text) {
        Ok(text.into())
    } else {
        Err(format!(
            "{text:?} is not a valid resource name: use lower-case letters, digits, - and ., at most 253 characters"
        ))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.short(), self.name)
    }
}

/// Untyped, so that a resource of another version of the CRDs can be shown and exported, too.
pub(super) fn api(cluster: &Cluster, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    let resource = match kind.of_resource() {
        Kind::Order | Kind::Cancellation => ApiResource::erase::<PhoneNumberOrder>(&()),
        Kind::Verification => ApiResource::erase::<PhoneVerification>(&()),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
        None => Api::all_with(cluster.client.clone(), &resource),
    }
}

impl Target {
    pub(super) fn api(&self, cluster: &Cluster) -> Api<DynamicObject> {
        api(cluster, self.kind, Some(&cluster.namespace))
    }

    pub(super) async fn read(&self, cluster: &Cluster) -> Result<DynamicObject, Failure> {
        let found = self.api(cluster).get_opt(&self.name).await?;
        found.ok_or_else(|| Failure::Failed(format!("{self} not found in namespace {}", cluster.namespace)))
    }

    pub(super) async fn patch(&self, cluster: &Cluster, patch: Value) -> Result<DynamicObject, Failure> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
        Ok(self.api(cluster).patch(&self.name, &params, &Patch::Merge(patch)).await?)
    }
}

/// Every resource of both kinds, verifications first, each kind by namespace and name.
pub(super) async fn all(
    cluster: &Cluster,
    namespace: Option<&str>,
) -> Result<Vec<(Kind, DynamicObject)>, Failure> {
    let mut found = Vec::new();
    for kind in Kind::RESOURCES {
        let mut list = api(cluster, kind, namespace).list(&ListParams::default()).await?.items;
        list.sort_by_key(|o| (o.metadata.namespace.clone(), o.metadata.name.clone()));
        for mut object in list {
            object.types = Some(types(kind));
            found.push((kind, object));
        }
    }
    Ok(found)
}

/// `apiVersion` and `kind`, which the items of a list lack.
pub(super) fn types(kind: Kind) -> kube::core::TypeMeta {
    kube::core::TypeMeta {
        api_version: format!("{}/v1alpha1", tenios_api::GROUP),
        kind: kind.of_resource().as_str().into(),
    }
}

/// A text somewhere in the object.
pub(super) fn text<'a>(object: &'a DynamicObject, pointer: &str) -> Option<&'a str> {
    object.data.pointer(pointer).and_then(Value::as_str)
}
