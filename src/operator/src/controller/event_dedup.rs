//! What was published last for each resource, so that an event is published once for the same words.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;

use tenios_ledger::Key;

/// See the module documentation. It keeps digests, so that a long text takes no more than a short one.
#[derive(Default)]
pub(super) struct EventDedup(Mutex<HashMap<Key, u64>>);

impl EventDedup {
    pub(super) fn is_new(&self, key: &Key, message: &str) -> bool {
        self.0.lock().get(key) != Some(&digest(message))
    }

    pub(super) fn record(&self, key: &Key, message: &str) {
        self.0.lock().insert(key.clone(), digest(message));
    }

    pub(super) fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.0.lock().keys().cloned().collect()
    }
}

fn digest(message: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}
