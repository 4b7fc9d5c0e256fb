//! Whether this is the ledger that the entries in the cluster are copies of, and what either side lacks.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use tenios_api::causes;
use tenios_ledger::{Change, CopyTarget, Entry, Key, Kind};

use crate::ledger::{Access, Shared, not_the_one};
use crate::merge::{belongs_outside, is_ahead};
use crate::request::StoreError;
use crate::sync::Unsynced;
use crate::trouble::Trouble;

/// What is remembered of each copy while both sides are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    store: Option<String>,
    sequence: u64,
    belongs: bool,
    is_ahead: bool,
}

impl Copied {
    /// Of this entry in the cluster.
    pub(crate) fn of(copy: &Entry) -> Self {
        Self {
            store: copy.position.as_ref().map(|position| position.store.clone()),
            sequence: copy.position.as_ref().map_or(0, |position| position.sequence),
            belongs: belongs_outside(copy),
            is_ahead: is_ahead(copy),
        }
    }
}

/// What there is to find out.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing on either side: a ledger can begin.
    New,
    /// The ledger of the copies.
    Same {
        /// The entries that differ from their copies.
        differ: Vec<Key>,
        /// The newest numbers of orders that have no copy.
        new: Vec<(Key, u64)>,
    },
    /// A person has to decide.
    Trouble(Trouble),
}

/// Compares the copies, listed first, with what is in the store.
pub(crate) fn compare(
    copies: &HashMap<Key, Copied>,
    genesis: Option<&str>,
    newest: &HashMap<Key, u64>,
) -> Found {
    // The same one is named each time.
    let least = |wanted: &dyn Fn(&Key, &Copied) -> bool| {
        copies.iter().filter(|(key, copied)| wanted(key, copied)).min_by_key(|(key, _)| (*key).clone())
    };
    let of_another = least(&|_, copied| copied.store.is_some() && copied.store.as_deref() != genesis);
    if let Some((_, Copied { store: Some(remembered), .. })) = of_another {
        let remembered = remembered.clone();
        return Found::Trouble(match genesis {
            Some(found) => Trouble::Anothers { remembered, found: found.to_owned() },
            None => Trouble::Emptied { remembered },
        });
    }
    if genesis.is_none() && !newest.is_empty() {
        return Found::Trouble(Trouble::Headless);
    }
    if let Some((key, _)) = least(&|_, copied| copied.store.is_none() && copied.belongs) {
        return Found::Trouble(Trouble::NotCopied { key: key.clone() });
    }
    let stored = |key: &Key| newest.get(key).copied().unwrap_or_default();
    if let Some((key, copied)) = least(&|key, copied| copied.sequence > stored(key)) {
        return Found::Trouble(Trouble::Behind { key: key.clone(), sequence: copied.sequence });
    }
    if genesis.is_none() {
        return Found::New;
    }
    let differs = |key: &Key, copied: &Copied| copied.is_ahead || copied.sequence < stored(key);
    let differ = copies.iter().filter(|(key, copied)| differs(key, copied)).map(|(key, _)| key.clone());
    // What another cluster verified concerns this one where it has a resource of that name, and then it is asked for.
    let is_new = |key: &Key| key.kind != Kind::Verification && !copies.contains_key(key);
    let new = newest.iter().filter(|(key, _)| is_new(key)).map(|(key, newest)| (key.clone(), *newest));
    Found::Same { differ: differ.collect(), new: new.collect() }
}

/// So many entries are brought together at a time.
const AT_ONCE: usize = 8;

impl<C: CopyTarget> Shared<C> {
    /// See [`crate::ObjectStoreLedger::open`].
    pub(crate) async fn open(&self) -> bool {
        // First: what is written meanwhile goes to the store before it goes to its copy.
        let copies = match self.copies().await {
            Ok(copies) => copies,
            Err(why) => {
                return self.is_away(format!("the copies in the cluster can't be read: {why}"), false);
            }
        };
        let remembered = copies.values().any(|copied| copied.store.is_some());
        match self.find_out(copies).await {
            Ok(id) => self.set_access(Access::Open(id)),
            Err(Unsynced::Trouble(trouble)) => self.set_access(Access::Barred(trouble)),
            Err(Unsynced::Store(error)) => return self.is_away(error.to_string(), remembered),
            Err(Unsynced::Copy(why)) => return self.is_away(why, remembered),
        }
        true
    }

    /// What is known stays known while it is away.
    fn is_away(&self, why: String, remembered: bool) -> bool {
        if let Access::Unreached { .. } = self.access() {
            self.set_access(Access::Unreached { why, remembered });
        } else {
            tracing::warn!(error = why, "the ledger's store can't be looked at now; retrying");
        }
        false
    }

