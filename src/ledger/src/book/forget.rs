//! Which entries need not outlive their resource. Whatever may have cost money stays for ever.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::Book;
use crate::{Entry, Key, Kind, Known, RemoveError, State, terms};

/// Submitted verifications whose resources are gone, so many newest of each namespace are kept, for whoever
/// re-creates one. TENIOS charges nothing for a verification, so that they could be made and deleted without end.
pub const VERIFICATIONS_KEPT: usize = 100;

impl Book {
    /// The entries that need not be kept once their resource is gone, as far as it is.
    #[must_use]
    pub fn forgettable(&self, now: Timestamp, is_gone: impl Fn(&Key) -> bool) -> Vec<Arc<Entry>> {
        let since = now.checked_sub(self.longest_window()).unwrap_or(Timestamp::MIN);
        let index = self.index.lock();
        let ordered_with: BTreeSet<&str> = index.iter().filter_map(ordered_with).collect();
        let may_go = |known: &&Known| {
            let is_used = known.state.id().is_some_and(|id| ordered_with.contains(id));
            cost_nothing(known, since) || (was_submitted(known) && !is_used)
        };
        let candidates: Vec<Known> = index.iter().filter(may_go).cloned().collect();
        drop(index);
        let gone = candidates.into_iter().filter(|known| is_gone(&known.entry.key));
        let (mut submitted, free): (Vec<_>, Vec<_>) = gone.partition(|known| known.state.may_have_placed());
        submitted.sort_by_key(|known| Reverse(last_submitted(&known.state)));
        let mut kept: HashMap<String, usize> = HashMap::new();
        let excess = submitted.into_iter().filter(|known| {
            let kept = kept.entry(known.entry.key.namespace.clone()).or_default();
            *kept += 1;
            *kept > VERIFICATIONS_KEPT
        });
        free.into_iter().chain(excess).map(|known| known.entry).collect()
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
        let related = if is_gone && is_known { index.remove(&entry.key) } else { Vec::new() };
        drop(index);
        self.tell_all(related);
        Ok(is_gone)
    }
}

/// Nothing can have been placed, and no refusal counts for a budget any more.
fn cost_nothing(known: &Known, since: Timestamp) -> bool {
    let counts =
        known.entry.key.kind == Kind::Order && known.state.refused.iter().any(|refused| *refused > since);
    !known.state.may_have_placed() && !counts
}

/// A verification whose requests all have an outcome.
fn was_submitted(known: &Known) -> bool {
    known.entry.key.kind == Kind::Verification && !known.state.is_undecided()
}

/// The verification id of what may have been ordered. Whoever re-creates both finds that it was approved.
fn ordered_with(known: &Known) -> Option<&str> {
    let placed = known.entry.key.kind == Kind::Order && known.state.may_have_placed();
    known.state.terms.get(terms::VERIFICATION_ID).filter(|_| placed).map(String::as_str)
}

fn last_submitted(state: &State) -> Option<Timestamp> {
    state.accepted.as_ref().map(|accepted| accepted.at).max(state.spent.last().copied())
}
