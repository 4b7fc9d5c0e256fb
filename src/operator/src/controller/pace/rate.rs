//! How fast a provider may be asked that turns requests away: found from what it takes. No I/O, no clock.
//!
//! Nothing is known of it beforehand (`docs/provider-api.md`): it may count requests in a window, of whatever length and
//! beginning, or fill a bucket of whatever size. What all of them have in common is that they take everything at a
//! pace a little below theirs, so that pace is looked for: first by what was taken until the first 429, then
//! upwards, slowly at first and ever faster, until the next one. The longer a stop lasts, the longer the pace below
//! is kept before the next try, so that stops cost a small share of the time.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long before its time a request is called, because it takes a while to get ready: Secrets are read, the
/// resource is looked at once more, and the intent is written.
pub(super) const LEAD: Duration = Duration::from_millis(250);

/// Departures that are remembered: enough for some seconds at a pace that 16 slots reach.
const KEPT: usize = 256;

/// More are never sent in one go.
const MOST_AT_ONCE: usize = 64;

const SECOND: Duration = Duration::from_secs(1);

/// While nothing at all is taken, one request leaves in this time; sooner where `--retry-max` is shorter.
const SLOWEST: Duration = Duration::from_secs(60);

/// What was learned of an account that nothing was sent for is forgotten after this time.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Requests a second; the slowest and the fastest that is kept in mind.
const BOUNDS: (f64, f64) = (1.0 / 60.0, 10_000.0);

/// What was taken was taken in a window that may be shorter by the time that a request is on its way.
const BELOW_TAKEN: f64 = 0.97;

/// Below the pace at which the last request was turned away.
const BELOW_REFUSED: f64 = 0.96;

/// Of so few it can be told when they were taken: the pace did not grow meanwhile.
const FEW: usize = 8;

/// The pace is kept for so many times as long as the stop was: it costs 3 % of the time then.
const KEPT_FOR_STOPS: u32 = 32;

/// As long as that at most.
const LONGEST_KEPT: Duration = Duration::from_secs(600);

/// The pace of one account. See the module documentation.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// When requests left or will, in order. Those that were turned away are taken out.
    departures: VecDeque<Instant>,
    /// None while nothing was turned away.
    limit: Option<Limit>,
    /// The last one, until it is over.
    stop: Option<Stop>,
    closed_until: Option<Instant>,
    /// The longest wait that the provider is granted.
    longest_wait: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Requests a second.
    rate: f64,
    /// So many of them may leave together.
    at_once: usize,
    /// From then on a faster pace is tried.
    grows_from: Instant,
    /// When the last stop began.
    since: Instant,
    /// When it ended.
    opened: Instant,
    /// Stops in a row between which nothing was taken.
    in_vain: u32,
}

/// A request was turned away.
#[derive(Clone, Copy, Debug)]
struct Stop {
    at: Instant,
    /// What was asked for then.
    until: Instant,
}

impl Pace {
    /// A provider of which nothing is known, and the longest wait that it is granted.
    pub(super) fn new(longest_wait: Duration) -> Self {
        Self { departures: VecDeque::new(), limit: None, stop: None, closed_until: None, longest_wait }
    }

