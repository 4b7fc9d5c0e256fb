//! Who waits for whom: references wake their waiters by watch, not by polling.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use tenios_ledger::{Key, Kind};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Requeue {
    waits: Mutex<Waits>,
    controllers: Mutex<Vec<(Scope, mpsc::UnboundedSender<Key>)>>,
}

/// Both ways round, so that what a resource waited for goes with it: names that never come would stay for
/// ever otherwise.
#[derive(Debug, Default)]
struct Waits {
    waiters: HashMap<Key, HashSet<Key>>,
    targets: HashMap<Key, HashSet<Key>>,
}

impl Waits {
    fn remove_target(&mut self, target: &Key) -> HashSet<Key> {
        let waiters = self.waiters.remove(target).unwrap_or_default();
        for waiter in &waiters {
            remove(&mut self.targets, waiter, target);
        }
        waiters
    }

    fn remove_waiter(&mut self, waiter: &Key) {
        for target in self.targets.remove(waiter).into_iter().flatten() {
            remove(&mut self.waiters, &target, waiter);
        }
    }
}

fn remove(sets: &mut HashMap<Key, HashSet<Key>>, key: &Key, member: &Key) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
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

impl Requeue {
    /// `waiter` refers to `target`, for as long as it is not woken or forgotten.
    pub(super) fn on_change_of(&self, target: &Key, waiter: &Key) {
        let mut waits = self.waits.lock();
        waits.waiters.entry(target.clone()).or_default().insert(waiter.clone());
        waits.targets.entry(waiter.clone()).or_default().insert(target.clone());
    }

    /// Forgets what this resource waited for: it is gone, or says it anew.
    pub(super) fn forget(&self, waiter: &Key) {
        self.waits.lock().remove_waiter(waiter);
    }

    /// Those who wait for something.
    pub(super) fn waiters(&self) -> Vec<Key> {
        self.waits.lock().targets.keys().cloned().collect()
    }

    /// Something about this resource, or one of its ledger entries, changed: those that refer to it look again, and
    /// register anew.
    pub(super) fn notify_dependents(&self, target: &Key) {
        let waiters = self.waits.lock().remove_target(&target.of_resource());
        for waiter in waiters {
            self.now(&waiter);
        }
    }

    /// The resource that this is of looks again.
    pub(super) fn now(&self, key: &Key) {
        let key = key.of_resource();
        let mut controllers = self.controllers.lock();
        controllers.retain(|(scope, woken)| !scope.contains(&key) || woken.send(key.clone()).is_ok());
    }

    /// Every key of this scope that is woken from now on. Unbounded, because losing one would leave its
    /// resource waiting for ever; the controller takes them at once and keeps each key once.
    pub(super) fn stream(&self, scope: Scope) -> mpsc::UnboundedReceiver<Key> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.controllers.lock().push((scope, sender));
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Requeue};
    use tenios_ledger::Key;

    fn key(name: &str) -> Key {
        Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn p26_who_is_gone_waits_for_nobody_and_names_that_never_come_leave_nothing() {
        let requeue = Requeue::default();
        for n in 0..1000 {
            let waiter = key(&format!("o{n}"));
            requeue.on_change_of(&key(&format!("never{n}")), &waiter);
            requeue.on_change_of(&key("shared"), &waiter);
            requeue.forget(&waiter);
        }
        requeue.on_change_of(&key("shared"), &key("stays"));
        assert_eq!(requeue.waiters(), [key("stays")]);
        assert_eq!(requeue.waits.lock().waiters.len(), 1);
        requeue.notify_dependents(&key("shared"));
        let waits = requeue.waits.lock();
        assert!(waits.waiters.is_empty() && waits.targets.is_empty(), "{waits:?}");
    }
}
