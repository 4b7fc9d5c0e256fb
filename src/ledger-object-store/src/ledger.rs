//! The ledger that the operator uses: the store decides, the cluster has a copy.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use tenios_ledger::{
    AppendError, Change, CopyTarget, Entry, Event, Key, LedgerStore, Position, ReadError, RemoveError,
    WriterId,
};

use crate::merge::{after, belongs_outside};
use crate::objects::{Created, NotCreated, Objects};
use crate::request::StoreError;
use crate::sync::Unsynced;
use crate::trouble::Trouble;
use crate::watched::Watched;

/// What the store is known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nobody knows yet: it could not be reached. `remembered` where the cluster has copies of its entries.
    Unreached { why: String, remembered: bool },
    /// The ledger with this id.
    Open(String),
    /// A person has to decide.
    Barred(Trouble),
}

/// See the module documentation.
pub struct ObjectStoreLedger<C>(pub(crate) Arc<Shared<C>>);

pub(crate) struct Shared<C> {
    pub(crate) copy: C,
    pub(crate) objects: Objects,
    url: String,
    access: RwLock<Access>,
    /// Whether the store was found to do what a ledger needs.
    pub(crate) tried_out: AtomicBool,
    /// Entries that the store may not have yet as the cluster has them.
    unsynced: Mutex<BTreeSet<Key>>,
    /// Orders of other clusters that cost nothing, and the numbers under which that was seen.
    pub(crate) passed_over: Mutex<HashMap<Key, u64>>,
    /// Such whose newest object, under this number, is not given for now.
    pub(crate) unread: Mutex<HashMap<Key, u64>>,
    pub(crate) work: Notify,
    pub(crate) watched: Mutex<Watched>,
}

impl<C> Clone for ObjectStoreLedger<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: CopyTarget> ObjectStoreLedger<C> {
    /// The ledger in this store, which is shown as `url`, with its copy in the cluster.
    #[must_use]
    pub fn new(copy: C, objects: Objects, url: String) -> Self {
        let access = Access::Unreached { why: "it was not tried yet".into(), remembered: false };
        Self(Arc::new(Shared {
            copy,
            objects,
            url,
            access: RwLock::new(access),
            tried_out: AtomicBool::new(false),
            unsynced: Mutex::default(),
            passed_over: Mutex::default(),
            unread: Mutex::default(),
            work: Notify::new(),
            watched: Mutex::default(),
        }))
    }

    /// Looks at the store and at the copies, once: whether this is the ledger that they are copies of, and what
    /// either side does not know yet. False where it could not be reached.
    pub async fn open(&self) -> bool {
        self.0.open().await
    }

    /// Gives the store what only the cluster has yet, and the cluster what another one did. False where something is
    /// left to do.
    pub async fn sync_now(&self) -> bool {
        self.0.sync_pending().await
    }
}

impl<C: CopyTarget> Shared<C> {
    pub(crate) fn access(&self) -> Access {
        self.access.read().clone()
    }

    pub(crate) fn set_access(&self, now: Access) {
        let shown = now.clone();
        if std::mem::replace(&mut *self.access.write(), now) == shown {
            return;
        }
        match &shown {
            Access::Open(id) => tracing::info!(url = self.url, ledger = id, "the ledger's store is open"),
            Access::Unreached { why, .. } => {
                tracing::error!(
                    url = self.url,
                    error = why,
                    "the ledger's store can't be reached: nothing new is sent; retrying"
                );
            }
            Access::Barred(trouble) => tracing::error!("nothing is sent: {}", trouble.message(&self.url)),
        }
        self.work.notify_one();
    }

    /// What keeps a request from leaving.
    fn closed(&self) -> Option<String> {
        match self.access() {
            Access::Open(_) => None,
            Access::Unreached { why, .. } => {
                Some(format!("the ledger's store at {} can't be reached: {why}", self.url))
            }
            Access::Barred(trouble) => Some(trouble.message(&self.url)),
        }
    }

    pub(crate) fn bar(&self, trouble: Trouble) -> String {
        let message = trouble.message(&self.url);
        self.set_access(Access::Barred(trouble));
        message
    }

    pub(crate) fn sync_later(&self, key: &Key) {
        self.owe(key.clone());
        self.work.notify_one();
    }

    pub(crate) fn owe(&self, key: Key) {
        self.unsynced.lock().insert(key);
    }

    pub(crate) fn take_unsynced(&self) -> BTreeSet<Key> {
        std::mem::take(&mut *self.unsynced.lock())
    }

    pub(crate) fn has_unsynced(&self) -> bool {
        !self.unsynced.lock().is_empty() || !self.unread.lock().is_empty()
    }

    async fn read_now(&self, key: &Key) -> Result<Entry, ReadError> {
        let Access::Open(id) = self.access() else { return self.copy.read(key).await };
        match self.sync(key, &id).await {
            Ok(entry) => Ok(entry),
            Err(Unsynced::Copy(why)) => Err(ReadError(why.into())),
            Err(Unsynced::Store(error)) => {
                tracing::warn!(%error, %key, "the ledger's store can't be read; the copy in the cluster is used");
                self.sync_later(key);
                self.copy.read(key).await
            }
            Err(Unsynced::Trouble(trouble)) => {
                self.bar(trouble);
                self.copy.read(key).await
            }
        }
    }

