//! What it costs the apiserver, counted in its audit log under the operator's own user.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_simulator::PushTime;

use crate::testbed::{PATIENCE, Testbed};
use harness::{Requests, wait};

const WRITES: [&str; 3] = ["create", "update", "patch"];

/// A wait for an answer that lasts a second is shown, which takes one write more; a little less of it is in the
/// apiserver's log.
const A_LONG_WAIT: SignedDuration = SignedDuration::from_millis(900);

/// One where a busy machine made the request last so long, from the last look at the resource until its outcome
/// was recorded.
fn writes_for_a_long_wait(made: &Requests, resource: &str) -> usize {
    let completed = |of: &str, verb: &str| -> Timestamp {
        made.clone().of(of).with_verb(&[verb]).0[0].completed.parse().unwrap()
    };
    let outcome = completed("ledgerentries", "patch");
    usize::from(outcome.duration_since(completed(resource, "get")) >= A_LONG_WAIT)
}

#[tokio::test]
async fn an_order_takes_five_writes_and_a_verification_three() {
    let w = Testbed::new("cost").await;
    let user = w.namespaces.operator_identity().user();
    let plane = w.namespaces.control_plane.clone();
    let lease_and_events = |r: &harness::Request| r.resource == "leases" || r.resource == "events";

    let mark = w.namespaces.quiet().await;
    w.verification("v", json!({"approval": "Approved"})).await;
    w.verification_at("v", VerificationState::Approved).await;
    w.namespaces.quiet().await;
    let made = plane.requests_since(mark).await.by(&user);
    assert_eq!(made.clone().of("phoneverifications").with_verb(&["get"]).len(), 1, "{made}");
    let for_a_wait = writes_for_a_long_wait(&made, "phoneverifications");
    let writes = made.with_verb(&WRITES).only(|r| !lease_and_events(r));
    println!("a verification costs {} writes:\n{writes}", writes.len());
    assert!(writes.len() <= 3 + for_a_wait, "{writes}");

    let mark = w.namespaces.quiet().await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_at("o", OrderState::Assigned).await;
    w.namespaces.quiet().await;
    let made = plane.requests_since(mark).await.by(&user);
    println!("an order costs:\n{made}");
    let events = made.clone().of("events").len();
    // The last look before the intent.
    assert_eq!(made.clone().of("phonenumberorders").with_verb(&["get"]).len(), 1, "{made}");
    let for_a_wait = writes_for_a_long_wait(&made, "phonenumberorders");
    let writes = made.with_verb(&WRITES).only(|r| !lease_and_events(r));
    assert!(writes.len() <= 5 + for_a_wait, "{writes}");
    assert!(events <= 3, "{events} events");
}

#[tokio::test]
async fn a_resource_that_is_done_costs_nothing_more() {
    let w = Testbed::new("idle").await;
    let user = w.namespaces.operator_identity().user();
    let plane = w.namespaces.control_plane.clone();
    w.verification("v", json!({"approval": "Approved"})).await;
    for n in 0..5 {
        w.order(&format!("o{n}"), json!({"verificationRef": {"name": "v"}})).await;
    }
    for n in 0..5 {
        w.order_at(&format!("o{n}"), OrderState::Assigned).await;
    }
    w.namespaces.quiet().await;
    // The published schemas are read at each start, whatever there is.
    let others = |r: &harness::Request| {
        r.resource != "leases"
            && !matches!(r.verb.as_str(), "list" | "watch")
            && !r.uri.starts_with("/openapi/")
    };
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let mark = plane.audit().mark();
    w.operator.restart().await;
    wait::until("the restarted operator to lead", PATIENCE, async || {
        w.operator.metrics().await.contains("\ntenios_leader 1\n").then_some(())
    })
    .await;
    w.namespaces.quiet().await;
    let made = plane.requests_since(mark).await.by(&user);
    let beyond = made.clone().only(others);
    assert!(beyond.is_empty(), "beyond the lists: {beyond}");
    println!("a restart with 6 resources that are done costs:\n{made}");
    println!("resident memory idle, with 6 resources: {} KiB", w.operator.resident_kib().unwrap_or(0));
}

/// Printed, not asserted: the machine is noisy.
#[tokio::test]
async fn the_time_from_the_answer_to_the_status_is_printed() {
    let w = Testbed::with("latency", |o| {
        o.args(["--order-budget-per-namespace=1000/24h", "--order-budget=1000/24h"])
    })
    .await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    let id = w.approved_document();
    let mut took = Vec::new();
    for n in 0..20 {
        let name = format!("o{n}");
        let mark = w.namespaces.control_plane.audit().mark();
        w.order(&name, json!({"verificationId": id})).await;
        w.order_at(&name, OrderState::AwaitingNumber).await;
        let user = w.namespaces.operator_identity().user();
        let made = w.namespaces.control_plane.requests_since(mark).await.by(&user);
        let status = made.of("phonenumberorders/status").only(|r| r.name == name);
        let shown: jiff::Timestamp = status.0[0].completed.parse().unwrap();
        let entry = w.simulator.journal().last().unwrap().clone();
        took.push(shown.duration_since(entry.time).as_micros());
    }
    took.sort_unstable();
    println!(
        "from the request's arrival at the provider to the status that shows its answer: p50 {} us, max {} us",
        took[10], took[19]
    );
}
