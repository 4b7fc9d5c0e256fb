//! The life of one attempt, from the last look before its intent to the record of its outcome: pure steps, which the
//! controllers carry out, and the model in the tests, too.
//!
//! [`LastLook`], then [`Requests::begin`], the append of the intent and [`Requests::intended`], the request and
//! [`Requests::answered`], [`tenios_ledger::Recording`] until its outcome is stored, and [`Requests::finish`].

use std::collections::VecDeque;
use std::time::Duration;

use super::Sender;
use tenios_api::causes;
use tenios_ledger::{AppendError, AttemptId, Event, Phase, State};

/// What a resource is right before the intent of its request, against what was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLook<R> {
    /// As it is now, the same is decided.
    Sends(R),
    /// It is another one by now, or asks for something else: that has to be decided anew.
    Changed(R),
    /// It is gone.
    Gone,
}

impl<R> LastLook<R> {
    /// `now` is read in a way that can't be stale, and none where nothing is there. One of the same name with another
    /// uid was re-created meanwhile.
    pub fn new<U: PartialEq>(
        decided_on: &U,
        now: Option<R>,
        uid: impl FnOnce(&R) -> U,
        still_sends: impl FnOnce(&R) -> bool,
    ) -> Self {
        let Some(now) = now else { return Self::Gone };
        if uid(&now) == *decided_on && still_sends(&now) { Self::Sends(now) } else { Self::Changed(now) }
    }
}

/// Attempts of one resource that were intended and not sent: a write is not on its way for longer than
/// so many later ones take.
const ABANDONED_KEPT: usize = 16;

/// What one process knows of who is sending the requests of one resource. Times are its own, counted from whenever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    sending: Option<Sending>,
    /// Intended by this process, which does not know whether that was stored, and did not send. The
    /// write may come through at any later time, also after the next attempt was tried.
    abandoned: VecDeque<AttemptId>,
    /// Refused or not processed, and since when this process knows: the recording clock may be another's.
    closed: Option<(AttemptId, Duration)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sending {
    /// From the decision to send, at this time, until the outcome is recorded, which is here once it is known.
    Here { attempt: AttemptId, since: Duration, outcome: Option<Event> },
    /// First seen at this time, intended by another process.
    Elsewhere { attempt: AttemptId, since: Duration },
}

/// What becomes of a request whose intent was to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intended {
    /// It leaves.
    Leaves,
    /// Somebody else wrote first: it is decided anew.
    DecideAgain,
    /// It can't be recorded, and never leaves.
    NotRecorded(String),
}

impl Requests {
    /// Who may be sending the open attempt of this state. Whoever else does can't any more after `lifetime`.
    pub fn sender(&mut self, state: &State, now: Duration, lifetime: Duration) -> Sender {
        let Phase::Open { attempt: open, .. } = &state.phase else {
            self.forget_others();
            return Sender::Elsewhere { remaining: Duration::ZERO };
        };
        if self.abandoned.contains(open) {
            return Sender::NeverLeft;
        }
        match &self.sending {
            Some(Sending::Here { attempt, .. }) if attempt == open => Sender::Here,
            Some(Sending::Elsewhere { attempt, since }) if attempt == open => {
                Sender::Elsewhere { remaining: lifetime.saturating_sub(now.saturating_sub(*since)) }
            }
            Some(Sending::Here { .. }) => Sender::Elsewhere { remaining: lifetime },
            _ => {
                self.sending = Some(Sending::Elsewhere { attempt: open.clone(), since: now });
                Sender::Elsewhere { remaining: lifetime }
            }
        }
    }

    /// How long this process has known that the newest request was refused or not processed.
    pub fn known_for(&mut self, state: &State, now: Duration) -> Duration {
        let (Phase::Refused { attempt, .. } | Phase::NotProcessed { attempt, .. }) = &state.phase else {
            self.closed = None;
            return Duration::ZERO;
        };
        match &self.closed {
            Some((known, since)) if known == attempt => now.saturating_sub(*since),
            _ => {
                self.closed = Some((attempt.clone(), now));
                Duration::ZERO
            }
        }
    }

    /// Forgets since when this process knows what others did for a resource that is gone, and what it did not
    /// send. Whoever looks at it again waits longer than needed, not shorter, and then for a person.
    pub fn forget(&mut self) {
        self.closed = None;
        self.abandoned.clear();
        self.forget_others();
    }

    fn forget_others(&mut self) {
        if matches!(self.sending, Some(Sending::Elsewhere { .. })) {
            self.sending = None;
        }
    }

    /// This process is about to intend and send this attempt. False where it is sending for this resource
    /// already.
    pub fn begin(&mut self, attempt: &AttemptId, now: Duration) -> bool {
        if matches!(self.sending, Some(Sending::Here { .. })) {
            return false;
        }
        self.sending = Some(Sending::Here { attempt: attempt.clone(), since: now, outcome: None });
        true
    }

    /// The append of its intent has ended so. Whatever was not surely stored may be stored all the same, or yet
    /// arrive, and then it must not look like a request that may have left.
    pub fn intended(&mut self, attempt: &AttemptId, appended: Result<(), AppendError>) -> Intended {
        let Err(error) = appended else { return Intended::Leaves };
        self.abandoned.push_back(attempt.clone());
        if self.abandoned.len() > ABANDONED_KEPT {
            self.abandoned.pop_front();
        }
        self.finish(attempt);
        match error {
            AppendError::Conflict(_) => Intended::DecideAgain,
            AppendError::Rejected(why) | AppendError::Ambiguous(why) => Intended::NotRecorded(causes(&*why)),
        }
    }

    /// The outcome is known and has to be recorded.
    pub fn answered(&mut self, answered: &AttemptId, event: &Event) {
        match &mut self.sending {
            Some(Sending::Here { attempt, outcome, .. }) if attempt == answered => {
                *outcome = Some(event.clone());
            }
            _ => {}
        }
    }

    /// The outcome is recorded, or there will be none.
    pub fn finish(&mut self, finished: &AttemptId) {
        if matches!(&self.sending, Some(Sending::Here { attempt, .. }) if attempt == finished) {
            self.sending = None;
        }
    }

    /// Since when this process has been sending.
    #[must_use]
    pub fn since(&self) -> Option<Duration> {
        match &self.sending {
            Some(Sending::Here { since, .. }) => Some(*since),
            _ => None,
        }
    }

    /// The outcome that is known and not recorded yet.
    #[must_use]
    pub fn not_recorded(&self) -> Option<&Event> {
        match &self.sending {
            Some(Sending::Here { outcome, .. }) => outcome.as_ref(),
            _ => None,
        }
    }

    /// The attempt of another process, for as long as that may be sending.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&AttemptId> {
        match &self.sending {
            Some(Sending::Elsewhere { attempt, .. }) => Some(attempt),
            _ => None,
        }
    }

    /// Whether there is nothing to know.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
