//! What a resource shows, by what the ledger knows and where it rests.

use jiff::Timestamp;

use super::StatusSummary;
use super::decide::{Managed, Recorded};
use tenios_api::{Condition, ConditionStatus, ConditionType, PhoneNumber, Reason};
use tenios_ledger::{AttemptId, Phase, State};

/// What a status still shows of its resource's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The last request.
    pub attempt: Option<AttemptId>,
    /// How many there were.
    pub requests: u64,
    /// The id that TENIOS gave.
    pub id: Option<String>,
    /// The number.
    pub number: Option<PhoneNumber>,
    /// What the request was made with beside the spec, under its name in the terms.
    pub resolved: Option<(&'static str, String)>,
}

impl Evidence {
    /// Whether the ledger lacks something of it. The ledger forgets nothing by itself, so its entry was
    /// deleted and perhaps begun anew by an outcome that came later, or restored as it was before.
    pub(super) fn knows_more_than(&self, state: &State) -> bool {
        match state.accepted {
            Some(_) => self.number.is_some() && state.number.is_none() && self.id.as_deref() == state.id(),
            None if self.id.is_some() || self.number.is_some() => true,
            None => self.attempt.is_some() && (state.phase == Phase::Idle || self.requests > state.attempts),
        }
    }
}

/// The status of a resource that rests at `summary`; its spec, where that can be read. The same input gives the
/// same status, so that nothing is written where nothing changed.
#[must_use]
pub fn project<'a, M: Managed>(
    spec: Option<&M::Spec>,
    recorded: impl Into<Recorded<'a>>,
    summary: &StatusSummary<M::Step>,
    generation: i64,
    previous: &M::Status,
    now: Timestamp,
) -> M::Status {
    let recorded = recorded.into();
    let steady = M::outcome(spec, &recorded, summary);
    let ready = M::is_ready(summary.state);
    let observed = Observed { generation, previous: M::conditions(previous), now };
    let conditions = observed.conditions((summary.reason, &summary.message), ready, steady);
    // What the ledger lost and can't take back now must not be lost here, too.
    let mut status = M::known(&recorded, previous);
    M::show(&mut status, generation, summary.state, conditions);
    status
}

/// The condition that says whether a request was accepted; its reason where it was.
pub(super) fn accepted(
    type_: ConditionType,
    by_request: Reason,
    state: &State,
    reason: Reason,
) -> (ConditionType, ConditionStatus, Reason) {
    let (status, reason) = match &state.accepted {
        _ if reason == Reason::Conflict => (ConditionStatus::False, Reason::Conflict),
        Some(accepted) if accepted.attempt.is_some() => (ConditionStatus::True, by_request),
        Some(_) => (ConditionStatus::True, Reason::Adopted),
        None if reason == Reason::OutcomeUnknown => (ConditionStatus::Unknown, reason),
        None => (ConditionStatus::False, reason),
    };
    (type_, status, reason)
}

struct Observed<'a> {
    generation: i64,
    previous: &'a [Condition],
    now: Timestamp,
}

impl Observed<'_> {
    /// `Ready`, one of `Stalled` and `Reconciling`, and the steady ones.
    fn conditions(
        &self,
        (reason, message): (Reason, &str),
        ready: bool,
        steady: Vec<(ConditionType, ConditionStatus, Reason)>,
    ) -> Vec<Condition> {
        let ready_status = match reason {
            _ if ready => ConditionStatus::True,
            Reason::OutcomeUnknown => ConditionStatus::Unknown,
            _ => ConditionStatus::False,
        };
        let mut all = vec![self.condition(ConditionType::Ready, ready_status, reason, message)];
        if reason.stalls() {
            all.push(self.condition(ConditionType::Stalled, ConditionStatus::True, reason, message));
        } else if !ready && !matches!(reason, Reason::Suspended | Reason::Deleting) {
            all.push(self.condition(ConditionType::Reconciling, ConditionStatus::True, reason, message));
        }
        for (type_, status, steady_reason) in steady {
            let text = if steady_reason == reason { message } else { "" };
            all.push(self.condition(type_, status, steady_reason, text));
        }
        all
    }

    fn condition(
        &self,
        type_: ConditionType,
        status: ConditionStatus,
        reason: Reason,
        message: &str,
    ) -> Condition {
        Condition {
            type_,
            status,
            reason,
            message: reason.message(message),
            observed_generation: self.generation,
            last_transition_time: self.now,
        }
        .carried_over(self.previous)
    }
}

/// Since when a resource stands where it does: by the ledger's word where an event brought it there, else by
/// its conditions. Both outlive the process, and the ledger outlives the resource, too.
#[must_use]
pub fn since<'a>(
    recorded: impl Into<Recorded<'a>>,
    reason: Reason,
    conditions: &[Condition],
) -> Option<Timestamp> {
    let Recorded { own, follow_up } = recorded.into();
    // What else was asked for hides what the resource is for.
    let told = match (reason, &follow_up.phase, &own.phase) {
        (Reason::NumberAssigned, ..) => own.number.as_ref().map(|number| number.at),
        (Reason::AwaitingNumber | Reason::AwaitingApproval | Reason::Probing, ..) => {
            own.accepted.as_ref().map(|accepted| accepted.at)
        }
        (Reason::Cancelled, ..) => follow_up.accepted.as_ref().map(|accepted| accepted.at),
        (Reason::OutcomeUnknown, Phase::Unknown { at, .. }, _)
        | (Reason::OutcomeUnknown, _, Phase::Unknown { at, .. })
        | (Reason::Refused, Phase::Refused { at, .. }, _)
        | (Reason::Refused, _, Phase::Refused { at, .. })
        | (Reason::Cancelling, Phase::Open { at, .. }, _)
        | (Reason::Ordering | Reason::Submitting, _, Phase::Open { at, .. }) => Some(*at),
        _ => None,
    };
    let of = |type_| conditions.iter().find(|condition| condition.type_ == type_);
    told.or_else(|| {
        let shown = of(ConditionType::Stalled).or_else(|| of(ConditionType::Reconciling));
        shown.or_else(|| of(ConditionType::Ready)).map(|condition| condition.last_transition_time)
    })
}
