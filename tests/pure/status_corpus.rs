//! Objects as the operator leaves them: every state with every reason, shown by the projections that are shipped.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{
    PhoneNumber, PhoneNumberOrder, PhoneNumberOrderStatus, PhoneVerification, PhoneVerificationSpec,
    PhoneVerificationStatus, Reason, crd,
};
use tenios_ledger::{AttemptId, Event, Refusal, State};
use tenios_lifecycle::{StatusSummary, project};

/// The generation that the status was written for.
pub const GENERATION: i64 = 2;

/// An object and where it rests.
pub struct Recorded {
    pub kind: &'static str,
    pub state: String,
    pub reason: Reason,
    pub object: Value,
}

/// What the ledger knows by then.
#[derive(Clone, Copy)]
enum Past {
    Nothing,
    Open,
    Refused,
    NotProcessed,
    Unknown,
    Accepted,
    Numbered,
}

/// Where an order can rest.
const ORDERS: &[(OrderState, Reason, Past)] = &[
    (OrderState::Waiting, Reason::AccessKeyNotFound, Past::Nothing),
    (OrderState::Waiting, Reason::AwaitingApproval, Past::Nothing),
    (OrderState::Waiting, Reason::AwaitingLinkTarget, Past::Nothing),
    (OrderState::Waiting, Reason::AwaitingVerification, Past::Nothing),
    (OrderState::Waiting, Reason::BudgetExceeded, Past::Nothing),
    (OrderState::Waiting, Reason::Deleting, Past::Nothing),
    (OrderState::Waiting, Reason::InvalidSpec, Past::Nothing),
    (OrderState::Waiting, Reason::LedgerUnavailable, Past::Nothing),
    (OrderState::Waiting, Reason::ProviderUnavailable, Past::NotProcessed),
    (OrderState::Waiting, Reason::VerificationRejected, Past::Nothing),
    (OrderState::Ordering, Reason::Ordering, Past::Open),
    (OrderState::AwaitingNumber, Reason::AwaitingNumber, Past::Accepted),
    (OrderState::Assigned, Reason::NumberAssigned, Past::Numbered),
    (OrderState::Cancelling, Reason::Cancelling, Past::Numbered),
    (OrderState::Cancelled, Reason::Cancelled, Past::Numbered),
    (OrderState::OutcomeUnknown, Reason::OutcomeUnknown, Past::Unknown),
    (OrderState::Refused, Reason::Refused, Past::Refused),
    (OrderState::Conflict, Reason::Conflict, Past::Nothing),
    (OrderState::Conflict, Reason::Conflict, Past::Numbered),
    (OrderState::Suspended, Reason::Suspended, Past::Nothing),
];

/// Where a verification can rest.
const VERIFICATIONS: &[(VerificationState, Reason, Past)] = &[
    (VerificationState::Waiting, Reason::AccessKeyNotFound, Past::Nothing),
    (VerificationState::Waiting, Reason::Deleting, Past::Nothing),
    (VerificationState::Waiting, Reason::DocumentInvalid, Past::Nothing),
    (VerificationState::Waiting, Reason::DocumentNotFound, Past::Nothing),
    (VerificationState::Waiting, Reason::InvalidSpec, Past::Nothing),
    (VerificationState::Waiting, Reason::LedgerUnavailable, Past::Nothing),
    (VerificationState::Waiting, Reason::ProviderUnavailable, Past::NotProcessed),
    (VerificationState::Submitting, Reason::Submitting, Past::Open),
    (VerificationState::AwaitingApproval, Reason::AwaitingApproval, Past::Accepted),
    (VerificationState::AwaitingApproval, Reason::Probing, Past::Accepted),
    (VerificationState::Approved, Reason::Approved, Past::Accepted),
    (VerificationState::Rejected, Reason::Rejected, Past::Accepted),
    (VerificationState::OutcomeUnknown, Reason::OutcomeUnknown, Past::Unknown),
    (VerificationState::Refused, Reason::Refused, Past::Refused),
    (VerificationState::Conflict, Reason::Conflict, Past::Accepted),
    (VerificationState::Suspended, Reason::Suspended, Past::Nothing),
];

