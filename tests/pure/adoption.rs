//! `spec.adopt` against what is known already.

use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::{PhoneNumberOrder, PhoneNumberOrderSpec, Reason};
use tenios_ledger::{Account, AttemptId, Claim, Event, Key, Kind, Rival, State, Terms, Title};
use tenios_lifecycle::order::OrderNeed;
use tenios_lifecycle::{
    AccessKey, Answers, Decision, Found, RetryPolicy, Sender, Surroundings, View, decide,
};

use crate::decision_inputs::{ALONE, KEY, NOTHING, Others, READY, Rivals, account};

const RETRY_POLICY: RetryPolicy = RetryPolicy {
    retry_min: Duration::from_secs(5),
    retry_max: Duration::from_secs(300),
    refusal_min: Duration::from_secs(600),
    refusal_max: Duration::from_secs(21_600),
};

const NUMBER: &str = "+492215550001";
const OTHER: &str = "+492215550002";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
}

/// What became of the resource so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Nothing,
    InFlight,
    Unknown,
    Placed,
    Assigned,
    Adopted,
}

fn state(past: Past) -> State {
    let intended = Event::Intended { attempt: attempt(), at: at(-9), terms: Terms::new() };
    let placed = Event::Accepted { attempt: attempt(), at: at(-8), id: "1".into() };
    let number = NUMBER.try_into().unwrap();
    let assigned = Event::Assigned { attempt: attempt(), at: at(-7), order_id: "1".into(), number };
    let said = Event::Adopted {
        at: at(-7),
        id: Some("1".into()),
        number: Some(NUMBER.try_into().unwrap()),
        account: Some(account()),
        own: true,
    };
    let unknown = Event::Unknown { attempt: attempt(), at: at(-7), why: "w".into() };
    let events = match past {
        Past::Nothing => vec![],
        Past::InFlight => vec![intended],
        Past::Unknown => vec![intended, unknown],
        Past::Placed => vec![intended, placed],
        Past::Assigned => vec![intended, placed, assigned],
        Past::Adopted => vec![said],
    };
    events.iter().fold(State::default(), State::then)
}

fn view<'a>(
    key: &'a Key,
    spec: &'a PhoneNumberOrderSpec,
    state: &'a State,
    around: &'a dyn Surroundings,
) -> View<'a, PhoneNumberOrder> {
    View {
        key,
        spec,
        generation: 1,
        deleting: false,
        status: None,
        not_placed: None,
        state,
        beside: &NOTHING,
        sender: Sender::Elsewhere { remaining: Duration::from_secs(7) },
        known_for: Duration::ZERO,
        answers: &READY,
        around,
        retry_policy: &RETRY_POLICY,
        push: true,
        now: at(0),
    }
}

fn decided(past: Past, adopt: &Value, rival: Rivals) -> String {
    decided_of(&state(past), adopt, rival)
}

