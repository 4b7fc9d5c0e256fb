use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::slots::KEPT_FOR;
use super::lines::{Answer, Lines};
use tenios_ledger::{Account, Key, Kind};

const SECOND: Duration = Duration::from_secs(1);

fn key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
}

fn account(name: &str) -> Account {
    Account::recorded(name)
}

fn lines() -> Lines {
    Lines::new(Duration::from_secs(300))
}

/// A reconcile that wants to send.
fn asks(lines: &mut Lines, account: &Account, key: &Key, now: Instant) -> Option<Instant> {
    lines.begin(key);
    let (at, _) = lines.take(account, key, 1, now);
    assert_eq!(lines.end(key, now), None, "who asked passes nothing on");
    at
}

/// The provider takes one request, and turns the next one away for a second.
fn is_limited(lines: &mut Lines, account: &Account, now: Instant) {
    for (name, answer) in [("taken", Answer::Taken), ("turned away", Answer::TurnedAway(Some(SECOND)))] {
        let at = asks(lines, account, &key("first", name), now).unwrap();
        let departed = lines.depart(account, at, now).unwrap();
        lines.answered(account, departed, answer, now);
    }
}

/// Who is woken next, and when.
fn next_called(lines: &mut Lines, mut now: Instant) -> (Vec<Key>, Instant) {
    loop {
        now = now.max(lines.due(now).unwrap());
        let woken = lines.tick(now);
        if !woken.is_empty() {
            return (woken, now);
        }
    }
}

/// Whoever is woken at each time that is due, until nobody waits.
fn called(lines: &mut Lines, mut now: Instant) -> Vec<String> {
    let mut all = Vec::new();
    while let Some(due) = lines.due(now) {
        now = now.max(due);
        for key in lines.tick(now) {
            lines.begin(&key);
            let (at, _) = lines.take(&account("a"), &key, 1, now);
            lines.end(&key, now);
            let at = at.unwrap();
            now = now.max(at);
            let departed = lines.depart(&account("a"), at, now).unwrap();
            lines.answered(&account("a"), departed, Answer::Taken, now);
            all.push(key.namespace);
        }
    }
    all
}

#[test]
fn p26_who_waits_for_the_pace_of_an_account_gets_it_by_turns_of_the_namespaces() {
    let (mut lines, now) = (lines(), Instant::now());
    is_limited(&mut lines, &account("a"), now);
    for n in 0..300 {
        assert_eq!(asks(&mut lines, &account("a"), &key("crowd", &n.to_string()), now), None);
    }
    for name in ["o1", "o2"] {
        assert_eq!(asks(&mut lines, &account("a"), &key("single", name), now), None);
    }
    let all = called(&mut lines, now);
    assert_eq!(all.len(), 302);
    assert_eq!(all[..5], ["crowd", "single", "crowd", "single", "crowd"]);
}

#[test]
fn p26_who_sends_with_another_access_key_does_not_wait() {
    let (mut lines, now) = (lines(), Instant::now());
    is_limited(&mut lines, &account("a"), now);
    assert_eq!(asks(&mut lines, &account("a"), &key("crowd", "o"), now), None);
    assert_eq!(asks(&mut lines, &account("b"), &key("single", "o"), now), Some(now));
    // The spec of this one names the other key by now.
    assert!(lines.still_waits(&key("crowd", "o"), 1));
    assert!(!lines.still_waits(&key("crowd", "o"), 2));
    assert_eq!(asks(&mut lines, &account("b"), &key("crowd", "o"), now), Some(now));
    assert!(lines.waiters().is_empty());
}

#[test]
fn p04_what_was_called_before_another_was_turned_away_waits_again() {
    let (mut lines, now) = (lines(), Instant::now());
    let a = account("a");
    let [early, late] = ["early", "late"].map(|name| asks(&mut lines, &a, &key("shop", name), now).unwrap());
    let at = asks(&mut lines, &a, &key("shop", "turned away"), now).unwrap();
    let departed = lines.depart(&a, at, now).unwrap();
    lines.answered(&a, departed, Answer::TurnedAway(Some(SECOND)), now);
    assert!(!lines.holds(&a, &key("shop", "early"), 1, early, now), "its intent is not written");
    assert_eq!(lines.waiters(), [key("shop", "early")]);
    assert_eq!(lines.depart(&a, late, now), Err(SECOND), "its intent is written, and it does not leave");
}

