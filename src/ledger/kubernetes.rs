//! The ledger as `LedgerEntry` objects in the operator's own namespace.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams, Preconditions};
use kube::core::{ApiResource, DeserializeGuard};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::{AppendError, Change, Entry, Event, Key, Kind, Ledger, ReadError, RemoveError, State, Version};
use crate::api::LedgerEntry;
use crate::api::ledger_entry::LedgerEntrySpec;
use crate::api::reading::read;

/// One call to the apiserver. Its own limit is 60 s; a reconcile must not hang that long.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Entries of a list that are read at a time; one has up to some ten kilobytes.
const PAGE: u32 = 100;

/// See the module documentation.
#[derive(Clone)]
pub struct KubernetesLedger {
    api: Api<LedgerEntry>,
    guarded: Api<DeserializeGuard<LedgerEntry>>,
    /// As it is stored, whether it can be read or not.
    stored: Api<DynamicObject>,
}

impl KubernetesLedger {
    /// The ledger in this namespace.
    #[must_use]
    pub fn new(client: &Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            guarded: Api::namespaced(client.clone(), namespace),
            stored: Api::namespaced_with(client.clone(), namespace, &ApiResource::erase::<LedgerEntry>(&())),
        }
    }

    async fn read_now(&self, key: &Key) -> Result<Entry, ReadError> {
        let name = object_name(key);
        let found = tokio::time::timeout(CALL_TIMEOUT, self.stored.get_opt(&name))
            .await
            .map_err(|_| ReadError(format!("no answer to reading LedgerEntry {name} in time")))?
            .map_err(|e| ReadError(e.to_string()))?;
        match found {
            None => Ok(Entry::empty(key.clone())),
            Some(object) => serde_json::to_value(object)
                .map_err(|e| e.to_string())
                .and_then(read)
                .map_err(|why| unreadable(&name, "", &why))
                .and_then(|object| to_entry(&object))
                .map_err(ReadError),
        }
    }

    async fn append_now(&self, base: &Entry, events: &[Event]) -> Result<Entry, AppendError> {
        let next = base.with(events);
        let object = to_object(&next).map_err(AppendError::Rejected)?;
        let params = PostParams::default();
        let written = async {
            match base.version {
                None => self.api.create(&params, &object).await,
                Some(_) => self.api.replace(&object.name_any(), &params, &object).await,
            }
        };
        match tokio::time::timeout(CALL_TIMEOUT, written).await {
            Ok(Ok(stored)) => to_entry(&stored).map_err(AppendError::Ambiguous),
            Ok(Err(error)) => self.settle(base, events, &error).await,
            Err(_) => self.reread(base, events, "no answer in time").await,
        }
    }

    async fn remove_now(&self, entry: &Entry) -> Result<bool, RemoveError> {
        let Some(version) = &entry.version else { return Ok(true) };
        let preconditions = Preconditions { resource_version: Some(version.0.clone()), uid: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        let name = object_name(&entry.key);
        match tokio::time::timeout(CALL_TIMEOUT, self.stored.delete(&name, &params)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(true),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(false),
            Ok(Err(error)) => Err(RemoveError(error.to_string())),
            Err(_) => Err(RemoveError("no answer in time".into())),
        }
    }

    async fn settle(
        &self,
        base: &Entry,
        events: &[Event],
        error: &kube::Error,
    ) -> Result<Entry, AppendError> {
        match error {
            // 409 included: a 504 after the commit, sent again by a proxy, comes back as a conflict
            // with our own write. 404: deleted under us.
            kube::Error::Api(status) if matches!(status.code, 404 | 409) => {
                self.reread(base, events, &status.message).await
            }
            kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 408 => {
                Err(AppendError::Rejected(status.message.clone()))
            }
            error => self.reread(base, events, &error.to_string()).await,
        }
    }

    async fn reread(&self, base: &Entry, events: &[Event], why: &str) -> Result<Entry, AppendError> {
        match self.read_now(&base.key).await {
            Ok(stored) if stored.contains(events) => Ok(stored),
            Ok(stored) if stored.version == base.version => {
                // Our write may still be on its way through a proxy: that nothing changed yet does not
                // mean that nothing will.
                Err(AppendError::Ambiguous(why.to_owned()))
            }
            Ok(stored) => Err(AppendError::Conflict(Box::new(stored))),
            Err(error) => Err(AppendError::Ambiguous(format!("{why}; {error}"))),
        }
    }
}

