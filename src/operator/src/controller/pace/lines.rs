//! Who waits for the pace of which account, and who was called for which time. No I/O, no clock.
//!
//! Each account has a queue as the request slots have one: it goes round by namespace, and whoever does not come, is
//! gone or needs no request any more passes on what was offered. Here, a time is offered instead of a slot.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::super::slots::{KEPT_FOR, Queue};
use super::rate::{LEAD, Pace};
use tenios_ledger::{Account, Key};

/// Below so many accounts it is not looked for such.
const FEW: usize = 64;

/// See the module documentation. It remembers those who wait, and accounts that were used lately.
#[derive(Debug)]
pub(super) struct Lines {
    accounts: HashMap<Account, Line>,
    waiting: HashMap<Key, Waiting>,
    longest_wait: Duration,
    /// With so many accounts it is looked for those to forget.
    many: usize,
}

#[derive(Debug)]
struct Waiting {
    account: Account,
    /// Of the resource as it was when it asked: a later one may name another access key.
    generation: i64,
}

#[derive(Debug)]
struct Line {
    pace: Pace,
    queue: Queue,
    /// The times that were offered and not taken yet.
    offered: VecDeque<Instant>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The provider has seen it, and did not ask to come back later.
    Taken,
    /// It did, after so long if it said that.
    TurnedAway(Option<Duration>),
    /// It did not get there.
    NotArrived,
}

impl Line {
    fn new(longest_wait: Duration) -> Self {
        Self { pace: Pace::new(longest_wait), queue: Queue::new(0), offered: VecDeque::new() }
    }

    /// One more time to offer, if there is one soon.
    fn reserve(&mut self, now: Instant) -> bool {
        let Some(at) = self.pace.next(now).filter(|at| *at <= now + LEAD) else { return false };
        self.pace.reserve(at);
        self.offered.push_back(at);
        true
    }

    /// Offers what there is to those who wait, who are woken.
    fn offer(&mut self, now: Instant) -> Vec<Key> {
        let mut woken = Vec::new();
        while self.queue.has_line() && self.reserve(now) {
            woken.extend(self.queue.give(now));
        }
        woken
    }

    /// What nobody wants any more is not kept for later.
    fn settle(&mut self) {
        while self.queue.reclaim() {
            if let Some(at) = self.offered.pop_back() {
                self.pace.withdraw(at);
            }
        }
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.offered.is_empty() && !self.queue.has_line() && self.pace.is_idle(now)
    }
}

