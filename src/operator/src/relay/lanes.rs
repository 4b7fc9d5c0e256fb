//! Which event is next. Each namespace has a lane, in which one event is under way at a time, the one that has waited
//! longest first, and lanes take turns. A receiver that can't be reached holds up its lane. An event that it refuses holds
//! up no other one, but for the cancellation of the same number. Pure, so that it can be tested without waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tenios_ledger::{Key, Kind};

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The receiver has it, and the ledger knows.
    Told,
    /// The receiver wants none of this one.
    Refused,
    /// The receiver may want it later.
    Unavailable,
}

/// A wait that grows.
#[derive(Clone, Copy, Debug)]
struct Pause {
    failures: u32,
    until: Instant,
}

impl Pause {
    fn after(before: Option<Self>, now: Instant, pace: impl Fn(u32) -> Duration) -> Self {
        let failures = before.map_or(0, |pause| pause.failures).saturating_add(1);
        Self { failures, until: now + pace(failures) }
    }
}

/// See the module documentation. No more is kept than there are events to tell.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    busy: BTreeSet<String>,
    paused: BTreeMap<String, Pause>,
    refused: HashMap<Arc<Key>, Pause>,
    /// Whose turn was the last.
    last: String,
}

impl Lanes {
    /// Forgets what was kept for events that are not there any more.
    pub(super) fn keep(&mut self, waiting: &[(Timestamp, Arc<Key>)]) {
        if self.refused.is_empty() && self.paused.is_empty() {
            return;
        }
        let keys: BTreeSet<&Key> = waiting.iter().map(|(_, key)| key.as_ref()).collect();
        self.refused.retain(|key, _| keys.contains(key.as_ref()));
        let namespaces: BTreeSet<&str> = keys.iter().map(|key| key.namespace.as_str()).collect();
        self.paused.retain(|namespace, _| namespaces.contains(namespace.as_str()));
    }

    /// The event to deliver now, of those that wait, longest first. It is under way then.
    pub(super) fn next(&mut self, waiting: &[(Timestamp, Arc<Key>)], now: Instant) -> Option<Arc<Key>> {
        let mut heads = BTreeMap::<&str, &Arc<Key>>::new();
        for (_, key) in waiting {
            let lane = key.namespace.as_str();
            if !heads.contains_key(lane)
                && !self.busy.contains(lane)
                && self.paused.get(lane).is_none_or(|pause| pause.until <= now)
                && self.refused.get(key).is_none_or(|pause| pause.until <= now)
                && !follows_another(key, waiting)
            {
                heads.insert(lane, key);
            }
        }
        let after_last = (Bound::Excluded(self.last.as_str()), Bound::Unbounded);
        let (lane, key) = heads.range::<str, _>(after_last).next().or_else(|| heads.iter().next())?;
        let (lane, key) = ((*lane).to_owned(), Arc::clone(key));
        self.busy.insert(lane.clone());
        self.last = lane;
        Some(key)
    }

    /// A delivery has ended.
    pub(super) fn ended(
        &mut self,
        key: &Arc<Key>,
        ended: Ended,
        now: Instant,
        pace: impl Fn(u32) -> Duration,
    ) {
        let lane = &key.namespace;
        self.busy.remove(lane);
        if ended == Ended::Unavailable {
            let pause = Pause::after(self.paused.get(lane).copied(), now, pace);
            self.paused.insert(lane.clone(), pause);
            return;
        }
        // It answers.
        self.paused.remove(lane);
        if ended == Ended::Refused {
            let pause = Pause::after(self.refused.get(key).copied(), now, pace);
            self.refused.insert(key.clone(), pause);
        }
    }

    /// Nothing is under way.
    pub(super) fn free_all(&mut self) {
        self.busy.clear();
    }

    /// When something can be delivered next without anything else happening.
    pub(super) fn due(&self, waiting: &[(Timestamp, Arc<Key>)], now: Instant) -> Option<Instant> {
        let free = |key: &&Arc<Key>| !self.busy.contains(&key.namespace);
        let pauses = waiting.iter().map(|(_, key)| key).filter(free).map(|key| {
            let lane = self.paused.get(&key.namespace).map(|pause| pause.until);
            lane.max(self.refused.get(key).map(|pause| pause.until))
        });
        pauses.flatten().filter(|until| *until > now).min()
    }
}

