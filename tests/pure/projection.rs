//! What a status shows, for every step that a resource can rest at.

use jiff::Timestamp;
use rstest::rstest;
use tenios_api::ConditionStatus::{False, True, Unknown};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{
    Condition, ConditionStatus, ConditionType, PhoneNumberOrder, PhoneNumberOrderStatus, PhoneVerification,
    PhoneVerificationSpec, PhoneVerificationStatus, Reason,
};
use tenios_ledger::{AttemptId, Event, State, Terms};
use tenios_lifecycle::{StatusSummary, project};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

/// What became of the resource so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing,
    Sent,
    Placed,
    Assigned,
    Adopted,
}

fn ledger(past: Past) -> State {
    let terms = Terms::from(
        [("verificationId", "v1"), ("linkToNumber", "+49221"), ("documentDigest", "sha256:d")]
            .map(|(k, v)| (k.into(), v.into())),
    );
    let intended = Event::Intended { attempt: attempt(), at: at(-60), terms };
    let accepted = Event::Accepted { attempt: attempt(), at: at(-50), id: "300000".into() };
    let number = "+4922112345678".try_into().unwrap();
    let assigned = Event::Assigned { attempt: attempt(), at: at(-40), order_id: "300000".into(), number };
    let adopted =
        Event::Adopted { at: at(-30), id: Some("777".into()), number: None, account: None, own: false };
    let events = match past {
        Past::Nothing => vec![],
        Past::Sent => vec![intended],
        Past::Placed => vec![intended, accepted],
        Past::Assigned => vec![intended, accepted, assigned],
        Past::Adopted => vec![adopted],
    };
    events.iter().fold(State::default(), State::then)
}

use ConditionType::{Approved, Assigned, Ordered, Ready, Reconciling, Stalled, Submitted};

type Shown = Vec<(ConditionType, ConditionStatus, Reason)>;

fn shown(conditions: &[Condition]) -> Shown {
    conditions.iter().map(|c| (c.type_, c.status, c.reason)).collect()
}

#[rstest]
#[case(Past::Nothing, OrderState::Waiting, Reason::AwaitingVerification, vec![(Ready, False, Reason::AwaitingVerification), (Reconciling, True, Reason::AwaitingVerification), (Ordered, False, Reason::AwaitingVerification), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Nothing, OrderState::Suspended, Reason::Suspended, vec![(Ready, False, Reason::Suspended), (Ordered, False, Reason::Suspended), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Nothing, OrderState::Waiting, Reason::Deleting, vec![(Ready, False, Reason::Deleting), (Ordered, False, Reason::Deleting), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Sent, OrderState::Ordering, Reason::Ordering, vec![(Ready, False, Reason::Ordering), (Reconciling, True, Reason::Ordering), (Ordered, False, Reason::Ordering), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Sent, OrderState::OutcomeUnknown, Reason::OutcomeUnknown, vec![(Ready, Unknown, Reason::OutcomeUnknown), (Stalled, True, Reason::OutcomeUnknown), (Ordered, Unknown, Reason::OutcomeUnknown), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Sent, OrderState::Refused, Reason::Refused, vec![(Ready, False, Reason::Refused), (Stalled, True, Reason::Refused), (Ordered, False, Reason::Refused), (Assigned, False, Reason::NotOrdered)])]
#[case(Past::Placed, OrderState::AwaitingNumber, Reason::AwaitingNumber, vec![(Ready, False, Reason::AwaitingNumber), (Reconciling, True, Reason::AwaitingNumber), (Ordered, True, Reason::Ordered), (Assigned, False, Reason::AwaitingNumber)])]
#[case(Past::Adopted, OrderState::AwaitingNumber, Reason::AwaitingNumber, vec![(Ready, False, Reason::AwaitingNumber), (Reconciling, True, Reason::AwaitingNumber), (Ordered, True, Reason::Adopted), (Assigned, False, Reason::AwaitingNumber)])]
#[case(Past::Assigned, OrderState::Assigned, Reason::NumberAssigned, vec![(Ready, True, Reason::NumberAssigned), (Ordered, True, Reason::Ordered), (Assigned, True, Reason::NumberAssigned)])]
#[case(Past::Assigned, OrderState::Conflict, Reason::Conflict, vec![(Ready, False, Reason::Conflict), (Stalled, True, Reason::Conflict), (Ordered, False, Reason::Conflict), (Assigned, True, Reason::NumberAssigned)])]
fn an_order_shows_ready_one_of_stalled_and_reconciling_and_its_steps(
    #[case] past: Past,
    #[case] state: OrderState,
    #[case] reason: Reason,
    #[case] expected: Shown,
) {
    let known = ledger(past);
    let summary = StatusSummary::new(state, reason, "words");
    let status =
        project::<PhoneNumberOrder>(None, &known, &summary, 7, &PhoneNumberOrderStatus::default(), at(0));
    assert_eq!(shown(&status.conditions), expected);
    for condition in &status.conditions {
        // Only what this step is about says the words.
        assert_eq!(condition.message.starts_with("words"), condition.reason == reason, "{condition:?}");
        assert_eq!((condition.observed_generation, condition.last_transition_time), (7, at(0)));
    }
    let placed = matches!(past, Past::Placed | Past::Assigned).then(|| "300000".to_owned());
    let id = if past == Past::Adopted { Some("777".to_owned()) } else { placed };
    let ordered = match past {
        Past::Adopted => Some(at(-30)),
        Past::Placed | Past::Assigned => Some(at(-60)),
        _ => None,
    };
    assert_eq!((&status.order_id, status.ordered_time), (&id, ordered));
    assert_eq!((status.observed_generation, status.state), (7, Some(state)));
    assert_eq!(status.phone_number.as_deref(), (past == Past::Assigned).then_some("+4922112345678"));
    assert_eq!(status.assigned_time, (past == Past::Assigned).then(|| at(-40)));
    let requested = !matches!(past, Past::Nothing | Past::Adopted);
    assert_eq!(
        (status.requests, status.attempt.as_deref()),
        (u64::from(requested), requested.then_some("a1"))
    );
    assert_eq!(status.verification_id.as_deref(), requested.then_some("v1"));
    assert_eq!(status.link_to.as_deref(), requested.then_some("+49221"));
}

