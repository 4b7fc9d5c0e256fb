//! What a `PhoneNumberOrder` shows.

use jiff::Timestamp;

use super::{Memory, Standing, conditions};
use crate::api::order::OrderState;
use crate::api::{ConditionStatus, ConditionType, PhoneNumberOrderStatus, Reason};
use crate::ledger::{State, terms};

/// The status of an order that rests at `standing`. The same input gives the same status, so that
/// nothing is written where nothing changed.
#[must_use]
pub fn project(
    state: &State,
    standing: &Standing<OrderState>,
    generation: i64,
    previous: &PhoneNumberOrderStatus,
    now: Timestamp,
) -> PhoneNumberOrderStatus {
    let accepted = state.accepted.as_ref();
    let ordered = match accepted {
        _ if standing.reason == Reason::Conflict => (ConditionStatus::False, Reason::Conflict),
        Some(accepted) if accepted.attempt.is_some() => (ConditionStatus::True, Reason::Ordered),
        Some(_) => (ConditionStatus::True, Reason::Adopted),
        None if standing.reason == Reason::OutcomeUnknown => {
            (ConditionStatus::Unknown, Reason::OutcomeUnknown)
        }
        None => (ConditionStatus::False, standing.reason),
    };
    let assigned = match (standing.state, accepted) {
        (OrderState::Assigned, _) => (ConditionStatus::True, Reason::NumberAssigned),
        (_, Some(_)) if state.number.is_none() => (ConditionStatus::False, Reason::AwaitingNumber),
        (_, Some(_)) => (ConditionStatus::True, Reason::NumberAssigned),
        (_, None) => (ConditionStatus::False, Reason::NotOrdered),
    };
    let next = PhoneNumberOrderStatus {
        observed_generation: generation,
        state: Some(standing.state),
        requests: state.attempts,
        attempt: state.attempt().map(ToString::to_string),
        verification_id: state.terms.get(terms::VERIFICATION_ID).cloned(),
        link_to: state.terms.get(terms::LINK_NUMBER).cloned(),
        order_id: state.id().map(ToOwned::to_owned),
        phone_number: state.number.as_ref().map(|n| n.number.to_string()),
        ordered_time: accepted.map(|a| a.at),
        assigned_time: state.number.as_ref().map(|n| n.at),
        conditions: conditions(
            (standing.reason, &standing.message),
            standing.state == OrderState::Assigned,
            [
                (ConditionType::Ordered, ordered.0, ordered.1),
                (ConditionType::Assigned, assigned.0, assigned.1),
            ],
            generation,
            &previous.conditions,
            now,
        ),
    };
    if Memory::of_order(previous).exceeds(state) {
        // The ledger lost this and can't take it back now. It must not be lost here, too.
        let PhoneNumberOrderStatus { observed_generation, state, conditions, .. } = next;
        return PhoneNumberOrderStatus { observed_generation, state, conditions, ..previous.clone() };
    }
    next
}