    async fn append_now(&self, base: &Entry, events: &[Event]) -> Result<Entry, AppendError> {
        let access = self.access();
        let mut base = base.clone();
        if let (None, Access::Open(id)) = (&base.version, &access) {
            // The store may know what this cluster does not.
            base.position = self.first_of(&base.key, id, events).await?;
        }
        let (base, next) = (&base, base.with(events, WriterId::random()));
        if !belongs_outside(&next) {
            return self.copy.put(base, &next).await;
        }
        match (access, self.closed()) {
            (Access::Open(id), _) => self.append_outside(base, next, events, &id).await,
            (_, why) => self.append_aside(base, next, events, why.unwrap_or_default()).await,
        }
    }

    /// Ends where the store has an entry of this name already. One that was forgotten has left its number.
    async fn first_of(&self, key: &Key, id: &str, events: &[Event]) -> Result<Option<Position>, AppendError> {
        if leads_to_a_request(events) {
            // Again once it is stored. An intent that is stored and not sent looks like one whose sender died.
            let genesis = self.objects.genesis().await.map_err(|e| AppendError::Rejected(e.into()))?;
            if let Some(trouble) = not_the_one(genesis, id) {
                return Err(AppendError::Rejected(self.bar(trouble).into()));
            }
        }
        match self.sync(key, id).await {
            Ok(entry) if entry.version.is_some() => Err(AppendError::Conflict(Box::new(entry))),
            Ok(entry) => Ok(entry.position),
            Err(Unsynced::Store(_)) if can_wait(events) => Ok(None),
            Err(error) => Err(AppendError::Rejected(self.said(error).into())),
        }
    }

    fn said(&self, error: Unsynced) -> String {
        match error {
            Unsynced::Copy(why) => why,
            Unsynced::Store(error) => error.to_string(),
            Unsynced::Trouble(trouble) => self.bar(trouble),
        }
    }

    /// First there, where it is decided who may, then here.
    async fn append_outside(
        &self,
        base: &Entry,
        next: Entry,
        events: &[Event],
        id: &str,
    ) -> Result<Entry, AppendError> {
        let known = match &base.position {
            Some(position) if position.store != id => {
                let trouble = Trouble::Anothers { remembered: position.store.clone(), found: id.to_owned() };
                return self.append_aside(base, next, events, self.bar(trouble)).await;
            }
            Some(position) => position.clone(),
            None => Position { store: id.to_owned(), sequence: 0, revision: 0 },
        };
        let next = after(&known, next);
        let sequence = known.sequence + 1;
        let create = self.objects.create(&next, sequence);
        let created = if can_wait(events) {
            let late = || NotCreated::Ambiguous("the store did not answer in time".into());
            tokio::time::timeout(FACT_TIMEOUT, create).await.unwrap_or_else(|_| Err(late()))
        } else {
            create.await
        };
        match created {
            Ok(Created::Stored) => {
                if leads_to_a_request(events)
                    && let Err(error) = self.is_in_line(&next, known.sequence, id).await
                {
                    self.sync_later(&base.key);
                    return Err(error);
                }
                self.copy_of_stored(base, &next, events, id).await
            }
            Ok(Created::Taken(_)) => match self.sync(&base.key, id).await {
                Ok(entry) => Err(AppendError::Conflict(Box::new(entry))),
                Err(error) => Err(AppendError::Rejected(self.said(error).into())),
            },
            Err(NotCreated::Rejected(why) | NotCreated::Ambiguous(why)) if can_wait(events) => {
                let next = Entry { position: Some(known), ..next };
                self.append_aside(base, next, events, why).await
            }
            Err(NotCreated::Rejected(why)) => Err(AppendError::Rejected(why.into())),
            Err(NotCreated::Ambiguous(why)) => Err(AppendError::Ambiguous(why.into())),
        }
    }

    /// Whether what was just stored follows what was known, in the store that was known: one that forgot takes
    /// every create.
    async fn is_in_line(&self, next: &Entry, known: u64, id: &str) -> Result<(), AppendError> {
        let (far, genesis) =
            futures::future::join(self.objects.far(&next.key, known), self.objects.genesis()).await;
        let not_sent = |error: StoreError| AppendError::Ambiguous(error.into());
        let (far, genesis) = (far.map_err(not_sent)?, genesis.map_err(not_sent)?);
        let behind = || Trouble::Behind { key: next.key.clone(), sequence: known };
        let trouble = not_the_one(genesis, id).or_else(|| (!far.has_known).then(behind));
        if let Some(trouble) = trouble {
            return Err(AppendError::Ambiguous(self.bar(trouble).into()));
        }
        if far.newest > known + 1 {
            // Ours filled a gap: the line had gone on.
            return match self.sync(&next.key, id).await {
                Ok(entry) => Err(AppendError::Conflict(Box::new(entry))),
                Err(error) => Err(AppendError::Ambiguous(self.said(error).into())),
            };
        }
        Ok(())
    }

