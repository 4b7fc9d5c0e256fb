//! The fold: whatever order facts arrive in, no id is lost and the entry stays small.

mod properties;

use jiff::Timestamp;
use tenios_api::PhoneNumber;
use tenios_ledger::{
    Account, AttemptId, Entry, Event, Key, Kind, Phase, Refusal, State, Terms, WriterId, terms,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn attempt(n: u8) -> AttemptId {
    AttemptId::parse(&format!("attempt{n}")).unwrap()
}

fn number(n: u8) -> PhoneNumber {
    PhoneNumber::try_from(format!("+4922155500{n:02}")).unwrap()
}

fn key() -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() }
}

fn intended(n: u8) -> Event {
    Event::Intended { attempt: attempt(n), at: at(i64::from(n)), terms: Terms::new() }
}

fn accepted(n: u8) -> Event {
    Event::Accepted { attempt: attempt(n), at: at(100), id: format!("3000{n:02}") }
}

fn assigned(n: u8) -> Event {
    Event::Assigned { attempt: attempt(n), at: at(101), order_id: format!("3000{n:02}"), number: number(n) }
}

fn refused(n: u8) -> Event {
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: vec![], can_pass: true };
    Event::Refused { attempt: attempt(n), at: at(100), refusal }
}

fn adopted(id: Option<u8>, number_: Option<u8>) -> Event {
    Event::Adopted {
        at: at(102),
        id: id.map(|n| format!("3000{n:02}")),
        number: number_.map(number),
        account: None,
        own: false,
    }
}

fn unknown(n: u8) -> Event {
    Event::Unknown { attempt: attempt(n), at: at(2), why: "reset".into() }
}

fn fold(events: &[Event]) -> State {
    events.iter().fold(State::default(), State::then)
}

#[test]
fn p18_a_push_before_or_after_the_answer_ends_alike() {
    let early = fold(&[intended(1), assigned(1), accepted(1)]);
    let late = fold(&[intended(1), accepted(1), assigned(1)]);
    assert_eq!(early.id(), late.id());
    assert_eq!(early.number, late.number);
    assert_eq!(early.phase, late.phase);
}

#[test]
fn p18_a_push_that_names_another_order_id_does_not_replace_the_answered_one() {
    let push = Event::Assigned { attempt: attempt(1), at: at(5), order_id: "28".into(), number: number(1) };
    for events in [[intended(1), push.clone(), accepted(1)], [intended(1), accepted(1), push]] {
        let state = fold(&events);
        assert_eq!(state.id(), Some("300001"));
        assert_eq!(state.number.unwrap().number, number(1));
    }
}

#[test]
fn p18_a_replayed_push_changes_nothing_and_another_number_never_overwrites() {
    let once = fold(&[intended(1), accepted(1), assigned(1)]);
    assert_eq!(once.clone().then(&assigned(1)), once);
    let other =
        Event::Assigned { attempt: attempt(1), at: at(9), order_id: "300001".into(), number: number(7) };
    let state = once.then(&other);
    assert_eq!(state.number.as_ref().unwrap().number, number(1));
    assert_eq!(state.strays[0].number, Some(number(7)));
    assert_eq!(state.clone().then(&other), state);
}

fn pushed(n: u8, id: bool, told: bool) -> Event {
    let order_id = id.then(|| format!("3000{n:02}"));
    Event::Pushed { attempt: attempt(n), at: at(101), order_id, number: told.then(|| number(n)) }
}

#[test]
fn p18_a_push_of_only_the_number_or_only_the_id_ends_as_a_whole_one_in_any_order() {
    let whole = fold(&[intended(1), accepted(1), assigned(1)]);
    let mut events = [accepted(1), pushed(1, false, true), pushed(1, true, false)];
    for _ in 0..3 {
        events.rotate_left(1);
        for swapped in [false, true] {
            if swapped {
                events.swap(0, 1);
            }
            let state = events.iter().fold(fold(&[intended(1)]), State::then);
            assert_eq!((state.id(), &state.phase), (whole.id(), &whole.phase), "{events:?}");
            assert_eq!(state.number.as_ref().map(|n| &n.number), Some(&number(1)), "{events:?}");
            assert!(state.strays.is_empty(), "{events:?}: {:?}", state.strays);
            assert_eq!(state.clone().then(&events[0]), state, "the second time");
        }
    }
}

#[test]
fn p03_a_push_without_an_order_id_resolves_an_unknown_outcome_and_gets_the_id_later() {
    let state = fold(&[intended(1), unknown(1), pushed(1, false, true)]);
    assert_eq!(state.phase, Phase::Accepted { attempt: Some(attempt(1)) });
    assert_eq!((state.id(), state.number.is_some()), (None, true));
    assert_eq!(state.then(&assigned(1)).id(), Some("300001"));
}

