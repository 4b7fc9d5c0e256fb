//! What becomes of a verification, step by step.

use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::digest::sha256;
use tenios_api::pdf::Document;
use tenios_api::verification::VerificationState;
use tenios_api::{PhoneVerification, PhoneVerificationSpec, PhoneVerificationStatus, Reason};
use tenios_ledger::{AttemptId, Event, Key, Kind, Refusal, State, Terms};
use tenios_lifecycle::verification::{VerificationNeed, matches_submitted};
use tenios_lifecycle::{
    Answers, Decision, Found, Intent, Managed, RetryPolicy, Sender, StatusSummary, decide, project,
};

use crate::decision_inputs::{ALONE, KEY as ACCESS_KEY, NOTHING, Others, UNASKED};

type View<'a> = tenios_lifecycle::View<'a, PhoneVerification>;

const RETRY_POLICY: RetryPolicy = RetryPolicy {
    retry_min: Duration::from_secs(5),
    retry_max: Duration::from_secs(300),
    refusal_min: Duration::from_secs(600),
    refusal_max: Duration::from_secs(21_600),
};

static KEY: std::sync::LazyLock<Key> =
    std::sync::LazyLock::new(|| Key { kind: Kind::Verification, namespace: "shop".into(), name: "v".into() });

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn spec(changes: &Value) -> PhoneVerificationSpec {
    let mut spec = json!({
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221",
        "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "d", "key": "k"}},
    });
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// What the Secrets hold, with the document of this name.
fn secrets(document: &str) -> Answers {
    let document = Document::new(format!("%PDF-1.4 {document} %%EOF").into_bytes()).unwrap();
    Answers {
        access_key: Some(Found::Usable(ACCESS_KEY.clone())),
        document: Some(Found::Usable(document)),
        budget: None,
    }
}

/// What the shipped code sends for the plain spec: what it will be held to.
fn terms() -> Terms {
    let spec = spec(&json!({}));
    match decided(&spec, &State::default(), &secrets("d"), |_| {}) {
        Decision::Send(intent) => intent.recorded(),
        other => panic!("{other:?}"),
    }
}

/// What became of the verification so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing,
    InFlight,
    Unknown,
    Refused,
    RefusedForNow,
    NotProcessed,
    Submitted,
    Adopted,
    AdoptedInFlight,
}

fn state(past: Past) -> State {
    let intended = Event::Intended { attempt: attempt(), at: at(-9), terms: terms() };
    let refused = |can_pass| {
        let refusal = Refusal { code: "CODE".into(), message: String::new(), fields: vec![], can_pass };
        Event::Refused { attempt: attempt(), at: at(-2), refusal }
    };
    let not_processed =
        Event::NotProcessed { attempt: attempt(), at: at(-2), why: "away".into(), retry_after: None };
    let events = match past {
        Past::Nothing => vec![],
        Past::InFlight => vec![intended],
        Past::Unknown => vec![intended, Event::Unknown { attempt: attempt(), at: at(-2), why: "w".into() }],
        Past::Refused => vec![intended, refused(false)],
        Past::RefusedForNow => vec![intended, refused(true)],
        Past::NotProcessed => vec![intended, not_processed],
        Past::Submitted => {
            vec![intended, Event::Accepted { attempt: attempt(), at: at(-2), id: "v1".into() }]
        }
        Past::Adopted => vec![Event::Adopted {
            at: at(-2),
            id: Some("v1".into()),
            number: None,
            account: None,
            own: false,
        }],
        Past::AdoptedInFlight => {
            vec![
                intended,
                Event::Adopted { at: at(-2), id: Some("v1".into()), number: None, account: None, own: false },
            ]
        }
    };
    events.iter().fold(State::default(), State::then)
}

fn decided<'a>(
    spec: &'a PhoneVerificationSpec,
    state: &'a State,
    answers: &'a Answers,
    change: impl FnOnce(&mut View<'a>),
) -> Decision<PhoneVerification> {
    let mut view = View {
        key: &KEY,
        spec,
        generation: 1,
        deleting: false,
        status: None,
        not_placed: None,
        state,
        beside: &NOTHING,
        sender: Sender::Elsewhere { remaining: Duration::from_secs(7) },
        known_for: Duration::from_secs(2),
        answers,
        around: ALONE,
        retry_policy: &RETRY_POLICY,
        push: true,
        now: at(0),
    };
    change(&mut view);
    decide(&view)
}

