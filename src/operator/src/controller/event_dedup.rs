//! What was published last for each resource and reason, so that an event is published once for the same words.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use parking_lot::Mutex;

use tenios_ledger::Key;

/// See the module documentation. It keeps digests, so that a long text takes no more than a short one; of the reasons,
/// there are a few.
#[derive(Default)]
pub(super) struct EventDedup(Mutex<HashMap<Key, Vec<Published>>>);

struct Published {
    reason: u64,
    message: u64,
}

impl EventDedup {
    pub(super) fn is_new(&self, key: &Key, reason: &str, message: &str) -> bool {
        let (published, reason) = (self.0.lock(), digest(reason));
        let mut before = published.get(key).into_iter().flatten();
        before.find(|before| before.reason == reason).is_none_or(|before| before.message != digest(message))
    }

    pub(super) fn record(&self, key: &Key, reason: &str, message: &str) {
        let (reason, message) = (digest(reason), digest(message));
        let mut published = self.0.lock();
        let of_key = published.entry(key.clone()).or_default();
        of_key.retain(|before| before.reason != reason);
        of_key.push(Published { reason, message });
    }

    pub(super) fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.0.lock().keys().cloned().collect()
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::EventDedup;
    use tenios_ledger::{Key, Kind};

    #[test]
    fn warnings_of_two_reasons_do_not_take_turns() {
        let dedup = EventDedup::default();
        let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "o".into() };
        for (reason, message) in [("AnnotationIgnored", "one"), ("ConfigMapNotOwned", "another")] {
            assert!(dedup.is_new(&key, reason, message));
            dedup.record(&key, reason, message);
        }
        assert!(!dedup.is_new(&key, "AnnotationIgnored", "one"));
        assert!(!dedup.is_new(&key, "ConfigMapNotOwned", "another"));
        assert!(dedup.is_new(&key, "AnnotationIgnored", "other words"));
        dedup.record(&key, "AnnotationIgnored", "other words");
        assert!(dedup.is_new(&key, "AnnotationIgnored", "one"));
        dedup.forget(&key);
        assert!(dedup.is_new(&key, "ConfigMapNotOwned", "another") && dedup.keys().is_empty());
    }
}