/// Nobody is to hear that a number was cancelled before hearing of the number.
fn follows_another(key: &Arc<Key>, waiting: &[(Timestamp, Arc<Key>)]) -> bool {
    key.kind == Kind::Cancellation && {
        let order = key.of(Kind::Order);
        waiting.iter().any(|(_, other)| **other == order)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn waiting(names: &[&str]) -> Vec<(Timestamp, Arc<Key>)> {
        let entry = |(n, name): (usize, &&str)| {
            let (namespace, name) = name.split_once('/').unwrap();
            let (kind, name) = match name.strip_prefix('!') {
                Some(name) => (Kind::Cancellation, name),
                None => (Kind::Order, name),
            };
            let key = Key { kind, namespace: namespace.into(), name: name.into() };
            (Timestamp::from_second(i64::try_from(n).unwrap()).unwrap(), Arc::new(key))
        };
        names.iter().enumerate().map(entry).collect()
    }

    fn pace(failures: u32) -> Duration {
        SECOND * failures
    }

    fn name(key: Option<Arc<Key>>) -> Option<String> {
        key.map(|key| format!("{}/{}", key.namespace, key.name))
    }

    #[test]
    fn p28_each_lane_is_in_order_with_one_under_way_and_lanes_take_turns() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let all = waiting(&["a/1", "a/2", "a/3", "b/1", "c/1"]);
        let first = lanes.next(&all, now).unwrap();
        assert_eq!(name(Some(first.clone())).unwrap(), "a/1");
        assert_eq!(name(lanes.next(&all, now)).unwrap(), "b/1");
        assert_eq!(name(lanes.next(&all, now)).unwrap(), "c/1");
        assert_eq!(name(lanes.next(&all, now)), None, "one of each lane is under way");
        lanes.ended(&first, Ended::Told, now, pace);
        assert_eq!(name(lanes.next(&all[1..], now)).unwrap(), "a/2");
    }

    #[test]
    fn p28_a_receiver_that_is_away_holds_up_its_lane_alone_and_for_longer_each_time() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let all = waiting(&["a/1", "a/2", "b/1"]);
        for failures in 1..=3 {
            let at = now + SECOND * failures * 10;
            let key = lanes.next(&all[..2], at).unwrap();
            lanes.ended(&key, Ended::Unavailable, at, pace);
            assert_eq!(lanes.due(&all[..2], at), Some(at + pace(failures)));
            assert_eq!(name(lanes.next(&all[..2], at)), None);
        }
        assert_eq!(name(lanes.next(&all, now + SECOND * 30)).unwrap(), "b/1");
        let later = now + SECOND * 60;
        let key = lanes.next(&all, later).unwrap();
        assert_eq!(name(Some(key.clone())).unwrap(), "a/1", "in order all the same");
        lanes.ended(&key, Ended::Told, later, pace);
        assert_eq!(name(lanes.next(&all[1..], later)).unwrap(), "a/2", "it is back");
    }

    #[test]
    fn p28_what_is_refused_holds_up_its_own_number_alone() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let all = waiting(&["a/1", "a/!1", "a/2"]);
        let key = lanes.next(&all, now).unwrap();
        lanes.ended(&key, Ended::Refused, now, pace);
        let other = lanes.next(&all, now).unwrap();
        assert_eq!(name(Some(other.clone())).unwrap(), "a/2");
        lanes.ended(&other, Ended::Told, now, pace);
        assert_eq!(name(lanes.next(&all[..2], now)), None);
        assert_eq!(lanes.due(&all[..2], now), Some(now + pace(1)));
        assert_eq!(lanes.next(&all[..2], now + SECOND).unwrap().kind, Kind::Order);
    }

    #[test]
    fn what_is_told_leaves_nothing_behind() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let all = waiting(&["a/1", "b/1"]);
        for ended in [Ended::Refused, Ended::Unavailable] {
            let key = lanes.next(&all, now).unwrap();
            lanes.ended(&key, ended, now, pace);
        }
        lanes.keep(&[]);
        assert!(lanes.busy.is_empty() && lanes.paused.is_empty() && lanes.refused.is_empty(), "{lanes:?}");
    }
}