impl Lines {
    /// Providers are granted this wait at most.
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { accounts: HashMap::new(), waiting: HashMap::new(), longest_wait, many: FEW }
    }

    /// A reconcile of this resource begins.
    pub(super) fn begin(&mut self, key: &Key) {
        if let Some(line) = self.line_of(key) {
            line.queue.begin(key);
        }
    }

    /// It ends. Who did not ask waits no more; whoever is returned is woken.
    pub(super) fn end(&mut self, key: &Key, now: Instant) -> Option<Key> {
        let line = self.line_of(key)?;
        let next = line.queue.end(key, now);
        line.settle();
        if line.queue.waits_since(key).is_none() {
            self.waiting.remove(key);
        }
        next
    }

    /// The time at which a request of this resource may leave, soon, or a place in the line.
    pub(super) fn take(
        &mut self,
        account: &Account,
        key: &Key,
        generation: i64,
        now: Instant,
    ) -> (Option<Instant>, Option<Key>) {
        let next = self.leave_another(account, key, now);
        self.forget_idle(now);
        let longest_wait = self.longest_wait;
        let line = self.accounts.entry(account.clone()).or_insert_with(|| Line::new(longest_wait));
        let is_first = !line.queue.has_line() && !self.waiting.contains_key(key);
        if is_first && line.reserve(now) {
            line.queue.give(now);
        }
        if line.queue.take(key, now) {
            self.waiting.remove(key);
            let at = line.offered.pop_front().unwrap_or(now);
            if self.holds(account, key, generation, at, now) {
                return (Some(at), next);
            }
        } else {
            self.waiting.insert(key.clone(), Waiting { account: account.clone(), generation });
        }
        (None, next)
    }

    /// Whether a request may still leave at this time. If not, its resource is back in the line.
    pub(super) fn holds(
        &mut self,
        account: &Account,
        key: &Key,
        generation: i64,
        at: Instant,
        now: Instant,
    ) -> bool {
        let Some(line) = self.accounts.get_mut(account) else { return true };
        if !line.pace.is_closed(at.max(now)) {
            return true;
        }
        line.pace.withdraw(at);
        line.queue.wait(key, now);
        self.waiting.insert(key.clone(), Waiting { account: account.clone(), generation });
        false
    }

    /// [`Pace::depart`]
    pub(super) fn depart(
        &mut self,
        account: &Account,
        at: Instant,
        now: Instant,
    ) -> Result<Instant, Duration> {
        self.accounts.get_mut(account).map_or(Ok(now), |line| line.pace.depart(at, now))
    }

    /// What was to leave at this time does not.
    pub(super) fn withdraw(&mut self, account: &Account, at: Instant) {
        if let Some(line) = self.accounts.get_mut(account) {
            line.pace.withdraw(at);
        }
    }

    /// What became of the request that left then.
    pub(super) fn answered(&mut self, account: &Account, departed: Instant, answer: Answer, now: Instant) {
        let Some(line) = self.accounts.get_mut(account) else { return };
        match answer {
            Answer::Taken => line.pace.taken(departed),
            Answer::TurnedAway(asked) => line.pace.turned_away(departed, asked, now),
            Answer::NotArrived => line.pace.withdraw(departed),
        }
    }

    /// Whether this resource waits, as it was then, and it is not its turn; then it has asked.
    pub(super) fn still_waits(&mut self, key: &Key, generation: i64) -> bool {
        let same = self.waiting.get(key).is_some_and(|waiting| waiting.generation == generation);
        same && self.line_of(key).is_some_and(|line| line.queue.still_waits(key))
    }

    /// Since when this resource has waited.
    pub(super) fn waits_since(&mut self, key: &Key) -> Option<Instant> {
        self.line_of(key)?.queue.waits_since(key)
    }

    /// This resource is gone; whoever is returned is woken.
    pub(super) fn forget(&mut self, key: &Key, now: Instant) -> Option<Key> {
        let line = self.line_of(key)?;
        let next = line.queue.forget(key, now);
        line.settle();
        self.waiting.remove(key);
        next
    }

    pub(super) fn has_waiters(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those who wait.
    pub(super) fn waiters(&self) -> Vec<Key> {
        self.waiting.keys().cloned().collect()
    }

    /// Nobody waits any more. What was learned stays.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        for line in self.accounts.values_mut() {
            line.queue.clear();
            line.settle();
        }
    }

    /// When there is something to offer; none where nobody waits, or an answer has to come first.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let waiting = self.accounts.values_mut().filter(|line| line.queue.has_line());
        waiting.filter_map(|line| line.pace.next(now)).min().map(|at| at.checked_sub(LEAD).unwrap_or(at))
    }

    /// Whether somebody was called and has not come yet.
    pub(super) fn has_offers(&self) -> bool {
        self.accounts.values().any(|line| !line.offered.is_empty())
    }

    /// Offers what is due, and passes on what nobody came for; those that are returned are woken.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<Key> {
        let mut woken = Vec::new();
        for (account, line) in &mut self.accounts {
            if line.offered.front().is_some_and(|at| *at + KEPT_FOR <= now) {
                woken.extend(line.queue.overdue(now));
                line.settle();
                let left = |key: &Key, of: &Account| of == account && !line.queue.waits(key);
                self.waiting.retain(|key, waiting| !left(key, &waiting.account));
            }
            woken.extend(line.offer(now));
        }
        woken
    }

    /// Requests a second with all access keys that are limited, and how many of those there are.
    pub(super) fn limits(&self, now: Instant) -> (f64, usize) {
        let rates = self.accounts.values().filter_map(|line| line.pace.rate(now));
        rates.fold((0.0, 0), |(sum, count), rate| (sum + rate, count + 1))
    }

    fn line_of(&mut self, key: &Key) -> Option<&mut Line> {
        self.accounts.get_mut(&self.waiting.get(key)?.account)
    }

    /// Its access key is another one by now.
    fn leave_another(&mut self, account: &Account, key: &Key, now: Instant) -> Option<Key> {
        let another = self.waiting.get(key).is_some_and(|waiting| waiting.account != *account);
        if another { self.forget(key, now) } else { None }
    }

    fn forget_idle(&mut self, now: Instant) {
        if self.accounts.len() < self.many {
            return;
        }
        self.accounts.retain(|_, line| !line.is_idle(now));
        self.many = FEW.max(2 * self.accounts.len());
    }
}

#[cfg(test)]
impl Lines {
    /// How many are remembered.
    pub(super) fn remembered(&self) -> usize {
        self.accounts.len()
    }
}
