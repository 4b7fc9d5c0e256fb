//! What was refused or not processed: when it is tried again, and what is said of it.

use std::time::Duration;

use serde_json::json;
use tenios_api::Reason;
use tenios_ledger::{Event, Refusal};
use tenios_lifecycle::{Decision, decide};

use super::{NOW, after, at, attempt, intended, key, reason, refused, spec, view};

#[test]
fn p04_an_edit_of_what_was_refused_is_tried_sooner_but_not_at_once() {
    let key = key();
    let mut edited = spec();
    edited.link_to = Some(serde_json::from_value(json!({"phoneNumber": "+4922199"})).unwrap());
    let unedited = spec();
    let state = after(&[intended(), refused("NUMBER_ORDER_WRONG_LINK_NUMBER", true)]);
    assert_eq!(reason(&decide(&view(&unedited, &state, &key))), Some(Reason::Refused));
    assert!(matches!(decide(&view(&edited, &state, &key)), Decision::Send(_)));
    let many = (0..6).fold(state, |state, _| state.then(&intended()).then(&refused("X", false)));
    assert_eq!(reason(&decide(&view(&edited, &many, &key))), Some(Reason::Refused));
}

/// Another replica recorded the refusal, and its clock runs an hour ahead of ours.
#[test]
fn p06_a_clock_that_runs_ahead_neither_stretches_a_wait_nor_ends_it() {
    let (spec, key, state) =
        (spec(), key(), after(&[intended(), refused("NUMBER_ORDER_WRONG_LINK_NUMBER", true)]));
    let mut behind = view(&spec, &state, &key);
    behind.now = at(NOW - 3600);
    for (known_for, left) in [(0, Some(600)), (400, Some(200)), (600, None)] {
        behind.known_for = Duration::from_secs(known_for);
        let decision = decide(&behind);
        let again = match &decision {
            Decision::Rest(summary) => summary.requeue_after,
            _ => None,
        };
        assert_eq!(again, left.map(Duration::from_secs), "after {known_for} s: {decision:?}");
    }
    assert!(matches!(decide(&behind), Decision::Send(_)));
}

#[test]
fn p04_an_undocumented_refusal_waits_for_an_edit() {
    let (spec, key, state) = (spec(), key(), after(&[intended(), refused("SOMETHING_NEW", false)]));
    let mut later = view(&spec, &state, &key);
    later.now = at(NOW + 10_000_000);
    let Decision::Rest(summary) = decide(&later) else { panic!("it must not send") };
    assert_eq!((summary.reason, summary.requeue_after), (Reason::Refused, None));
    assert!(summary.message.contains("SOMETHING_NEW") && summary.message.contains("spec.linkTo"));
}

#[test]
fn a_refusal_says_code_message_field_and_how_it_goes_on() {
    let (spec, key) = (spec(), key());
    let said = |code: &str, message: &str, fields: &[&str], can_pass| {
        let fields = fields.iter().map(|f| (*f).to_owned()).collect();
        let refusal = Refusal { code: code.into(), message: message.into(), fields, can_pass };
        let state = after(&[intended(), Event::Refused { attempt: attempt(), at: at(NOW - 7), refusal }]);
        match decide(&view(&spec, &state, &key)) {
            Decision::Rest(summary) => summary.message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        said("CODE", "", &["link_to_number", "zip"], false),
        "TENIOS refused the request: CODE (caused by spec.linkTo, spec.address.zip); change the spec to retry"
    );
    assert_eq!(
        said("CODE", "words", &[], false),
        "TENIOS refused the request: CODE: words; change the spec to retry"
    );
    let text = said("HTTP_403", "", &[], false);
    assert!(text.contains("; check the access key ("), "{text}");
    let text = said("NUMBER_ORDER_VERIFICATION_NOT_APPROVED", "", &[], true);
    assert!(text.ends_with("; it will be retried at 2027-01-15T08:09:53Z"), "{text}");
}

#[test]
fn p04_what_was_not_processed_is_tried_again_when_it_is_due_and_not_before_what_was_asked_for() {
    let (spec, key) = (spec(), key());
    let tried = |retry_after, now: i64| {
        let event =
            Event::NotProcessed { attempt: attempt(), at: at(NOW - 2), why: "away".into(), retry_after };
        let state = after(&[intended(), event]);
        let mut view = view(&spec, &state, &key);
        (view.now, view.known_for) = (at(now), Duration::from_secs(u64::try_from(now - NOW + 2).unwrap()));
        match decide(&view) {
            Decision::Rest(summary) => format!("{:?} {}", summary.requeue_after.unwrap(), summary.message),
            Decision::Send(_) => "sends".into(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        tried(None, NOW),
        "3s the last request was not processed (away); it will be retried at 2027-01-15T08:00:03Z"
    );
    assert_eq!(tried(None, NOW + 3), "sends");
    assert!(tried(Some(60), NOW + 3).starts_with("55s "));
    assert!(tried(Some(9999), NOW).starts_with("298s "), "no longer than --retry-max");
}

#[test]
fn p04_what_was_turned_away_waits_for_what_it_was_told_however_often_that_was() {
    let (spec, key) = (spec(), key());
    let waits = |times: usize, asked: u32| {
        let event = Event::NotProcessed {
            attempt: attempt(),
            at: at(NOW),
            why: "HTTP 429".into(),
            retry_after: Some(asked),
        };
        let state = (1..times)
            .fold(after(&[intended(), event.clone()]), |state, _| state.then(&intended()).then(&event));
        assert_eq!(usize::try_from(state.failures).unwrap(), times);
        match decide(&view(&spec, &state, &key)) {
            Decision::Rest(summary) => summary.requeue_after,
            other => panic!("{other:?}"),
        }
    };
    for times in [1, 6] {
        assert_eq!(waits(times, 1), Some(Duration::from_secs(1)), "the pace of its access key does the rest");
        assert_eq!(waits(times, 0), Some(Duration::from_secs(5)), "429 without Retry-After");
        assert_eq!(waits(times, 9999), Some(Duration::from_secs(300)));
    }
}