#[test]
fn p24_a_time_that_nobody_comes_for_is_passed_on_and_none_is_kept_for_later() {
    let (mut lines, now) = (lines(), Instant::now());
    is_limited(&mut lines, &account("a"), now);
    for name in ["slow", "suspended", "deleted", "waits"] {
        assert_eq!(asks(&mut lines, &account("a"), &key("shop", name), now), None);
    }
    let (first, later) = next_called(&mut lines, now);
    assert_eq!(first, [key("shop", "slow")]);
    let later = later + 2 * KEPT_FOR;
    let passed_on = lines.tick(later);
    assert_eq!(passed_on, [key("shop", "suspended"), key("shop", "deleted")], "the first one did not come");
    lines.begin(&key("shop", "suspended"));
    assert_eq!(lines.end(&key("shop", "suspended"), later), Some(key("shop", "waits")));
    assert_eq!(lines.forget(&key("shop", "deleted"), later), None);
    assert_eq!(lines.forget(&key("shop", "waits"), later), None);
    assert!(!lines.has_offers() && lines.waiters().is_empty());
}

#[test]
fn p26_accounts_and_names_that_went_leave_nothing() {
    let (mut lines, mut now) = (lines(), Instant::now());
    for n in 0..1000 {
        let account = account(&n.to_string());
        is_limited(&mut lines, &account, now);
        let gone = key(&format!("ns{n}"), "o");
        assert_eq!(asks(&mut lines, &account, &gone, now), None);
        lines.forget(&gone, now);
        now += 10 * SECOND;
    }
    assert!(lines.waiters().is_empty());
    assert!(lines.remembered() < 200, "{} accounts of a thousand are remembered", lines.remembered());
    // Whoever was never turned away need not be known for long: any key that does not exist is one of those.
    for n in 0..1000 {
        let account = account(&format!("bogus-{n}"));
        let at = asks(&mut lines, &account, &key("shop", "o"), now).unwrap();
        let departed = lines.depart(&account, at, now).unwrap();
        lines.answered(&account, departed, Answer::Taken, now);
        now += SECOND;
    }
    assert!(lines.remembered() < 300, "{} accounts are remembered", lines.remembered());
}

/// Resources that want to send once, and the controller around them.
struct World {
    lines: Lines,
    now: Instant,
    woken: VecDeque<Key>,
    wants: BTreeMap<Key, Account>,
    /// Those with an intent, and their times.
    sending: Vec<(Key, Account, Instant)>,
    closed_until: HashMap<Account, Instant>,
}

#[derive(Clone, Debug)]
enum Step {
    /// One more resource in this namespace, with this access key.
    Create(u8, u8),
    /// The n-th of those that were woken is reconciled.
    Reconcile(u8),
    /// The n-th request leaves, and is turned away or not.
    Answer(u8, bool),
    /// The n-th resource that wants to send needs that no more.
    Suspend(u8),
    Delete(u8),
    /// It sends with this other access key.
    Rekey(u8, u8),
    Pass(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_u8, 0..2_u8).prop_map(|(namespace, account)| Step::Create(namespace, account)),
        6 => any::<u8>().prop_map(Step::Reconcile),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(n, away)| Step::Answer(n, away)),
        1 => any::<u8>().prop_map(Step::Suspend),
        1 => any::<u8>().prop_map(Step::Delete),
        1 => (any::<u8>(), 0..2_u8).prop_map(|(n, account)| Step::Rekey(n, account)),
        3 => (0..3000_u16).prop_map(Step::Pass),
    ]
}

