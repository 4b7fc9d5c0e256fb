//! Who is reconciled, and who stands in line for it. No I/O, no clock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tenios_ledger::{Key, Kind};

/// See the module documentation. The turns of one kind: each is free, offered or taken.
#[derive(Debug)]
pub(super) struct Queue {
    kind: Kind,
    free: usize,
    lanes: HashMap<String, Lane>,
    /// The namespaces in which somebody waits, the next one first.
    rota: VecDeque<String>,
    /// The next place in a line.
    place: u64,
}

/// One namespace.
#[derive(Debug, Default)]
struct Lane {
    /// Turns that it has, offers among them.
    has: usize,
    /// Those who were woken for a turn and have not come yet.
    offered: HashSet<Arc<str>>,
    line: BTreeMap<u64, Arc<str>>,
    places: HashMap<Arc<str>, u64>,
    in_rota: bool,
}

impl Lane {
    fn leave(&mut self, name: &str) {
        if let Some(place) = self.places.remove(name) {
            self.line.remove(&place);
        }
    }

    fn is_idle(&self) -> bool {
        self.has == 0 && self.line.is_empty()
    }
}

impl Queue {
    pub(super) fn new(kind: Kind, turns: usize) -> Self {
        Self { kind, free: turns, lanes: HashMap::new(), rota: VecDeque::new(), place: 0 }
    }

    /// A turn, or a place in the line of its namespace.
    pub(super) fn take(&mut self, key: &Key) -> bool {
        let lane = self.lanes.entry(key.namespace.clone()).or_default();
        if lane.offered.remove(key.name.as_str()) {
            return true;
        }
        // Nobody waits in a namespace that may have one more: see `offer`.
        if lane.has < self.free {
            lane.has += 1;
            self.free -= 1;
            return true;
        }
        if !lane.places.contains_key(key.name.as_str()) {
            let name: Arc<str> = key.name.as_str().into();
            lane.places.insert(name.clone(), self.place);
            lane.line.insert(self.place, name);
            self.place += 1;
        }
        if !std::mem::replace(&mut lane.in_rota, true) {
            self.rota.push_back(key.namespace.clone());
        }
        false
    }

    /// A turn of this namespace was given back; those that are returned have one offered and are woken.
    pub(super) fn give(&mut self, namespace: &str) -> Vec<Key> {
        if let Some(lane) = self.lanes.get_mut(namespace) {
            lane.has -= 1;
            self.free += 1;
            if lane.is_idle() && !lane.in_rota {
                self.lanes.remove(namespace);
            }
        }
        self.offer()
    }

    /// This resource is gone; those that are returned have a turn offered and are woken.
    pub(super) fn forget(&mut self, key: &Key) -> Vec<Key> {
        let Some(lane) = self.lanes.get_mut(&key.namespace) else { return Vec::new() };
        if lane.offered.remove(key.name.as_str()) {
            return self.give(&key.namespace);
        }
        lane.leave(&key.name);
        Vec::new()
    }

    /// Those who wait, or have not come yet.
    pub(super) fn waiters(&self) -> Vec<Key> {
        let all = self.lanes.iter().flat_map(|(namespace, lane)| {
            lane.offered.iter().chain(lane.line.values()).map(move |name| Key {
                kind: self.kind,
                namespace: namespace.clone(),
                name: name.to_string(),
            })
        });
        all.collect()
    }

    /// Nobody waits any more. What is taken comes back later.
    pub(super) fn clear(&mut self) {
        for lane in self.lanes.values_mut() {
            self.free += lane.offered.len();
            *lane = Lane { has: lane.has - lane.offered.len(), ..Lane::default() };
        }
        self.lanes.retain(|_, lane| !lane.is_idle());
        self.rota.clear();
    }

    /// Offers turns in a round of the namespaces, until none of those in which somebody waits may have one more.
    fn offer(&mut self) -> Vec<Key> {
        let mut next = Vec::new();
        // Whoever may have none has one already, so that few are passed over.
        let mut passed_over = 0;
        while self.free > 0 && passed_over < self.rota.len() {
            let Some(namespace) = self.rota.pop_front() else { break };
            let Some(lane) = self.lanes.get_mut(&namespace) else { continue };
            if lane.has >= self.free && !lane.line.is_empty() {
                self.rota.push_back(namespace);
                passed_over += 1;
                continue;
            }
            if let Some((_, name)) = lane.line.pop_first() {
                lane.places.remove(&name);
                next.push(Key { kind: self.kind, namespace: namespace.clone(), name: name.to_string() });
                lane.offered.insert(name);
                lane.has += 1;
                self.free -= 1;
            }
            lane.in_rota = !lane.line.is_empty();
            if lane.in_rota {
                self.rota.push_back(namespace);
                passed_over = 0;
            } else if lane.is_idle() {
                self.lanes.remove(&namespace);
            }
        }
        next
    }
}

#[cfg(test)]
impl Queue {
    /// Whether every turn is free, and nothing is kept for anybody.
    pub(super) fn is_at_rest(&self, turns: usize) -> bool {
        self.free == turns && self.lanes.is_empty() && self.rota.is_empty()
    }
}
