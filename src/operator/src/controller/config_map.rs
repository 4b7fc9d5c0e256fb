//! Writing a number into the `ConfigMap` that its order names. Compare-and-set: what is written over is what was looked
//! at, so that nothing of others is overwritten that came in between (promise 28).

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, Patch};
use kube::core::{ApiResource, DeserializeGuard};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::{Context, Failed, call, patching, posting};
use tenios_ledger::Key;
use tenios_lifecycle::config_map::{Owner, Seen, Step, Told, Wanted, failed, next};

/// Somebody else may write it all the time.
const TRIES: u32 = 4;

/// Untyped: of one that is somebody else's nothing has to be readable.
type ConfigMaps = Api<DynamicObject>;

/// What was looked at.
struct Found {
    seen: Seen,
    object: Option<DynamicObject>,
}

/// Puts the number where it is wanted, if that is this order's. What is told of it.
pub(super) async fn keep<K>(
    context: &Context,
    key: &Key,
    order: &DeserializeGuard<K>,
    wanted: &Wanted,
) -> Told
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Debug,
{
    let api: ConfigMaps =
        Api::namespaced_with(context.client.clone(), &key.namespace, &ApiResource::erase::<ConfigMap>(&()));
    let owner = Owner::order(&key.name, &order.uid().unwrap_or_default());
    for _ in 0..TRIES {
        let found = look(&api, wanted).await;
        let step = next(wanted, &found.seen, &owner);
        if let Step::Rest(told) = step {
            return told;
        }
        if context.is_anothers(key, order).await {
            return failed(&wanted.name, "another installation of the operator serves this namespace");
        }
        let written = match found.object {
            None => create(&api, wanted, &owner).await,
            Some(object) => update(&api, wanted, &owner, &object).await,
        };
        let Err(error) = written else { continue };
        // Somebody else was first: what there is by now is looked at.
        if matches!(&error, Failed::Apiserver(kube::Error::Api(status)) if status.code == 409) {
            continue;
        }
        if let Step::Rest(told) = next(wanted, &refused(&error), &owner) {
            return told;
        }
    }
    failed(&wanted.name, "somebody else keeps changing it")
}

async fn look(api: &ConfigMaps, wanted: &Wanted) -> Found {
    match call(api.get_opt(&wanted.name)).await {
        Ok(None) => Found { seen: Seen::Missing, object: None },
        Ok(Some(object)) if object.metadata.deletion_timestamp.is_some() => {
            Found { seen: Seen::Failed("it is being deleted".into()), object: None }
        }
        Ok(Some(object)) => Found { seen: exists(&object), object: Some(object) },
        Err(error) => Found { seen: refused(&error), object: None },
    }
}

fn exists(object: &DynamicObject) -> Seen {
    let references = object.owner_references();
    let controller = references.iter().find(|reference| reference.controller == Some(true)).map(owner);
    let texts = object.data["data"].as_object().into_iter().flatten();
    let data: BTreeMap<String, String> =
        texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    Seen::Exists { controller, data }
}

fn owner(reference: &OwnerReference) -> Owner {
    let group = reference.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    Owner {
        group: group.to_owned(),
        kind: reference.kind.clone(),
        name: reference.name.clone(),
        uid: reference.uid.clone(),
    }
}

fn refused(error: &Failed) -> Seen {
    match error {
        Failed::Apiserver(kube::Error::Api(status)) if status.code == 403 => {
            Seen::Forbidden(status.message.clone())
        }
        other => Seen::Failed(other.words()),
    }
}

/// What deletes the `ConfigMap` with the order. It blocks no deletion, which would need a right to the order's finalizers.
fn reference(owner: &Owner) -> Value {
    json!({
        "apiVersion": format!("{}/v1alpha1", owner.group), "kind": owner.kind, "name": owner.name, "uid": owner.uid,
        "controller": true, "blockOwnerDeletion": false,
    })
}

async fn create(api: &ConfigMaps, wanted: &Wanted, owner: &Owner) -> Result<(), Failed> {
    let data: BTreeMap<_, _> =
        wanted.data.iter().filter_map(|(key, value)| Some((*key, value.clone()?))).collect();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": wanted.name,
            "labels": {"app.kubernetes.io/managed-by": "tenios-operator"},
            "ownerReferences": [reference(owner)],
        },
        "data": data,
    });
    let object = serde_json::from_value(object).map_err(kube::Error::SerdeError)?;
    call(api.create(&posting(), &object)).await.map(drop)
}

/// Labels, other keys and other owners stay.
async fn update(
    api: &ConfigMaps,
    wanted: &Wanted,
    owner: &Owner,
    object: &DynamicObject,
) -> Result<(), Failed> {
    let others = object.owner_references().iter().filter(|reference| reference.controller != Some(true));
    let others = others.map(serde_json::to_value).collect::<Result<Vec<_>, _>>();
    let mut owners = others.map_err(kube::Error::SerdeError)?;
    owners.push(reference(owner));
    let patch = json!({
        "metadata": {
            "uid": object.uid(), "resourceVersion": object.resource_version(), "ownerReferences": owners,
        },
        "data": wanted.data,
    });
    call(api.patch(&wanted.name, &patching(), &Patch::Merge(patch))).await.map(drop)
}
