//! What a `PhoneVerification` shows.

use jiff::Timestamp;

use super::{Memory, Standing, conditions};
use crate::api::verification::{Approval, VerificationState};
use crate::api::{ConditionStatus, ConditionType, PhoneVerificationSpec, PhoneVerificationStatus, Reason};
use crate::ledger::{State, terms};

/// The status of a verification that rests at `standing`. The same input gives the same status, so that
/// nothing is written where nothing changed.
#[must_use]
pub fn project(
    spec: Option<&PhoneVerificationSpec>,
    state: &State,
    standing: &Standing<VerificationState>,
    generation: i64,
    previous: &PhoneVerificationStatus,
    now: Timestamp,
) -> PhoneVerificationStatus {
    let accepted = state.accepted.as_ref();
    let submitted = match accepted {
        _ if standing.reason == Reason::Conflict => (ConditionStatus::False, Reason::Conflict),
        Some(accepted) if accepted.attempt.is_some() => (ConditionStatus::True, Reason::Submitted),
        Some(_) => (ConditionStatus::True, Reason::Adopted),
        None if standing.reason == Reason::OutcomeUnknown => {
            (ConditionStatus::Unknown, Reason::OutcomeUnknown)
        }
        None => (ConditionStatus::False, standing.reason),
    };
    let approval = spec.map_or(Approval::Pending, |s| s.approval);
    let approved = match (standing.state, approval) {
        (VerificationState::Approved, Approval::Approved) => (ConditionStatus::True, Reason::Declared),
        (VerificationState::Approved, _) => (ConditionStatus::True, Reason::ProvenByOrder),
        (_, _) if accepted.is_none() => (ConditionStatus::False, Reason::NotSubmitted),
        (VerificationState::Rejected, _) => (ConditionStatus::False, Reason::Rejected),
        (_, Approval::Probe) => (ConditionStatus::False, Reason::Probing),
        (_, _) => (ConditionStatus::False, Reason::AwaitingApproval),
    };
    let next = PhoneVerificationStatus {
        observed_generation: generation,
        state: Some(standing.state),
        verification_id: state.id().map(ToOwned::to_owned),
        requests: state.attempts,
        attempt: state.attempt().map(ToString::to_string),
        submitted_time: accepted.map(|a| a.at),
        document_digest: state.terms.get(terms::DOCUMENT_DIGEST).cloned(),
        conditions: conditions(
            (standing.reason, &standing.message),
            standing.state == VerificationState::Approved,
            [
                (ConditionType::Submitted, submitted.0, submitted.1),
                (ConditionType::Approved, approved.0, approved.1),
            ],
            generation,
            &previous.conditions,
            now,
        ),
    };
    if Memory::of_verification(previous).exceeds(state) {
        // The ledger lost this and can't take it back now. It must not be lost here, too.
        let PhoneVerificationStatus { observed_generation, state, conditions, .. } = next;
        return PhoneVerificationStatus { observed_generation, state, conditions, ..previous.clone() };
    }
    next
}