    async fn copies(&self) -> Result<HashMap<Key, Copied>, String> {
        let mut changes = self.copy.changes();
        let mut copies = HashMap::new();
        while let Some(change) = changes.next().await {
            match change {
                Change::Listing => copies.clear(),
                Change::Entry(entry) => {
                    copies.insert(entry.key.clone(), Copied::of(&entry));
                }
                Change::Gone(key) => {
                    copies.remove(&key);
                }
                Change::Listed => return Ok(copies),
                Change::Broken(error) => return Err(causes(error.as_ref())),
            }
        }
        Err("the list ended early".into())
    }

    async fn find_out(&self, copies: HashMap<Key, Copied>) -> Result<String, Unsynced> {
        if !self.tried_out.load(Ordering::Relaxed) {
            self.objects.try_out().await?;
            self.tried_out.store(true, Ordering::Relaxed);
        }
        let genesis = self.objects.genesis().await?;
        let newest = self.objects.newest().await?;
        let found = compare(&copies, genesis.as_deref(), &newest);
        drop((copies, newest));
        match (found, genesis) {
            (Found::Trouble(trouble), _) => Err(Unsynced::Trouble(trouble)),
            (Found::Same { mut differ, new }, Some(id)) => {
                differ.extend(self.placed(new, &id).await?);
                if !differ.is_empty() {
                    tracing::info!(
                        entries = differ.len(),
                        "bringing together the cluster's ledger entries and the store's"
                    );
                }
                self.sync_all(differ, &id).await?;
                Ok(id)
            }
            _ => Ok(self.objects.begin().await?),
        }
    }

    /// Those of these that may have cost money: their ids, numbers and budgets count in every cluster. Others are asked for
    /// when there is a resource of their name, so that no cluster sweeps what only another one has.
    pub(crate) async fn placed(&self, orders: Vec<(Key, u64)>, id: &str) -> Result<Vec<Key>, Unsynced> {
        let looked = self.passed_over.lock().clone();
        let orders = orders.into_iter().filter(|(key, newest)| looked.get(key) != Some(newest));
        let read = stream::iter(orders).map(|(key, newest)| async move {
            let stored = self.objects.read(&key, newest).await;
            (key, newest, stored)
        });
        let (mut read, mut placed) = (read.buffer_unordered(AT_ONCE), Vec::new());
        while let Some((key, newest, stored)) = read.next().await {
            match stored {
                Ok(Some(stored)) if stored.state().may_have_placed() => placed.push(key),
                Ok(_) => {
                    self.passed_over.lock().insert(key, newest);
                }
                Err(StoreError::Unreadable(why)) => {
                    tracing::error!(%key, error = why, "an entry in the ledger's store can't be read");
                }
                Err(StoreError::Unfit(why)) => return Err(StoreError::Unfit(why).into()),
                Err(error) => {
                    tracing::error!(%key, %error, "an entry is not given by the ledger's store; retrying");
                    self.unread.lock().insert(key, newest);
                    self.still_answers(id).await?;
                }
            }
        }
        Ok(placed)
    }

    /// Whether only single objects are not given. Otherwise the store is away as a whole.
    async fn still_answers(&self, id: &str) -> Result<(), Unsynced> {
        match not_the_one(self.objects.genesis().await?, id) {
            None => Ok(()),
            Some(trouble) => Err(Unsynced::Trouble(trouble)),
        }
    }

    /// Brings these together. An entry that can't be read or written harms only its resource, whose own append fails;
    /// false where there is one.
    pub(crate) async fn sync_all(
        &self,
        keys: impl IntoIterator<Item = Key>,
        id: &str,
    ) -> Result<bool, Unsynced> {
        let synced = stream::iter(keys).map(|key| async move {
            let result = self.sync(&key, id).await;
            (key, result)
        });
        let (mut synced, mut all) = (synced.buffer_unordered(AT_ONCE), true);
        while let Some((key, result)) = synced.next().await {
            match result {
                Ok(_) => {}
                Err(Unsynced::Trouble(trouble)) => return Err(Unsynced::Trouble(trouble)),
                Err(error) => {
                    tracing::error!(%key, %error, "a ledger entry can't be brought together with the store's");
                    self.owe(key);
                    all = false;
                    if let Unsynced::Store(StoreError::Unavailable(_) | StoreError::Denied(_)) = error {
                        self.still_answers(id).await?;
                    }
                }
            }
        }
        Ok(all)
    }
}
