//! `spec.adopt` against what is known already.

use std::time::Duration;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};
use tenios_operator::api::{PhoneNumberOrderSpec, Reason};
use tenios_operator::ledger::{AttemptId, Claim, Event, Key, Kind, State, Terms};
use tenios_operator::lifecycle::order::{Link, Verification, View, decide};
use tenios_operator::lifecycle::{Budget, Decision, Found, Pace, Sender};

const PACE: Pace = Pace {
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

fn state(what: &str) -> State {
    let intended = Event::Intended { attempt: attempt(), at: at(-9), terms: Terms::new() };
    let placed = Event::Accepted { attempt: attempt(), at: at(-8), id: "1".into() };
    let number = NUMBER.try_into().unwrap();
    let assigned = Event::Assigned { attempt: attempt(), at: at(-7), order_id: "1".into(), number };
    let said = Event::Adopted { at: at(-7), id: Some("1".into()), number: Some(NUMBER.try_into().unwrap()) };
    let unknown = Event::Unknown { attempt: attempt(), at: at(-7), why: "w".into() };
    let events = match what {
        "nothing" => vec![],
        "in flight" => vec![intended],
        "unknown" => vec![intended, unknown],
        "placed" => vec![intended, placed],
        "assigned" => vec![intended, placed, assigned],
        "adopted" => vec![said],
        other => panic!("{other}"),
    };
    events.iter().fold(State::default(), State::then)
}

fn decided(what: &str, adopt: &Value, owner: &dyn Fn(&Claim) -> Option<Key>) -> String {
    decided_of(&state(what), adopt, owner)
}

fn decided_of(state: &State, adopt: &Value, owner: &dyn Fn(&Claim) -> Option<Key>) -> String {
    let spec: PhoneNumberOrderSpec =
        serde_json::from_value(json!({"verificationId": "v1", "adopt": adopt})).unwrap();
    let key = key("shop", "o");
    let view = View {
        key: &key,
        spec: &spec,
        status: None,
        not_placed: None,
        state,
        sender: Sender::Elsewhere { remaining: Duration::from_secs(7) },
        known_for: Duration::ZERO,
        verification: Verification::Given("v1"),
        link: Link::None,
        access_key: Some(Found::Usable(())),
        budget: Budget::Reserved,
        owner,
        pace: &PACE,
        push: true,
        now: at(0),
    };
    match decide(&view) {
        Decision::Record(events) => match events.as_slice() {
            [Event::Adopted { id, number, .. }] => {
                let number = number.as_ref().map(ToString::to_string);
                format!("records {} {}", id.as_deref().unwrap_or("-"), number.as_deref().unwrap_or("-"))
            }
            other => panic!("{other:?}"),
        },
        Decision::Rest(standing) if standing.reason == Reason::Conflict => {
            format!("conflict: {}", standing.message)
        }
        Decision::Rest(standing) => format!("{:?} again {:?}", standing.reason, standing.again),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case("nothing", json!({"orderId": "1"}), "records 1 -")]
#[case("nothing", json!({"phoneNumber": NUMBER}), "records - +492215550001")]
#[case("unknown", json!({"orderId": "1", "phoneNumber": NUMBER}), "records 1 +492215550001")]
#[case("in flight", json!({"orderId": "1"}), "Ordering again Some(7s)")]
#[case("placed", json!({"orderId": "1"}), "AwaitingNumber again None")]
#[case("placed", json!({"orderId": "1", "phoneNumber": NUMBER}), "records 1 +492215550001")]
#[case("placed", json!({"phoneNumber": NUMBER}), "records - +492215550001")]
#[case("placed", json!({"orderId": "2"}), "conflict: spec.adopt.orderId is 2, but this resource placed order 1;")]
#[case("assigned", json!({"orderId": "1", "phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case("assigned", json!({"phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case("assigned", json!({"phoneNumber": OTHER}), "conflict: spec.adopt.phoneNumber is +492215550002, but the number of this order is +492215550001;")]
#[case("assigned", json!({"orderId": "1", "phoneNumber": OTHER}), "conflict: spec.adopt.phoneNumber is +492215550002,")]
#[case("adopted", json!({"orderId": "1", "phoneNumber": NUMBER}), "NumberAssigned again None")]
#[case("adopted", json!({"orderId": "2"}), "records 2 -")]
#[case("adopted", json!({"orderId": "2", "phoneNumber": OTHER}), "records 2 +492215550002")]
#[case("adopted", json!({"orderId": "1", "phoneNumber": OTHER}), "records 1 +492215550002")]
fn p15_adoption_corrects_a_person_and_never_the_provider(
    #[case] what: &str,
    #[case] adopt: Value,
    #[case] expected: &str,
) {
    let decided = decided(what, &adopt, &|_| None);
    assert!(decided.starts_with(expected), "{what} {adopt}: {decided}");
}

#[rstest]
#[case::an_id(json!({"orderId": "1"}), Claim::OrderId("1".into()), "order id 1 belongs to ")]
#[case::a_number(json!({"phoneNumber": NUMBER}), Claim::Number(NUMBER.into()), "number +492215550001 belongs to ")]
fn p15_p22_what_another_owns_is_not_adopted_and_strangers_are_not_named(
    #[case] adopt: Value,
    #[case] claimed: Claim,
    #[case] said: &str,
) {
    let of = |owner: Key| decided("nothing", &adopt, &|claim| (*claim == claimed).then(|| owner.clone()));
    let neighbour = of(key("shop", "main"));
    assert!(neighbour.starts_with(&format!("conflict: {said}PhoneNumberOrder main already")), "{neighbour}");
    let stranger = of(key("elsewhere", "secret-name"));
    assert!(
        stranger.starts_with(&format!("conflict: {said}a PhoneNumberOrder in another namespace already")),
        "{stranger}"
    );
    assert!(!stranger.contains("secret-name") && !stranger.contains("elsewhere"), "{stranger}");
    assert!(of(key("shop", "o")).starts_with("records"), "it owns it itself");
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
    let open = history.iter().fold(state("unknown"), State::then);
    let unknown = open.clone().then(&Event::Unknown { attempt: second, at: at(-3), why: "w".into() });
    for known in [open, unknown] {
        let decided = decided_of(&known, &json!({"orderId": "1"}), &|_| None);
        assert_eq!(decided, "NumberAssigned again None", "{:?}", known.phase);
    }
}
