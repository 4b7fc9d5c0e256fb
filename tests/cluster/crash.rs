//! Ends of the process, and two of them.

use rstest::rstest;
use serde_json::json;
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_simulator::{Action, Fault, PushTime};

use crate::testbed::{KEY, ORDER, PATIENCE, Testbed, message};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

/// Until it is shown that the request is in flight, and what comes then is done, on a slow machine, too.
const LONG: u64 = 5000;

fn delay(ms: u64) -> Action {
    serde_json::from_value(json!({"delay": {"ms": ms}})).unwrap()
}

#[tokio::test]
async fn p01_p02_killed_while_the_request_is_in_flight_it_never_sends_another() {
    let w = Testbed::hurried("killed").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, delay(1500));
    w.plain_order("o").await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
    let intents = serde_json::to_string(&w.ledger().await[0].spec).unwrap();
    assert!(intents.contains("Intended"), "the intent is stored before the request leaves: {intents}");
    w.operator.kill().await;
    w.operator.restart().await;
    let order = w.order_because("o", Reason::Ordering).await;
    assert!(message(&order).contains("may be in flight"), "{}", message(&order));
    w.order_at("o", OrderState::OutcomeUnknown).await;
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p11_sigterm_finishes_and_records_the_request_in_flight() {
    let w = Testbed::new("drain").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, delay(LONG));
    w.plain_order("o").await;
    w.order_at("o", OrderState::Ordering).await;
    w.operator.terminate();
    let status = w.operator.exit_status(PATIENCE).await;
    assert!(status.success(), "{status}: {}", w.operator.log_tail());
    let entry = serde_json::to_string(&w.ledger().await[0].spec).unwrap();
    assert!(entry.contains("300000"), "{entry}");
    w.operator.restart().await;
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn an_edit_while_the_request_is_in_flight_is_rejected() {
    let w = Testbed::new("edit-in-flight").await;
    w.faults(ORDER, delay(LONG));
    w.plain_order("o").await;
    w.order_at("o", OrderState::Ordering).await;
    let error = w.patch_order("o", json!({"spec": {"verificationId": "other"}})).await.unwrap_err();
    assert!(error.to_string().contains("immutable"), "{error}");
    w.order_at("o", OrderState::Assigned).await;
    let error = w.patch_order("o", json!({"spec": {"verificationId": "other"}})).await.unwrap_err();
    assert!(error.to_string().contains("immutable"), "{error}");
}

#[tokio::test]
async fn a_resource_deleted_while_its_request_is_in_flight_shows_the_id_when_it_is_back() {
    let w = Testbed::new("delete-in-flight").await;
    w.faults(ORDER, delay(800));
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id})).await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
    w.delete_order("o").await;
    w.order("o", json!({"verificationId": id})).await;
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p06_two_replicas_without_an_election_place_each_order_once() {
    let w = Testbed::with("two", |o| o.hurried().args(["--leader-election=false"])).await;
    let options = OperatorOptions::new(w.simulator.url()).hurried().args(["--leader-election=false"]);
    let second = w.namespaces.operator(options).await;
    let id = w.approved_document();
    for n in 0..15 {
        w.order(&format!("o{n}"), json!({"verificationId": id})).await;
    }
    for n in 0..15 {
        w.order_at(&format!("o{n}"), OrderState::Assigned).await;
    }
    w.no_more_requests(ORDER, 15).await;

    let (plane, user) = (w.namespaces.control_plane.clone(), w.namespaces.operator_identity().user());
    w.faults(ORDER, delay(1500));
    let mark = w.namespaces.quiet().await;
    w.order("slow", json!({"verificationId": id})).await;
    w.order_at("slow", OrderState::Assigned).await;
    w.namespaces.quiet().await;
    let statuses = plane.requests_since(mark).await.by(&user).of("phonenumberorders/status");
    assert!(statuses.len() <= 8, "they correct each other: {} times\n{statuses}", statuses.len());
    drop(second);
}

#[tokio::test]
async fn p06_the_replica_that_does_not_lead_takes_pushes() {
    let w = Testbed::new("standby").await;
    let standby = w.namespaces.operator(OperatorOptions::new(w.simulator.url())).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let url = w.simulator.orders()[0].push_url.clone().unwrap();
    let there = url.replace(&w.operator.push_port.to_string(), &standby.push_port.to_string());
    let answer = w.push(json!({"url": there})).await;
    assert_eq!(answer.status, Some(200));
    w.order_at("o", OrderState::Assigned).await;
}

#[rstest]
#[case::with_a_word(true)]
#[case::without_a_word(false)]
#[tokio::test]
async fn p06_the_lease_moves_when_its_holder_ends(#[case] told: bool) {
    let w = Testbed::hurried("lease").await;
    let standby = w.namespaces.operator(OperatorOptions::new(w.simulator.url()).hurried()).await;
    assert!(!standby.metrics().await.contains("\ntenios_leader 1\n"));
    if told {
        w.operator.terminate();
        w.operator.exit_status(PATIENCE).await;
    } else {
        w.operator.kill().await;
    }
    wait::until("the standby to lead", PATIENCE, async || {
        standby.metrics().await.contains("\ntenios_leader 1\n").then_some(())
    })
    .await;
    w.plain_order("o").await;
    w.order_where("o", "placed by the standby", |o| o.status.as_ref().is_some_and(|s| s.order_id.is_some()))
        .await;
    assert_eq!(w.requests(ORDER), 1);
}

/// The answer arrives while the apiserver is away. It needs a control plane of its own to harm.
#[tokio::test]
async fn p09_p10_an_order_id_survives_an_apiserver_outage_or_is_left_where_people_look() {
    let plane = std::sync::Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    simulator.set(|s| s.push.when = PushTime::Never);
    let namespaces = TestNamespaces::on(plane.clone(), "outage").await;
    let termination_log = plane.directory().join("termination-log");
    let options = OperatorOptions::new(simulator.url())
        .hurried()
        .args(["--drain-timeout=6s".to_owned(), format!("--termination-log={}", termination_log.display())]);
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    w.simulator.fault(Fault::once(ORDER, delay(700)).times(0));
    w.plain_order("survives").await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
    plane.apiserver.kill().await;
    wait::until("the answer that can't be recorded", PATIENCE, async || {
        w.operator.log().contains("can't be recorded yet").then_some(())
    })
    .await;
    let ready = async |expected: bool| (w.operator.is_ready().await == expected).then_some(());
    wait::until("an operator that is not ready without its ledger", PATIENCE, || ready(false)).await;
    assert!(w.operator.metrics().await.contains("\ntenios_ledger_reachable 0\n"));
    plane.apiserver.start().unwrap();
    plane.wait_ready().await;
    let order = w.order_at("survives", OrderState::AwaitingNumber).await;
    assert_eq!(order.status.unwrap().order_id.as_deref(), Some("300000"));
    wait::until("an operator that is ready again", PATIENCE, || ready(true)).await;
    assert!(w.operator.metrics().await.contains("\ntenios_ledger_reachable 1\n"));

    w.plain_order("lost").await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 2).then_some(())).await;
    plane.apiserver.kill().await;
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let left = std::fs::read_to_string(&termination_log).unwrap();
    assert!(left.contains("300001") && left.contains(&format!("{}/lost", w.namespaces.namespace)), "{left}");
    assert!(w.operator.log().contains("300001"));
    assert!(!w.operator.log().contains(KEY));
    plane.apiserver.start().unwrap();
    plane.wait_ready().await;
    w.operator.restart().await;
    w.order_because("lost", Reason::OutcomeUnknown).await;
    w.no_more_requests(ORDER, 2).await;
}
