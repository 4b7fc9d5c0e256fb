use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::queue::{KEPT_FOR, Queue};
use tenios_ledger::{Key, Kind};

fn key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
}

/// A reconcile that wants a slot.
fn asks(queue: &mut Queue, key: &Key, now: Instant) -> bool {
    queue.begin(key);
    let took = queue.take(key, now);
    assert_eq!(queue.end(key, now), None, "who asked passes nothing on");
    took
}

/// A reconcile that wants none.
fn declines(queue: &mut Queue, key: &Key, now: Instant) -> Option<Key> {
    queue.begin(key);
    queue.end(key, now)
}

#[test]
fn p26_slots_go_round_by_namespace() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    assert!(asks(&mut queue, &key("crowd", "first"), now));
    for n in 0..300 {
        assert!(!asks(&mut queue, &key("crowd", &n.to_string()), now));
    }
    assert!(!asks(&mut queue, &key("single", "o"), now));
    assert_eq!(queue.give(now), Some(key("crowd", "0")));
    assert!(asks(&mut queue, &key("crowd", "0"), now));
    assert_eq!(queue.give(now), Some(key("single", "o")));
}

#[test]
fn p24_who_needs_none_any_more_or_is_gone_passes_its_slot_on() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    assert!(asks(&mut queue, &key("a", "sends"), now));
    for name in ["suspended", "deleted", "waits"] {
        assert!(!asks(&mut queue, &key("a", name), now));
    }
    assert_eq!(queue.give(now), Some(key("a", "suspended")));
    assert_eq!(declines(&mut queue, &key("a", "suspended"), now), Some(key("a", "deleted")));
    assert_eq!(queue.forget(&key("a", "deleted"), now), Some(key("a", "waits")));
    assert!(asks(&mut queue, &key("a", "waits"), now));
    assert!(queue.waiters().is_empty());
}

#[test]
fn p24_a_slot_that_comes_while_its_resource_is_visited_is_kept_for_the_next_visit() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    let waits = key("a", "waits");
    assert!(asks(&mut queue, &key("a", "sends"), now));
    queue.begin(&waits);
    assert!(!queue.take(&waits, now));
    assert_eq!(queue.give(now), Some(waits.clone()));
    assert_eq!(queue.end(&waits, now), None);
    assert!(!asks(&mut queue, &key("a", "newcomer"), now));
    assert!(asks(&mut queue, &waits, now));
}

#[test]
fn p24_what_nobody_comes_for_is_anybodys_who_asks() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    assert!(asks(&mut queue, &key("a", "sends"), now));
    for name in ["slow", "slower", "third"] {
        assert!(!asks(&mut queue, &key("a", name), now));
    }
    assert_eq!(queue.give(now), Some(key("a", "slow")));
    assert_eq!(queue.overdue(now), []);
    let later = now + KEPT_FOR;
    assert_eq!(queue.overdue(later), [key("a", "slower")]);
    // It came late, but it came.
    assert!(asks(&mut queue, &key("a", "slow"), later));
    // Whose slot that was is the next one all the same.
    assert!(!asks(&mut queue, &key("a", "slower"), later));
    assert_eq!(queue.give(later), Some(key("a", "slower")));
}

#[test]
fn p24_a_slot_is_kept_as_long_as_the_visit_that_may_take_it_lasts() {
    let (mut queue, now) = (Queue::new(1), Instant::now());
    let waits = key("a", "waits");
    assert!(asks(&mut queue, &key("a", "sends"), now));
    assert!(!asks(&mut queue, &waits, now));
    assert_eq!(queue.give(now), Some(waits.clone()));
    queue.begin(&waits);
    let later = now + 10 * KEPT_FOR;
    assert_eq!(queue.overdue(later), []);
    assert!(!asks(&mut queue, &key("a", "newcomer"), later));
    assert!(queue.take(&waits, later));
}

#[test]
fn p26_names_that_went_leave_nothing_and_a_new_term_begins_with_every_slot() {
    let (mut queue, now) = (Queue::new(2), Instant::now());
    for name in ["one", "two"] {
        assert!(asks(&mut queue, &key("a", name), now));
    }
    for n in 0..1000 {
        let gone = key(&format!("ns{n}"), "o");
        assert!(!asks(&mut queue, &gone, now));
        assert_eq!(queue.forget(&gone, now), None);
    }
    assert!(queue.waiters().is_empty());
    assert_eq!(queue.give(now), None, "nobody is left to wake");
    assert!(asks(&mut queue, &key("a", "three"), now));
    assert!(!asks(&mut queue, &key("a", "four"), now));
    assert!(queue.give(now).is_some());
    queue.clear();
    assert_eq!(queue.give(now), None);
    assert!(asks(&mut queue, &key("a", "five"), now) && asks(&mut queue, &key("a", "six"), now));
    assert!(!asks(&mut queue, &key("a", "seven"), now));
}

/// Resources that want to send once, and the controller around them.
struct World {
    queue: Queue,
    now: Instant,
    /// Woken, and not reconciled yet.
    woken: VecDeque<Key>,
    wants: HashSet<Key>,
    sending: Vec<Key>,
    /// The order in which they took a slot.
    sent: Vec<Key>,
}

