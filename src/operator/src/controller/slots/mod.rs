//! How many requests to the provider are in flight at most, and whose turn it is when one ends.
//!
//! Slots go round by namespace: one tenant's hundreds do not hold back another's single order. A slot that comes
//! back is kept for the next who waits, who is woken. Whoever needs none any more, is gone or does not come
//! passes it on, so that no wake is lost with it. Nobody waits within a visit: requests that hang would hold all
//! of them, and nothing else would be looked at meanwhile.

mod queue;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::wake::Wake;
use queue::{KEPT_FOR, Queue};
use tenios_ledger::Key;

/// See the module documentation.
#[derive(Clone)]
pub(super) struct Slots(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    offered: Notify,
    wake: Arc<Wake>,
}

/// The right to send one request, until it is dropped.
pub(super) struct Slot(Slots);

impl Drop for Slot {
    fn drop(&mut self) {
        let next = self.0.0.queue.lock().give(Instant::now());
        self.0.wake(next);
    }
}

/// A visit that is under way, until it is dropped.
pub(super) struct Visit {
    slots: Slots,
    key: Key,
}

impl Drop for Visit {
    fn drop(&mut self) {
        let next = self.slots.0.queue.lock().end(&self.key, Instant::now());
        self.slots.wake(next);
    }
}

impl Slots {
    pub(super) fn new(slots: usize, wake: Arc<Wake>) -> Self {
        let queue = Mutex::new(Queue::new(slots));
        Self(Arc::new(Shared { queue, offered: Notify::new(), wake }))
    }

    fn wake(&self, next: impl IntoIterator<Item = Key>) {
        for key in next {
            self.0.wake.now(&key);
            self.0.offered.notify_one();
        }
    }

    /// A visit of this resource begins.
    pub(super) fn visit(&self, key: &Key) -> Visit {
        self.0.queue.lock().begin(key);
        Visit { slots: self.clone(), key: key.clone() }
    }

    /// A slot, if it is this resource's turn. Otherwise it is woken when it is.
    pub(super) fn take(&self, key: &Key) -> Option<Slot> {
        self.0.queue.lock().take(key, Instant::now()).then(|| Slot(self.clone()))
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