fn said(decision: Decision<PhoneVerification>) -> String {
    match decision {
        Decision::Rest(summary) => {
            let again =
                summary.requeue_after.map(|again| format!(" in {} s", again.as_secs())).unwrap_or_default();
            format!("{}{again}: {}", summary.reason, summary.message)
        }
        Decision::Record(events) => match events.as_slice() {
            [Event::Adopted { id: Some(id), .. }] => format!("adopts {id}"),
            [Event::Rebuilt { id, attempt, .. }] => format!("rebuilds {id:?} {}", attempt.is_some()),
            [other] => format!("records {other:?}"),
            other => panic!("{other:?}"),
        },
        Decision::Need(VerificationNeed::AccessKey(_)) => "reads the access key".into(),
        Decision::Need(VerificationNeed::Document(_)) => "reads the document".into(),
        Decision::Send(_) => "sends".into(),
    }
}

#[rstest]
#[case(Past::Nothing, json!({}), "reads the access key")]
#[case(Past::Nothing, json!({"suspend": true}), "Suspended: ")]
#[case(Past::Nothing, json!({"adopt": {"verificationId": "v9"}}), "adopts v9")]
#[case(Past::InFlight, json!({}), "Submitting in 7 s: request a1 may be in flight")]
#[case(Past::InFlight, json!({"adopt": {"verificationId": "v9"}}), "Submitting in 7 s: request a1 may be in flight")]
#[case(Past::Unknown, json!({}), "OutcomeUnknown: it is unknown whether verification request a1 was accepted (w)")]
#[case(Past::Unknown, json!({"adopt": {"verificationId": "v9"}}), "adopts v9")]
#[case(Past::Submitted, json!({}), "AwaitingApproval: verification v1 is submitted; once the TENIOS portal shows the approval, run: kubectl tenios approve v -n shop, or set spec.approval: Approved in its manifest")]
#[case(Past::Submitted, json!({"approval": "Approved"}), "Approved: verification v1 is approved; the document in key \"k\" of Secret \"d\" is not needed for it any more and can be deleted, unless another resource uses it")]
#[case(Past::Submitted, json!({"approval": "Probe"}), "Probing: verification v1")]
#[case(Past::Submitted, json!({"approval": "Rejected"}), "Rejected: verification v1")]
#[case(Past::Submitted, json!({"areaCode": "30"}), "Conflict: spec.areaCode is \"30\", but it was \"221\" in the submission under this name")]
#[case(Past::Submitted, json!({"adopt": {"verificationId": "v1"}}), "AwaitingApproval: ")]
#[case(Past::Submitted, json!({"adopt": {"verificationId": "v9"}}), "Conflict: spec.adopt.verificationId is v9, but this resource submitted verification v1;")]
#[case(Past::Adopted, json!({"areaCode": "30"}), "AwaitingApproval: verification v1")]
#[case(Past::Adopted, json!({"adopt": {"verificationId": "v1"}}), "AwaitingApproval: verification v1")]
#[case(Past::Adopted, json!({"adopt": {"verificationId": "v9"}}), "adopts v9")]
#[case(Past::AdoptedInFlight, json!({}), "AwaitingApproval: verification v1")]
#[case(Past::Refused, json!({}), "reads the document")]
fn each_step_does_what_it_says(#[case] past: Past, #[case] changes: Value, #[case] expected: &str) {
    let said = said(decided(&spec(&changes), &state(past), &UNASKED, |_| {}));
    assert!(said.starts_with(expected), "{past:?} {changes}: {said}");
}

