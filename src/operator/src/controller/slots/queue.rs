//! Whose turn it is: who waits, in which order, and who was offered what. No I/O, no clock.

#[cfg(test)]
mod model;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tenios_ledger::Key;

/// How long a slot is kept for someone whose reconcile has not begun yet. A wake brings it about at once, unless
/// the controller has its hands full; from then on the slot is anybody's who asks.
pub(in super::super) const KEPT_FOR: Duration = Duration::from_secs(2);

/// See the module documentation. Every slot is free, offered, or taken; who waits stands in a lane or has an
/// offer.
#[derive(Clone, Debug)]
pub(in super::super) struct Queue {
    free: usize,
    waiters: HashMap<Key, Waiter>,
    /// Those with an offer: never more than there are slots.
    offered: HashSet<Key>,
    /// Those without one, by namespace and place.
    lanes: HashMap<String, BTreeMap<i64, Key>>,
    /// The places before and behind all others.
    ends: (i64, i64),
    /// The namespaces that have a lane, the next one first.
    turns: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Waiter {
    since: Instant,
    /// In the lane, while it has no offer.
    place: i64,
    offer: Option<Offer>,
    /// It is being reconciled.
    reconciling: bool,
    /// It asked in its last reconcile.
    asked: bool,
}

#[derive(Clone, Debug)]
struct Offer {
    at: Instant,
    /// Somebody before did not come for this slot: whoever asks has it first.
    loose: bool,
}

impl Queue {
    pub(in super::super) fn new(slots: usize) -> Self {
        Self {
            free: slots,
            waiters: HashMap::new(),
            offered: HashSet::new(),
            lanes: HashMap::new(),
            ends: (-1, 0),
            turns: VecDeque::new(),
        }
    }

    /// A reconcile of this resource begins.
    pub(in super::super) fn begin(&mut self, key: &Key) {
        if let Some(waiter) = self.waiters.get_mut(key) {
            (waiter.reconciling, waiter.asked) = (true, false);
        }
    }

    /// It ends. Who did not ask needs none any more; whoever is returned is woken.
    pub(in super::super) fn end(&mut self, key: &Key, now: Instant) -> Option<Key> {
        let waiter = self.waiters.get_mut(key)?;
        waiter.reconciling = false;
        if waiter.asked { None } else { self.forget(key, now) }
    }

    /// A slot, or a place in the queue.
    pub(in super::super) fn take(&mut self, key: &Key, now: Instant) -> bool {
        if self.offered.remove(key) {
            self.waiters.remove(key);
            return true;
        }
        if self.free > 0 {
            self.free -= 1;
        } else if !self.catch_loose() {
            self.wait(key, now);
            return false;
        }
        if let Some(waiter) = self.waiters.remove(key) {
            self.leave_lane(key, waiter.place);
        }
        true
    }

    /// A slot was given back; whoever is returned has it offered and is woken.
    pub(in super::super) fn give(&mut self, now: Instant) -> Option<Key> {
        self.offer(now, false)
    }

    /// This resource is gone, or needs none any more; whoever is returned is woken.
    pub(in super::super) fn forget(&mut self, key: &Key, now: Instant) -> Option<Key> {
        let waiter = self.waiters.remove(key)?;
        if self.offered.remove(key) {
            return self.offer(now, false);
        }
        self.leave_lane(key, waiter.place);
        None
    }

    /// Passes on what nobody came for; those that are returned are woken. Who did not come was woken as well,
    /// and queues up anew if it still needs one.
    pub(in super::super) fn overdue(&mut self, now: Instant) -> Vec<Key> {
        let late = |key: &&Key| {
            let old = |offer: &Offer| now.duration_since(offer.at) >= KEPT_FOR;
            let waiter = self.waiters.get(*key).filter(|waiter| !waiter.reconciling);
            waiter.is_some_and(|waiter| waiter.offer.as_ref().is_some_and(old))
        };
        let late: Vec<Key> = self.offered.iter().filter(late).cloned().collect();
        for key in &late {
            self.offered.remove(key);
            self.waiters.remove(key);
        }
        late.iter().filter_map(|_| self.offer(now, true)).collect()
    }