    /// The earliest time at which one more request may leave; none while the answer to the last one tells.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.closed_until.filter(|until| now + LEAD < *until) {
            return Some(until);
        }
        self.learn();
        let open = self.closed_until.map_or(now, |until| until.max(now));
        let Some(limit) = self.limit else { return Some(open) };
        if limit.in_vain > 0 && self.departures.back().is_some_and(|last| *last > limit.since) {
            return None;
        }
        let rate = limit.rate_at(open);
        let after = |n: usize, apart: f64| {
            let before = self.departures.len().checked_sub(n).map(|at| self.departures[at]);
            before.map_or(open, |before| before + Duration::from_secs_f64(apart))
        };
        let at_once = limit.at_once_with(rate);
        // A faster pace is tried one by one, so that one is turned away and not as many as leave together.
        let apart = if open > limit.grows_from { 1.0 / rate } else { 0.0 };
        Some(open.max(after(at_once, count(at_once) / rate)).max(after(1, apart)))
    }

    /// One more request will leave at this time, which [`Self::next`] told.
    pub(super) fn reserve(&mut self, at: Instant) {
        if let Some(limit) = &mut self.limit
            && self.departures.back().is_some_and(|last| at > *last + SECOND.max(limit.interval() * 2))
        {
            // How fast it may be was not tried meanwhile.
            limit.grows_from = limit.grows_from.max(at);
        }
        self.insert(at);
    }

    /// One that was reserved does not leave.
    pub(super) fn withdraw(&mut self, at: Instant) {
        if let Ok(index) = self.departures.binary_search(&at) {
            self.departures.remove(index);
        }
    }

    /// A request that was reserved leaves now.
    ///
    /// # Errors
    /// It must not; for so long. It counts as withdrawn.
    pub(super) fn depart(&mut self, reserved: Instant, now: Instant) -> Result<Instant, Duration> {
        self.withdraw(reserved);
        let departs = now.max(reserved);
        if !self.is_closed(departs) {
            self.learn();
        }
        if let Some(until) = self.closed_until.filter(|until| *until > departs) {
            return Err(until.duration_since(now));
        }
        self.insert(departs);
        Ok(departs)
    }

    /// Whether nothing may leave at this time.
    pub(super) fn is_closed(&self, at: Instant) -> bool {
        self.closed_until.is_some_and(|until| until > at)
    }

    /// The request that left then was not turned away.
    pub(super) fn taken(&mut self, departed: Instant) {
        if let Some(limit) = &mut self.limit
            && departed > limit.since
        {
            limit.in_vain = 0;
        }
    }

    /// The request that left then was turned away, and the provider asks to wait for so long, if it says that.
    pub(super) fn turned_away(&mut self, departed: Instant, asked: Option<Duration>, now: Instant) {
        self.withdraw(departed);
        let until = now + asked.unwrap_or_default().max(SECOND).min(self.longest_wait);
        self.closed_until = Some(self.closed_until.map_or(until, |before| before.max(until)));
        let began = self.stop.map(|stop| stop.at).or(self.limit.map(|limit| limit.since));
        // One that left before the others were turned away tells nothing new.
        if self.stop.is_none() && began.is_none_or(|began| departed > began) {
            self.stop = Some(Stop { at: now, until });
        }
    }

    /// Requests a second at most; none where nothing limits them.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        self.limit.map(|limit| limit.rate_at(now))
    }

    /// Whether nothing has left for so long that there is nothing more to know.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let latest = self.departures.back().copied().max(self.closed_until);
        // With any key that does not exist, a tenant can make one more.
        let long = if self.limit.is_some() || self.stop.is_some() { REMEMBERED } else { SLOWEST };
        latest.is_none_or(|latest| now.saturating_duration_since(latest) >= long)
    }

    fn insert(&mut self, at: Instant) {
        let index = self.departures.partition_point(|before| *before <= at);
        self.departures.insert(index, at);
        if self.departures.len() > KEPT {
            self.departures.pop_front();
        }
    }

    /// Those that left within this time before a stop, and were taken.
    fn taken_within(&self, span: Duration, stop: Stop) -> usize {
        let within = |at: &&Instant| **at <= stop.at && stop.at.duration_since(**at) < span;
        self.departures.iter().filter(within).count()
    }

    /// What a stop tells, once it is over: by then the answers to what left before are there.
    fn learn(&mut self) {
        let Some(stop) = self.stop.take() else { return };
        let asked = stop.until.duration_since(stop.at);
        let since_last = self.limit.map_or(LONGEST_KEPT, |limit| stop.at.duration_since(limit.since));
        let taken = self.taken_within(since_last, stop);
        let together = self.taken_within(SECOND, stop).clamp(1, MOST_AT_ONCE);
        let mut limit = match self.limit {
            None => {
                let span = asked.clamp(SECOND, SLOWEST);
                let rate = BELOW_TAKEN * count(self.taken_within(span, stop).max(1)) / span.as_secs_f64();
                Limit {
                    rate,
                    at_once: together,
                    grows_from: stop.at,
                    since: stop.at,
                    opened: stop.at,
                    in_vain: 0,
                }
            }
            Some(limit) => {
                let tried = limit.rate_at(stop.at);
                let growing = stop.at > limit.grows_from;
                // The pace of the last moments: it may have grown.
                let span = Duration::from_secs_f64(16.0 / tried)
                    .max(2 * SECOND)
                    .min(stop.at.duration_since(limit.opened));
                // With the one that was turned away: nobody knows where in the span the first one stands.
                let lately = count(self.taken_within(span, stop) + 1) / span.as_secs_f64().max(0.001);
                // What was kept for long is known to be taken.
                let proven = if growing { limit.rate } else { tried / 2.0 };
                let rate = (below(tried, taken, since_last) * tried).min((BELOW_TAKEN * lately).max(proven));
                // Who tries a faster pace sends one by one.
                let at_once = if growing { limit.at_once } else { together };
                Limit { rate, at_once: at_once.min(limit.at_once), since: stop.at, ..limit }
            }
        };
        limit.rate = limit.rate.clamp(BOUNDS.0, BOUNDS.1);
        limit.in_vain = if taken == 0 { limit.in_vain.saturating_add(1) } else { 0 };
        let in_vain = SECOND.saturating_mul(1 << limit.in_vain.min(6)).min(SLOWEST).min(self.longest_wait);
        let closed_until = self.closed_until.unwrap_or(stop.until).max(stop.at + in_vain);
        let times = u32::try_from(taken).unwrap_or(u32::MAX).saturating_mul(4).min(KEPT_FOR_STOPS);
        limit.grows_from = closed_until + (asked.max(limit.interval()) * times).min(LONGEST_KEPT);
        limit.opened = closed_until;
        (self.limit, self.closed_until) = (Some(limit), Some(closed_until));
    }
}

impl Limit {
    /// From the time on at which a faster pace is tried: 2 % more after a second, twice as much after 7, 50 times as
    /// much after half a minute. Near the limit that is slow enough to see where it is, and from far below it does not take long.
    fn rate_at(&self, time: Instant) -> f64 {
        let tried_for = time.saturating_duration_since(self.grows_from).as_secs_f64();
        let tried_for = tried_for * self.rate.clamp(0.1, 1.0);
        (self.rate * (1.0 + tried_for / 50.0 + (tried_for / 8.0).powi(3))).min(BOUNDS.1)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate)
    }

    /// As many as a second allows, if as many were taken together before. Then they never leave twice within a
    /// second, which may be what the provider counts.
    fn at_once_with(&self, rate: f64) -> usize {
        (1..=self.at_once).find(|n| count(*n) >= rate).unwrap_or(if count(self.at_once) < rate {
            1
        } else {
            self.at_once
        })
    }
}

/// How much below the pace that was tried the next one is. After a stop until the next one, a provider takes what it
/// allows: much less than was tried says that it was far too fast.
fn below(tried: f64, taken: usize, since_last: Duration) -> f64 {
    match count(taken) / since_last.as_secs_f64() {
        _ if taken == 0 => 0.5,
        rate if rate < tried / 2.5 && taken < FEW => 0.75,
        _ => BELOW_REFUSED,
    }
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::MAX, f64::from)
}
