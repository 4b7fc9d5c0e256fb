//! What `/metrics` tells, without a process around it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rstest::rstest;
use tenios_api::{Condition, ConditionStatus, ConditionType, Endpoint, Reason};
use tenios_ledger::{AttemptId, Event, Key, Kind, Refusal, State, Terms};
use tenios_lifecycle::since;
use tenios_operator::telemetry::{Metrics, RequestOutcome, TrackedResource};
use tenios_provider::Outcome;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn order(name: &str) -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() }
}

fn resource(state: &str, reason: Reason, since: i64) -> TrackedResource {
    TrackedResource { state: state.into(), reason, since: Some(at(since)), expires: None, unwritten: None }
}

fn lines(metrics: &Metrics, start: &str) -> Vec<String> {
    metrics.encode().lines().filter_map(|line| line.strip_prefix(start)).map(str::to_owned).collect()
}

#[test]
fn the_oldest_of_each_state_is_told_and_goes_with_the_last_one() {
    let metrics = Metrics::default();
    let oldest = |metrics| lines(metrics, "tenios_resources_oldest_timestamp_seconds");
    assert!(oldest(&metrics).is_empty());
    for younger in 0..20 {
        metrics.resource(
            &order(&format!("y{younger}")),
            Some(resource("AwaitingNumber", Reason::AwaitingNumber, 400)),
        );
    }
    metrics.resource(&order("a"), Some(resource("AwaitingNumber", Reason::AwaitingNumber, 200)));
    metrics.resource(&order("b"), Some(resource("AwaitingNumber", Reason::AwaitingNumber, 100)));
    let labels = "{kind=\"PhoneNumberOrder\",state=\"AwaitingNumber\"}";
    assert_eq!(oldest(&metrics), [format!("{labels} 100")]);
    // One comes as another goes: the count stands still, the age does not.
    metrics.resource(&order("c"), Some(resource("AwaitingNumber", Reason::AwaitingNumber, 300)));
    metrics.resource(&order("b"), None);
    assert_eq!(oldest(&metrics), [format!("{labels} 200")]);
    for key in metrics.resources() {
        metrics.resource(&key, None);
    }
    metrics.resource(
        &order("c"),
        Some(TrackedResource { since: None, ..resource("Unreadable", Reason::InvalidSpec, 0) }),
    );
    assert!(oldest(&metrics).is_empty(), "{}", metrics.encode());
}

#[test]
fn the_document_that_expires_first_is_told_whoever_has_it_and_wherever_it_stands() {
    let metrics = Metrics::default();
    let told = |metrics| lines(metrics, "tenios_document_valid_until_timestamp_seconds ");
    let with = |expires: Option<i64>| TrackedResource {
        expires: expires.map(at),
        ..resource("Approved", Reason::Approved, 1)
    };
    metrics.resource(&order("none"), Some(with(None)));
    assert!(told(&metrics).is_empty());
    metrics.resource(&order("a"), Some(with(Some(900))));
    metrics.resource(&order("b"), Some(with(Some(300))));
    assert_eq!(told(&metrics), ["300"]);
    // In the same state as before: the count stands still, the date does not.
    metrics.resource(&order("b"), Some(with(Some(1200))));
    assert_eq!(told(&metrics), ["900"]);
    metrics.resource(&order("a"), None);
    metrics.resource(&order("b"), Some(with(None)));
    assert!(told(&metrics).is_empty());
}

#[test]
fn those_that_wait_are_counted_by_what_they_wait_for() {
    let metrics = Metrics::default();
    metrics.resource(&order("a"), Some(resource("Waiting", Reason::BudgetExceeded, 1)));
    metrics.resource(&order("b"), Some(resource("Waiting", Reason::BudgetExceeded, 1)));
    metrics.resource(&order("c"), Some(resource("Refused", Reason::Refused, 1)));
    let waiting = |metrics| lines(metrics, "tenios_resources_waiting");
    assert_eq!(waiting(&metrics), ["{kind=\"PhoneNumberOrder\",reason=\"BudgetExceeded\"} 2"]);
    metrics.resource(&order("a"), Some(resource("Waiting", Reason::AwaitingApproval, 1)));
    metrics.resource(&order("b"), Some(resource("Assigned", Reason::NumberAssigned, 1)));
    assert_eq!(waiting(&metrics), ["{kind=\"PhoneNumberOrder\",reason=\"AwaitingApproval\"} 1"]);
}