#[derive(Clone, Debug)]
enum Step {
    /// One more resource in this namespace.
    Create(u8),
    /// The n-th of those that were woken is reconciled.
    Reconcile(u8),
    /// The n-th request ends.
    Answer(u8),
    /// The n-th resource that wants to send needs that no more.
    Suspend(u8),
    /// The n-th resource is deleted.
    Delete(u8),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Step::Create),
        6 => any::<u8>().prop_map(Step::Reconcile),
        3 => any::<u8>().prop_map(Step::Answer),
        1 => any::<u8>().prop_map(Step::Suspend),
        1 => any::<u8>().prop_map(Step::Delete),
        1 => (0..5000_u16).prop_map(Step::Pass),
    ]
}

impl World {
    fn new(slots: usize) -> Self {
        Self {
            queue: Queue::new(slots),
            now: Instant::now(),
            woken: VecDeque::new(),
            wants: HashSet::new(),
            sending: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn wake(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            if !self.woken.contains(&key) {
                self.woken.push_back(key);
            }
        }
    }

    fn nth_wanting(&self, n: u8) -> Option<Key> {
        let mut wanting: Vec<_> = self.wants.iter().cloned().collect();
        wanting.sort();
        wanting.get(usize::from(n) % wanting.len().max(1)).cloned()
    }

    fn reconcile(&mut self, key: &Key) {
        self.queue.begin(key);
        if self.wants.contains(key) && self.queue.take(key, self.now) {
            self.wants.remove(key);
            self.sending.push(key.clone());
            self.sent.push(key.clone());
        }
        let next = self.queue.end(key, self.now);
        self.wake(next);
    }

    fn answer(&mut self, n: usize) {
        if !self.sending.is_empty() {
            self.sending.remove(n % self.sending.len());
            let next = self.queue.give(self.now);
            self.wake(next);
        }
    }

    fn take(&mut self, step: &Step, serial: usize) {
        match step {
            Step::Create(namespace) => {
                let key = key(&format!("ns{namespace}"), &serial.to_string());
                self.wants.insert(key.clone());
                self.wake([key]);
            }
            Step::Reconcile(n) if !self.woken.is_empty() => {
                let at = usize::from(*n) % self.woken.len();
                if let Some(key) = self.woken.remove(at) {
                    self.reconcile(&key);
                }
            }
            Step::Reconcile(_) => {}
            Step::Answer(n) => self.answer(usize::from(*n)),
            Step::Suspend(n) => {
                if let Some(key) = self.nth_wanting(*n) {
                    self.wants.remove(&key);
                    self.wake([key]);
                }
            }
            Step::Delete(n) => {
                if let Some(key) = self.nth_wanting(*n) {
                    self.wants.remove(&key);
                    self.woken.retain(|woken| *woken != key);
                    let next = self.queue.forget(&key, self.now);
                    self.wake(next);
                }
            }
            Step::Pass(ms) => {
                self.now += Duration::from_millis((*ms).into());
                let next = self.queue.overdue(self.now);
                self.wake(next);
            }
        }
    }

    /// What the world does by itself: nothing is created, suspended or retried any more.
    fn runs_dry(&mut self) {
        for _ in 0..10_000 {
            while let Some(key) = self.woken.pop_front() {
                self.reconcile(&key);
            }
            if self.sending.is_empty() {
                return;
            }
            self.answer(0);
        }
        panic!("it never ends");
    }
}

proptest! {
    #[test]
    fn p24_whoever_wants_a_slot_gets_one_whatever_the_others_do(
        slots in 1..4_usize,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(slots);
        for (serial, step) in steps.iter().enumerate() {
            world.take(step, serial);
            prop_assert!(world.sending.len() <= slots, "{} requests in {slots} slots", world.sending.len());
        }
        world.runs_dry();
        prop_assert!(world.wants.is_empty(), "never served: {:?}", world.wants);
        prop_assert!(world.queue.waiters().is_empty(), "left behind: {:?}", world.queue.waiters());
        let all = (0..=slots).map(|n| world.queue.take(&key("end", &n.to_string()), world.now));
        prop_assert_eq!(all.filter(|took| *took).count(), slots, "slots were lost or made");
    }

    #[test]
    fn p26_no_namespace_gets_two_turns_before_another_that_waits_gets_one(
        crowds in proptest::collection::vec(1..30_usize, 1..5),
    ) {
        let mut world = World::new(1);
        let sends = key("sends", "first");
        world.wants.insert(sends.clone());
        world.reconcile(&sends);
        let mut left = BTreeMap::new();
        for (namespace, crowd) in crowds.iter().enumerate() {
            let namespace = format!("ns{namespace}");
            for n in 0..*crowd {
                let key = key(&namespace, &n.to_string());
                world.wants.insert(key.clone());
                world.reconcile(&key);
            }
            left.insert(namespace, *crowd);
        }
        world.runs_dry();
        let mut turn = HashSet::new();
        for sent in &world.sent[1..] {
            if !turn.insert(sent.namespace.clone()) {
                let passed_over: Vec<_> = left.iter().filter(|(n, left)| **left > 0 && !turn.contains(*n)).collect();
                prop_assert!(passed_over.is_empty(), "{passed_over:?} wait while {} has another turn", sent.namespace);
                turn = HashSet::from([sent.namespace.clone()]);
            }
            *left.entry(sent.namespace.clone()).or_default() -= 1;
        }
    }
}
