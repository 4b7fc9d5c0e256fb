//! What to do next and what to show, for each kind: pure functions of the spec, the ledger's state, the
//! surroundings and the time. No client, no clock, no I/O.
//!
//! `decide` is asked again after everything that it asked for was done, until it rests. `project` turns
//! where it rests into `.status`.

#![forbid(unsafe_code)]

mod adoption;
pub mod attempt;
pub mod cancel;
pub mod config_map;
mod decide;
mod inputs;
mod links;
pub mod order;
mod retry;
mod status;
pub mod verification;

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;

use tenios_api::{Reason, RequestField};
use tenios_ledger::{AttemptId, Event, Phase, State};

pub use adoption::also_claimed;
pub use decide::{Asks, Decided, Intent, Managed, Next, Progress, Recorded, View, Words, decide};
pub use inputs::{AccessKey, Answers, Budget, Found, LinkTarget, Need, SeenVerification, Surroundings};
pub use retry::RetryPolicy;
pub use status::{Evidence, project, since};

/// What to do next.
#[derive(Debug)]
pub enum Decision<M: Asks> {
    /// Append these, then decide again.
    Record(Vec<Event>),
    /// Get this, then decide again.
    Need(M::Need),
    /// Record this; whoever wins that may send it.
    Send(M::Intent),
    /// Nothing to do until something changes.
    Rest(StatusSummary<M::Step>),
}

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSummary<S> {
    /// `.status.state`
    pub state: S,
    /// The reason of `Ready`, and of the step that holds it back.
    pub reason: Reason,
    /// What is awaited, or the command that resolves it.
    pub message: String,
    /// When to look again where no watch will tell; none where one will.
    pub requeue_after: Option<Duration>,
    /// Something to tell the user by an event that the status does not show.
    pub warning: Option<Warning>,
}

/// Told by an event of this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The reason of the event.
    pub reason: &'static str,
    /// What it says.
    pub message: String,
}

impl<S> StatusSummary<S> {
    /// Rests here until a watch tells of a change.
    pub fn new(state: S, reason: Reason, message: impl Into<String>) -> Self {
        Self { state, reason, message: message.into(), requeue_after: None, warning: None }
    }

    /// Looks again after this time.
    #[must_use]
    pub fn requeue_after(mut self, wait: Duration) -> Self {
        self.requeue_after = Some(wait);
        self
    }
}

/// Who may be sending the request of an open attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// This process, now.
    Here,
    /// This process intended it and knows that it never left.
    NeverLeft,
    /// Another process, or one that is gone. It can't be sending any more after this time, counted on
    /// this process's own clock from when it first saw the attempt: no clock is trusted across machines.
    Elsewhere {
        /// Zero once it is over.
        remaining: Duration,
    },
}

/// How an open or unknown attempt goes on: the same for all kinds.
enum Pending {
    Settle(Event),
    InFlight { message: String, requeue_after: Option<Duration> },
    Unknown { attempt: AttemptId, why: String },
}

fn pending(state: &State, sender: Sender, not_placed: Option<&str>, now: Timestamp) -> Option<Pending> {
    match &state.phase {
        Phase::Open { attempt, .. } => Some(match sender {
            Sender::NeverLeft => Pending::Settle(Event::NotProcessed {
                attempt: attempt.clone(),
                at: now,
                why: "the intent was recorded too late for the request to be sent".into(),
                retry_after: None,
            }),
            Sender::Here => Pending::InFlight { message: in_flight(attempt), requeue_after: None },
            Sender::Elsewhere { remaining } if remaining.is_zero() => Pending::Settle(Event::Unknown {
                attempt: attempt.clone(),
                at: now,
                why: "its sender stopped before it recorded an outcome".into(),
            }),
            Sender::Elsewhere { remaining } => {
                Pending::InFlight { message: in_flight(attempt), requeue_after: Some(remaining) }
            }
        }),
        Phase::Unknown { attempt, .. } if not_placed == Some(attempt.as_str()) => {
            Some(Pending::Settle(Event::NotPlaced { attempt: attempt.clone(), at: now }))
        }
        Phase::Unknown { attempt, why, .. } => {
            Some(Pending::Unknown { attempt: attempt.clone(), why: why.clone() })
        }
        _ => None,
    }
}

/// The same whoever sends: two replicas that both believe to lead would otherwise correct each other's
/// words without end.
fn in_flight(attempt: &AttemptId) -> String {
    format!("request {attempt} may be in flight: its intent is recorded, its outcome is not yet")
}

/// A value of the not-placed annotation that has no effect. The one that worked stays on the resource
/// and is not warned of.
fn stray_annotation(states: [&State; 2], not_placed: Option<&str>) -> Option<Warning> {
    let value = not_placed?;
    let is_meant = |state: &State| {
        let worked = state.not_placed.as_ref().map(AttemptId::as_str) == Some(value);
        let awaited = match &state.phase {
            Phase::Open { attempt, .. } | Phase::Unknown { attempt, .. } => attempt.as_str() == value,
            _ => false,
        };
        worked || awaited
    };
    if states.into_iter().any(is_meant) {
        return None;
    }
    let shown: String = value.chars().filter(|c| !c.is_control()).take(64).collect();
    let message = format!(
        "the annotation {} names {shown:?}, which is not an attempt whose outcome is unknown; it has no effect",
        tenios_api::NOT_PLACED_ANNOTATION
    );
    Some(Warning { reason: "AnnotationIgnored", message })
}

/// What the provider gave beside the one that counts, for the message.
fn strays(state: &State, what: &str) -> String {
    let named = state.strays.iter().fold(String::new(), |text, stray| {
        let number = stray.number.as_ref().map(|n| format!(" with number {n}")).unwrap_or_default();
        let id = if stray.id.is_empty() { "with an unknown id" } else { &stray.id };
        format!("{text}; {what} {id}{number} was also accepted, for attempt {}", stray.attempt)
    });
    match state.strays_beyond {
        0 => named,
        more => {
            format!("{named}; and {more} more, listed in the operator's log: check the TENIOS portal")
        }
    }
}

/// What was refused, by which field, and how it goes on.
fn refusal_message(refusal: &tenios_ledger::Refusal, edit: &str, next: Option<Timestamp>) -> String {
    let mut text = format!("TENIOS refused the request: {}", refusal.code);
    if !refusal.message.is_empty() {
        text = format!("{text}: {}", refusal.message);
    }
    if !refusal.fields.is_empty() {
        let spec_path = |name| match RequestField::named(name) {
            Some(field) => field.spec_path(),
            None => name,
        };
        let fields: Vec<&str> = refusal.fields.iter().map(|name| spec_path(name)).collect();
        text = format!("{text} (caused by {})", fields.join(", "));
    }
    if matches!(refusal.code.as_str(), "BAD_CREDENTIALS" | "HTTP_403") {
        let _ = write!(text, "; check the access key ({})", RequestField::AccessKey.spec_path());
    }
    match next {
        Some(at) => format!("{text}; it will be retried at {}", shown(at)),
        None => format!("{text}; change {edit} to retry"),
    }
}

fn shown(at: Timestamp) -> String {
    format!("{at:.0}")
}
