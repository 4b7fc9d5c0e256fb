//! Who waits for whom: references wake their waiters by watch, not by polling.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::ledger::{Key, Kind};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Wake {
    waiters: Mutex<HashMap<Key, HashSet<Key>>>,
    controllers: Mutex<Vec<(Scope, mpsc::UnboundedSender<Key>)>>,
}

/// What one controller looks after.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) kind: Kind,
    /// All where there is none.
    pub(super) namespace: Option<String>,
}

impl Scope {
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.kind == key.kind && self.namespace.as_ref().is_none_or(|n| *n == key.namespace)
    }
}

impl Wake {
    /// `waiter` refers to `target`, for as long as it is not woken.
    pub(super) fn when_changed(&self, target: &Key, waiter: &Key) {
        let mut waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner);
        waiters.entry(target.clone()).or_default().insert(waiter.clone());
    }

    /// Something about this resource changed: those that refer to it look again, and register anew.
    pub(super) fn changed(&self, target: &Key) {
        let waiters = self.waiters.lock().unwrap_or_else(PoisonError::into_inner).remove(target);
        for waiter in waiters.into_iter().flatten() {
            self.now(&waiter);
        }
    }

    /// This resource looks again.
    pub(super) fn now(&self, key: &Key) {
        let mut controllers = self.controllers.lock().unwrap_or_else(PoisonError::into_inner);
        controllers.retain(|(scope, woken)| !scope.contains(key) || woken.send(key.clone()).is_ok());
    }

    /// Every key of this scope that is woken from now on. Unbounded, because losing one would leave its
    /// resource waiting for ever; the controller takes them at once and keeps each key once.
    pub(super) fn woken(&self, scope: Scope) -> mpsc::UnboundedReceiver<Key> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.controllers.lock().unwrap_or_else(PoisonError::into_inner).push((scope, sender));
        receiver
    }
}