impl Ledger for KubernetesLedger {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.read_now(key).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        self.append_now(base, events).boxed()
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        self.remove_now(entry).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        let one = ListParams::default().limit(1);
        let asked = async move {
            match tokio::time::timeout(CALL_TIMEOUT, self.api.list_metadata(&one)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(ReadError(error.to_string())),
                Err(_) => Err(ReadError("no answer in time".into())),
            }
        };
        asked.boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        watcher(self.guarded.clone(), watcher::Config::default().page_size(PAGE))
            .default_backoff()
            .filter_map(|event| std::future::ready(to_change(event)))
            .boxed()
    }
}

type Watched = Result<watcher::Event<DeserializeGuard<LedgerEntry>>, watcher::Error>;

fn to_change(event: Watched) -> Option<Change> {
    match event {
        Err(error) => Some(Change::Broken(error.to_string())),
        Ok(watcher::Event::Init) => Some(Change::Listing),
        Ok(watcher::Event::InitDone) => Some(Change::Listed),
        Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => match readable(object) {
            Ok(entry) => Some(Change::Entry(Box::new(entry))),
            Err(error) => {
                // The resource finds out when it reads its entry before an append.
                tracing::error!(%error, "a ledger entry can't be read; its resource will not order");
                None
            }
        },
        Ok(watcher::Event::Delete(object)) => readable(object).ok().map(|entry| Change::Gone(entry.key)),
    }
}

fn readable(object: DeserializeGuard<LedgerEntry>) -> Result<Entry, String> {
    let name = object.name_any();
    // Its own words quote what it found.
    object
        .0
        .map_err(|_| unreadable(&name, "", "it has a field of a wrong type"))
        .and_then(|object| to_entry(&object))
}

fn to_object(entry: &Entry) -> Result<LedgerEntry, String> {
    let json = |e: serde_json::Error| e.to_string();
    let events =
        entry.events.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>().map_err(json)?;
    let spec = LedgerEntrySpec {
        kind: entry.key.kind.as_str().into(),
        namespace: entry.key.namespace.clone(),
        name: entry.key.name.clone(),
        revision: entry.revision,
        snapshot: serde_json::to_value(&entry.snapshot).map_err(json)?,
        events,
    };
    let mut object = LedgerEntry::new(&object_name(&entry.key), spec);
    object.metadata = ObjectMeta {
        name: object.metadata.name,
        resource_version: entry.version.as_ref().map(|v| v.0.clone()),
        ..ObjectMeta::default()
    };
    Ok(object)
}

/// The entry that this object holds.
///
/// # Errors
/// When another version of the operator wrote it.
pub fn to_entry(object: &LedgerEntry) -> Result<Entry, String> {
    let spec = &object.spec;
    let kind = match spec.kind.as_str() {
        "PhoneVerification" => Kind::Verification,
        "PhoneNumberOrder" => Kind::Order,
        _ => return Err(unreadable(&object.name_any(), "spec.kind", ": an unknown kind")),
    };
    let broken = |part, why: String| unreadable(&object.name_any(), part, &why);
    let snapshot: State = read(spec.snapshot.clone()).map_err(|why| broken("spec.snapshot.", why))?;
    let events: Vec<Event> =
        read(Value::Array(spec.events.clone())).map_err(|why| broken("spec.events", why))?;
    Ok(Entry {
        key: Key { kind, namespace: spec.namespace.clone(), name: spec.name.clone() },
        revision: spec.revision,
        version: object.resource_version().map(Version),
        snapshot,
        events,
    })
}

fn unreadable(name: &str, part: &str, why: &str) -> String {
    format!("LedgerEntry {name} was written by another version of the operator: {part}{why}")
}

/// `pno.<namespace>.<name>`: readable, and unambiguous because a namespace has no dot. A name too long
/// for that is shortened and told apart by its digest.
#[must_use]
pub fn object_name(key: &Key) -> String {
    let plain = format!("{}.{}.{}", key.kind.short(), key.namespace, key.name);
    if plain.len() <= 253 {
        return plain;
    }
    let digest = super::terms::digest(plain.as_bytes());
    let digest: String = digest.chars().skip("sha256:".len()).take(32).collect();
    let head: String = plain.chars().take(253 - 34).collect();
    format!("{}-{digest}", head.trim_end_matches(['.', '-']))
}
