//! What a person or a status tells of a cancellation, and what is shown.

use tenios_api::order::CancellationStatus;
use tenios_api::{ConditionStatus, ConditionType};

use super::*;

fn done() -> Value {
    json!({"cancel": {"phoneNumber": NUMBER, "done": "2027-01-31"}})
}

#[test]
fn p16_a_person_says_that_it_is_cancelled_and_nothing_is_sent() {
    for events in [vec![], vec![intended(), unknown()], vec![intended(), refused(false)]] {
        let (of, event) = records(Given::new(&done(), &events).decide());
        assert_eq!(of, Kind::Cancellation);
        let Event::Adopted { id, number: said, .. } = &event else { panic!("{event:?}") };
        assert_eq!((id.as_deref(), said), (Some("2027-01-31"), &Some(number(NUMBER))));
        let given = Given::new(&done(), &[events, vec![event]].concat());
        let status = given.shown();
        assert_eq!(status.state, Some(OrderState::Cancelled));
        assert_eq!(status.cancellation_date.as_deref(), Some("2027-01-31"));
        assert_eq!(status.phone_number.as_deref(), Some(NUMBER));
    }
}

#[test]
fn p16_the_date_that_tenios_gave_stands_against_another_word_and_a_word_is_corrected() {
    let given = Given::new(&done(), &[intended(), accepted()]);
    assert_eq!(given.shown().cancellation_date.as_deref(), Some("2026-12-31"));
    let said = |date: &str| Event::Adopted {
        at: at(-3),
        id: Some(date.into()),
        number: None,
        account: None,
        own: true,
    };
    let (_, event) = records(Given::new(&done(), &[said("2027-01-13")]).decide());
    let corrected = Given::new(&done(), &[said("2027-01-13"), event]);
    assert_eq!(corrected.shown().cancellation_date.as_deref(), Some("2027-01-31"));
}

#[test]
fn p16_a_word_about_another_number_or_while_its_sender_may_be_at_work_does_nothing() {
    let another = json!({"cancel": {"phoneNumber": "+4922100000000", "done": "2027-01-31"}});
    assert_eq!(Given::new(&another, &[]).rests().reason, Reason::InvalidSpec);
    assert_eq!(Given::new(&another, &[intended(), unknown()]).rests().reason, Reason::OutcomeUnknown);
    let sender = Sender::Elsewhere { remaining: Duration::from_secs(3) };
    let given = Given { sender, ..Given::new(&done(), &[intended()]) };
    assert_eq!(given.rests().state, OrderState::Cancelling);
}

#[test]
fn p07_p16_the_not_placed_annotation_names_the_cancellation_and_works_once() {
    let unresolved = Given::new(&json!({}), &[intended(), unknown()]);
    let message = unresolved.rests().message;
    assert!(message.contains("tenios.dev/not-placed=c1"), "{message}");
    assert!(message.contains("set spec.cancel.done to the date"), "{message}");
    let said = Given { not_placed: Some("c1"), ..Given::new(&json!({}), &[intended(), unknown()]) };
    let (of, event) = records(said.decide());
    assert!(of == Kind::Cancellation && matches!(event, Event::NotPlaced { .. }), "{event:?}");
    let events = [intended(), unknown(), event];
    let again = Given { not_placed: Some("c1"), ..Given::new(&json!({}), &events) };
    assert!(sends(&again.decide()));
    let away = Given { not_placed: Some("c1"), ..Given::new(&json!({"cancel": null}), &events) };
    assert_eq!((away.rests().state, away.rests().warning), (OrderState::Assigned, None));
    let stray = Given { not_placed: Some("o9"), ..Given::new(&json!({}), &[intended(), unknown()]) };
    assert_eq!(stray.rests().warning.unwrap().reason, "AnnotationIgnored");
}

/// First a person is asked, then the number is recorded, and nothing is sent.
fn is_asked_about_and_adopted(given: &mut Given) {
    let (of, event) = records(given.decide());
    assert!(of == Kind::Cancellation && matches!(event, Event::Unknown { .. }), "{event:?}");
    given.cancellation = after(&[event]);
    let (of, adopted) = records(given.decide());
    assert!(of == Kind::Order && matches!(adopted, Event::Adopted { .. }), "{adopted:?}");
    given.order = given.order.clone().then(&adopted);
    assert_eq!(given.rests().state, OrderState::OutcomeUnknown);
}

