use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::queue::Queue;
use tenios_ledger::{Key, Kind};

const TURNS: usize = 32;

fn key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
}

fn queue() -> Queue {
    Queue::new(Kind::Order, TURNS)
}

/// Hundreds of one namespace ask; so many get a turn.
fn crowd(queue: &mut Queue, namespace: &str) -> usize {
    (0..300).filter(|n| queue.take(&key(namespace, &n.to_string()))).count()
}

#[test]
fn p26_a_namespace_that_wants_every_turn_gets_half_of_them() {
    let mut queue = queue();
    assert_eq!(crowd(&mut queue, "crowd"), TURNS / 2);
    for n in 0..TURNS / 4 {
        assert!(queue.take(&key("other", &n.to_string())), "{n}");
    }
}

#[test]
fn p26_namespaces_that_want_every_turn_come_to_equal_shares_and_leave_one_for_the_next() {
    let mut queue = queue();
    let mut running = VecDeque::new();
    for namespace in ["a", "b", "c"] {
        let got = crowd(&mut queue, namespace);
        running.extend(std::iter::repeat_n(namespace.to_owned(), got));
    }
    for _ in 0..100 {
        let ended = running.pop_front().unwrap_or_default();
        for next in queue.give(&ended) {
            assert!(queue.take(&next), "{next} was woken for it");
            running.push_back(next.namespace);
        }
    }
    for namespace in ["a", "b", "c"] {
        assert_eq!(running.iter().filter(|of| *of == namespace).count(), TURNS / 4, "{namespace}");
    }
    assert!(queue.take(&key("single", "o")));
}

#[test]
fn p26_who_waits_for_a_turn_gets_one_in_a_round_of_the_namespaces() {
    let mut queue = Queue::new(Kind::Order, 2);
    assert!(queue.take(&key("a", "first")) && queue.take(&key("b", "first")));
    for name in ["1", "2", "3"] {
        assert!(!queue.take(&key("a", name)));
    }
    assert!(!queue.take(&key("b", "1")) && !queue.take(&key("c", "1")));
    let mut served = Vec::new();
    let mut done = key("a", "first");
    while let [next] = queue.give(&done.namespace).as_slice() {
        assert!(queue.take(next), "{next} was woken for it");
        served.push(format!("{}{}", next.namespace, next.name));
        done = next.clone();
    }
    assert_eq!(served, ["a1", "c1", "a2", "a3"]);
}

#[test]
fn p26_who_is_gone_passes_its_turn_on_and_leaves_nothing() {
    let mut queue = Queue::new(Kind::Order, 2);
    assert!(queue.take(&key("a", "slow")));
    for name in ["gone", "goes", "waits"] {
        assert!(!queue.take(&key("a", name)));
    }
    assert_eq!(queue.forget(&key("a", "gone")), []);
    assert_eq!(queue.give("a"), [key("a", "goes")]);
    assert_eq!(queue.forget(&key("a", "goes")), [key("a", "waits")]);
    assert!(queue.take(&key("a", "waits")));
    assert_eq!(queue.give("a"), []);
    for n in 0..1000 {
        let passing = key(&format!("ns{n}"), "o");
        assert!(queue.take(&passing));
        assert_eq!(queue.give(&passing.namespace), []);
        assert_eq!(queue.forget(&passing), []);
    }
    assert!(queue.is_at_rest(2), "{queue:?}");
}

#[test]
fn p26_a_new_term_begins_with_nobody_in_line_and_what_is_taken_comes_back() {
    let mut queue = Queue::new(Kind::Order, 4);
    for name in ["1", "2", "3", "4"] {
        queue.take(&key("a", name));
    }
    assert_eq!(queue.give("a"), [key("a", "3")]);
    queue.clear();
    assert_eq!(queue.waiters(), []);
    assert_eq!(queue.give("a"), []);
    assert!(queue.is_at_rest(4), "{queue:?}");
    // Nor is anything kept of a namespace that only waited.
    let mut queue = Queue::new(Kind::Order, 1);
    assert!(queue.take(&key("a", "1")) && !queue.take(&key("b", "1")));
    queue.clear();
    assert_eq!(queue.give("a"), []);
    assert!(queue.is_at_rest(1), "{queue:?}");
}

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// It wants to be reconciled, or comes when it is woken.
    Comes(u8, u8),
    /// Its reconcile ends.
    Ends(u8),
    /// It is deleted.
    Goes(u8, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, 0..6_u8).prop_map(|(namespace, name)| Step::Comes(namespace, name)),
        3 => any::<u8>().prop_map(Step::Ends),
        1 => (0..4_u8, 0..6_u8).prop_map(|(namespace, name)| Step::Goes(namespace, name)),
    ];
    prop::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn p26_everyone_who_stays_is_reconciled_and_no_turn_is_lost_or_made(turns in 1..7_usize, steps in steps()) {
        let mut queue = Queue::new(Kind::Order, turns);
        let at = |namespace: u8, name: u8| key(&format!("ns{namespace}"), &format!("o{name}"));
        let (mut running, mut waiting): (Vec<Key>, BTreeSet<String>) = (Vec::new(), BTreeSet::new());
        let mut woken: BTreeMap<String, Key> = BTreeMap::new();
        for step in steps {
            let next = match step {
                // A resource is reconciled by one at a time.
                Step::Comes(namespace, name) if !running.contains(&at(namespace, name)) => {
                    let key = at(namespace, name);
                    if queue.take(&key) {
                        waiting.remove(&key.to_string());
                        woken.remove(&key.to_string());
                        running.push(key);
                    } else {
                        waiting.insert(key.to_string());
                    }
                    Vec::new()
                }
                Step::Ends(nth) if !running.is_empty() => {
                    let ended = running.swap_remove(usize::from(nth) % running.len());
                    queue.give(&ended.namespace)
                }
                Step::Goes(namespace, name) => {
                    let key = at(namespace, name);
                    waiting.remove(&key.to_string());
                    woken.remove(&key.to_string());
                    queue.forget(&key)
                }
                _ => Vec::new(),
            };
            woken.extend(next.into_iter().map(|key| (key.to_string(), key)));
            prop_assert!(running.len() + woken.len() <= turns);
            prop_assert!(woken.keys().all(|key| waiting.contains(key)), "{woken:?} {waiting:?}");
        }
        // Everything ends from here on, and whoever is woken comes.
        while !running.is_empty() || !woken.is_empty() {
            while let Some((name, key)) = woken.pop_first() {
                prop_assert!(queue.take(&key));
                waiting.remove(&name);
                running.push(key);
            }
            if let Some(ended) = running.pop() {
                woken.extend(queue.give(&ended.namespace).into_iter().map(|key| (key.to_string(), key)));
            }
        }
        prop_assert!(waiting.is_empty(), "{waiting:?}");
        prop_assert!(queue.is_at_rest(turns), "{queue:?}");
    }
}
