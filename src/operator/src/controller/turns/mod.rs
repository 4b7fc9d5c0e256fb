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

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::requeue::Requeue;
use queue::Queue;
use tenios_ledger::{Key, Kind};

/// See the module documentation. Each kind has turns of its own.
#[derive(Clone)]
pub(super) struct Turns(Arc<Shared>);

struct Shared {
    queues: Mutex<HashMap<Kind, Queue>>,
    of_all: usize,
    requeue: Arc<Requeue>,
}

/// The right to reconcile one resource, until it is dropped.
pub(super) struct Turn {
    turns: Turns,
    key: Key,
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.turns.with(self.key.kind, |queue| queue.give(&self.key.namespace));
        self.turns.wake(&next);
    }
}

impl Turns {
    /// So many for one namespace that is alone.
    pub(super) fn new(concurrency: u16, requeue: Arc<Requeue>) -> Self {
        let of_all = usize::from(Self::of_all(concurrency));
        Self(Arc::new(Shared { queues: Mutex::default(), of_all, requeue }))
    }

    /// So many for all of them.
    pub(super) fn of_all(concurrency: u16) -> u16 {
        concurrency.saturating_mul(2)
    }

    fn with<T>(&self, kind: Kind, step: impl FnOnce(&mut Queue) -> T) -> T {
        let mut queues = self.0.queues.lock();
        step(queues.entry(kind).or_insert_with(|| Queue::new(kind, self.0.of_all)))
    }

    fn wake(&self, next: &[Key]) {
        for key in next {
            self.0.requeue.now(key);
        }
    }

    /// A turn. Where there is none, this resource is woken when there is one.
    pub(super) fn take(&self, key: &Key) -> Option<Turn> {
        let taken = self.with(key.kind, |queue| queue.take(key));
        taken.then(|| Turn { turns: self.clone(), key: key.clone() })
    }

    /// This resource is gone.
    pub(super) fn forget(&self, key: &Key) {
        let next = self.with(key.kind, |queue| queue.forget(key));
        self.wake(&next);
    }

    /// Those who wait.
    pub(super) fn waiters(&self) -> Vec<Key> {
        self.0.queues.lock().values().flat_map(Queue::waiters).collect()
    }

    /// Nobody waits any more: everything is listed anew.
    pub(super) fn clear(&self) {
        self.0.queues.lock().values_mut().for_each(Queue::clear);
    }
}