#[rstest]
#[case::never(Past::Refused, json!({}), "d", "Refused in 300 s: TENIOS refused the request: CODE; change the spec or the document")]
#[case::at_the_slow_pace(Past::RefusedForNow, json!({}), "d", "Refused in 300 s: TENIOS refused the request: CODE; it will be retried at 2027-01-15T08:09:58Z")]
#[case::soon_once_edited(Past::Refused, json!({"areaCode": "30"}), "d", "Refused in 3 s: ")]
#[case::soon_with_another_document(Past::Refused, json!({}), "e", "Refused in 3 s: ")]
#[case::soon(Past::NotProcessed, json!({}), "d", "ProviderUnavailable in 3 s: the last request was not processed (away); it will be retried at 2027-01-15T08:00:03Z")]
fn p04_what_failed_is_tried_again_when_it_is_due(
    #[case] past: Past,
    #[case] changes: Value,
    #[case] document: &str,
    #[case] expected: &str,
) {
    let (spec, state) = (spec(&changes), state(past));
    let read = secrets(document);
    let early = said(decided(&spec, &state, &read, |_| {}));
    assert!(early.starts_with(expected), "{past:?} {changes}: {early}");
    let late = said(decided(&spec, &state, &read, |view| {
        (view.now, view.known_for) = (at(601), Duration::from_secs(603));
    }));
    assert_eq!(late == "sends", !expected.contains("change the spec"), "{past:?} {changes}: {late}");
}

const PROVEN: &Others = &Others { verification: None, orders: &[], number: None, rival: None, proven: true };

#[test]
fn a_proven_one_is_approved_unless_somebody_says_rejected() {
    for (approval, expected) in
        [("Pending", "Approved: "), ("Probe", "Approved: "), ("Rejected", "Rejected: ")]
    {
        let spec = spec(&json!({"approval": approval}));
        let said = said(decided(&spec, &state(Past::Submitted), &UNASKED, |view| view.around = PROVEN));
        assert!(said.starts_with(expected), "{approval}: {said}");
    }
}

#[test]
fn p12_what_is_recorded_of_a_submission_is_what_is_sent() {
    let spec = spec(
        &json!({"address": {"country": "Germany", "city": " Ko\u{308}ln", "zip": "50667", "street": "Domkloster\n", "houseNumber": "4"}}),
    );
    let Decision::Send(intent) = decided(&spec, &State::default(), &secrets("d"), |_| {}) else {
        panic!("it must send")
    };
    let fields: Vec<_> =
        intent.fields().into_iter().map(|(field, value)| format!("{}={value}", field.name())).collect();
    let expected = ["country=Germany", "city=Köln", "zip=50667", "street=Domkloster", "house_number=4"];
    assert_eq!(fields[..5], expected);
    assert_eq!(fields[5..], ["document_type=CERTIFICATE_OF_REGISTRATION", "area_code=221"]);
    let (recorded, (field, document)) = (intent.recorded(), intent.document().unwrap());
    assert_eq!((field.name(), &recorded["documentDigest"]), ("document_data", &sha256(document.bytes())));
    let sent = json!(["Germany", "Köln", "50667", "Domkloster", "4"]).to_string();
    assert_eq!(recorded["spec.address"], sha256(sent.as_bytes()));
}

#[test]
fn p12_what_the_status_knows_comes_back_into_the_ledger() {
    let read = |past: Past, status: Value| {
        let status: PhoneVerificationStatus = serde_json::from_value(status).unwrap();
        let (spec, state) = (spec(&json!({})), state(past));
        said(decided(&spec, &state, &UNASKED, |view| view.status = Some(&status)))
    };
    let shown = json!({"attempt": "a1", "verificationId": "v1", "requests": 1});
    assert_eq!(read(Past::Nothing, shown.clone()), "rebuilds Some(\"v1\") true");
    assert!(read(Past::Submitted, shown).starts_with("AwaitingApproval"));
    assert_eq!(read(Past::Nothing, json!({"attempt": "a1"})), "rebuilds None true");
    assert_eq!(read(Past::Nothing, json!({"verificationId": ""})), "reads the access key");
}

