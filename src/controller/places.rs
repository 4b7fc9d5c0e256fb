//! How many requests to the provider are in flight at most, and who waits for one to end.
//!
//! A visit does not wait for long: requests that hang would fill every slot of the controller, and
//! nothing else would be looked at meanwhile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::PATIENCE;
use super::wake::Wake;
use crate::ledger::Key;

/// See the module documentation.
pub(super) struct Places {
    free: Arc<Semaphore>,
    queue: Arc<Queue>,
}

struct Queue {
    waiting: Mutex<VecDeque<Key>>,
    wake: Arc<Wake>,
}

/// The right to send one request. Giving it back wakes the next who waits.
pub(super) struct Place {
    permit: Option<OwnedSemaphorePermit>,
    queue: Arc<Queue>,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, VecDeque<Key>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.permit.take());
        if let Some(next) = self.queue.waiting().pop_front() {
            self.queue.wake.now(&next);
        }
    }
}

impl Places {
    pub(super) fn new(places: usize, wake: Arc<Wake>) -> Self {
        let queue = Queue { waiting: Mutex::default(), wake };
        Self { free: Arc::new(Semaphore::new(places)), queue: Arc::new(queue) }
    }

    /// A place, if one gets free soon. Otherwise this resource is woken when one does.
    pub(super) async fn take(&self, key: &Key) -> Option<Place> {
        let soon = tokio::time::timeout(PATIENCE, self.free.clone().acquire_owned()).await;
        let permit = if let Ok(permit) = soon {
            permit.ok()?
        } else {
            self.wait(key);
            // One that got free in between has woken nobody.
            self.free.clone().try_acquire_owned().ok()?
        };
        Some(Place { permit: Some(permit), queue: self.queue.clone() })
    }

    fn wait(&self, key: &Key) {
        let mut waiting = self.queue.waiting();
        if !waiting.contains(key) {
            waiting.push_back(key.clone());
        }
    }
}
