//! What to do next and what to show, for each kind: pure functions of the spec, the ledger's state, the
//! surroundings and the time. No client, no clock, no I/O.
//!
//! `decide` is asked again after everything that it asked for was done, until it rests. `project` turns
//! where it rests into `.status`.

mod adoption;
pub mod order;
mod order_status;
mod retry;
pub mod verification;
mod verification_status;

use std::time::Duration;

use jiff::Timestamp;

use crate::api::{
    Condition, ConditionStatus, ConditionType, PhoneNumber, PhoneNumberOrderStatus, PhoneVerificationStatus,
    Reason,
};
use crate::ledger::{AttemptId, Bid, Event, Payer, Phase, Rival, State, Terms};

pub use adoption::also_claimed;
pub use order_status::project as project_order;
pub use retry::Pace;
pub use verification_status::project as project_verification;

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision<S> {
    /// Append these, then decide again.
    Record(Vec<Event>),
    /// Read the Secrets that the spec names, then decide again.
    ReadSecrets,
    /// Ask for a place in the budgets of its namespace and of who pays, then decide again.
    Reserve(Payer),
    /// Record the intent with these terms; whoever wins that may send the request.
    Send(Terms),
    /// Nothing to do until something changes.
    Rest(Standing<S>),
}

/// Where a resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<S> {
    /// `.status.state`
    pub state: S,
    /// The reason of `Ready`, and of the step that holds it back.
    pub reason: Reason,
    /// What is awaited, or the command that resolves it.
    pub message: String,
    /// When to look again where no watch will tell; none where one will.
    pub again: Option<Duration>,
    /// Something to tell the user by an event that the status does not show.
    pub remark: Option<Remark>,
}

/// Told by an event of this reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The reason of the event.
    pub reason: &'static str,
    /// What it says.
    pub words: String,
}

impl<S> Standing<S> {
    /// Rests here until a watch tells of a change.
    pub fn new(state: S, reason: Reason, message: impl Into<String>) -> Self {
        Self { state, reason, message: message.into(), again: None, remark: None }
    }

    /// Looks again after this time.
    #[must_use]
    pub fn again_in(mut self, wait: Duration) -> Self {
        self.again = Some(wait);
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

/// What reading a Secret brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there and usable.
    Usable(T),
    /// The Secret or the key is not there, or may not be read.
    Missing(String),
    /// It is there and can't be used.
    Invalid(String),
}

impl<T> Found<T> {
    /// The same about a part of it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Usable(value) => Found::Usable(f(value)),
            Self::Missing(why) => Found::Missing(why),
            Self::Invalid(why) => Found::Invalid(why),
        }
    }

    /// Without taking it.
    pub fn as_ref(&self) -> Found<&T> {
        match self {
            Self::Usable(value) => Found::Usable(value),
            Self::Missing(why) => Found::Missing(why.clone()),
            Self::Invalid(why) => Found::Invalid(why.clone()),
        }
    }
}

/// The answer to [`Decision::Reserve`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budget {
    /// Not asked yet.
    NotAsked,
    /// A place is reserved.
    Reserved,
    /// None is free.
    Exceeded {
        /// Whose budget: `this namespace` or `the operator`.
        whose: &'static str,
        /// When one gets free.
        until: Timestamp,
    },
}

/// Who comes before this one with a claim.
pub type Rivals<'a> = &'a dyn Fn(&Bid, &Payer) -> Option<Rival>;

/// How an open or unknown attempt goes on: the same for both kinds.
enum Pending {
    Settle(Event),
    InFlight { message: String, again: Option<Duration> },
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
            Sender::Here => Pending::InFlight { message: in_flight(attempt), again: None },
            Sender::Elsewhere { remaining } if remaining.is_zero() => Pending::Settle(Event::Unknown {
                attempt: attempt.clone(),
                at: now,
                why: "its sender stopped before it recorded an outcome".into(),
            }),
            Sender::Elsewhere { remaining } => {
                Pending::InFlight { message: in_flight(attempt), again: Some(remaining) }
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

/// What a status still shows of its resource's requests.
struct Memory<'a> {
    attempt: bool,
    requests: u64,
    id: Option<&'a str>,
    number: bool,
}

impl<'a> Memory<'a> {
    fn of_order(status: &'a PhoneNumberOrderStatus) -> Self {
        Self {
            attempt: status.attempt.as_deref().and_then(AttemptId::parse).is_some(),
            requests: status.requests,
            id: status.order_id.as_deref().filter(|id| !id.is_empty()),
            number: status.phone_number.as_deref().is_some_and(|n| PhoneNumber::try_from(n).is_ok()),
        }
    }

    fn of_verification(status: &'a PhoneVerificationStatus) -> Self {
        Self {
            attempt: status.attempt.as_deref().and_then(AttemptId::parse).is_some(),
            requests: status.requests,
            id: status.verification_id.as_deref().filter(|id| !id.is_empty()),
            number: false,
        }
    }