fn decided_of(state: &State, adopt: &Value, rival: Rivals) -> String {
    let spec: PhoneNumberOrderSpec =
        serde_json::from_value(json!({"verificationId": "v1", "adopt": adopt})).unwrap();
    let key = key("shop", "o");
    let claimed = Others { rival: Some(rival), ..Others::default() };
    let view = view(&key, &spec, state, &claimed);
    match decide(&view) {
        Decision::Record(events) => match events.as_slice() {
            [Event::Adopted { id, number, .. }] => {
                let number = number.as_ref().map(ToString::to_string);
                format!("records {} {}", id.as_deref().unwrap_or("-"), number.as_deref().unwrap_or("-"))
            }
            other => panic!("{other:?}"),
        },
        Decision::Rest(summary) if summary.reason == Reason::Conflict => {
            format!("conflict: {}", summary.message)
        }
        Decision::Rest(summary) => format!("{:?} again {:?}", summary.reason, summary.requeue_after),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case(Past::Nothing, json!({"orderId": "1"}), "records 1 -")]
#[case(Past::Nothing, json!({"phoneNumber": NUMBER}), "records - +492215550001")]
#[case(Past::Unknown, json!({"orderId": "1", "phoneNumber": NUMBER}), "records 1 +492215550001")]
#[case(Past::InFlight, json!({"orderId": "1"}), "Ordering again Some(7s)")]
#[case(Past::Placed, json!({"orderId": "1"}), "AwaitingNumber again None")]
#[case(Past::Placed, json!({"orderId": "1", "phoneNumber": NUMBER}), "records 1 +492215550001")]
#[case(Past::Placed, json!({"phoneNumber": NUMBER}), "records - +492215550001")]
#[case(Past::Placed, json!({"orderId": "2"}), "conflict: spec.adopt.orderId is 2, but this resource placed order 1;")]
#[case(Past::Assigned, json!({"orderId": "1", "phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case(Past::Assigned, json!({"phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case(Past::Assigned, json!({"phoneNumber": OTHER}), "conflict: spec.adopt.phoneNumber is +492215550002, but the number of this order is +492215550001;")]
#[case(Past::Assigned, json!({"orderId": "1", "phoneNumber": OTHER}), "conflict: spec.adopt.phoneNumber is +492215550002,")]
#[case(Past::Adopted, json!({"orderId": "1", "phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case(Past::Adopted, json!({"orderId": "2"}), "records 2 -")]
#[case(Past::Adopted, json!({"orderId": "2", "phoneNumber": OTHER}), "records 2 +492215550002")]
#[case(Past::Adopted, json!({"orderId": "1", "phoneNumber": OTHER}), "records 1 +492215550002")]
fn p15_adoption_corrects_a_person_and_never_the_provider(
    #[case] past: Past,
    #[case] adopt: Value,
    #[case] expected: &str,
) {
    let decided = decided(past, &adopt, &|_, _| None);
    assert!(decided.starts_with(expected), "{past:?} {adopt}: {decided}");
}

#[rstest]
#[case::an_id(json!({"orderId": "1"}), Claim::OrderId("1".into()), "order id 1 is already claimed by ")]
#[case::a_number(json!({"phoneNumber": NUMBER}), Claim::Number(NUMBER.into()), "number +492215550001 is already claimed by ")]
fn p15_p22_what_another_owns_is_not_adopted_and_strangers_are_not_named(
    #[case] adopt: Value,
    #[case] claimed: Claim,
    #[case] said: &str,
) {
    let of = |owner: Key| {
        let rival = Rival { key: owner, title: Title::Adopted };
        decided(Past::Nothing, &adopt, &|bid, _| (bid.claim == claimed).then(|| rival.clone()))
    };
    let neighbour = of(key("shop", "main"));
    assert!(neighbour.starts_with(&format!("conflict: {said}PhoneNumberOrder main and")), "{neighbour}");
    let stranger = of(key("elsewhere", "secret-name"));
    assert!(
        stranger.starts_with(&format!("conflict: {said}a resource in another namespace and")),
        "{stranger}"
    );
    assert!(!stranger.contains("secret-name") && !stranger.contains("elsewhere"), "{stranger}");
}

#[test]
fn p18_an_order_that_is_known_needs_no_word_about_a_later_attempt() {
    // The first attempt was said to have placed nothing, and its push came after the second one had left.
    let second = AttemptId::parse("a2").unwrap();
    let number = NUMBER.try_into().unwrap();
    let history = [
        Event::NotPlaced { attempt: attempt(), at: at(-6) },
        Event::Intended { attempt: second.clone(), at: at(-5), terms: Terms::new() },
        Event::Assigned { attempt: attempt(), at: at(-4), order_id: "1".into(), number },
    ];
    let open = history.iter().fold(state(Past::Unknown), State::then);
    let unknown = open.clone().then(&Event::Unknown { attempt: second, at: at(-3), why: "w".into() });
    for known in [open, unknown] {
        let decided = decided_of(&known, &json!({"orderId": "1"}), &|_, _| None);
        assert_eq!(decided, "NumberAssigned again None", "{:?}", known.phase);
    }
}

#[rstest]
#[case(Past::Placed, json!(null), "AwaitingNumber again None")]
#[case(Past::Placed, json!({"orderId": "1"}), "AwaitingNumber again None")]
#[case(Past::Assigned, json!(null), "NumberAssigned again None")]
#[case(Past::Adopted, json!(null), "conflict: order id 1 is already claimed by a resource in another namespace and")]
#[case(Past::Unknown, json!({"orderId": "1"}), "conflict: order id 1 is already claimed by a resource in another namespace and")]
fn p15_p22_an_order_that_the_provider_gave_is_in_no_conflict_over_it(
    #[case] past: Past,
    #[case] adopt: Value,
    #[case] expected: &str,
) {
    let elsewhere = Rival { key: key("elsewhere", "secret-name"), title: Title::Placed };
    let decided = decided(past, &adopt, &|_, _| Some(elsewhere.clone()));
    assert!(decided.starts_with(expected), "{past:?} {adopt}: {decided}");
}

#[rstest]
#[case(Past::Placed, "elsewhere", Title::Resolved, "records - +492215550001")]
#[case(Past::Placed, "elsewhere", Title::Adopted, "records - +492215550001")]
#[case(
    Past::Placed,
    "elsewhere",
    Title::Placed,
    "conflict: number +492215550001 is already claimed by a resource in another namespace"
)]
#[case(
    Past::Placed,
    "shop",
    Title::Resolved,
    "conflict: number +492215550001 is already claimed by PhoneNumberOrder x"
)]
#[case(
    Past::Nothing,
    "elsewhere",
    Title::Resolved,
    "conflict: number +492215550001 is already claimed by a resource in another namespace"
)]
fn p15_p22_a_strangers_word_holds_up_no_order_that_the_provider_accepted(
    #[case] past: Past,
    #[case] namespace: &str,
    #[case] title: Title,
    #[case] expected: &str,
) {
    let rival = Rival { key: key(namespace, "x"), title };
    let decided = decided(past, &json!({"phoneNumber": NUMBER}), &|bid, _| {
        (bid.claim == Claim::Number(NUMBER.into())).then(|| rival.clone())
    });
    assert!(decided.starts_with(expected), "{decided}");
}