#[test]
fn p10_a_push_of_only_the_number_stays_with_its_own_request() {
    // Placed by mistake, as a person had said that it was not.
    let not_placed = Event::NotPlaced { attempt: attempt(1), at: at(3) };
    let state =
        fold(&[intended(1), unknown(1), not_placed, intended(2), accepted(2), pushed(1, false, true)]);
    assert_eq!((state.id(), &state.number), (Some("300002"), &None));
    assert_eq!(state.strays[0].number, Some(number(1)));
    let state = state.then(&pushed(1, true, false)).then(&assigned(2));
    assert_eq!((state.strays[0].id.as_str(), state.strays.len()), ("300001", 1));
    assert_eq!(state.number.unwrap().number, number(2));
}

#[test]
fn p15_a_mistyped_adoption_is_corrected_and_a_number_pushed_without_an_id_stays() {
    let mistyped = fold(&[intended(1), unknown(1), adopted(Some(9), None), pushed(1, false, true)]);
    assert_eq!(mistyped.number.as_ref().unwrap().number, number(1));
    assert_eq!(mistyped.accepted.as_ref().unwrap().attempt, None, "so that it can be corrected");
    let corrected = mistyped.then(&adopted(Some(1), None));
    assert_eq!(corrected.id(), Some("300001"));
    assert_eq!(corrected.number.unwrap().number, number(1));
}

#[test]
fn p17_what_no_place_is_left_for_is_not_remembered_and_its_count_is() {
    let mut state = fold(&[intended(1), accepted(1), assigned(1)]);
    for n in 2..18 {
        assert!(state.clone().then(&assigned(n)).remembers(&assigned(n)), "{n}");
        state = state.then(&assigned(n));
    }
    for lost in [assigned(18), pushed(18, true, false), pushed(18, false, true)] {
        let next = state.clone().then(&lost);
        assert!(!next.remembers(&lost), "{lost:?}");
        assert_eq!((next.strays.len(), next.strays_beyond), (16, 1));
    }
    for n in 1..18 {
        assert!(state.remembers(&assigned(n)), "{n}");
    }
}

#[test]
fn p03_a_push_resolves_an_unknown_outcome() {
    let state = fold(&[intended(1), unknown(1), assigned(1)]);
    assert_eq!(state.id(), Some("300001"));
    assert_eq!(state.phase, Phase::Accepted { attempt: Some(attempt(1)) });
}

#[test]
fn p07_a_wrong_word_that_it_was_not_placed_keeps_both_orders() {
    let not_placed = Event::NotPlaced { attempt: attempt(1), at: at(3) };
    let state =
        fold(&[intended(1), unknown(1), not_placed, intended(2), accepted(2), assigned(1), assigned(2)]);
    assert_eq!(state.id(), Some("300002"));
    assert_eq!(state.number.unwrap().number, number(2));
    assert_eq!(state.strays.len(), 1);
    assert_eq!(state.strays[0].number, Some(number(1)));
}

#[test]
fn p07_the_word_works_only_for_the_attempt_it_names() {
    let state = fold(&[intended(2), unknown(2), Event::NotPlaced { attempt: attempt(1), at: at(3) }]);
    assert!(matches!(state.phase, Phase::Unknown { .. }));
}

#[test]
fn p15_an_adopted_id_is_nobodys_request_until_the_provider_says_so() {
    let state = fold(&[intended(1), unknown(1), adopted(Some(1), None)]);
    assert_eq!(state.accepted.as_ref().unwrap().attempt, None);
    assert_eq!(state.attempt(), Some(&attempt(1)), "the last request that was sent");
    let state = state.then(&assigned(1));
    assert_eq!(state.accepted.as_ref().unwrap().attempt, Some(attempt(1)));
    assert!(state.number.as_ref().unwrap().pushed && state.strays.is_empty());
}

#[test]
fn p15_a_mistyped_adoption_is_corrected_to_what_was_pushed_and_nothing_is_lost() {
    let mistyped = fold(&[intended(1), unknown(1), adopted(Some(9), None), assigned(1)]);
    assert_eq!((mistyped.id(), &mistyped.number), (Some("300009"), &None));
    assert_eq!(mistyped.strays[0].number, Some(number(1)));
    let corrected = mistyped.then(&adopted(Some(1), None));
    assert_eq!(corrected.id(), Some("300001"));
    assert_eq!(corrected.number.as_ref().unwrap().number, number(1));
    assert_eq!((corrected.strays.len(), corrected.accepted.unwrap().attempt), (0, Some(attempt(1))));
}