#[test]
fn only_what_was_submitted_stands_for_its_spec() {
    let submitted = state(Past::Submitted);
    assert!(matches_submitted(&spec(&json!({})), &submitted));
    assert!(!matches_submitted(&spec(&json!({"areaCode": "30"})), &submitted));
    let other = json!({"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "5"});
    assert!(!matches_submitted(&spec(&json!({"address": other})), &submitted));
    // Another key may pay for it; it is the same document.
    let key = json!({"accessKeySecretRef": {"name": "a", "key": "b"}});
    assert!(matches_submitted(&spec(&key), &submitted));
}

#[test]
fn p21_a_conflict_names_the_part_of_the_address_that_differs_and_neither_digest_nor_address() {
    let address = |part: &str, text: &str| {
        let mut spec = serde_json::to_value(spec(&json!({}))).unwrap();
        spec["address"][part] = text.into();
        serde_json::from_value::<PhoneVerificationSpec>(spec).unwrap()
    };
    let submitted = state(Past::Submitted);
    let mut of_an_earlier_version = submitted.clone();
    of_an_earlier_version.terms.retain(|name, _| name.starts_with("spec."));
    let parts = [
        ("city", "Bonn"),
        ("zip", "50668"),
        ("street", "Am Hof"),
        ("houseNumber", "5"),
        ("country", "Austria"),
    ];
    for (part, text) in parts {
        let spec = address(part, text);
        let now = said(decided(&spec, &submitted, &UNASKED, |_| {}));
        let expected =
            format!("Conflict: spec.address.{part} differs from what was submitted under this name; ");
        assert!(now.starts_with(&expected), "{part}: {now}");
        let before = said(decided(&spec, &of_an_earlier_version, &UNASKED, |_| {}));
        assert!(before.starts_with("Conflict: spec.address differs from what"), "{part}: {before}");
        for message in [now, before] {
            assert!(!message.contains("sha256") && !message.contains(text), "{part}: {message}");
        }
    }
    // Next to nothing is recorded of each part: a digest of a house number would be as good as the number.
    let beside: usize =
        submitted.terms.iter().filter(|(name, _)| name.contains("address")).map(|(_, v)| v.len()).sum();
    assert_eq!(beside, "sha256:".len() + 64 + 5);
}

#[test]
fn what_was_adopted_needs_no_word_about_the_request_before() {
    let open = Event::Intended { attempt: AttemptId::parse("a2").unwrap(), at: at(-1), terms: terms() };
    let said = said(decided(&spec(&json!({})), &state(Past::Submitted).then(&open), &UNASKED, |_| {}));
    assert!(said.starts_with("AwaitingApproval: verification v1"), "{said}");
}

#[test]
fn p12_a_status_keeps_what_the_ledger_lost_and_could_not_take_back() {
    let shown = json!({"attempt": "a1", "verificationId": "v1", "requests": 1});
    let previous: PhoneVerificationStatus = serde_json::from_value(shown).unwrap();
    let summary = StatusSummary::new(VerificationState::Waiting, Reason::LedgerUnavailable, "");
    let next = project::<PhoneVerification>(None, &State::default(), &summary, 7, &previous, at(0));
    assert_eq!((next.state, next.observed_generation), (Some(VerificationState::Waiting), 7));
    assert_eq!(next.conditions[0].reason, Reason::LedgerUnavailable);
    assert_eq!((next.attempt.as_deref(), next.verification_id.as_deref()), (Some("a1"), Some("v1")));
}

/// The digest of the address as version 0.1.0 recorded it: of what was written.
fn recorded_as_written(address: &Value) -> State {
    let parts: Vec<&Value> =
        ["country", "city", "zip", "street", "houseNumber"].iter().map(|part| &address[part]).collect();
    let mut terms = terms();
    terms.insert("spec.address".into(), sha256(json!(parts).to_string()));
    let intended = Event::Intended { attempt: attempt(), at: at(-9), terms };
    let accepted = Event::Accepted { attempt: attempt(), at: at(-2), id: "v1".into() };
    [intended, accepted].iter().fold(State::default(), State::then)
}

#[rstest]
#[case::as_it_was(json!({}), json!({}), true)]
#[case::decomposed_as_it_was(json!({"city": "Ko\u{308}ln"}), json!({"city": "Ko\u{308}ln"}), true)]
#[case::decomposed_before(json!({"city": "Ko\u{308}ln"}), json!({"city": "K\u{f6}ln"}), true)]
#[case::decomposed_now(json!({"city": "K\u{f6}ln"}), json!({"city": "Ko\u{308}ln"}), true)]
#[case::a_block(json!({"street": "Domkloster\n"}), json!({"street": "Domkloster\n"}), true)]
#[case::a_block_now(json!({}), json!({"street": "Domkloster\n"}), true)]
#[case::a_block_of_decomposed(json!({"city": "Ko\u{308}ln\n"}), json!({"city": "Ko\u{308}ln\n"}), true)]
#[case::within(json!({"street": "Dom\tkloster"}), json!({"street": "Dom\tkloster"}), true)]
#[case::deutschland_as_it_was(json!({"country": "Deutschland"}), json!({"country": "Deutschland"}), true)]
#[case::deutschland_before(json!({"country": "Deutschland"}), json!({"country": "Germany"}), true)]
#[case::code_before(json!({"country": "DE", "city": "Ko\u{308}ln"}), json!({"country": "Germany"}), true)]
#[case::austria_before(json!({"country": "Austria"}), json!({"country": "Germany"}), false)]
#[case::another_street(json!({}), json!({"street": "Domklosters"}), false)]
#[case::another_letter(json!({"city": "Ko\u{308}ln"}), json!({"city": "Koln"}), false)]
fn p12_an_address_recorded_as_it_was_written_is_the_same_for_this_version(
    #[case] then: Value,
    #[case] now: Value,
    #[case] same: bool,
) {
    let address = |changes: Value| {
        let mut address = json!(spec(&json!({})).address);
        address.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        address
    };
    let (spec, state) = (spec(&json!({"address": address(now)})), recorded_as_written(&address(then)));
    let said = said(decided(&spec, &state, &UNASKED, |_| {}));
    assert_eq!(
        (matches_submitted(&spec, &state), said.starts_with("AwaitingApproval")),
        (same, same),
        "{said}"
    );
}

/// An upgrade is no edit: it makes nothing try again that was refused for good.
#[test]
fn p04_a_refused_address_recorded_as_it_was_written_is_not_edited() {
    let decomposed = json!({"country": "Germany", "city": "Ko\u{308}ln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"});
    let mut state = recorded_as_written(&decomposed);
    let refusal = Refusal { code: "CODE".into(), message: String::new(), fields: vec![], can_pass: false };
    state.accepted = None;
    state.phase = tenios_ledger::Phase::Refused { attempt: attempt(), at: at(-2), refusal };
    let spec = spec(&json!({"address": decomposed}));
    let said = said(decided(&spec, &state, &secrets("d"), |_| {}));
    assert!(said.contains("change the spec or the document"), "{said}");
}

#[rstest]
#[case(Past::Nothing, "Deleting: the resource is being deleted; nothing is sent")]
#[case(Past::Refused, "Deleting: ")]
#[case(Past::RefusedForNow, "Deleting: ")]
#[case(Past::NotProcessed, "Deleting: ")]
#[case(Past::InFlight, "Submitting in 7 s: ")]
#[case(Past::Unknown, "OutcomeUnknown: ")]
#[case(Past::Submitted, "AwaitingApproval: verification v1 is submitted;")]
fn p25_no_document_is_read_or_sent_for_what_is_being_deleted(#[case] past: Past, #[case] expected: &str) {
    let (spec, state) = (spec(&json!({})), state(past));
    for answers in [Answers::default(), secrets("d")] {
        let said = said(decided(&spec, &state, &answers, |view| view.deleting = true));
        assert!(said.starts_with(expected), "{past:?}: {said}");
    }
}

#[test]
fn the_day_until_which_a_document_is_valid_is_nobodys_reason_to_send_or_to_stop() {
    let valid = |date: &str| {
        let mut spec = spec(&json!({}));
        spec.document.valid_until = Some(date.parse().unwrap());
        spec
    };
    let long_over = valid("2001-01-01");
    assert_eq!(
        said(decided(&long_over, &State::default(), &secrets("d"), |_| {})),
        "sends",
        "only its user knows what it is good for"
    );
    // Set after the submission, and after a refusal, which it is no edit for.
    for (past, expected) in [(Past::Submitted, "AwaitingApproval: "), (Past::Refused, "Refused in 300 s: ")] {
        let state = state(past);
        let said = said(decided(&long_over, &state, &secrets("d"), |_| {}));
        assert!(said.starts_with(expected), "{past:?}: {said}");
        assert!(matches_submitted(&long_over, &state));
    }
    let step = VerificationState::AwaitingApproval;
    let ends = |date| PhoneVerification::expires(&valid(date), step).map(|end| end.to_string());
    assert_eq!(ends("2028-02-29").as_deref(), Some("2028-03-01T00:00:00Z"), "it is the last day");
    assert_eq!(ends("9999-12-31"), None, "there is no day after it");
    let rejected = PhoneVerification::expires(&valid("2028-02-29"), VerificationState::Rejected);
    assert_eq!(rejected, None, "of a document that TENIOS rejected nobody has to know");
}
