//! Which entries need not outlive their resource. Whatever may have cost money stays for ever.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::{LedgerCache, Origin};
use crate::index::Worth;
use crate::{Entry, Key, Kind, RemoveError};

/// Submitted verifications whose resources are gone, so many newest of each namespace are kept, for whoever
/// re-creates one. TENIOS charges nothing for a verification, so that they could be made and deleted without end.
pub const VERIFICATIONS_KEPT: usize = 100;

impl LedgerCache {
    /// The entries that need not be kept once their resource is gone, as far as it is.
    #[must_use]
    pub fn forgettable(&self, now: Timestamp, is_gone: impl Fn(&Key) -> bool) -> Vec<Arc<Entry>> {
        let since = |kind| now.checked_sub(self.longest_window(kind)).unwrap_or(Timestamp::MIN);
        let index = self.index.lock();
        // Whoever re-creates both finds that it was approved.
        let ordered_with = index.ordered_with();
        // What a person said of a cancellation, or is asked, goes after its order: whoever re-creates that in between
        // would find its number, and nothing of the cancellation.
        let goes_with_an_order =
            |key: &Key| key.kind == Kind::Cancellation && index.worth_of(&key.of_resource()).is_some();
        let may_go = |(key, worth): &(&Key, &Worth)| {
            (cost_nothing(key, worth, since(key.kind)) && !goes_with_an_order(key))
                || (was_submitted(key, worth) && !ordered_with.contains(key))
        };
        let candidates: Vec<(Key, Worth)> =
            index.worth().filter(may_go).map(|(key, worth)| (key.clone(), *worth)).collect();
        drop(index);
        let gone = candidates.into_iter().filter(|(key, _)| is_gone(key));
        let (mut submitted, free): (Vec<_>, Vec<_>) = gone.partition(|(_, worth)| worth.may_have_placed);
        submitted.sort_by_key(|(_, worth)| Reverse(worth.submitted));
        let mut kept: HashMap<String, usize> = HashMap::new();
        let excess = submitted.into_iter().filter(|(key, _)| {
            let kept = kept.entry(key.namespace.clone()).or_default();
            *kept += 1;
            *kept > VERIFICATIONS_KEPT
        });
        let keys = free.into_iter().chain(excess);
        keys.filter_map(|(key, worth)| self.unless_it_changed(&key, &worth)).collect()
    }

    fn unless_it_changed(&self, key: &Key, worth: &Worth) -> Option<Arc<Entry>> {
        let index = self.index.lock();
        index.get(key).filter(|_| index.worth_of(key) == Some(worth)).map(|known| known.entry)
    }

    /// Deletes an entry unless it was written meanwhile.
    ///
    /// # Errors
    /// [`RemoveError`] where that can't be done.
    pub async fn forget(&self, entry: &Entry) -> Result<bool, RemoveError> {
        let is_gone = self.ledger.remove(entry).await?;
        let mut index = self.index.lock();
        // Without waiting for the watch: one that breaks now would list the entry as lost, and it would be
        // written back.
        let is_known = index.get(&entry.key).is_some_and(|known| known.entry.version == entry.version);
        if is_gone && is_known {
            let related = index.remove(&entry.key);
            drop(index);
            self.tell(entry.key.clone(), Origin::Elsewhere, related);
        }
        Ok(is_gone)
    }
}

/// Nothing can have been placed, and no refusal counts for a budget any more.
fn cost_nothing(key: &Key, worth: &Worth, since: Timestamp) -> bool {
    let counts = key.kind != Kind::Verification && worth.refused.is_some_and(|refused| refused > since);
    !worth.may_have_placed && !counts
}

/// A verification whose requests all have an outcome.
fn was_submitted(key: &Key, worth: &Worth) -> bool {
    key.kind == Kind::Verification && !worth.is_undecided
}