#[test]
fn p13_p16_a_number_that_comes_with_its_cancellation_is_asked_about_before_anything_is_sent() {
    let adopting = json!({"adopt": {"orderId": "300000", "phoneNumber": NUMBER}});
    let mut given = Given { order: State::default(), ..Given::new(&adopting, &[]) };
    is_asked_about_and_adopted(&mut given);
    assert_eq!(given.shown().phone_number.as_deref(), Some(NUMBER));

    given.spec = spec(
        &json!({"adopt": {"phoneNumber": NUMBER}, "cancel": {"phoneNumber": NUMBER, "done": "2027-01-31"}}),
    );
    let (of, word) = records(given.decide());
    assert!(of == Kind::Cancellation && matches!(word, Event::Adopted { .. }), "{word:?}");
}

/// The export of an order without its number, adopted elsewhere: once its number is set, too, it is as new there.
#[test]
fn p13_p16_a_number_that_is_adopted_after_its_order_id_is_asked_about_as_well() {
    let id = Event::Adopted {
        at: at(-50),
        id: Some("300000".into()),
        number: None,
        account: Some(account()),
        own: false,
    };
    let refused_before = {
        let refusal =
            Refusal { code: "X".into(), message: String::new(), fields: Vec::new(), can_pass: false };
        let attempt = attempt("o1");
        let intended = Event::Intended { attempt: attempt.clone(), at: at(-99), terms: terms() };
        after(&[intended, Event::Refused { attempt, at: at(-98), refusal }])
    };
    let adopting = json!({
        "adopt": {"orderId": "300000", "phoneNumber": NUMBER},
        "accessKeySecretRef": {"name": "mine", "key": "k"},
    });
    for order in [after(&[id]), refused_before] {
        let mut given = Given { order, ..Given::new(&adopting, &[]) };
        is_asked_about_and_adopted(&mut given);
        let mut done = adopting.clone();
        done["cancel"] = json!({"phoneNumber": NUMBER, "done": "2027-01-31"});
        given.spec = spec(&done);
        let (of, word) = records(given.decide());
        assert!(of == Kind::Cancellation && matches!(word, Event::Adopted { .. }), "{word:?}");
    }
}

/// Whoever corrects the number of what he adopted names a number that the ledger does not know either.
#[test]
fn p13_p16_a_number_that_is_corrected_to_another_is_asked_about_as_well() {
    let other = Event::Adopted {
        at: at(-50),
        id: None,
        number: Some(number("+4922100000000")),
        account: Some(account()),
        own: false,
    };
    let adopting = json!({
        "adopt": {"phoneNumber": NUMBER},
        "accessKeySecretRef": {"name": "mine", "key": "k"},
    });
    let mut given = Given { order: after(&[other]), ..Given::new(&adopting, &[]) };
    let (of, event) = records(given.decide());
    assert!(of == Kind::Cancellation && matches!(event, Event::Unknown { .. }), "{event:?}");
    given.cancellation = after(&[event]);
    let (of, adopted) = records(given.decide());
    assert!(of == Kind::Order && matches!(adopted, Event::Adopted { .. }), "{adopted:?}");
    given.order = given.order.clone().then(&adopted);
    assert_eq!(given.rests().state, OrderState::OutcomeUnknown);
    assert_eq!(given.shown().phone_number.as_deref(), Some(NUMBER));
}

#[test]
fn p16_p24_adopting_what_another_claims_says_so_and_asks_nobody_about_its_cancellation() {
    let rival: Rivals = &|_, _| Some(Rival { key: Key { name: "a".into(), ..key() }, title: Title::Adopted });
    let others = Others { rival: Some(rival), ..Others::default() };
    let adopting = json!({
        "adopt": {"phoneNumber": NUMBER},
        "cancel": {"phoneNumber": NUMBER, "done": "2027-01-31"},
    });
    let asked = Event::Unknown { attempt: attempt("c1"), at: at(-8), why: "w".into() };
    // Also where an earlier version had asked.
    for events in [vec![], vec![asked]] {
        let given = Given { order: State::default(), ..Given::new(&adopting, &events) };
        let summary = summary(given.among(&others));
        assert_eq!(summary.state, OrderState::Conflict);
        assert!(summary.message.contains("PhoneNumberOrder a"), "{}", summary.message);
    }
}

#[test]
fn p16_p22_a_number_that_only_the_status_told_is_not_cancelled_with_the_operators_key_until_tenios_pushes_it()
{
    let rebuilt = Event::Rebuilt {
        at: at(-50),
        attempt: Some(attempt("o1")),
        id: Some("300000".into()),
        number: Some(number(NUMBER)),
        terms: terms(),
        requests: 1,
    };
    let given = Given { order: after(std::slice::from_ref(&rebuilt)), ..Given::new(&json!({}), &[]) };
    let summary = given.rests();
    assert_eq!((summary.state, summary.reason), (OrderState::Waiting, Reason::InvalidSpec));
    assert!(summary.message.contains("spec.accessKeySecretRef"), "{}", summary.message);

    let (attempt, order_id) = (attempt("o1"), "300000".to_owned());
    let pushed = Event::Assigned { attempt, at: at(-40), order_id, number: number(NUMBER) };
    let given = Given { order: after(&[rebuilt, pushed]), ..Given::new(&json!({}), &[]) };
    assert!(sends(&given.decide()));
}

