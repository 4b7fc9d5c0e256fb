//! Orders that wait for their number, as long as that was not told. Most numbers come within seconds, and then neither
//! a write of the status nor an Event is spent on the wait.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tenios_ledger::Key;

/// What takes longer is told by an Event.
const TOLD_AFTER: Duration = Duration::from_secs(3);

/// See the module documentation. What was told is kept no longer, so that after a restart nothing is told twice.
#[derive(Debug, Default)]
pub(super) struct Awaiting(Mutex<HashMap<Key, Instant>>);

/// Whether the Event is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// It was told, by this process or by one before.
    Already,
    /// Now.
    Now,
    /// After this time, if the number has not come by then.
    In(Duration),
}

impl Awaiting {
    /// Since when it waits; from now on where that is news.
    pub(super) fn since(&self, key: &Key) -> Instant {
        *self.0.lock().entry(key.clone()).or_insert_with(Instant::now)
    }

    /// Whether its wait is to be told; each only once.
    pub(super) fn tell(&self, key: &Key, now: Instant) -> Telling {
        let mut awaiting = self.0.lock();
        let Some(since) = awaiting.get(key) else { return Telling::Already };
        let left = TOLD_AFTER.saturating_sub(now.duration_since(*since));
        if !left.is_zero() {
            return Telling::In(left);
        }
        awaiting.remove(key);
        Telling::Now
    }

    /// It waits no longer, or is gone.
    pub(super) fn forget(&self, key: &Key) {
        self.0.lock().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::{Awaiting, TOLD_AFTER, Telling};
    use tenios_ledger::{Key, Kind};

    #[test]
    fn a_wait_is_told_once_and_only_if_it_lasts() {
        let awaiting = Awaiting::default();
        let key = |name: &str| Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() };
        let [long, short] = ["long", "short"].map(key);
        let since = awaiting.since(&long);
        assert_eq!(awaiting.since(&long), since);
        awaiting.since(&short);
        assert_eq!(awaiting.tell(&long, since), Telling::In(TOLD_AFTER));
        awaiting.forget(&short);
        assert_eq!(awaiting.tell(&short, since + TOLD_AFTER), Telling::Already);
        assert_eq!(awaiting.tell(&long, since + TOLD_AFTER), Telling::Now);
        assert_eq!(awaiting.tell(&long, since + TOLD_AFTER), Telling::Already);
        assert!(awaiting.0.lock().is_empty());
    }
}
