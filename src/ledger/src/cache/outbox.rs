//! What others are still to be told: derived from the entries, so that it is as durable as they are.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::{LedgerCache, Origin};
use crate::{Announcement, AppendError, Entry, Event, Key};

/// How often the mark yields to another writer of the same entry. Where it loses, others are told again.
const TRIES: usize = 5;

/// Whether others are told about the orders of a namespace.
pub(super) type Listens = Box<dyn Fn(&str) -> bool + Send + Sync>;

impl LedgerCache {
    /// From now on what happens to numbers in these namespaces is to be told. What happened before is not. To be called
    /// once, before anything is appended.
    pub fn announce(&self, listens: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let _ = self.listens.set(Box::new(listens));
    }

    /// The entry to append these events to.
    pub(super) fn to_announce<'a>(&self, base: &'a Entry, events: &[Event]) -> Cow<'a, Entry> {
        match self.listens.get() {
            Some(listens) if listens(&base.key.namespace) => Cow::Owned(base.announcing(events)),
            _ => Cow::Borrowed(base),
        }
    }

    /// The entries with something to tell, those that have waited longest first.
    #[must_use]
    pub fn unannounced(&self) -> Vec<(Timestamp, Arc<Key>)> {
        self.index.lock().unannounced().cloned().collect()
    }

    /// Waits until an entry has changed.
    pub async fn outbox_changed(&self) {
        self.outbox.notified().await;
    }

    /// Records that others were told this, unless there is something else to tell by now.
    ///
    /// # Errors
    /// When that can't be recorded: they are told again then.
    pub async fn announced(&self, key: &Key, told: Option<&Announcement>) -> Result<(), AppendError> {
        let mut lost = None;
        for _ in 0..TRIES {
            let known = self.known(key);
            let has_more = Announcement::of(key.kind, &known.state).as_ref() != told;
            if has_more || known.state.unannounced.is_none() {
                return Ok(());
            }
            match self.append_as(Origin::Relay, &known.entry.announced(), &[]).await {
                Err(AppendError::Conflict(stored)) => lost = Some(AppendError::Conflict(stored)),
                result => return result,
            }
        }
        lost.map_or(Ok(()), Err)
    }
}