#[test]
fn p16_p22_a_number_that_was_adopted_is_cancelled_with_a_key_of_ones_own_and_never_with_the_operators() {
    let adopted = Event::Adopted {
        at: at(-50),
        id: None,
        number: Some(number(NUMBER)),
        account: Some(account()),
        own: true,
    };
    let changes = json!({"adopt": {"phoneNumber": NUMBER}});
    let given = Given { order: after(std::slice::from_ref(&adopted)), ..Given::new(&changes, &[]) };
    let summary = given.rests();
    assert_eq!((summary.state, summary.reason), (OrderState::Waiting, Reason::InvalidSpec));
    let own_key =
        json!({"adopt": {"phoneNumber": NUMBER}, "accessKeySecretRef": {"name": "mine", "key": "k"}});
    let Event::Adopted { at, id, number, account, .. } = adopted else { unreachable!() };
    let adopted = Event::Adopted { at, id, number, account, own: false };
    let given = Given { order: after(&[adopted]), ..Given::new(&own_key, &[]) };
    assert!(sends(&given.decide()));
}

#[test]
fn p12_p16_a_lost_entry_comes_back_from_the_status_and_nothing_is_sent_again() {
    let shown = Given::new(&json!({}), &[intended(), accepted()]).shown();
    assert_eq!(shown.cancellation.as_ref().unwrap().attempt.as_deref(), Some("c1"));
    let lost = Given { status: Some(shown.clone()), ..Given::new(&json!({}), &[]) };
    let (of, event) = records(lost.decide());
    assert_eq!(of, Kind::Cancellation);
    let back = Given { status: Some(shown), ..Given::new(&json!({}), &[event]) };
    assert_eq!(back.shown().cancellation_date.as_deref(), Some("2026-12-31"));

    // Both entries are lost, and only the order's status was shown.
    let status = Given::new(&json!({"cancel": null}), &[]).shown();
    let (order, status) = (State::default(), Some(status));
    let both = Given { order, status, ..Given::new(&json!({}), &[]) };
    let (of, event) = records(both.decide());
    assert!(of == Kind::Cancellation && matches!(event, Event::Unknown { .. }), "{event:?}");
}

#[test]
fn the_status_shows_what_was_asked_for_and_what_came_of_it() {
    let conditions = |given: &Given| {
        let status = given.shown();
        let of = |type_| status.conditions.iter().find(|c| c.type_ == type_).cloned();
        (of(ConditionType::Ready), of(ConditionType::Cancelled), of(ConditionType::Stalled))
    };
    let (_, none, _) = conditions(&Given::new(&json!({"cancel": null}), &[]));
    assert_eq!(none, None, "who asks for nothing is told nothing");

    let sender = Sender::Here;
    let (ready, cancelled, _) = conditions(&Given { sender, ..Given::new(&json!({}), &[intended()]) });
    assert_eq!(ready.unwrap().status, ConditionStatus::False);
    assert_eq!(cancelled.map(|c| (c.status, c.reason)), Some((ConditionStatus::False, Reason::Cancelling)));

    let given = Given::new(&json!({}), &[intended(), accepted()]);
    let (ready, cancelled, stalled) = conditions(&given);
    assert_eq!(ready.unwrap().status, ConditionStatus::True, "it is where its spec wants it");
    assert_eq!(cancelled.map(|c| (c.status, c.reason)), Some((ConditionStatus::True, Reason::Cancelled)));
    assert_eq!(stalled, None);
    let expected = CancellationStatus {
        phone_number: Some(NUMBER.into()),
        requests: 1,
        attempt: Some("c1".into()),
        requested_time: Some(at(-9)),
    };
    assert_eq!(given.shown().cancellation, Some(expected));

    let (ready, cancelled, stalled) = conditions(&Given::new(&json!({}), &[intended(), unknown()]));
    assert_eq!(ready.unwrap().status, ConditionStatus::Unknown);
    assert_eq!(cancelled.unwrap().status, ConditionStatus::Unknown);
    assert_eq!(stalled.unwrap().reason, Reason::OutcomeUnknown);
}

#[test]
fn nothing_is_recorded_without_the_field() {
    assert_eq!(NOTHING.phase, Phase::Idle);
    let given = Given { order: NOTHING.clone(), ..Given::new(&json!({"cancel": null}), &[]) };
    assert!(sends(&given.decide()), "an order as any other");
}
