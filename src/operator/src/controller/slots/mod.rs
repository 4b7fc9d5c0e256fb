//! How many requests to the provider are in flight at most, and whose turn it is when one ends.
//!
//! Slots go round by namespace: one tenant's hundreds do not hold back another's single order. A slot that comes
//! back is kept for the next who waits, who is woken. Whoever needs none any more, is gone or does not come
//! passes it on, so that no wake is lost with it. Nobody waits within a reconcile: requests that hang would hold all
//! of them, and nothing else would be looked at meanwhile.

mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::requeue::Requeue;
pub(super) use queue::{KEPT_FOR, Queue};
use tenios_ledger::Key;

/// See the module documentation.
#[derive(Clone)]
pub(super) struct SendSlots(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    offered: Notify,
    requeue: Arc<Requeue>,
}

/// The right to send one request, until it is dropped.
pub(super) struct SendPermit(SendSlots);

impl Drop for SendPermit {
    fn drop(&mut self) {
        let next = self.0.0.queue.lock().give(Instant::now());
        self.0.wake(next);
    }
}

/// A reconcile that is under way, until it is dropped.
pub(super) struct Reconciling {
    slots: SendSlots,
    key: Key,
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        let next = self.slots.0.queue.lock().end(&self.key, Instant::now());
        self.slots.wake(next);
    }
}

impl SendSlots {
    pub(super) fn new(slots: usize, requeue: Arc<Requeue>) -> Self {
        let queue = Mutex::new(Queue::new(slots));
        Self(Arc::new(Shared { queue, offered: Notify::new(), requeue }))
    }

    fn wake(&self, next: impl IntoIterator<Item = Key>) {
        for key in next {
            self.0.requeue.now(&key);
            self.0.offered.notify_one();
        }
    }

    /// A reconcile of this resource begins.
    pub(super) fn reconciling(&self, key: &Key) -> Reconciling {
        self.0.queue.lock().begin(key);
        Reconciling { slots: self.clone(), key: key.clone() }
    }

    /// A slot, if it is this resource's turn. Otherwise it is woken when it is.
    pub(super) fn take(&self, key: &Key) -> Option<SendPermit> {
        self.0.queue.lock().take(key, Instant::now()).then(|| SendPermit(self.clone()))
    }

    /// Whether this resource asked before and it is not its turn yet. It need not be read for what to send.
    pub(super) fn still_waits(&self, key: &Key) -> bool {
        self.0.queue.lock().still_waits(key)
    }

    /// Since when this resource has waited; none where it does not.
    pub(super) fn waits_since(&self, key: &Key) -> Option<Instant> {
        self.0.queue.lock().waits_since(key)
    }

    /// This resource is gone.
    pub(super) fn forget(&self, key: &Key) {
        let next = self.0.queue.lock().forget(key, Instant::now());
        self.wake(next);
    }

    /// Those who wait.
    pub(super) fn waiters(&self) -> Vec<Key> {
        self.0.queue.lock().waiters()
    }

    /// Nobody waits any more: another replica leads.
    pub(super) fn clear(&self) {
        self.0.queue.lock().clear();
    }

    /// Passes on what nobody comes for, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let pause = async {
                if !self.0.queue.lock().has_offers() {
                    self.0.offered.notified().await;
                }
                tokio::time::sleep(KEPT_FOR).await;
            };
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let next = self.0.queue.lock().overdue(Instant::now());
            self.wake(next);
        }
    }
}
