//! Writing `.status`.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Api, Patch};
use kube::core::DeserializeGuard;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Failed, call, patching};
use tenios_api::{Condition, ConditionType};

/// Writes the status where it differs from the last one seen. The patch names the uid, so that it can't
/// hit a resource that was re-created under the same name, and no resource version: it is a projection,
/// so the last one wins and none of it can be lost. Returns the resource as it is since; none where nothing was written.
pub(super) async fn write<K, S>(
    client: &Client,
    object: &DeserializeGuard<K>,
    previous: &S,
    next: &S,
) -> Result<Option<DeserializeGuard<K>>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    S: Serialize + PartialEq,
{
    if previous == next {
        return Ok(None);
    }
    let status = merge(&to_value(previous)?, to_value(next)?);
    let patch = json!({"metadata": {"uid": object.uid()}, "status": status});
    send(client, object, Patch::Merge(patch)).await
}

/// Writes the status in place of one that can't be read: what is wrong in it must not stay.
pub(super) async fn replace<K, S>(
    client: &Client,
    object: &DeserializeGuard<K>,
    next: &S,
) -> Result<Option<DeserializeGuard<K>>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    S: Serialize,
{
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": object.uid()},
        {"op": "add", "path": "/status", "value": to_value(next)?},
    ]);
    let patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
    send(client, object, Patch::Json::<()>(patch)).await
}

async fn send<K, P>(
    client: &Client,
    object: &DeserializeGuard<K>,
    patch: Patch<P>,
) -> Result<Option<DeserializeGuard<K>>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
    P: Serialize + Debug,
{
    let namespace = object.namespace().unwrap_or_default();
    // Guarded, because the answer holds the whole resource, which today's types may not be able to read.
    let api: Api<DeserializeGuard<K>> = Api::namespaced(client.clone(), &namespace);
    match call(api.patch_status(&object.name_any(), &patching(), &patch)).await {
        Ok(answer) => Ok(Some(answer)),
        // Deleted. A conflict is tried again: it may be another's uid by now, or that the apiserver gave up against
        // others who write all the time.
        Err(Failed::Apiserver(kube::Error::Api(status))) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

fn to_value(status: &impl Serialize) -> Result<Value, kube::Error> {
    serde_json::to_value(status).map_err(kube::Error::SerdeError)
}

/// RFC 7396: what is there and shall not be any more has to be named as null.
fn merge(previous: &Value, next: Value) -> Value {
    let (Value::Object(previous), Value::Object(mut next)) = (previous, next.clone()) else { return next };
    for name in previous.keys() {
        next.entry(name.clone()).or_insert(Value::Null);
    }
    Value::Object(next)
}

/// The condition `Ready`, where there is one.
pub(super) fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == ConditionType::Ready)
}