#[rstest]
#[case(Past::Nothing, Title::Adopted)]
#[case(Past::Unknown, Title::Resolved)]
#[case(Past::Placed, Title::Resolved)]
fn p15_what_is_adopted_is_claimed_by_what_backs_it(#[case] past: Past, #[case] title: Title) {
    let number = Claim::Number(NUMBER.into());
    let asked = std::cell::RefCell::new(Vec::new());
    let answer = decided(past, &json!({"orderId": "1", "phoneNumber": NUMBER}), &|bid, _| {
        asked.borrow_mut().push(bid.clone());
        None
    });
    assert_eq!(answer, "records 1 +492215550001");
    let asked = asked.into_inner();
    let bid = asked.iter().find(|bid| bid.claim == number).unwrap();
    assert_eq!((bid.title, bid.since), (title, None));
}

fn seen(
    state: &State,
    access_key: Option<Found<AccessKey>>,
    reference: &Value,
) -> Decision<PhoneNumberOrder> {
    let spec = json!({"verificationId": "v1", "adopt": {"orderId": "1"}, "accessKeySecretRef": reference});
    let spec: PhoneNumberOrderSpec = serde_json::from_value(spec).unwrap();
    let answers = Answers { access_key, ..Answers::default() };
    decide(&View { answers: &answers, ..view(&key("shop", "o"), &spec, state, ALONE) })
}

fn reads(decision: &Decision<PhoneNumberOrder>) -> bool {
    matches!(decision, Decision::Need(OrderNeed::AccessKey(_)))
}

fn recorded(decision: &Decision<PhoneNumberOrder>) -> Option<(Option<&str>, bool)> {
    let Decision::Record(events) = decision else { return None };
    let [Event::Adopted { account, own, .. }] = &events[..] else { return None };
    Some((account.as_ref().map(Account::as_str), *own))
}

#[test]
fn p15_an_adoption_belongs_to_the_account_of_the_access_key_also_where_that_cannot_be_read() {
    let (nothing, theirs) = (State::default(), json!({"name": "tenios", "key": "access-key"}));
    let missing = || Some(Found::Missing("it is not there".into()));
    assert!(reads(&seen(&nothing, None, &theirs)));
    let usable = Some(Found::Usable(KEY.clone()));
    let account = account();
    assert_eq!(recorded(&seen(&nothing, usable.clone(), &theirs)), Some((Some(account.as_str()), false)));
    assert_eq!(recorded(&seen(&nothing, usable.clone(), &Value::Null)), Some((Some(account.as_str()), true)));
    assert_eq!(recorded(&seen(&nothing, missing(), &theirs)), Some((None, false)));
    assert_eq!(recorded(&seen(&nothing, missing(), &Value::Null)), Some((None, true)));
    // The request that it resolves was sent with a key that is known already.
    assert!(recorded(&seen(&state(Past::Unknown), None, &theirs)).is_some());
    // What nobody can tell at the moment is not recorded for good.
    let unread = || Some(Found::Unread("the apiserver fails".into()));
    let Decision::Rest(summary) = seen(&nothing, unread(), &theirs) else { panic!("it does not wait") };
    assert!(summary.reason == Reason::AccessKeyNotFound && summary.requeue_after.is_some(), "{summary:?}");

    // An earlier version recorded no account: it is made up for, once.
    let event = Event::Adopted { at: at(-7), id: Some("1".into()), number: None, account: None, own: false };
    let earlier = State::default().then(&event);
    assert!(reads(&seen(&earlier, None, &theirs)));
    assert_eq!(recorded(&seen(&earlier, missing(), &theirs)), None);
    assert_eq!(recorded(&seen(&earlier, unread(), &theirs)), None);
    let Decision::Record(events) = seen(&earlier, usable.clone(), &theirs) else { panic!("it is recorded") };
    let now = events.iter().fold(earlier.clone(), State::then);
    assert_eq!((now.account.clone(), now.bids()), (Some(account), earlier.bids()));
    assert_eq!(recorded(&seen(&now, None, &theirs)), None);

    // Adopted with a key of one's own is not adopted with the operator's.
    assert!(reads(&seen(&now, None, &Value::Null)));
    let Decision::Record(events) = seen(&now, usable, &Value::Null) else { panic!("it is recorded") };
    let moved = events.iter().fold(now, State::then);
    assert!(moved.own);
    assert_eq!(recorded(&seen(&moved, None, &Value::Null)), None);
}
