//! Orders for which a budget had no place: they look again when one is given back, by a request that placed
//! nothing or by an order that was not sent after all.
//!
//! One of each namespace is woken, and the next of it if that one has no use for the place any more. So a
//! place that is there is found, whoever waits for it, and nobody is woken in vain by the hundred.

use std::collections::{HashMap, HashSet, VecDeque};

use parking_lot::Mutex;

use super::requeue::Requeue;
use tenios_ledger::{Key, Purse};

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Shortage(Mutex<Waiting>);

/// Those of one namespace who wait for the same budget.
type Lane = (Purse, String);

#[derive(Debug, Default)]
struct Waiting {
    lanes: HashMap<Lane, VecDeque<Key>>,
    lane_of: HashMap<Key, Lane>,
    /// Woken, and not reconciled since.
    woken: HashMap<Key, Lane>,
}

impl Waiting {
    fn wait(&mut self, key: &Key, purse: &Purse) {
        let lane = (purse.clone(), key.namespace.clone());
        if self.lane_of.get(key) == Some(&lane) {
            return;
        }
        self.leave(key);
        self.lanes.entry(lane.clone()).or_default().push_back(key.clone());
        self.lane_of.insert(key.clone(), lane);
    }

    fn leave(&mut self, key: &Key) {
        let Some(lane) = self.lane_of.remove(key) else { return };
        if let Some(waiting) = self.lanes.get_mut(&lane) {
            waiting.retain(|other| other != key);
            if waiting.is_empty() {
                self.lanes.remove(&lane);
            }
        }
    }

    fn next(&mut self, lane: &Lane) -> Option<Key> {
        let key = self.lanes.get(lane)?.front()?.clone();
        self.leave(&key);
        self.woken.insert(key.clone(), lane.clone());
        Some(key)
    }

    /// It was reconciled, or is gone. Who found no place for the same reason stops the search.
    fn done(&mut self, key: &Key) -> Option<Key> {
        let lane = self.woken.remove(key)?;
        if self.lane_of.get(key) == Some(&lane) { None } else { self.next(&lane) }
    }
}

impl Shortage {
    /// There was no place for this order in that budget.
    pub(super) fn wait(&self, key: &Key, purse: &Purse) {
        self.0.lock().wait(key, purse);
    }

    /// A place in these budgets is free.
    pub(super) fn over(&self, purses: &[Purse], requeue: &Requeue) {
        let mut waiting = self.0.lock();
        let lanes: HashSet<Lane> =
            waiting.lanes.keys().filter(|(purse, _)| purses.contains(purse)).cloned().collect();
        let next: Vec<Key> = lanes.iter().filter_map(|lane| waiting.next(lane)).collect();
        drop(waiting);
        for key in next {
            requeue.now(&key);
        }
    }

    /// A reconcile of this order begins: it says anew whether it waits.
    pub(super) fn reconcile_begins(&self, key: &Key) {
        self.0.lock().leave(key);
    }

    /// Its reconcile has ended.
    pub(super) fn reconcile_ended(&self, key: &Key, requeue: &Requeue) {
        let next = self.0.lock().done(key);
        if let Some(next) = next {
            requeue.now(&next);
        }
    }

    /// This order is gone.
    pub(super) fn forget(&self, key: &Key, requeue: &Requeue) {
        self.reconcile_begins(key);
        self.reconcile_ended(key, requeue);
    }

    /// Nobody waits any more: another replica leads.
    pub(super) fn clear(&self) {
        *self.0.lock() = Waiting::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::requeue::{Requeue, Scope};
    use super::{Key, Purse, Shortage};
    use tenios_ledger::Kind;

    fn key(namespace: &str, name: &str) -> Key {
        Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
    }

    fn told(woken: &mut tokio::sync::mpsc::UnboundedReceiver<Key>) -> Vec<String> {
        let mut names: Vec<_> = std::iter::from_fn(|| woken.try_recv().ok()).map(|key| key.name).collect();
        names.sort();
        names
    }

    #[test]
    fn p14_p26_a_place_that_is_given_back_is_offered_until_somebody_takes_it_or_finds_none() {
        let (shortage, requeue) = (Shortage::default(), Requeue::default());
        let mut woken = requeue.stream(Scope { kind: Kind::Order, namespace: None });
        let operators = Purse::Operator;
        for name in ["a1", "a2", "a3"] {
            shortage.wait(&key("a", name), &operators);
        }
        shortage.wait(&key("b", "b1"), &operators);
        shortage.wait(&key("b", "b2"), &Purse::Namespace("b".into()));
        shortage.over(&[Purse::Namespace("c".into()), operators.clone()], &requeue);
        assert_eq!(told(&mut woken), ["a1", "b1"], "one of each namespace, and of this budget");

        // The first one needs none any more, the second one is gone, the third one finds it taken.
        shortage.reconcile_begins(&key("a", "a1"));
        shortage.reconcile_ended(&key("a", "a1"), &requeue);
        assert_eq!(told(&mut woken), ["a2"]);
        shortage.forget(&key("a", "a2"), &requeue);
        assert_eq!(told(&mut woken), ["a3"]);
        shortage.reconcile_begins(&key("a", "a3"));
        shortage.wait(&key("a", "a3"), &operators);
        shortage.reconcile_ended(&key("a", "a3"), &requeue);
        assert_eq!(told(&mut woken), Vec::<String>::new());
        shortage.over(&[operators], &requeue);
        assert_eq!(told(&mut woken), ["a3"], "it waits for the next one");

        for (namespace, name) in [("a", "a3"), ("b", "b1"), ("b", "b2")] {
            shortage.forget(&key(namespace, name), &requeue);
        }
        let waiting = shortage.0.lock();
        assert!(waiting.lanes.is_empty() && waiting.lane_of.is_empty() && waiting.woken.is_empty());
    }
}
