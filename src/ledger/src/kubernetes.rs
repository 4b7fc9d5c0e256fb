//! The ledger as `LedgerEntry` objects in the operator's own namespace.

mod names;
mod object;

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PatchParams, PostParams, Preconditions};
use kube::core::{ApiResource, DeserializeGuard};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};

use super::{
    AppendError, Change, CopyTarget, Entry, Event, Key, LedgerStore, ReadError, RemoveError, WriterId,
};
use tenios_api::decode::decode_redacted;
use tenios_api::{Cause, FIELD_MANAGER, LedgerEntry, causes};

pub use names::object_name;
pub use object::to_entry;
use object::{StoredVersion, readable, to_object, unreadable};

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

    /// The object of this key, whatever version of the operator named it, and what it holds.
    ///
    /// # Errors
    /// When it can't be read, or what has its name is another's entry.
    pub async fn find(&self, key: &Key) -> Result<Option<(LedgerEntry, Entry)>, ReadError> {
        if let Some(found) = self.get(&object_name(key)).await? {
            return if found.1.key == *key { Ok(Some(found)) } else { Err(of_another(key, &found)) };
        }
        // By its former name another's may be found, which is none of ours.
        let Some(former) = names::former_name(key) else { return Ok(None) };
        Ok(self.get(&former).await?.filter(|(_, entry)| entry.key == *key))
    }

    async fn get(&self, name: &str) -> Result<Option<(LedgerEntry, Entry)>, ReadError> {
        let found = tokio::time::timeout(CALL_TIMEOUT, self.stored.get_opt(name))
            .await
            .map_err(|_| ReadError(format!("reading LedgerEntry {name} timed out").into()))?
            .map_err(|e| ReadError(cause(e)))?;
        let Some(object) = found else { return Ok(None) };
        let object: LedgerEntry = serde_json::to_value(object)
            .map_err(|e| e.to_string())
            .and_then(decode_redacted)
            .map_err(|why| ReadError(unreadable(name, "", &why).into()))?;
        let entry = to_entry(&object).map_err(|why| ReadError(why.into()))?;
        Ok(Some((object, entry)))
    }

    async fn read_now(&self, key: &Key) -> Result<Entry, ReadError> {
        let found = self.find(key).await?;
        Ok(found.map_or_else(|| Entry::empty(key.clone()), |(_, entry)| entry))
    }

    async fn put_now(&self, base: &Entry, next: &Entry) -> Result<Entry, AppendError> {
        if base.version.is_none() && names::former_name(&base.key).is_some() {
            // The create can't find out that there is one by the former name.
            let stored = self.read_now(&base.key).await.map_err(|e| AppendError::Rejected(e.into()))?;
            if stored.version.is_some() {
                return Err(AppendError::Conflict(Box::new(stored)));
            }
        }
        let object = to_object(next).map_err(|why| AppendError::Rejected(why.into()))?;
        let written = async {
            let Some(version) = &base.version else {
                let params =
                    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
                return self.api.create(&params, &object).await;
            };
            let stored = StoredVersion::of(version);
            let patch = stored.replaced_by(&object).map_err(kube::Error::SerdeError)?;
            let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
            self.api.patch(stored.name, &params, &patch).await
        };
        match tokio::time::timeout(CALL_TIMEOUT, written).await {
            Ok(Ok(stored)) => to_entry(&stored).map_err(|why| AppendError::Ambiguous(why.into())),
            Ok(Err(error)) => self.settle(base, next, error).await,
            Err(_) => self.reread(base, next, "no answer in time".into()).await,
        }
    }

    async fn remove_now(&self, entry: &Entry) -> Result<bool, RemoveError> {
        let Some(version) = &entry.version else { return Ok(true) };
        let StoredVersion { name, resource_version, .. } = StoredVersion::of(version);
        let preconditions = Preconditions { resource_version: Some(resource_version.to_owned()), uid: None };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match tokio::time::timeout(CALL_TIMEOUT, self.stored.delete(name, &params)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(true),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(false),
            Ok(Err(error)) => Err(RemoveError(cause(error))),
            Err(_) => Err(RemoveError("no answer in time".into())),
        }
    }

    async fn settle(&self, base: &Entry, next: &Entry, error: kube::Error) -> Result<Entry, AppendError> {
        let code = if let kube::Error::Api(status) = &error { Some(status.code) } else { None };
        let why = cause(error);
        match code {
            // Another revision than the one that was to be replaced.
            Some(422) => match self.reread(base, next, why).await {
                Err(AppendError::Ambiguous(why)) => Err(AppendError::Rejected(why)),
                settled => settled,
            },
            // 404: deleted under us. 409: a 504 after the commit, sent again by a proxy, comes back as a conflict
            // with our own write.
            Some(code @ 400..500) if !matches!(code, 404 | 408 | 409) => Err(AppendError::Rejected(why)),
            _ => self.reread(base, next, why).await,
        }
    }

    /// Whether `next` was written, by who wrote its revision.
    async fn reread(&self, base: &Entry, next: &Entry, why: Cause) -> Result<Entry, AppendError> {
        match self.read_now(&base.key).await {
            Ok(stored) if is_written(next, &stored) => Ok(stored),
            Ok(stored) if stored.version == base.version => {
                // Our write may still be on its way through a proxy: that nothing changed yet does not
                // mean that nothing will.
                Err(AppendError::Ambiguous(why))
            }
            Ok(stored) => Err(AppendError::Conflict(Box::new(stored))),
            Err(error) => {
                Err(AppendError::Ambiguous(format!("{}; {}", causes(&*why), causes(&error)).into()))
            }
        }
    }
}

