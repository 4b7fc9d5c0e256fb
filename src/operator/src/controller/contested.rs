//! Orders whose id or number another resource claims as well: their owners are told, once.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::wake::Wake;
use tenios_ledger::Key;
use tenios_lifecycle::Remark;

/// At most one remark for each order that there is, and one wake: who claims a thousand times is told of once.
#[derive(Debug, Default)]
pub(super) struct Contested(Mutex<HashMap<Key, Remark>>);

impl Contested {
    /// The owner of what is contested looks again, unless it was told before.
    pub(super) fn tell(&self, owner: &Key, remark: impl FnOnce() -> Remark, wake: &Wake) {
        let mut remarks = self.0.lock();
        if !remarks.contains_key(owner) {
            remarks.insert(owner.clone(), remark());
            drop(remarks);
            wake.now(owner);
        }
    }

    /// What its owner is to be told.
    pub(super) fn of(&self, owner: &Key) -> Option<Remark> {
        self.0.lock().get(owner).cloned()
    }

    pub(super) fn forget(&self, owner: &Key) {
        self.0.lock().remove(owner);
    }
}
