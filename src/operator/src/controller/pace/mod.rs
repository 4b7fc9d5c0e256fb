//! Requests with one access key leave no faster than TENIOS takes them.
//!
//! Each request by itself knows nothing of the others: after a 429 all of them would wait as long as it says, and come
//! back together. So there is one pace for an account ([`rate`]), and who has to wait for it stands in line
//! ([`lines`]), without a request slot. While TENIOS turned nothing away, nobody waits here.

mod lines;
mod rate;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::requeue::Requeue;
use super::slots::KEPT_FOR;
use lines::{Answer, Lines};
use tenios_ledger::{Account, Key};
use tenios_provider::Outcome;

/// See the module documentation.
#[derive(Clone)]
pub(super) struct Pacer(Arc<Shared>);

struct Shared {
    lines: Mutex<Lines>,
    /// Somebody waits, or what for has changed.
    changed: Notify,
    requeue: Arc<Requeue>,
}

/// The right to send one request at a time that is soon, until it is dropped.
pub(super) struct PacePermit {
    pacer: Pacer,
    account: Account,
    key: Key,
    generation: i64,
    request: Paced,
}

#[derive(Clone, Copy)]
enum Paced {
    /// It may leave at this time.
    Reserved(Instant),
    /// It left then.
    Departed(Instant),
    Over,
}

impl Drop for PacePermit {
    fn drop(&mut self) {
        match self.request {
            Paced::Reserved(at) => self.pacer.change(|lines| lines.withdraw(&self.account, at)),
            // Nobody knows what became of it, and that is no reason to wait.
            Paced::Departed(at) => self.answer(at, Answer::Taken),
            Paced::Over => {}
        }
    }
}

impl PacePermit {
    /// Whether the request may still leave. If not, its resource is back in the line, and is woken when it may.
    pub(super) fn holds(&mut self) -> bool {
        let Paced::Reserved(at) = self.request else { return true };
        let holds = self
            .pacer
            .change(|lines| lines.holds(&self.account, &self.key, self.generation, at, Instant::now()));
        if !holds {
            self.request = Paced::Over;
        }
        holds
    }

    /// Waits for the time of the request, which is near, and lets it leave.
    ///
    /// # Errors
    /// Another one with the same key was turned away since: it must not leave for so long.
    pub(super) async fn depart(&mut self) -> Result<(), Duration> {
        let Paced::Reserved(at) = self.request else { return Ok(()) };
        tokio::time::sleep_until(at.into()).await;
        let departed = self.pacer.change(|lines| lines.depart(&self.account, at, Instant::now()));
        self.request = departed.map_or(Paced::Over, Paced::Departed);
        departed.map(|_| ())
    }

    /// What became of it.
    pub(super) fn answered(mut self, outcome: &Outcome) {
        let answer = match outcome {
            Outcome::NotProcessed { retry_after: None, .. } => Answer::NotArrived,
            Outcome::NotProcessed { retry_after: Some(0), .. } => Answer::TurnedAway(None),
            Outcome::NotProcessed { retry_after: Some(seconds), .. } => {
                Answer::TurnedAway(Some(Duration::from_secs((*seconds).into())))
            }
            Outcome::Accepted { .. } | Outcome::Refused(_) | Outcome::Unknown { .. } => Answer::Taken,
        };
        if let Paced::Departed(at) = std::mem::replace(&mut self.request, Paced::Over) {
            self.answer(at, answer);
        }
    }

    fn answer(&self, departed: Instant, answer: Answer) {
        self.pacer.change(|lines| lines.answered(&self.account, departed, answer, Instant::now()));
    }
}

/// A reconcile that is under way, until it is dropped.
pub(super) struct Reconciling {
    pacer: Pacer,
    key: Key,
}

impl Drop for Reconciling {
    fn drop(&mut self) {
        let next = self.pacer.change(|lines| lines.end(&self.key, Instant::now()));
        self.pacer.wake(next);
    }
}

impl Pacer {
    /// TENIOS is granted a wait of this length at most.
    pub(super) fn new(longest_wait: Duration, requeue: Arc<Requeue>) -> Self {
        let lines = Mutex::new(Lines::new(longest_wait));
        Self(Arc::new(Shared { lines, changed: Notify::new(), requeue }))
    }

    fn change<T>(&self, step: impl FnOnce(&mut Lines) -> T) -> T {
        let mut lines = self.0.lines.lock();
        let done = step(&mut lines);
        if lines.has_waiters() {
            self.0.changed.notify_one();
        }
        done
    }

    fn wake(&self, next: impl IntoIterator<Item = Key>) {
        for key in next {
            self.0.requeue.now(&key);
        }
    }

    /// A reconcile of this resource begins.
    pub(super) fn reconciling(&self, key: &Key) -> Reconciling {
        self.0.lines.lock().begin(key);
        Reconciling { pacer: self.clone(), key: key.clone() }
    }

    /// The right to send soon. Otherwise the resource, which is of this generation, is woken when it has it.
    pub(super) fn take(&self, account: &Account, key: &Key, generation: i64) -> Option<PacePermit> {
        let (at, next) = self.change(|lines| lines.take(account, key, generation, Instant::now()));
        self.wake(next);
        let request = Paced::Reserved(at?);
        let (account, key) = (account.clone(), key.clone());
        Some(PacePermit { pacer: self.clone(), account, key, generation, request })
    }

    /// Whether this resource asked before, as it is, and it is not its turn yet.
    pub(super) fn still_waits(&self, key: &Key, generation: i64) -> bool {
        self.0.lines.lock().still_waits(key, generation)
    }

    /// Since when this resource has waited; none where it does not.
    pub(super) fn waits_since(&self, key: &Key) -> Option<Instant> {
        self.0.lines.lock().waits_since(key)
    }

    /// This resource is gone.
    pub(super) fn forget(&self, key: &Key) {
        let next = self.0.lines.lock().forget(key, Instant::now());
        self.wake(next);
    }

    /// Those who wait.
    pub(super) fn waiters(&self) -> Vec<Key> {
        self.0.lines.lock().waiters()
    }

    /// Nobody waits any more: another replica leads.
    pub(super) fn clear(&self) {
        self.0.lines.lock().clear();
    }

    /// Requests a second with all access keys that TENIOS limits, and how many of those there are.
    pub(super) fn limits(&self) -> (f64, usize) {
        self.0.lines.lock().limits(Instant::now())
    }

    /// Wakes those whose time comes, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        loop {
            let now = Instant::now();
            let (woken, due) = {
                let mut lines = self.0.lines.lock();
                let woken = lines.tick(now);
                let kept = lines.has_offers().then(|| now + KEPT_FOR);
                (woken, lines.due(now).into_iter().chain(kept).min())
            };
            self.wake(woken);
            let time_comes = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.0.changed.notified() => {}
                () = time_comes => {}
            }
        }
    }
}