/// Every state and reason, as an object of the cluster.
pub fn all() -> Vec<Recorded> {
    let now = Timestamp::UNIX_EPOCH;
    let orders = ORDERS.iter().map(|&(state, reason, past)| {
        let summary = StatusSummary::new(state, reason, format!("says \"{reason}\"\nin 2 lines"));
        let status = project::<PhoneNumberOrder>(
            None,
            &past.state(),
            &summary,
            GENERATION,
            &PhoneNumberOrderStatus::default(),
            now,
        );
        recorded("PhoneNumberOrder", &json!(state), reason, &json!({"verificationId": "v1"}), &json!(status))
    });
    let verifications = VERIFICATIONS.iter().map(|&(state, reason, past)| {
        let summary = StatusSummary::new(state, reason, format!("says \"{reason}\"\nin 2 lines"));
        let spec = verification_spec(state, reason);
        let status = project::<PhoneVerification>(
            Some(&spec),
            &past.state(),
            &summary,
            GENERATION,
            &PhoneVerificationStatus::default(),
            now,
        );
        recorded("PhoneVerification", &json!(state), reason, &json!(spec), &json!(status))
    });
    orders.chain(verifications).collect()
}

fn recorded(kind: &'static str, state: &Value, reason: Reason, spec: &Value, status: &Value) -> Recorded {
    let object = json!({
        "apiVersion": "tenios.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "it", "namespace": "shop", "generation": GENERATION},
        "spec": spec,
        "status": status,
    });
    Recorded { kind, state: state.as_str().unwrap().to_owned(), reason, object }
}

fn verification_spec(state: VerificationState, reason: Reason) -> PhoneVerificationSpec {
    let approval = match (state, reason) {
        (VerificationState::Approved, _) => "Approved",
        (VerificationState::Rejected, _) => "Rejected",
        (_, Reason::Probing) => "Probe",
        _ => "Pending",
    };
    serde_json::from_value(json!({
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221",
        "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "a", "key": "b"}},
        "approval": approval,
    }))
    .unwrap()
}

impl Past {
    fn state(self) -> State {
        let attempt = || AttemptId::parse("a1").unwrap();
        let at = Timestamp::UNIX_EPOCH;
        let refusal = Refusal { code: "NO".into(), message: String::new(), fields: vec![], can_pass: true };
        let accepted = Event::Accepted { attempt: attempt(), at, id: "300000".into() };
        let number = PhoneNumber::try_from("+492211").unwrap();
        let after = match self {
            Self::Nothing => return State::default(),
            Self::Open => vec![],
            Self::Refused => vec![Event::Refused { attempt: attempt(), at, refusal }],
            Self::NotProcessed => {
                vec![Event::NotProcessed { attempt: attempt(), at, why: "refused".into(), retry_after: None }]
            }
            Self::Unknown => vec![Event::Unknown { attempt: attempt(), at, why: "reset".into() }],
            Self::Accepted => vec![accepted],
            Self::Numbered => {
                vec![accepted, Event::Assigned { attempt: attempt(), at, order_id: "300000".into(), number }]
            }
        };
        let intended = Event::Intended { attempt: attempt(), at, terms: [].into() };
        after.iter().fold(State::default().then(&intended), State::then)
    }
}

/// The schema of a kind.
pub fn schema(kind: &str) -> Value {
    let crds = serde_json::to_value(crd::all()).unwrap();
    let crd = crds.as_array().unwrap().iter().find(|crd| crd["spec"]["names"]["kind"] == kind).unwrap();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// What the CRDs list at this place of the status.
fn listed(kind: &str, path: &str) -> BTreeSet<String> {
    let schema = schema(kind);
    let words = schema.pointer(&format!("/properties/status/properties/{path}/enum")).unwrap();
    words.as_array().unwrap().iter().filter_map(|word| word.as_str().map(ToOwned::to_owned)).collect()
}

/// The CRDs' lists are the only ones that are complete by themselves.
#[test]
fn every_state_and_every_reason_of_ready_is_recorded() {
    let all = all();
    for kind in ["PhoneNumberOrder", "PhoneVerification"] {
        let seen: BTreeSet<_> = all.iter().filter(|r| r.kind == kind).map(|r| r.state.clone()).collect();
        assert_eq!(seen, listed(kind, "state"), "{kind}");
    }
    // These stand in other conditions only.
    let steady = [
        "Adopted",
        "ConfigMapForbidden",
        "ConfigMapNotOwned",
        "ConfigMapNotWritten",
        "Declared",
        "NotOrdered",
        "NotSubmitted",
        "NumberWritten",
        "Ordered",
        "ProvenByOrder",
        "Submitted",
    ];
    let mut seen: BTreeSet<_> = all.iter().map(|recorded| recorded.reason.to_string()).collect();
    assert!(steady.iter().all(|reason| !seen.contains(*reason)));
    seen.extend(steady.map(ToOwned::to_owned));
    assert_eq!(seen, listed("PhoneNumberOrder", "conditions/items/properties/reason"));
}