fn is_written(next: &Entry, stored: &Entry) -> bool {
    let writer = next.writer_of(next.revision);
    let is_as_far = match (&next.position, &stored.position) {
        (Some(next), Some(stored)) => stored.store == next.store && stored.sequence >= next.sequence,
        (next, stored) => next.is_none() && stored.is_none(),
    };
    is_as_far && writer.is_some() && stored.writer_of(next.revision) == writer
}

/// Of an answer, what the apiserver says to people.
fn cause(error: kube::Error) -> Cause {
    match error {
        kube::Error::Api(status) => status.message.into(),
        error => error.into(),
    }
}

fn of_another(key: &Key, (object, entry): &(LedgerEntry, Entry)) -> ReadError {
    let why = format!(
        "LedgerEntry {} belongs to {} but has the name of the entry for {key}; rename or delete it",
        object.name_any(),
        entry.key
    );
    ReadError(why.into())
}

impl LedgerStore for KubernetesLedger {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.read_now(key).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        async move { self.put_now(base, &base.with(events, WriterId::random())).await }.boxed()
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        self.remove_now(entry).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        let one = ListParams::default().limit(1);
        let asked = async move {
            match tokio::time::timeout(CALL_TIMEOUT, self.api.list_metadata(&one)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(ReadError(cause(error))),
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

impl CopyTarget for KubernetesLedger {
    fn put<'a>(&'a self, base: &'a Entry, next: &'a Entry) -> BoxFuture<'a, Result<Entry, AppendError>> {
        self.put_now(base, next).boxed()
    }
}

type Watched = Result<watcher::Event<DeserializeGuard<LedgerEntry>>, watcher::Error>;

fn to_change(event: Watched) -> Option<Change> {
    match event {
        Err(error) => Some(Change::Broken(error.into())),
        Ok(watcher::Event::Init) => Some(Change::Listing),
        Ok(watcher::Event::InitDone) => Some(Change::Listed),
        Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => match readable(object) {
            Ok(entry) => Some(Change::Entry(Box::new(entry))),
            Err(error) => {
                // The resource finds out when it reads its entry before an append.
                tracing::error!(%error, "a ledger entry can't be read; its resource sends nothing");
                None
            }
        },
        Ok(watcher::Event::Delete(object)) => readable(object).ok().map(|entry| Change::Gone(entry.key)),
    }
}
