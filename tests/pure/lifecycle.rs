//! Decisions: when a request may leave, and above all when not.

mod deleting;
mod references;
mod retrying;

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumber, PhoneNumberOrder, PhoneNumberOrderSpec, PhoneNumberOrderStatus, Reason};
use tenios_ledger::{AttemptId, Bid, Event, Key, Kind, Payer, Phase, Refusal, Rival, State, Terms, Title};
use tenios_lifecycle::{
    Answers, Decision, Found, Intent, RetryPolicy, Sender, StatusSummary, decide, project,
};

use crate::decision_inputs::{ALONE, NOTHING, Others, READY, account};

type View<'a> = tenios_lifecycle::View<'a, PhoneNumberOrder>;

const NOW: i64 = 1_800_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn key() -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() }
}

fn spec() -> PhoneNumberOrderSpec {
    serde_json::from_value(json!({"verificationId": "v1"})).unwrap()
}

fn terms() -> Terms {
    [("spec.verificationId", "v1"), ("verificationId", "v1"), ("spec.numberType", "GEOGRAPHICAL")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
}

static RETRY_POLICY: RetryPolicy = RetryPolicy {
    retry_min: Duration::from_secs(5),
    retry_max: Duration::from_secs(300),
    refusal_min: Duration::from_secs(600),
    refusal_max: Duration::from_secs(21_600),
};

fn view<'a>(spec: &'a PhoneNumberOrderSpec, state: &'a State, key: &'a Key) -> View<'a> {
    View {
        key,
        spec,
        generation: 1,
        deleting: false,
        status: None,
        not_placed: None,
        state,
        beside: &NOTHING,
        sender: Sender::Elsewhere { remaining: Duration::ZERO },
        known_for: Duration::ZERO,
        answers: &READY,
        around: ALONE,
        retry_policy: &RETRY_POLICY,
        push: true,
        now: at(NOW),
    }
}

fn intended() -> Event {
    Event::Intended { attempt: attempt(), at: at(NOW - 10), terms: terms() }
}

fn after(events: &[Event]) -> State {
    events.iter().fold(State::default(), State::then)
}

fn refused(code: &str, can_pass: bool) -> Event {
    let refusal = Refusal {
        code: code.into(),
        message: String::new(),
        fields: vec!["link_to_number".into()],
        can_pass,
    };
    Event::Refused { attempt: attempt(), at: at(NOW - 7), refusal }
}

fn unknown() -> Event {
    Event::Unknown { attempt: attempt(), at: at(NOW - 5), why: "reset".into() }
}

fn reason(decision: &Decision<PhoneNumberOrder>) -> Option<Reason> {
    match decision {
        Decision::Rest(summary) => Some(summary.reason),
        _ => None,
    }
}

