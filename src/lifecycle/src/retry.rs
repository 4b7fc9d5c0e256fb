//! When a closed attempt may be followed by another (promise 4).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use tenios_ledger::{Phase, State};

/// The bounds of the back-off. Both grow with the resource's count of failures in a row, which an edit
/// does not reset: a tool that edits in a loop gets slower, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// `--retry-min`
    pub retry_min: Duration,
    /// `--retry-max`
    pub retry_max: Duration,
    /// `--refusal-retry-min`
    pub refusal_min: Duration,
    /// `--refusal-retry-max`
    pub refusal_max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            retry_min: Duration::from_secs(5),
            retry_max: Duration::from_secs(300),
            refusal_min: Duration::from_secs(600),
            refusal_max: Duration::from_secs(6 * 3600),
        }
    }
}

/// When the next attempt is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Now.
    Now,
    /// At this time, which is so far from now.
    At(Timestamp, Duration),
    /// Not without an edit of the spec.
    Never,
}

impl RetryPolicy {
    /// The wait after the n-th failure in a row: doubled each time, up to the maximum.
    #[must_use]
    pub fn retry(&self, failures: u32) -> Duration {
        grown(self.retry_min, self.retry_max, failures)
    }

    /// The wait after the provider asked for so many seconds, or for an unknown time: always the same, because what grows
    /// is the wait of its account, which is common to all that was turned away.
    fn asked(&self, seconds: u32) -> Duration {
        let asked = if seconds == 0 { self.retry_min } else { Duration::from_secs(seconds.into()) };
        asked.min(self.retry_max)
    }

    /// `known_for`: how long this process has known the outcome, on its own clock.
    pub(super) fn due(&self, state: &State, edited: bool, known_for: Duration, now: Timestamp) -> Due {
        let (since, wait) = match &state.phase {
            Phase::NotProcessed { at, retry_after, .. } => {
                let wait = retry_after.map_or_else(|| self.retry(state.failures), |asked| self.asked(asked));
                (*at, wait)
            }
            Phase::Refused { at, .. } if edited => (*at, self.retry(state.failures)),
            Phase::Refused { at, refusal, .. } if refusal.can_pass => {
                (*at, grown(self.refusal_min, self.refusal_max, state.failures))
            }
            Phase::Refused { .. } => return Due::Never,
            _ => return Due::Now,
        };
        // By the clock that recorded it, so that every replica shows the same.
        let at = since.saturating_add(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX));
        let at = at.unwrap_or(Timestamp::MAX);
        // A clock that runs ahead of ours must not stretch the wait.
        let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let left = left.min(wait.saturating_sub(known_for));
        if left.is_zero() { Due::Now } else { Due::At(at, left) }
    }
}

fn grown(min: Duration, max: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    min.saturating_mul(1 << doublings).min(max)
}
