//! Writing `.status`, and the events that go with it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, Patch};
use kube::core::DeserializeGuard;
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Failed, call, patching, posting};
use tenios_api::printable::one_line;
use tenios_api::{Condition, ConditionType, Reason, causes};

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

/// The reason of `Ready`, where the conditions have one.
pub(super) fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == ConditionType::Ready)
}

/// Publishes an event where the resource came to something worth telling. It never fails a reconcile.
pub(super) async fn publish_transition<K>(
    client: &Client,
    object: &K,
    before: &[Condition],
    after: &[Condition],
) where
    K: Resource<DynamicType = ()>,
{
    let Some(now) = ready(after) else { return };
    if ready(before).map(|c| c.reason) == Some(now.reason) {
        return;
    }
    let type_ = match now.reason {
        // A wait for a number is told once it has lasted.
        Reason::AwaitingApproval | Reason::Approved | Reason::NumberAssigned | Reason::Cancelled => "Normal",
        reason if reason.stalls() || reason == Reason::BudgetExceeded => "Warning",
        _ => return,
    };
    publish(client, object, type_, &now.reason.to_string(), &now.message).await;
}

/// Publishes one event. It never fails a reconcile.
pub(super) async fn publish<K>(client: &Client, object: &K, type_: &str, reason: &str, note: &str)
where
    K: Resource<DynamicType = ()>,
{
    let namespace = object.meta().namespace.clone().unwrap_or_default();
    let name = object.meta().name.clone().unwrap_or_default();
    let event = Event {
        metadata: ObjectMeta {
            name: Some(event_name(&name)),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some("Reconcile".into()),
        event_time: Some(MicroTime(jiff::Timestamp::now())),
        note: Some(shortened(note)),
        reason: Some(reason.into()),
        regarding: Some(ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: Some(name),
            namespace: Some(namespace.clone()),
            uid: object.meta().uid.clone(),
            ..ObjectReference::default()
        }),
        reporting_controller: Some("tenios.dev/operator".into()),
        reporting_instance: Some("tenios-operator".into()),
        type_: Some(type_.into()),
        ..Event::default()
    };
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    if let Err(error) = call(api.create(&posting(), &event)).await {
        tracing::warn!(error = causes(&error), reason, "an event could not be published");
    }
}

/// A name of its own, that begins with the resource's. What is cut off may leave a part that ends with a sign,
/// which no part of a name may.
fn event_name(resource: &str) -> String {
    let head: String = resource.chars().take(200).collect();
    format!("{}.{}", head.trim_end_matches(['-', '.']), uuid::Uuid::new_v4().simple())
}

/// The apiserver takes notes of at most 1,024 bytes.
fn shortened(note: &str) -> String {
    let note = one_line(note);
    let end = (0..=note.len().min(1000)).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
    note[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::event_name;

    #[test]
    fn an_event_has_a_name_that_the_apiserver_takes_however_the_resource_is_called() {
        for resource in ["main-line".to_owned(), "a".repeat(253)].into_iter().chain(
            ["-b", ".b", "--b", "-.b"].map(|sign| format!("{}{sign}{}", "a".repeat(198), "c".repeat(50))),
        ) {
            let name = event_name(&resource);
            assert!(tenios_api::name::is_dns_subdomain(&name), "{name}");
        }
    }
}