    /// It is stored outside; the copy follows.
    async fn copy_of_stored(
        &self,
        base: &Entry,
        next: &Entry,
        events: &[Event],
        id: &str,
    ) -> Result<Entry, AppendError> {
        let mut base = base.clone();
        for _ in 0..TRIES {
            match self.copy.put(&base, next).await {
                Ok(entry) => return Ok(entry),
                // Others' labels change the version and nothing else.
                Err(AppendError::Conflict(stored)) if stored.is_same_as(&base) => {
                    base.version = stored.version;
                }
                Err(AppendError::Conflict(_)) if !leads_to_a_request(events) => {
                    return match self.sync(&base.key, id).await {
                        Ok(entry) if entry.contains(events) => Ok(entry),
                        Ok(entry) => Err(AppendError::Conflict(Box::new(entry))),
                        Err(error) => Err(AppendError::Ambiguous(self.said(error).into())),
                    };
                }
                Err(AppendError::Conflict(_)) => break,
                Err(AppendError::Rejected(why) | AppendError::Ambiguous(why)) => {
                    self.sync_later(&base.key);
                    return Err(AppendError::Ambiguous(why));
                }
            }
        }
        self.sync_later(&base.key);
        Err(AppendError::Ambiguous(
            "it is in the store, but its copy in the cluster was changed meanwhile".into(),
        ))
    }

    /// What happened must not be lost while the store is away: it is kept in the cluster, and the store gets it later.
    async fn append_aside(
        &self,
        base: &Entry,
        next: Entry,
        events: &[Event],
        why: String,
    ) -> Result<Entry, AppendError> {
        let may_wait = match (&next.position, self.access()) {
            (Some(_), _) => true,
            // The ledger in the cluster, which a person has not copied yet.
            (None, Access::Barred(Trouble::NotCopied { .. })) => belongs_outside(base),
            (None, _) => false,
        };
        if !can_wait(events) || !may_wait {
            return Err(AppendError::Rejected(why.into()));
        }
        let stored = self.copy.put(base, &next).await?;
        tracing::warn!(key = %base.key, error = why, "kept in the cluster for now: the ledger's store did not take it");
        self.sync_later(&base.key);
        Ok(stored)
    }

    async fn remove_now(&self, entry: &Entry) -> Result<bool, RemoveError> {
        let Some(position) = entry.position.as_ref().filter(|position| position.revision > 0) else {
            return self.copy.remove(entry).await;
        };
        match self.access() {
            Access::Open(id) if id == position.store => {}
            _ => {
                return Err(RemoveError(
                    self.closed().unwrap_or_else(|| "the entry is a copy from another ledger".into()).into(),
                ));
            }
        }
        // Not deleted: a late delete could hit an object of a new life.
        let forgotten =
            Entry { snapshot: tenios_ledger::State::default(), events: Vec::new(), ..entry.clone() };
        let forgotten = after(position, forgotten.with(&[], WriterId::random()));
        match self.objects.create(&forgotten, position.sequence + 1).await {
            Ok(Created::Stored) => self.copy.remove(entry).await,
            Ok(Created::Taken(_)) => {
                self.sync_later(&entry.key);
                Ok(false)
            }
            Err(error) => Err(RemoveError(error.into())),
        }
    }
}

/// How often it is tried against others who change the copy.
const TRIES: usize = 3;

/// So long the store may take for what happened, before that is kept in the cluster alone for now. TENIOS waits for
/// the answer to a push.
const FACT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

/// What is found in place of the ledger with this id.
pub(crate) fn not_the_one(genesis: Option<String>, id: &str) -> Option<Trouble> {
    match genesis {
        Some(found) if found == id => None,
        Some(found) => Some(Trouble::Anothers { remembered: id.to_owned(), found }),
        None => Some(Trouble::Emptied { remembered: id.to_owned() }),
    }
}

fn leads_to_a_request(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Intended { .. }))
}

/// Whether it is something that happened, which commutes with what else did. What would lead to a request can't, and
/// neither can what the status told when the copy was lost: the store may know better.
fn can_wait(events: &[Event]) -> bool {
    !events.iter().any(|event| matches!(event, Event::Intended { .. } | Event::Rebuilt { .. }))
}

impl<C: CopyTarget> LedgerStore for ObjectStoreLedger<C> {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.0.read_now(key).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        self.0.append_now(base, events).boxed()
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        self.0.remove_now(entry).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.0.copy.probe()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.0.clone().followed().boxed()
    }

    fn knows_more(&self) -> bool {
        matches!(self.0.access(), Access::Open(_))
    }

    fn trouble(&self) -> Option<String> {
        match self.0.access() {
            Access::Open(_) | Access::Unreached { remembered: true, .. } => None,
            _ => self.0.closed().map(|why| format!("nothing is sent: {why}")),
        }
    }
}
