//! Why a stored resource can't be read.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, DeserializeGuard};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Failed, call};
use crate::api::reading;

/// The field that can't be read and what is expected there; none where it is gone or was mended meanwhile.
/// The watch does not keep what it could not read, so that the resource is read once more.
pub(super) async fn why<K>(client: &Client, object: &DeserializeGuard<K>) -> Result<Option<String>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Debug,
{
    let namespace = object.namespace().unwrap_or_default();
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let Some(stored) = call(api.get_opt(&object.name_any())).await? else { return Ok(None) };
    let json = serde_json::to_value(&stored).map_err(kube::Error::SerdeError)?;
    Ok(reading::read::<K>(json).err())
}