#[rstest]
#[case(Past::Nothing, "Pending", VerificationState::Waiting, Reason::DocumentNotFound, vec![(Ready, False, Reason::DocumentNotFound), (Reconciling, True, Reason::DocumentNotFound), (Submitted, False, Reason::DocumentNotFound), (Approved, False, Reason::NotSubmitted)])]
#[case(Past::Sent, "Pending", VerificationState::OutcomeUnknown, Reason::OutcomeUnknown, vec![(Ready, Unknown, Reason::OutcomeUnknown), (Stalled, True, Reason::OutcomeUnknown), (Submitted, Unknown, Reason::OutcomeUnknown), (Approved, False, Reason::NotSubmitted)])]
#[case(Past::Placed, "Pending", VerificationState::AwaitingApproval, Reason::AwaitingApproval, vec![(Ready, False, Reason::AwaitingApproval), (Reconciling, True, Reason::AwaitingApproval), (Submitted, True, Reason::Submitted), (Approved, False, Reason::AwaitingApproval)])]
#[case(Past::Placed, "Probe", VerificationState::AwaitingApproval, Reason::Probing, vec![(Ready, False, Reason::Probing), (Reconciling, True, Reason::Probing), (Submitted, True, Reason::Submitted), (Approved, False, Reason::Probing)])]
#[case(Past::Placed, "Approved", VerificationState::Approved, Reason::Approved, vec![(Ready, True, Reason::Approved), (Submitted, True, Reason::Submitted), (Approved, True, Reason::Declared)])]
#[case(Past::Placed, "Probe", VerificationState::Approved, Reason::Approved, vec![(Ready, True, Reason::Approved), (Submitted, True, Reason::Submitted), (Approved, True, Reason::ProvenByOrder)])]
#[case(Past::Adopted, "Rejected", VerificationState::Rejected, Reason::Rejected, vec![(Ready, False, Reason::Rejected), (Stalled, True, Reason::Rejected), (Submitted, True, Reason::Adopted), (Approved, False, Reason::Rejected)])]
#[case(Past::Placed, "Pending", VerificationState::Conflict, Reason::Conflict, vec![(Ready, False, Reason::Conflict), (Stalled, True, Reason::Conflict), (Submitted, False, Reason::Conflict), (Approved, False, Reason::AwaitingApproval)])]
fn a_verification_shows_the_same(
    #[case] past: Past,
    #[case] approval: &str,
    #[case] state: VerificationState,
    #[case] reason: Reason,
    #[case] expected: Shown,
) {
    let spec = serde_json::json!({
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221", "approval": approval,
        "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "d", "key": "k"}},
    });
    let spec: PhoneVerificationSpec = serde_json::from_value(spec).unwrap();
    let summary = StatusSummary::new(state, reason, "words");
    let previous = PhoneVerificationStatus::default();
    let status = project::<PhoneVerification>(Some(&spec), &ledger(past), &summary, 7, &previous, at(0));
    assert_eq!(shown(&status.conditions), expected);
    let submitted = match past {
        Past::Adopted => Some(at(-30)),
        Past::Placed => Some(at(-60)),
        _ => None,
    };
    assert_eq!(status.submitted_time, submitted);
    let requested = !matches!(past, Past::Nothing | Past::Adopted);
    assert_eq!(
        (status.requests, status.attempt.as_deref()),
        (u64::from(requested), requested.then_some("a1"))
    );
    assert_eq!(status.document_digest.as_deref(), requested.then_some("sha256:d"));
}

#[test]
fn a_condition_keeps_its_time_until_its_status_flips() {
    let known = ledger(Past::Placed);
    let waits = StatusSummary::new(OrderState::AwaitingNumber, Reason::AwaitingNumber, "words");
    let first =
        project::<PhoneNumberOrder>(None, &known, &waits, 1, &PhoneNumberOrderStatus::default(), at(0));
    let same = project::<PhoneNumberOrder>(None, &known, &waits, 1, &first, at(5));
    assert_eq!(first, same, "nothing changed, so nothing is to be written");
    let done = StatusSummary::new(OrderState::Assigned, Reason::NumberAssigned, "words");
    let next = project::<PhoneNumberOrder>(None, &ledger(Past::Assigned), &done, 1, &same, at(9));
    let time = |type_| next.conditions.iter().find(|c| c.type_ == type_).unwrap().last_transition_time;
    assert_eq!((time(Ready), time(Ordered), time(Assigned)), (at(9), at(0), at(9)));
}
