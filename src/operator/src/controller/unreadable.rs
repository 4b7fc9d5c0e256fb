//! What of a stored resource can't be read, and what can.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, DeserializeGuard};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Failed, call};
use tenios_api::decode;

/// A resource that was read once more, because the watch does not keep what it could not read.
pub(super) struct Unreadable<S> {
    /// The field that can't be read and what is expected there.
    pub(super) why: String,
    /// Its status, as far as that can be read: it may know what the ledger lost.
    pub(super) status: S,
}

/// None where it is gone or was mended meanwhile.
pub(super) async fn look<K, S>(
    client: &Client,
    object: &DeserializeGuard<K>,
) -> Result<Option<Unreadable<S>>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Debug,
    S: DeserializeOwned + Default,
{
    let namespace = object.namespace().unwrap_or_default();
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &kind);
    let Some(stored) = call(api.get_opt(&object.name_any())).await? else { return Ok(None) };
    let status = serde_json::from_value(stored.data["status"].clone()).unwrap_or_default();
    let json = serde_json::to_value(&stored).map_err(kube::Error::SerdeError)?;
    Ok(decode::decode_redacted::<K>(json).err().map(|why| Unreadable { why, status }))
}