#[test]
fn p10_an_order_that_was_adopted_from_beside_is_kept_when_the_adoption_is_corrected() {
    let events = [
        intended(1),
        Event::NotPlaced { attempt: attempt(1), at: at(3) },
        intended(2),
        adopted(None, Some(3)),
        assigned(1),
        adopted(Some(1), Some(1)),
        adopted(Some(2), None),
    ];
    let state = fold(&events);
    assert_eq!(state.id(), Some("300002"));
    assert!(state.strays.iter().any(|stray| stray.id == "300001"), "{state:?}");
}

#[test]
fn an_id_that_is_adopted_after_its_number_keeps_the_number() {
    let state = fold(&[adopted(None, Some(1)), adopted(Some(1), None)]);
    assert_eq!((state.id(), state.number.is_some()), (Some("300001"), true), "{state:?}");
}

#[test]
fn sixteen_orders_beside_the_one_are_kept_and_no_more() {
    let mut state = fold(&[intended(1), accepted(1)]);
    for n in 2..60_u8 {
        let attempt = AttemptId::parse(&format!("other{n}")).unwrap();
        state = state.then(&Event::Accepted { attempt, at: at(2), id: format!("4000{n}") });
        assert_eq!(state.strays.len(), usize::from(n - 1).min(16));
    }
}

#[test]
fn p15_a_mistyped_number_is_corrected_and_a_pushed_one_is_not() {
    let placed = fold(&[intended(1), accepted(1), adopted(None, Some(8))]);
    assert_eq!(placed.accepted.as_ref().unwrap().attempt, Some(attempt(1)), "it stays ours");
    let pushed = placed.then(&assigned(1));
    assert_eq!(pushed.number.as_ref().unwrap().number, number(8), "the first stays");
    let corrected = pushed.then(&adopted(None, Some(1)));
    assert_eq!(corrected.number.as_ref().unwrap().number, number(1));
    assert!(corrected.strays.is_empty(), "{:?}", corrected.strays);
    assert_eq!(corrected.clone().then(&adopted(None, Some(8))).number, corrected.number);
}

#[test]
fn p03_a_number_adopted_alone_gets_its_order_id_from_a_late_push() {
    let state = fold(&[intended(1), unknown(1), adopted(None, Some(1)), assigned(1)]);
    assert_eq!((state.id(), state.strays.len()), (Some("300001"), 0));
    assert!(state.number.unwrap().pushed);
}

#[test]
fn p07_p12_an_attempt_that_only_the_status_knew_waits_for_its_sender_and_then_for_a_word() {
    let rebuilt = Event::Rebuilt {
        at: at(1),
        attempt: Some(attempt(1)),
        id: None,
        number: None,
        terms: Terms::new(),
        requests: 1,
    };
    let state = fold(&[rebuilt]);
    assert!(matches!(state.phase, Phase::Open { .. }), "its sender may be at work: {:?}", state.phase);
    let state = state.then(&unknown(1)).then(&Event::NotPlaced { attempt: attempt(1), at: at(3) });
    assert_eq!(state.phase, Phase::NotPlaced { attempt: attempt(1) });
}

#[test]
fn p10_p12_an_unknown_outcome_whose_intent_was_lost_is_not_forgotten() {
    assert!(matches!(fold(&[unknown(1)]).phase, Phase::Unknown { .. }));
}

#[test]
fn p04_failures_in_a_row_are_counted_until_one_is_accepted() {
    let mut events = vec![];
    for n in 1..=3 {
        events.extend([intended(n), refused(n)]);
    }
    assert_eq!(fold(&events).failures, 3);
    events.extend([intended(4), accepted(4)]);
    assert_eq!(fold(&events).failures, 0);
}

fn not_processed(n: u8) -> Event {
    Event::NotProcessed { attempt: attempt(n), at: at(2), why: "refused".into(), retry_after: None }
}

fn not_placed(n: u8) -> Event {
    Event::NotPlaced { attempt: attempt(n), at: at(3) }
}

#[test]
fn p14_only_what_placed_nothing_by_the_providers_word_gives_its_place_in_the_budget_back() {
    for outcome in [refused(1), not_processed(1)] {
        assert!(fold(&[intended(1), outcome]).spent.is_empty());
    }
    for outcome in [accepted(1), unknown(1), not_placed(1)] {
        assert_eq!(fold(&[intended(1), outcome]).spent.len(), 1);
    }
    let state = fold(&[intended(1), unknown(1), refused(1), intended(2), accepted(2)]);
    assert_eq!((state.spent, state.refused), (vec![at(2)], vec![at(1)]));
}

#[test]
fn p14_a_refusal_that_was_none_counts_after_all() {
    let state = fold(&[intended(1), refused(1), assigned(1)]);
    assert_eq!((&state.spent, &state.refused), (&vec![at(1)], &vec![]));
    assert!(state.may_have_placed());
}

