//! When each resource is reconciled next: one reconcile of each at a time, after it another one where something
//! happened meanwhile, and again after the wait that it asked for. No I/O, no clock.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use tenios_ledger::Key;

/// See the module documentation. It remembers those that run or wait, and no others.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    active: HashMap<Key, Active>,
    /// Those that wait, by the time and, among equals, in the order in which they came.
    due: BTreeMap<(Instant, u64), Key>,
    count: u64,
}

#[derive(Debug, Default)]
struct Active {
    runs: bool,
    /// Something happened since its reconcile began.
    again: bool,
    /// It went since then.
    gone: bool,
    due: Option<(Instant, u64)>,
}

impl Schedule {
    /// Something happened to it. True where its reconcile can begin; otherwise one follows.
    pub(super) fn wake(&mut self, key: &Key) -> bool {
        match self.active.get_mut(key).filter(|active| active.runs) {
            Some(active) => {
                active.again = true;
                false
            }
            None => true,
        }
    }

    /// Its reconcile begins, for which it need not wait any more.
    pub(super) fn begin(&mut self, key: &Key) {
        let active = self.active.entry(key.clone()).or_default();
        (active.runs, active.again, active.gone) = (true, false, false);
        if let Some(due) = active.due.take() {
            self.due.remove(&due);
        }
    }

    /// Its reconcile has ended, and asks for another one after this time. True where one follows at once.
    pub(super) fn end(&mut self, key: &Key, wait: Option<Duration>, now: Instant) -> bool {
        let Some(active) = self.active.get_mut(key) else { return false };
        active.runs = false;
        if active.again {
            self.active.remove(key);
            return true;
        }
        // What is too far away to be a time is never due.
        let Some(at) = wait.filter(|_| !active.gone).and_then(|wait| now.checked_add(wait)) else {
            self.active.remove(key);
            return false;
        };
        self.count += 1;
        active.due = Some((at, self.count));
        self.due.insert((at, self.count), key.clone());
        false
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// One that is due, which has waited long enough.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Key> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let key = first.remove();
        self.active.remove(&key);
        Some(key)
    }

    /// It is gone, and waits for nothing. A reconcile that runs goes on to its end.
    pub(super) fn forget(&mut self, key: &Key) {
        let Some(active) = self.active.get_mut(key) else { return };
        if let Some(due) = active.due.take() {
            self.due.remove(&due);
        }
        if active.runs {
            active.gone = true;
        } else {
            self.active.remove(key);
        }
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.active.values().filter(|active| active.runs).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Schedule;
    use tenios_ledger::{Key, Kind};

    const SOON: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() }
    }

    #[test]
    fn what_happens_during_a_reconcile_is_followed_by_another_and_by_one_only() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        assert!(schedule.wake(&key("o")));
        schedule.begin(&key("o"));
        assert!(!schedule.wake(&key("o")) && !schedule.wake(&key("o")), "one at a time");
        assert!(schedule.end(&key("o"), Some(SOON), now), "another one follows, and asks for its own wait");
        schedule.begin(&key("o"));
        assert!(!schedule.end(&key("o"), None, now));
        assert!(schedule.active.is_empty() && schedule.due.is_empty(), "nothing is kept of what is at rest");
    }

    #[test]
    fn whoever_asked_for_a_wait_is_due_once_unless_something_happens_before() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        for name in ["first", "second", "gone", "never"] {
            schedule.begin(&key(name));
            let wait = if name == "never" { Duration::MAX } else { SOON };
            assert!(!schedule.end(&key(name), Some(wait), now));
        }
        assert!(schedule.wake(&key("second")), "it need not wait");
        schedule.begin(&key("second"));
        schedule.forget(&key("gone"));
        assert_eq!(schedule.next_due(), Some(now + SOON));
        assert_eq!(schedule.take_due(now), None);
        assert_eq!(schedule.take_due(now + SOON), Some(key("first")));
        assert_eq!(schedule.take_due(now + SOON), None);
        assert_eq!((schedule.running(), schedule.active.len()), (1, 1));
        assert!(!schedule.end(&key("second"), None, now) && schedule.active.is_empty());
    }

    #[test]
    fn p26_a_reconcile_of_what_is_gone_ends_and_leaves_nothing() {
        let (mut schedule, now) = (Schedule::default(), Instant::now());
        schedule.begin(&key("o"));
        schedule.forget(&key("o"));
        assert!(!schedule.end(&key("o"), Some(SOON), now), "it asks for a wait that nobody needs");
        assert!(schedule.active.is_empty() && schedule.due.is_empty());
        schedule.begin(&key("o"));
        schedule.forget(&key("o"));
        assert!(!schedule.wake(&key("o")), "its namesake waits for the end of it");
        assert!(schedule.end(&key("o"), None, now));
        schedule.begin(&key("o"));
        assert!(!schedule.end(&key("o"), Some(SOON), now));
        assert_eq!(schedule.next_due(), Some(now + SOON), "the namesake is there, and waits");
    }
}