impl World {
    fn new() -> Self {
        Self {
            lines: lines(),
            now: Instant::now(),
            woken: VecDeque::new(),
            wants: BTreeMap::new(),
            sending: Vec::new(),
            closed_until: HashMap::new(),
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
        self.wants.keys().nth(usize::from(n) % self.wants.len().max(1)).cloned()
    }

    fn reconcile(&mut self, key: &Key) {
        self.lines.begin(key);
        if let Some(account) = self.wants.get(key).cloned() {
            let (at, next) = self.lines.take(&account, key, 1, self.now);
            self.wake(next);
            if let Some(at) = at {
                self.wants.remove(key);
                self.sending.push((key.clone(), account, at));
            }
        }
        let next = self.lines.end(key, self.now);
        self.wake(next);
    }

    fn answer(&mut self, n: usize, away: bool) {
        if self.sending.is_empty() {
            return;
        }
        let (key, account, at) = self.sending.remove(n % self.sending.len());
        self.now = self.now.max(at);
        let Ok(departed) = self.lines.depart(&account, at, self.now) else {
            self.wants.insert(key.clone(), account);
            return self.wake([key]);
        };
        let closed_until = self.closed_until.get(&account).copied().unwrap_or(departed);
        assert!(departed >= closed_until, "it leaves while it must not");
        let answer = if away { Answer::TurnedAway(Some(SECOND)) } else { Answer::Taken };
        self.lines.answered(&account, departed, answer, self.now);
        if away {
            self.closed_until.insert(account.clone(), self.now + SECOND);
            self.wants.insert(key.clone(), account);
            self.wake([key]);
        }
    }

    fn take(&mut self, step: &Step, serial: usize) {
        match step {
            Step::Create(namespace, of) => {
                let key = key(&format!("ns{namespace}"), &serial.to_string());
                self.wants.insert(key.clone(), account(&of.to_string()));
                self.wake([key]);
            }
            Step::Reconcile(n) if !self.woken.is_empty() => {
                let at = usize::from(*n) % self.woken.len();
                if let Some(key) = self.woken.remove(at) {
                    self.reconcile(&key);
                }
            }
            Step::Reconcile(_) => {}
            Step::Answer(n, away) => self.answer(usize::from(*n), *away),
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
                    let next = self.lines.forget(&key, self.now);
                    self.wake(next);
                }
            }
            Step::Rekey(n, of) => {
                if let Some(key) = self.nth_wanting(*n) {
                    self.wants.insert(key.clone(), account(&of.to_string()));
                    self.wake([key]);
                }
            }
            Step::Pass(ms) => {
                self.now += Duration::from_millis((*ms).into());
                let next = self.lines.tick(self.now);
                self.wake(next);
            }
        }
    }

    /// What the world does by itself: nothing is created, suspended or turned away any more.
    fn runs_dry(&mut self) {
        for _ in 0..10_000 {
            while let Some(key) = self.woken.pop_front() {
                self.reconcile(&key);
            }
            while !self.sending.is_empty() {
                self.answer(0, false);
            }
            if self.wants.is_empty() && self.woken.is_empty() {
                return;
            }
            let next = self.lines.tick(self.now);
            self.wake(next);
            if self.woken.is_empty() {
                // As long as whoever wakes them sleeps.
                let kept = self.lines.has_offers().then(|| self.now + KEPT_FOR);
                let due = self.lines.due(self.now).into_iter().chain(kept).min();
                self.now = self.now.max(due.unwrap_or_else(|| panic!("{:?} wait for ever", self.wants)));
            }
        }
        panic!("it never ends");
    }
}

proptest! {
    #[test]
    fn p24_whoever_waits_for_the_pace_gets_a_time_whatever_the_others_do(
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new();
        for (serial, step) in steps.iter().enumerate() {
            world.take(step, serial);
        }
        world.runs_dry();
        prop_assert!(world.wants.is_empty(), "never served: {:?}", world.wants);
        prop_assert!(world.lines.waiters().is_empty(), "left behind: {:?}", world.lines.waiters());
        prop_assert!(!world.lines.has_offers(), "a time is kept for nobody");
    }
}