#[test]
fn p14_what_a_tenants_own_key_paid_is_told_apart() {
    let with = |n: u8, reference: Option<&str>| {
        let mut terms = Terms::from([(terms::ACCOUNT.to_owned(), "acc0".to_owned())]);
        terms.extend(reference.map(|r| (terms::ACCESS_KEY.to_owned(), r.to_owned())));
        Event::Intended { attempt: attempt(n), at: at(i64::from(n)), terms }
    };
    let own = Some("tenios/access-key");
    let state = fold(&[with(1, None), unknown(1), with(2, own), refused(2), with(3, own), accepted(3)]);
    assert_eq!(state.spent, [at(1), at(3)]);
    assert_eq!(state.payers.into_iter().collect::<Vec<_>>(), [(at(3), Account::recorded("acc0"))]);
}

#[test]
fn p26_only_what_may_have_cost_money_has_to_be_remembered() {
    let rebuilt = |attempt: Option<u8>| Event::Rebuilt {
        at: at(0),
        attempt: attempt.map(self::attempt),
        id: Some("300001".into()),
        number: None,
        terms: Terms::new(),
        requests: 0,
    };
    let free: [&[Event]; 6] = [
        &[],
        &[adopted(Some(1), Some(1))],
        &[intended(1), refused(1), intended(2), not_processed(2)],
        &[intended(1), refused(1), adopted(Some(1), None)],
        &[rebuilt(None)],
        &[rebuilt(None), adopted(Some(2), None)],
    ];
    for events in free {
        assert!(!fold(events).may_have_placed(), "{events:?}");
    }
    let paid: [&[Event]; 8] = [
        &[intended(1)],
        &[intended(1), accepted(1)],
        &[intended(1), unknown(1), adopted(Some(1), None)],
        &[intended(1), unknown(1), not_placed(1), intended(2), refused(2)],
        &[intended(1), refused(1), intended(2), unknown(2)],
        &[assigned(1)],
        &[unknown(1), adopted(Some(1), None)],
        &[rebuilt(Some(1)), adopted(Some(2), None)],
    ];
    for events in paid {
        assert!(fold(events).may_have_placed(), "{events:?}");
    }
}

#[test]
fn a_snapshot_from_before_accounts_and_refusals_is_read_and_forgotten_by_nobody() {
    let stored = serde_json::json!({"terms": {}, "phase": {"phase": "Refused", "attempt": "a1",
        "at": "2026-11-01T00:00:00Z", "refusal": {"code": "X"}}, "attempts": 1, "failures": 1,
        "spent": ["2026-11-01T00:00:00Z"]});
    let state: State = serde_json::from_value(stored).unwrap();
    assert_eq!((state.spent.len(), state.refused.len(), state.account.clone()), (1, 0, None));
    assert!(state.may_have_placed(), "it does not say what was refused");
}

#[test]
fn an_entry_stays_bounded_over_ten_thousand_retries() {
    let mut entry = Entry::empty(key());
    for n in 0..10_000 {
        let attempt = AttemptId::random();
        let terms = Terms::from([("spec.numberType".into(), "GEOGRAPHICAL".into())]);
        entry =
            entry.with(&[Event::Intended { attempt: attempt.clone(), at: at(n), terms }], WriterId::random());
        let refusal = Refusal {
            code: "X".into(),
            message: "y".repeat(512),
            fields: vec!["z".repeat(64); 16],
            can_pass: true,
        };
        entry = entry.with(&[Event::Refused { attempt, at: at(n), refusal }], WriterId::random());
    }
    let size = serde_json::to_string(&entry.snapshot).unwrap().len()
        + serde_json::to_string(&entry.events).unwrap().len();
    println!("a ledger entry after 10,000 retries: {size} bytes");
    assert!(size < 64 * 1024, "{size} bytes");
    assert_eq!(entry.state().attempts, 10_000);
}

#[test]
fn older_events_fold_into_the_snapshot_and_the_newest_eight_stay() {
    let mut entry = Entry::empty(key());
    for n in 0..16 {
        entry = entry.with(&[unknown(n)], WriterId::random());
    }
    assert_eq!((entry.events.len(), entry.revision), (16, 16));
    assert_eq!(entry.snapshot, State::default());
    entry = entry.with(&[unknown(16)], WriterId::random());
    assert_eq!((entry.events.len(), entry.revision), (8, 17));
    assert_eq!(entry.events[7], unknown(16));
    assert_ne!(entry.snapshot, State::default());
}

#[test]
fn an_attempt_is_1_to_64_lower_case_letters_and_digits() {
    for good in ["a", "0", "a1z9", &"f".repeat(64)] {
        assert_eq!(AttemptId::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "a-1", "a b", "ä", "a/b", &"f".repeat(65)] {
        assert!(AttemptId::parse(bad).is_none(), "{bad:?}");
    }
}