#[test]
fn with_everything_in_place_it_sends_with_the_terms_that_it_will_be_held_to() {
    let (spec, key, mut terms) = (spec(), key(), terms());
    terms.insert("account".into(), account().to_string());
    let Decision::Send(intent) = decide(&view(&spec, &State::default(), &key)) else {
        panic!("it must send")
    };
    assert_eq!(intent.recorded(), terms);
    let fields = [("number_type", "GEOGRAPHICAL"), ("verification_id", "v1")];
    let sent: Vec<_> = intent.fields().into_iter().map(|(field, value)| (field.name(), value)).collect();
    assert_eq!(sent, fields.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn p03_an_unknown_outcome_is_never_followed_by_a_request() {
    let (spec, key, state) = (spec(), key(), after(&[intended(), unknown()]));
    let decision = decide(&view(&spec, &state, &key));
    assert_eq!(reason(&decision), Some(Reason::OutcomeUnknown));
    let Decision::Rest(summary) = decision else { unreachable!() };
    assert!(summary.message.contains("tenios.dev/not-placed=a1"), "{}", summary.message);
}

#[test]
fn p07_the_word_waits_while_a_paused_sender_could_still_send() {
    let (spec, key, state) = (spec(), key(), after(&[intended()]));
    let mut paused = view(&spec, &state, &key);
    paused.not_placed = Some("a1");
    paused.sender = Sender::Elsewhere { remaining: Duration::from_secs(3) };
    assert_eq!(reason(&decide(&paused)), Some(Reason::Ordering));
    paused.sender = Sender::Elsewhere { remaining: Duration::ZERO };
    assert!(
        matches!(decide(&paused), Decision::Record(events) if matches!(events[..], [Event::Unknown { .. }]))
    );
}

#[test]
fn p07_the_word_works_once_and_only_for_the_attempt_it_names() {
    let (spec, key, state) = (spec(), key(), after(&[intended(), unknown()]));
    let mut told = view(&spec, &state, &key);
    told.not_placed = Some("another");
    let Decision::Rest(summary) = decide(&told) else { panic!("nothing to do") };
    assert_eq!(summary.reason, Reason::OutcomeUnknown);
    assert!(summary.warning.unwrap().message.contains("another"));
    told.not_placed = Some("a1");
    let Decision::Record(events) = decide(&told) else { panic!("the word is recorded") };
    let second = Event::Intended { attempt: AttemptId::parse("a2").unwrap(), at: at(NOW), terms: terms() };
    let second_unknown =
        Event::Unknown { attempt: AttemptId::parse("a2").unwrap(), at: at(NOW), why: "reset".into() };
    let again = state.then(&events[0]).then(&second).then(&second_unknown);
    let mut told = view(&spec, &again, &key);
    told.not_placed = Some("a1");
    assert_eq!(reason(&decide(&told)), Some(Reason::OutcomeUnknown));
}

#[test]
fn p12_a_lost_ledger_is_rebuilt_from_the_status_and_never_ordered_again() {
    let (spec, key, state) = (spec(), key(), State::default());
    let with_id = PhoneNumberOrderStatus {
        order_id: Some("300000".into()),
        attempt: Some("a1".into()),
        ..Default::default()
    };
    let without = PhoneNumberOrderStatus { attempt: Some("a1".into()), ..Default::default() };
    for (status, expected) in [(with_id, Reason::AwaitingNumber), (without, Reason::OutcomeUnknown)] {
        let mut known = state.clone();
        let summary = loop {
            let mut view = view(&spec, &known, &key);
            view.status = Some(&status);
            match decide(&view) {
                Decision::Record(events) => known = events.iter().fold(known, State::then),
                Decision::Rest(summary) => break summary,
                other => panic!("it must not send: {other:?}"),
            }
        };
        assert_eq!(summary.reason, expected);
    }
}

/// As after a restore into another namespace. Its status shows what the ledger has: it must not lose the id there.
#[test]
fn p12_p15_what_a_status_knows_is_not_lost_by_a_conflict_over_it() {
    let (spec, key) = (spec(), key());
    let elsewhere = Key { namespace: "elsewhere".into(), ..key.clone() };
    let other = |_: &Bid, _: &Payer| Some(Rival { key: elsewhere.clone(), title: Title::Placed });
    for shown in [json!({"attempt": "a1", "orderId": "42"}), json!({"phoneNumber": "+49221"})] {
        let (mut known, mut status) = (State::default(), serde_json::from_value(shown).unwrap());
        for _ in 0..3 {
            let summary = loop {
                let mut view = view(&spec, &known, &key);
                view.status = Some(&status);
                let claimed = Others { rival: Some(&other), ..Others::default() };
                view.around = &claimed;
                match decide(&view) {
                    Decision::Record(events) => known = events.iter().fold(known, State::then),
                    Decision::Rest(summary) => break summary,
                    other => panic!("it must not send: {other:?}"),
                }
            };
            assert_eq!(summary.reason, Reason::Conflict);
            status = project::<PhoneNumberOrder>(None, &known, &summary, 1, &status, at(NOW));
        }
        assert!(status.order_id.is_some() || status.phone_number.is_some());
    }
}

/// Where the record fails, the next status must still show what is to be recorded.
#[test]
fn p12_a_status_keeps_what_the_ledger_lost_and_could_not_take_back() {
    let summary = StatusSummary::new(OrderState::Waiting, Reason::LedgerUnavailable, "");
    for shown in [
        json!({"attempt": "a1"}),
        json!({"attempt": "a1", "orderId": "42"}),
        json!({"phoneNumber": "+49221"}),
    ] {
        let previous: PhoneNumberOrderStatus = serde_json::from_value(shown).unwrap();
        let next = project::<PhoneNumberOrder>(None, &State::default(), &summary, 1, &previous, at(NOW));
        assert_eq!((next.state, next.observed_generation), (Some(OrderState::Waiting), 1));
        assert_eq!(next.conditions[0].reason, Reason::LedgerUnavailable);
        let kept =
            |s: &PhoneNumberOrderStatus| (s.attempt.clone(), s.order_id.clone(), s.phone_number.clone());
        assert_eq!(kept(&next), kept(&previous));
    }
}

#[test]
fn p12_an_id_that_only_the_status_knows_is_taken_back_whatever_the_entry_became() {
    let (spec, key) = (spec(), key());
    let status: PhoneNumberOrderStatus =
        serde_json::from_value(json!({"attempt": "a0", "orderId": "42"})).unwrap();
    let begun_anew = [vec![intended()], vec![intended(), unknown()], vec![intended(), refused("X", true)]];
    for events in begun_anew {
        let state = after(&events);
        let mut view = view(&spec, &state, &key);
        view.status = Some(&status);
        let Decision::Record(recorded) = decide(&view) else { panic!("{events:?}") };
        assert!(matches!(&recorded[..], [Event::Rebuilt { id: Some(id), .. }] if id == "42"));
    }
}

#[test]
fn p12_a_number_that_only_the_status_knows_is_taken_back_and_changes_nothing_else() {
    let (spec, key) = (spec(), key());
    let json = json!({"attempt": "a1", "orderId": "42", "phoneNumber": "+49221"});
    let status: PhoneNumberOrderStatus = serde_json::from_value(json).unwrap();
    let state = after(&[intended(), Event::Accepted { attempt: attempt(), at: at(NOW), id: "42".into() }]);
    let mut lost = view(&spec, &state, &key);
    lost.status = Some(&status);
    let Decision::Record(events) = decide(&lost) else { panic!("it must take it back") };
    let rebuilt = events.iter().fold(state.clone(), State::then);
    assert_eq!(rebuilt.number.as_ref().unwrap().number.as_str(), "+49221");
    assert_eq!((&rebuilt.accepted, &rebuilt.terms), (&state.accepted, &state.terms));
    let mut next = view(&spec, &rebuilt, &key);
    next.status = Some(&status);
    assert_eq!(reason(&decide(&next)), Some(Reason::NumberAssigned));
}

#[test]
fn p12_a_ledger_that_was_restored_to_before_the_last_request_does_not_order_again() {
    let (spec, key) = (spec(), key());
    let status: PhoneNumberOrderStatus =
        serde_json::from_value(json!({"attempt": "a2", "requests": 2})).unwrap();
    let mut state = after(&[intended(), refused("NUMBER_ORDER_WRONG_LINK_NUMBER", true)]);
    let summary = loop {
        let mut view = view(&spec, &state, &key);
        view.status = Some(&status);
        view.now = at(NOW + 1_000_000);
        match decide(&view) {
            Decision::Record(events) => state = events.iter().fold(state.clone(), State::then),
            Decision::Rest(summary) => break summary,
            other => panic!("it must not send: {other:?}"),
        }
    };
    assert_eq!(summary.reason, Reason::OutcomeUnknown);
    assert!(summary.message.contains("a2"), "{}", summary.message);
}

#[test]
fn p12_re_created_with_other_ordering_fields_it_conflicts_and_names_both_values() {
    let key = key();
    let accepted = Event::Accepted { attempt: attempt(), at: at(NOW), id: "300000".into() };
    let state = after(&[intended(), accepted]);
    let mut other = spec();
    other.verification_id = Some("v2".into());
    let Decision::Rest(summary) = decide(&view(&other, &state, &key)) else { panic!("it must rest") };
    assert_eq!(summary.state, OrderState::Conflict);
    assert!(summary.message.contains("v1") && summary.message.contains("v2"), "{}", summary.message);
}

#[test]
fn p15_an_order_id_that_another_owns_is_not_adopted() {
    let (key, state) = (key(), State::default());
    let mut spec = spec();
    spec.adopt = Some(serde_json::from_value(json!({"orderId": "300000"})).unwrap());
    let mut claimed = view(&spec, &state, &key);
    let other = Key { kind: Kind::Order, namespace: "shop".into(), name: "other".into() };
    let rival = |_: &Bid, _: &Payer| Some(Rival { key: other.clone(), title: Title::Adopted });
    let rivals = Others { rival: Some(&rival), ..Others::default() };
    claimed.around = &rivals;
    let Decision::Rest(summary) = decide(&claimed) else { panic!("it must rest") };
    assert_eq!(summary.reason, Reason::Conflict);
    assert!(summary.message.contains("300000") && summary.message.contains("other"));
}

fn any_state() -> impl Strategy<Value = State> {
    let event = prop_oneof![
        Just(intended()),
        Just(unknown()),
        Just(refused("X", true)),
        Just(refused("X", false)),
        Just(Event::NotPlaced { attempt: attempt(), at: at(NOW) }),
        Just(Event::Accepted { attempt: attempt(), at: at(NOW), id: "300000".into() }),
        Just(Event::NotProcessed { attempt: attempt(), at: at(NOW), why: "w".into(), retry_after: Some(9) }),
        Just(Event::Adopted { at: at(NOW), id: Some("77".into()), number: None, account: None, own: false }),
        Just(Event::Assigned {
            attempt: attempt(),
            at: at(NOW),
            order_id: "300000".into(),
            number: PhoneNumber::try_from("+49221").unwrap()
        }),
    ];
    proptest::collection::vec(event, 0..6).prop_map(|events| after(&events))
}

fn any_sender() -> impl Strategy<Value = Sender> {
    prop_oneof![
        Just(Sender::Here),
        Just(Sender::NeverLeft),
        Just(Sender::Elsewhere { remaining: Duration::ZERO }),
        Just(Sender::Elsewhere { remaining: Duration::from_secs(1) }),
    ]
}

#[test]
fn a_request_on_its_way_is_named() {
    let (spec, key, state) = (spec(), key(), after(&[intended()]));
    let mut view = view(&spec, &state, &key);
    view.sender = Sender::Elsewhere { remaining: Duration::from_secs(9) };
    let Decision::Rest(summary) = decide(&view) else { panic!("it waits") };
    assert!(summary.message.starts_with("request a1 may be in flight:"), "{}", summary.message);
    assert_eq!(summary.requeue_after, Some(Duration::from_secs(9)));
}

#[test]
fn p07_a_word_for_anything_else_is_warned_about_and_one_that_may_still_work_is_not() {
    let (spec, key) = (spec(), key());
    let unknown = after(&[intended(), unknown()]);
    let worked = unknown.clone().then(&Event::NotPlaced { attempt: attempt(), at: at(NOW) });
    let warning = |state: &State, word: &'static str| {
        let mut view = view(&spec, state, &key);
        view.not_placed = Some(word);
        view.sender = Sender::Here;
        let no_key = Answers { access_key: Some(Found::Missing("no key".into())), ..Answers::default() };
        view.answers = &no_key;
        match decide(&view) {
            Decision::Rest(summary) => summary.warning,
            other => panic!("{other:?}"),
        }
    };
    let open = after(&[intended()]);
    for (state, word, ignored) in [
        (&unknown, "a2", true),
        (&open, "a2", true),
        (&open, "a1", false),
        (&worked, "a1", false),
        (&worked, "a2", true),
    ] {
        let warning = warning(state, word);
        assert_eq!(warning.is_some(), ignored, "{word} at {:?}: {warning:?}", state.phase);
        assert!(warning.is_none_or(|told| told.message.contains(&format!("names {word:?}"))));
    }
}

proptest! {
    #[test]
    fn p01_nothing_is_sent_while_an_attempt_is_open_unknown_or_accepted(
        state in any_state(), sender in any_sender(), word in proptest::option::of("[a-c][0-2]"), suspend: bool,
    ) {
        let (mut spec, key) = (spec(), key());
        spec.suspend = suspend;
        let mut view = view(&spec, &state, &key);
        view.sender = sender;
        view.not_placed = word.as_deref();
        view.now = at(NOW + 1_000_000);
        if let Decision::Send(_) = decide(&view) {
            prop_assert!(!suspend);
            prop_assert!(state.accepted.is_none() && state.number.is_none());
            let closed = matches!(state.phase, Phase::Idle | Phase::Refused { .. } | Phase::NotProcessed { .. } | Phase::NotPlaced { .. });
            prop_assert!(closed, "{:?}", state.phase);
        }
    }

    #[test]
    fn p24_every_state_comes_to_rest_or_to_a_request_within_a_few_steps(
        state in any_state(), sender in any_sender(), word in proptest::option::of("[a-c][0-2]"),
    ) {
        let (spec, key) = (spec(), key());
        let mut state = state;
        for _ in 0..4 {
            let mut view = view(&spec, &state, &key);
            view.sender = sender;
            view.not_placed = word.as_deref();
            match decide(&view) {
                Decision::Record(events) => state = events.iter().fold(state.clone(), State::then),
                Decision::Rest(summary) => {
                    prop_assert!(!summary.message.is_empty());
                    let status = project::<PhoneNumberOrder>(None, &state, &summary, 1, &PhoneNumberOrderStatus::default(), at(NOW));
                    let again = project::<PhoneNumberOrder>(None, &state, &summary, 1, &status, at(NOW + 60));
                    prop_assert_eq!(status, again, "the projection must be stable");
                    return Ok(());
                }
                _ => return Ok(()),
            }
        }
        prop_assert!(false, "it goes round in circles: {state:?}");
    }
}
