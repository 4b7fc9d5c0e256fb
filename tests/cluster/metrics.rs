//! What `/metrics` says of resources, on a real control plane.

use jiff::Timestamp;
use serde_json::json;
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_simulator::{Action, PushTime};

use crate::testbed::{ORDER, PATIENCE, Testbed};
use harness::wait;

/// The ages that `/metrics` tells, by `kind/state`.
async fn oldest(w: &Testbed) -> Vec<(String, i64)> {
    let metrics = w.operator.metrics().await;
    let series = metrics.lines().filter_map(|line| {
        let (labels, value) =
            line.strip_prefix("tenios_resources_oldest_timestamp_seconds{")?.split_once("} ")?;
        let mut labels = labels.split('"').skip(1).step_by(2);
        Some((format!("{}/{}", labels.next()?, labels.next()?), value.parse().ok()?))
    });
    series.collect()
}

async fn oldest_are(w: &Testbed, expected: &[(&str, i64)]) {
    let expected: Vec<_> = expected.iter().map(|(name, at)| ((*name).to_owned(), *at)).collect();
    wait::until_seen("the ages", PATIENCE, async || oldest(w).await, |seen| *seen == expected).await;
}

/// When the ledger says that an outcome became unknown.
async fn unknown_since(w: &Testbed) -> i64 {
    let entries = w.ledger().await;
    let events = entries.iter().flat_map(|entry| json!(entry.spec)["events"].as_array().unwrap().clone());
    let unknown = events.into_iter().find(|event| event["type"] == "Unknown").unwrap();
    unknown["at"].as_str().unwrap().parse::<Timestamp>().unwrap().as_second()
}

#[tokio::test]
async fn ages_are_those_of_the_resources_and_survive_a_restart_and_a_re_creation() {
    let w = Testbed::new("ages").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.verification("v", json!({})).await;
    let v = w.verification_because("v", Reason::AwaitingApproval).await.status.unwrap();
    w.plain_order("waits").await;
    let ordered = w.order_at("waits", OrderState::AwaitingNumber).await.status.unwrap();
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("lost").await;
    w.order_at("lost", OrderState::OutcomeUnknown).await;
    let lost = unknown_since(&w).await;
    let second = |at: Option<Timestamp>| at.unwrap().as_second();
    let ages = [
        ("PhoneNumberOrder/AwaitingNumber", second(ordered.ordered_time)),
        ("PhoneNumberOrder/OutcomeUnknown", lost),
        ("PhoneVerification/AwaitingApproval", second(v.submitted_time)),
    ];
    oldest_are(&w, &ages).await;
    w.operator.kill().await;
    w.operator.restart().await;
    oldest_are(&w, &ages).await;
    let spec = json!({"verificationId": ordered.verification_id});
    w.delete_order("waits").await;
    oldest_are(&w, &ages[1..]).await;
    w.order("waits", spec).await;
    oldest_are(&w, &ages).await;
}
