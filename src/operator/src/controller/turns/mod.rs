//! How many resources are reconciled at a time, and whose turn it is.
//!
//! A reconcile can take as long as the apiserver lets a write of a megabyte wait, and a tenant makes hundreds of
//! such resources for nothing. So a namespace is given a turn only while it has fewer than are free: one that wants
//! all of them gets half, and however many want more, some are left for whoever comes next. Who finds none is
//! remembered by name, and woken when it is its turn; the namespaces go round.
//!
//! kube's own bound knows no namespaces, and takes whoever it comes upon first in a set without an order.

mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::requeue::Requeue;
use queue::Queue;
use tenios_ledger::{Key, Kind};

/// See the module documentation. Each kind has turns of its own.
#[derive(Clone)]
pub(super) struct Turns(Arc<Shared>);

struct Shared {
    orders: Mutex<Queue>,
    verifications: Mutex<Queue>,
    requeue: Arc<Requeue>,
}

/// The right to reconcile one resource, until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.turns.queue(self.key.kind).give(&self.key.namespace);
        self.turns.wake(&next);
    }
}

impl Turns {
    /// So many for one namespace that is alone.
    pub(super) fn new(concurrency: u16, requeue: Arc<Requeue>) -> Self {
        let queue = |kind| Mutex::new(Queue::new(kind, usize::from(Self::of_all(concurrency))));
        let (orders, verifications) = (queue(Kind::Order), queue(Kind::Verification));
        Self(Arc::new(Shared { orders, verifications, requeue }))
    }

    /// So many for all of them.
    pub(super) fn of_all(concurrency: u16) -> u16 {
        concurrency.saturating_mul(2)
    }

    fn queue(&self, kind: Kind) -> MutexGuard<'_, Queue> {
        let queue = match kind {
            Kind::Order => &self.0.orders,
            Kind::Verification => &self.0.verifications,
        };
        queue.lock()
    }

    fn wake(&self, next: &[Key]) {
        for key in next {
            self.0.requeue.now(key);
        }
    }

    /// A turn. Where there is none, this resource is woken when there is one.
    pub(super) fn take(&self, key: &Key) -> Option<Turn> {
        self.queue(key.kind).take(key).then(|| Turn { turns: self.clone(), key: key.clone() })
    }

    /// This resource is gone.
    pub(super) fn forget(&self, key: &Key) {
        let next = self.queue(key.kind).forget(key);
        self.wake(&next);
    }

    /// Those who wait.
    pub(super) fn waiters(&self) -> Vec<Key> {
        let mut all = self.queue(Kind::Order).waiters();
        all.extend(self.queue(Kind::Verification).waiters());
        all
    }

    /// Nobody waits any more: everything is listed anew.
    pub(super) fn clear(&self) {
        self.queue(Kind::Order).clear();
        self.queue(Kind::Verification).clear();
    }
}
