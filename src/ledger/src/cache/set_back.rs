//! A store that was set back, as by a restore of etcd, gets back what this process still knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{LedgerCache, Origin, PROBED_EVERY};
use crate::{AppendError, Applied, CachedEntry, Entry, Key, Lineage, ReadError};
use tenios_api::causes;

/// How often what could not be looked at or written back is tried again at least.
const AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// Somebody else may write while what was lost is written back; whoever loses this often in a row waits.
const TRIES: u32 = 5;

/// The entries of which the watch told less than is known. Each at most once, so that they are no more than
/// the entries that there are.
#[derive(Default)]
pub(super) struct Suspects {
    keys: Mutex<BTreeSet<Key>>,
    added: Notify,
}

impl Suspects {
    pub(super) fn add(&self, key: Key) {
        self.keys.lock().insert(key);
        self.added.notify_one();
    }

    /// Waits until there are any.
    async fn any(&self) {
        while self.keys.lock().is_empty() {
            self.added.notified().await;
        }
    }

    fn take(&self) -> BTreeSet<Key> {
        std::mem::take(&mut *self.keys.lock())
    }
}

impl LedgerCache {
    /// Looks, for ever, at the stored entries of which the watch told less than is known: an old copy of
    /// an entry is nothing, a store that was set back gets back what it lost.
    pub async fn mend(&self) {
        let paces = ExponentialBuilder::new().with_min_delay(PROBED_EVERY).with_max_delay(AT_LEAST_EVERY);
        let paces = paces.without_max_times();
        let mut pace = paces.build();
        loop {
            self.suspects.any().await;
            if self.mend_now().await {
                pace = paces.build();
            } else {
                tokio::time::sleep(pace.next().unwrap_or(AT_LEAST_EVERY)).await;
            }
        }
    }

    /// As [`LedgerCache::mend`], once. False where an entry has to be looked at again.
    pub async fn mend_now(&self) -> bool {
        let mut mended = true;
        for key in self.suspects.take() {
            let looked = self.read(&key).await;
            self.tell(key.clone(), Origin::Elsewhere, Vec::new());
            if let Err(error) = looked {
                tracing::error!(
                    error = causes(&error),
                    kind = key.kind.as_str(),
                    namespace = key.namespace,
                    name = key.name,
                    "what the ledger may have lost can't be checked or written back yet; retrying"
                );
                self.suspects.add(key);
                mended = false;
            }
        }
        mended
    }

    /// Whether the store, which could not be reached for a while, is older than it was. A restore sets back all
    /// of it, and so the entry that changed last.
    pub(super) async fn was_set_back(&self) -> Result<bool, ReadError> {
        self.ledger.probe().await?;
        let Some(latest) = self.index.lock().latest() else { return Ok(false) };
        let stored = self.ledger.read(&latest.entry.key).await?;
        Ok(matches!(latest.entry.lineage(&stored), Lineage::Earlier | Lineage::Diverged))
    }

    /// Takes over what is stored, read just now, unless it has lost what this process knows: then it gets
    /// that back. Returns what is stored in the end.
    pub(super) async fn settle(&self, mut stored: Entry) -> Result<CachedEntry, AppendError> {
        for _ in 0..TRIES {
            let Some(lost) = self.take_over(&stored) else { return Ok(known(stored)) };
            tracing::error!(key = %stored.key, "the ledger went back in time; writing back what is known");
            let (base, events) = lost.reunited(&stored);
            match self.ledger.append(&base, &events).await {
                Ok(both) => {
                    let related = self.index.lock().replace(&both);
                    self.tell(both.key.clone(), Origin::Elsewhere, related);
                    return Ok(known(both));
                }
                Err(AppendError::Conflict(now)) => stored = *now,
                Err(error) => return Err(error),
            }
        }
        Err(AppendError::Rejected("somebody else keeps changing this entry".into()))
    }

    /// Takes over what is stored; where that has lost something, returns what is known instead.
    fn take_over(&self, stored: &Entry) -> Option<Arc<Entry>> {
        let mut index = self.index.lock();
        let known = index.get(&stored.key);
        if let Some(known) = &known
            && has_lost(stored, known)
        {
            return Some(known.entry.clone());
        }
        let related = if stored.version.is_none() {
            known.map(|_| index.remove(&stored.key))?
        } else {
            match index.apply(stored) {
                Applied::News(related) => related,
                Applied::Known => return None,
                Applied::Older | Applied::Diverged => index.replace(stored),
            }
        };
        drop(index);
        self.tell(stored.key.clone(), Origin::Elsewhere, related);
        None
    }
}

fn has_lost(stored: &Entry, known: &CachedEntry) -> bool {
    match known.entry.lineage(stored) {
        Lineage::Same | Lineage::Later => false,
        // Deleted: by the sweep or a person, or lost. What may have cost money stays known.
        Lineage::Earlier if stored.version.is_none() => known.state.may_have_placed(),
        Lineage::Earlier => true,
        Lineage::Diverged => {
            let stored = stored.state();
            // Others are told twice rather than never.
            let is_told = known.state.unannounced.is_none() || stored.unannounced.is_some();
            !is_told || !stored.covers(&known.state)
        }
    }
}

fn known(entry: Entry) -> CachedEntry {
    // Not what the index knows by now, which may be ahead.
    CachedEntry { state: Arc::new(entry.state()), entry: Arc::new(entry) }
}