    /// Since when this resource has waited, where its last reconcile asked for a slot and got none.
    pub(in super::super) fn waits_since(&self, key: &Key) -> Option<Instant> {
        self.waiters.get(key).filter(|waiter| waiter.asked).map(|waiter| waiter.since)
    }

    /// Whether this resource waits and it is not its turn; then it has asked.
    pub(in super::super) fn still_waits(&mut self, key: &Key) -> bool {
        let waiter = self.waiters.get_mut(key).filter(|waiter| waiter.offer.is_none());
        waiter.is_some_and(|waiter| {
            waiter.asked = true;
            true
        })
    }

    /// Whether somebody waits without an offer.
    pub(in super::super) fn has_line(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Whether this resource waits, or has an offer.
    pub(in super::super) fn waits(&self, key: &Key) -> bool {
        self.waiters.contains_key(key)
    }

    /// Takes back a slot that nobody has and nobody waits for. False where there is none.
    pub(in super::super) fn reclaim(&mut self) -> bool {
        let reclaimed = self.free > 0;
        self.free -= usize::from(reclaimed);
        reclaimed
    }

    pub(in super::super) fn has_offers(&self) -> bool {
        !self.offered.is_empty()
    }

    pub(in super::super) fn waiters(&self) -> Vec<Key> {
        self.waiters.keys().cloned().collect()
    }

    /// Nobody waits any more. What is taken comes back later.
    pub(in super::super) fn clear(&mut self) {
        self.free += self.offered.drain().count();
        self.waiters.clear();
        self.lanes.clear();
        self.turns.clear();
    }

    fn offer(&mut self, now: Instant, loose: bool) -> Option<Key> {
        let Some(next) = self.next() else {
            self.free += 1;
            return None;
        };
        if let Some(waiter) = self.waiters.get_mut(&next) {
            waiter.offer = Some(Offer { at: now, loose });
            self.offered.insert(next.clone());
        }
        Some(next)
    }

    /// The first of the namespace whose turn it is.
    fn next(&mut self) -> Option<Key> {
        let namespace = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let key = lane.pop_first().map(|(_, key)| key);
        if lane.is_empty() {
            self.lanes.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        key
    }

    /// Takes a slot back for which somebody else was woken: that one keeps its place, and is reconciled anyway.
    fn catch_loose(&mut self) -> bool {
        let loose = |key: &&Key| {
            let waiter = self.waiters.get(*key).filter(|waiter| !waiter.reconciling);
            waiter.is_some_and(|waiter| waiter.offer.as_ref().is_some_and(|offer| offer.loose))
        };
        let Some(key) = self.offered.iter().find(loose).cloned() else { return false };
        self.offered.remove(&key);
        if let Some(waiter) = self.waiters.get_mut(&key) {
            (waiter.offer, waiter.place) = (None, self.ends.0);
        }
        if self.enter_lane(&key, self.ends.0) {
            self.turns.push_front(key.namespace);
        }
        self.ends.0 -= 1;
        true
    }

    /// A place in the queue for a resource that is being reconciled.
    pub(in super::super) fn wait(&mut self, key: &Key, now: Instant) {
        if let Some(waiter) = self.waiters.get_mut(key) {
            waiter.asked = true;
            return;
        }
        let place = self.ends.1;
        self.ends.1 += 1;
        let waiter = Waiter { since: now, place, offer: None, reconciling: true, asked: true };
        self.waiters.insert(key.clone(), waiter);
        if self.enter_lane(key, place) {
            self.turns.push_back(key.namespace.clone());
        }
    }

    /// True where it is the first one of its namespace.
    fn enter_lane(&mut self, key: &Key, place: i64) -> bool {
        let lane = self.lanes.entry(key.namespace.clone()).or_default();
        lane.insert(place, key.clone());
        lane.len() == 1
    }

    fn leave_lane(&mut self, key: &Key, place: i64) {
        let Some(lane) = self.lanes.get_mut(&key.namespace) else { return };
        lane.remove(&place);
        if lane.is_empty() {
            self.lanes.remove(&key.namespace);
            self.turns.retain(|namespace| *namespace != key.namespace);
        }
    }
}