/// An increase is seen only between two samples.
#[test]
fn counters_that_alerts_look_at_stand_at_0_before_their_first_event() {
    let text = Metrics::default().encode();
    for series in [
        "tenios_provider_requests_total{endpoint=\"number/order\",outcome=\"not_processed\"} 0",
        "tenios_provider_requests_total{endpoint=\"verification/create\",outcome=\"unknown\"} 0",
        "tenios_pushes_total{result=\"unauthenticated\"} 0",
        "tenios_ledger_appends_total{result=\"rejected\"} 0",
        "tenios_reconcile_errors_total{kind=\"PhoneVerification\",reason=\"panic\"} 0",
    ] {
        assert!(text.lines().any(|line| line == series), "{series} is not in\n{text}");
    }
}

#[test]
fn each_outcome_has_its_label() {
    let unknown = Outcome::Unknown { why: String::new() };
    let not_processed = Outcome::NotProcessed { why: String::new(), retry_after: None };
    let labels = [Outcome::Accepted { id: String::new() }, not_processed, unknown]
        .map(|outcome| RequestOutcome::from(&outcome).as_str());
    assert_eq!(labels, ["accepted", "not_processed", "unknown"]);
}

#[test]
fn the_table_in_the_docs_has_every_metric_and_no_other() {
    let metrics = Metrics::default();
    metrics.provider_request(Endpoint::OrderNumber, RequestOutcome::Accepted, 0.1);
    metrics.reconciled(Kind::Order, 0.1);
    metrics.crd_compatible("LedgerEntry", true);
    // Only with a ledger on object storage.
    metrics.store_request("create", "done", 0.1);
    metrics.expect_relay();
    let waiting = resource("Waiting", Reason::Suspended, 1);
    let unwritten = Some(Reason::ConfigMapForbidden);
    metrics.resource(&order("a"), Some(TrackedResource { expires: Some(at(1)), unwritten, ..waiting }));
    let text = metrics.encode();
    let announced = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<String> = announced
        .map(|line| {
            let (metric, type_) = line.split_once(' ').unwrap();
            let suffix = match type_ {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            format!("{metric}{suffix} | {type_}")
        })
        .collect();
    let docs = harness::checkout("docs/operations.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let rows = docs.lines().filter_map(|line| line.strip_prefix("| `tenios_"));
    let documented: BTreeSet<String> = rows
        .map(|row| {
            let mut cells = row.split(" | ");
            format!("tenios_{} | {}", cells.next().unwrap().trim_end_matches('`'), cells.next().unwrap())
        })
        .collect();
    assert_eq!(documented, told);
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

/// Intended at 10, and then this.
fn after(events: &[Event]) -> State {
    let intended = Event::Intended { attempt: attempt(), at: at(10), terms: Terms::new() };
    std::iter::once(&intended).chain(events).fold(State::default(), State::then)
}

fn accepted() -> Event {
    Event::Accepted { attempt: attempt(), at: at(20), id: "300000".into() }
}

#[rstest]
#[case::in_flight(after(&[]), Reason::Ordering, 10)]
#[case::unknown(after(&[Event::Unknown { attempt: attempt(), at: at(20), why: String::new() }]), Reason::OutcomeUnknown, 20)]
#[case::refused(
    after(&[Event::Refused { attempt: attempt(), at: at(20), refusal: Refusal { code: "X".into(), message: String::new(), fields: vec![], can_pass: false } }]),
    Reason::Refused,
    20
)]
#[case::ordered(after(&[accepted()]), Reason::AwaitingNumber, 10)]
#[case::submitted(after(&[accepted()]), Reason::AwaitingApproval, 10)]
#[case::assigned(
    after(&[accepted(), Event::Adopted { at: at(30), id: None, number: "+4922112345678".to_owned().try_into().ok(), account: None, own: false }]),
    Reason::NumberAssigned,
    30
)]
#[case::waiting_for_anothers_approval(State::default(), Reason::AwaitingApproval, 70)]
#[case::conflict(after(&[accepted()]), Reason::Conflict, 70)]
fn an_age_is_the_ledgers_word_where_it_has_one_and_else_that_of_the_conditions(
    #[case] state: State,
    #[case] reason: Reason,
    #[case] expected: i64,
) {
    let condition = |type_, second| Condition {
        type_,
        status: ConditionStatus::True,
        reason,
        message: String::new(),
        observed_generation: 1,
        last_transition_time: at(second),
    };
    let conditions = [condition(ConditionType::Ready, 60), condition(ConditionType::Stalled, 70)];
    assert_eq!(since(&state, reason, &conditions), Some(at(expected)));
}