    /// Whether the ledger lacks something of it. The ledger forgets nothing by itself, so its entry was
    /// deleted and perhaps begun anew by an outcome that came later, or restored as it was before.
    fn exceeds(&self, state: &State) -> bool {
        match state.accepted {
            Some(_) => self.number && state.number.is_none() && self.id == state.id(),
            None if self.id.is_some() || self.number => true,
            None => self.attempt && (state.phase == Phase::Idle || self.requests > state.attempts),
        }
    }
}

/// A resource that is being deleted and for which nothing was placed.
const DELETING: &str = "is being deleted: nothing is sent";

/// The same whoever sends: two replicas that both believe to lead would otherwise correct each other's
/// words without end.
fn in_flight(attempt: &AttemptId) -> String {
    format!("request {attempt} was intended; its outcome is not recorded yet, and it may still be on its way")
}

/// A value of the not-placed annotation that has no effect. The one that worked stays on the resource
/// and is not remarked on.
fn stray_annotation(state: &State, not_placed: Option<&str>) -> Option<Remark> {
    let value = not_placed?;
    let worked = state.not_placed.as_ref().map(AttemptId::as_str) == Some(value);
    let awaited = match &state.phase {
        Phase::Open { attempt, .. } | Phase::Unknown { attempt, .. } => attempt.as_str() == value,
        _ => false,
    };
    if worked || awaited {
        return None;
    }
    let shown: String = value.chars().filter(|c| !c.is_control()).take(64).collect();
    let words = format!(
        "the annotation {} names {shown:?}, which is not an attempt whose outcome is unknown; it has no effect",
        crate::api::NOT_PLACED_ANNOTATION
    );
    Some(Remark { reason: "AnnotationIgnored", words })
}

/// What the provider gave beside the one that counts, for the message.
fn strays(state: &State, what: &str) -> String {
    let named = state.strays.iter().fold(String::new(), |text, stray| {
        let number = stray.number.as_ref().map(|n| format!(" with number {n}")).unwrap_or_default();
        let id = if stray.id.is_empty() { "of an unknown id" } else { &stray.id };
        format!("{text}; {what} {id}{number} was also placed, by attempt {}", stray.attempt)
    });
    match state.strays_beyond {
        0 => named,
        more => {
            format!("{named}; and {more} more, which are in the operator's log: check the TENIOS portal")
        }
    }
}

/// The conditions of both kinds, from the steady ones in between.
fn conditions(
    standing: (Reason, &str),
    ready: bool,
    steady: [(ConditionType, ConditionStatus, Reason); 2],
    generation: i64,
    previous: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let (reason, message) = standing;
    let make = |type_, status, reason: Reason, message: &str| {
        Condition {
            type_,
            status,
            reason,
            message: reason.message(message),
            observed_generation: generation,
            last_transition_time: now,
        }
        .carried_over(previous)
    };
    let ready_status = match reason {
        _ if ready => ConditionStatus::True,
        Reason::OutcomeUnknown => ConditionStatus::Unknown,
        _ => ConditionStatus::False,
    };
    let mut all = vec![make(ConditionType::Ready, ready_status, reason, message)];
    if reason.stalls() {
        all.push(make(ConditionType::Stalled, ConditionStatus::True, reason, message));
    } else if !ready && !matches!(reason, Reason::Suspended | Reason::Deleting) {
        all.push(make(ConditionType::Reconciling, ConditionStatus::True, reason, message));
    }
    for (type_, status, steady_reason) in steady {
        let text = if steady_reason == reason { message } else { "" };
        all.push(make(type_, status, steady_reason, text));
    }
    all
}

/// Since when a resource stands where it does: by the ledger's word where an event brought it there, else by
/// its conditions. Both outlive the process, and the ledger outlives the resource, too.
#[must_use]
pub fn since(state: &State, reason: Reason, conditions: &[Condition]) -> Option<Timestamp> {
    let told = match (reason, &state.phase) {
        (Reason::NumberAssigned, _) => state.number.as_ref().map(|number| number.at),
        (Reason::AwaitingNumber | Reason::AwaitingApproval | Reason::Probing, _) => {
            state.accepted.as_ref().map(|accepted| accepted.at)
        }
        (Reason::OutcomeUnknown, Phase::Unknown { at, .. })
        | (Reason::Refused, Phase::Refused { at, .. })
        | (Reason::Ordering | Reason::Submitting, Phase::Open { at, .. }) => Some(*at),
        _ => None,
    };
    let of = |type_| conditions.iter().find(|condition| condition.type_ == type_);
    told.or_else(|| {
        let shown = of(ConditionType::Stalled).or_else(|| of(ConditionType::Reconciling));
        shown.or_else(|| of(ConditionType::Ready)).map(|condition| condition.last_transition_time)
    })
}

/// `request_field` → the field of the spec that it was made from.
fn spec_field(request_field: &str) -> &str {
    match request_field {
        "number_type" => "spec.numberType",
        "verification_id" => "spec.verificationRef or spec.verificationId",
        "link_to_number" => "spec.linkTo",
        "push_url" | "push_secret" => "the operator's --push-base-url and --push-key-file",
        "access_key" => "spec.accessKeySecretRef, or the operator's --access-key-file",
        "country" => "spec.address.country",
        "city" => "spec.address.city",
        "zip" => "spec.address.zip",
        "street" => "spec.address.street",
        "house_number" => "spec.address.houseNumber",
        "area_code" => "spec.areaCode",
        "document_type" => "spec.document.type",
        "document_data" => "spec.document.secretRef",
        other => other,
    }
}

/// What was refused, by which field, and how it goes on.
fn refusal_message(refusal: &crate::ledger::Refusal, mend: &str, next: Option<Timestamp>) -> String {
    let mut text = format!("TENIOS refused the request: {}", refusal.code);
    if !refusal.message.is_empty() {
        text = format!("{text}: {}", refusal.message);
    }
    if !refusal.fields.is_empty() {
        let fields: Vec<&str> = refusal.fields.iter().map(|f| spec_field(f)).collect();
        text = format!("{text} (caused by {})", fields.join(", "));
    }
    if matches!(refusal.code.as_str(), "BAD_CREDENTIALS" | "HTTP_403") {
        text.push_str(
            "; check the access key (spec.accessKeySecretRef, or the operator's --access-key-file)",
        );
    }
    match next {
        Some(at) => format!("{text}; tried again at {}", shown(at)),
        None => format!("{text}; change {mend} to try again"),
    }
}

fn shown(at: Timestamp) -> String {
    format!("{at:.0}")
}
