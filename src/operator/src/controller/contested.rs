//! Orders whose id or number another resource claims as well: their owners are told, once.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::requeue::Requeue;
use tenios_ledger::Key;
use tenios_lifecycle::Warning;

/// At most one warning for each order that there is, and one wake: who claims a thousand times is told of once.
#[derive(Debug, Default)]
pub(super) struct Contested(Mutex<HashMap<Key, Warning>>);

impl Contested {
    /// The owner of what is contested looks again, unless it was told before.
    pub(super) fn tell(&self, owner: &Key, warning: impl FnOnce() -> Warning, requeue: &Requeue) {
        let mut warnings = self.0.lock();
        if !warnings.contains_key(owner) {
            warnings.insert(owner.clone(), warning());
            drop(warnings);
            requeue.now(owner);
        }
    }

    /// What its owner is to be told.
    pub(super) fn of(&self, owner: &Key) -> Option<Warning> {
        self.0.lock().get(owner).cloned()
    }

    pub(super) fn forget(&self, owner: &Key) {
        self.0.lock().remove(owner);
    }
}
