//! What listeners are told of each change of the ledger, whoever made it.

use super::LedgerCache;
use crate::Key;

/// Whose entry changed, or is concerned by a change of another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerChange {
    /// The entry's.
    pub key: Key,
    /// Where the change comes from.
    pub origin: Origin,
}

/// Where a change comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From the reconcile of this very resource in this process, which goes on with what it wrote.
    Reconcile,
    /// From the relay of this process, which has told others what the resource shows anyway.
    Relay,
    /// From anybody else: a request's outcome, a push, another process, a restore, the entry of another resource.
    Elsewhere,
}

impl LedgerCache {
    /// Says that the entry of `key` changed, and that this concerns the `related` ones.
    pub(super) fn tell(&self, key: Key, origin: Origin, related: Vec<Key>) {
        self.outbox.notify_one();
        if origin == Origin::Relay {
            return;
        }
        let _ = self.changed.send(LedgerChange { key, origin });
        for key in related {
            let _ = self.changed.send(LedgerChange { key, origin: Origin::Elsewhere });
        }
    }
}
