//! Whose turn it is: who waits, in which order, and who was offered what. No I/O, no clock.

#[cfg(test)]
mod model;

use std::collections::{HashMap, VecDeque};
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
    /// Those without an offer, by namespace.
    lanes: HashMap<String, VecDeque<Key>>,
    /// The namespaces that have a lane, the next one first.
    turns: VecDeque<String>,
}

#[derive(Clone, Debug)]
struct Waiter {
    since: Instant,
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
        Self { free: slots, waiters: HashMap::new(), lanes: HashMap::new(), turns: VecDeque::new() }
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
        let offered = self.waiters.get(key).is_some_and(|waiter| waiter.offer.is_some());
        if offered {
            self.waiters.remove(key);
            return true;
        }
        if self.free > 0 {
            self.free -= 1;
        } else if !self.catch_loose() {
            self.wait(key, now);
            return false;
        }
        self.waiters.remove(key);
        self.leave_lane(key);
        true
    }

    /// A slot was given back; whoever is returned has it offered and is woken.
    pub(in super::super) fn give(&mut self, now: Instant) -> Option<Key> {
        self.offer(now, false)
    }

    /// This resource is gone, or needs none any more; whoever is returned is woken.
    pub(in super::super) fn forget(&mut self, key: &Key, now: Instant) -> Option<Key> {
        let waiter = self.waiters.remove(key)?;
        if waiter.offer.is_some() {
            return self.offer(now, false);
        }
        self.leave_lane(key);
        None
    }

    /// Passes on what nobody came for; those that are returned are woken. Who did not come was woken as well,
    /// and queues up anew if it still needs one.
    pub(in super::super) fn overdue(&mut self, now: Instant) -> Vec<Key> {
        let late = |waiter: &Waiter| {
            let old = |offer: &Offer| now.duration_since(offer.at) >= KEPT_FOR;
            !waiter.reconciling && waiter.offer.as_ref().is_some_and(old)
        };
        let late: Vec<Key> =
            self.waiters.iter().filter(|(_, w)| late(w)).map(|(key, _)| key.clone()).collect();
        for key in &late {
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
        self.waiters.values().any(|waiter| waiter.offer.is_some())
    }

    pub(in super::super) fn waiters(&self) -> Vec<Key> {
        self.waiters.keys().cloned().collect()
    }

    /// Nobody waits any more. What is taken comes back later.
    pub(in super::super) fn clear(&mut self) {
        self.free += self.waiters.drain().filter(|(_, waiter)| waiter.offer.is_some()).count();
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
        }
        Some(next)
    }

    /// The first of the namespace whose turn it is.
    fn next(&mut self) -> Option<Key> {
        let namespace = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let key = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&namespace);
        } else {
            self.turns.push_back(namespace);
        }
        key
    }

    /// Takes a slot back for which somebody else was woken: that one keeps its place, and is reconciled anyway.
    fn catch_loose(&mut self) -> bool {
        let loose =
            |waiter: &Waiter| !waiter.reconciling && waiter.offer.as_ref().is_some_and(|offer| offer.loose);
        let Some((key, waiter)) = self.waiters.iter_mut().find(|(_, waiter)| loose(waiter)) else {
            return false;
        };
        waiter.offer = None;
        let (namespace, key) = (key.namespace.clone(), key.clone());
        self.lanes.entry(namespace.clone()).or_default().push_front(key);
        if !self.turns.contains(&namespace) {
            self.turns.push_front(namespace);
        }
        true
    }

    /// A place in the queue for a resource that is being reconciled.
    pub(in super::super) fn wait(&mut self, key: &Key, now: Instant) {
        if let Some(waiter) = self.waiters.get_mut(key) {
            waiter.asked = true;
            return;
        }
        self.waiters.insert(key.clone(), Waiter { since: now, offer: None, reconciling: true, asked: true });
        self.lanes.entry(key.namespace.clone()).or_default().push_back(key.clone());
        if !self.turns.contains(&key.namespace) {
            self.turns.push_back(key.namespace.clone());
        }
    }

    fn leave_lane(&mut self, key: &Key) {
        let Some(lane) = self.lanes.get_mut(&key.namespace) else { return };
        lane.retain(|other| other != key);
        if lane.is_empty() {
            self.lanes.remove(&key.namespace);
            self.turns.retain(|namespace| *namespace != key.namespace);
        }
    }
}
