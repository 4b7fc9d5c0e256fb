//! A provider that turns requests away beyond a pace of its own, at the shipped pace of retries.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_simulator::{Fault, JournalEntry};

use crate::testbed::{ORDER, PATIENCE, Testbed, told};
use harness::wait;

/// Room for all of them; what is left is shipped so.
const BUDGETS: [&str; 2] = ["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"];

/// The default of `--provider-concurrency`.
const IN_FLIGHT: usize = 16;

fn attempt(entry: &JournalEntry) -> String {
    entry.body.as_ref().map(|body| body["push_url"].to_string()).unwrap_or_default()
}

/// A slow machine may send no faster than the one, but the other.
#[rstest]
#[case::five_a_second(40, 5)]
#[case::one_a_second(15, 1)]
#[tokio::test]
async fn p01_p04_what_is_beyond_the_providers_pace_is_taken_once_and_little_is_turned_away(
    #[case] orders: usize,
    #[case] a_second: u32,
) {
    let w = Testbed::with("throttled", |o| o.args(BUDGETS)).await;
    w.simulator.set(|s| s.most_per_second = Some(a_second));
    let id = w.approved_document();
    // All at once, as after a restart or one large apply.
    w.operator.kill().await;
    for n in 0..orders {
        w.order(&format!("o{n}"), json!({"verificationId": id})).await;
    }
    w.operator.restart().await;
    let taken = || w.simulator.journal().into_iter().filter(|entry| entry.processed).collect::<Vec<_>>();
    wait::until("every order to be taken", 2 * PATIENCE, async || (taken().len() >= orders).then_some(()))
        .await;
    for n in 0..orders {
        w.order_at(&format!("o{n}"), OrderState::Assigned).await;
    }
    w.simulator.set(|s| s.most_per_second = None);
    let requests = w.requests(ORDER);
    w.no_more_requests(ORDER, requests).await;
    let attempts: BTreeSet<String> = taken().iter().map(attempt).collect();
    assert_eq!((taken().len(), attempts.len()), (orders, orders), "one request for each order");
    // Those of the first moment, when nobody knew, and what it takes to see where the limit is.
    let turned_away = requests - orders;
    assert!(turned_away <= IN_FLIGHT + 8, "{turned_away} were turned away");
    assert!(turned_away > 0 || a_second > 1, "it was never asked too often");
}

#[tokio::test]
async fn p04_p26_after_a_429_no_request_with_that_access_key_leaves_and_one_with_another_key_does() {
    let w = Testbed::with("silence", |o| o.args(BUDGETS)).await;
    let much_later: Value = json!({"status_before": {"code": 429, "headers": {"Retry-After": "86400"}}});
    w.simulator.fault(Fault::once(ORDER, serde_json::from_value(much_later).unwrap()));
    w.plain_order("first").await;
    w.order_because("first", Reason::ProviderUnavailable).await;
    let id = w.approved_document();
    for n in 0..2 * IN_FLIGHT {
        w.order(&format!("o{n}"), json!({"verificationId": id})).await;
    }
    w.order_where("o0", "the reason why it waits", |o| told(o, "TENIOS limits how often")).await;
    w.no_more_requests(ORDER, 1).await;
    w.secret("others", "access-key", b"another-key").await;
    let own_key =
        json!({"verificationId": id, "accessKeySecretRef": {"name": "others", "key": "access-key"}});
    w.order("other", own_key).await;
    // The simulator knows no other key.
    w.order_at("other", OrderState::Refused).await;
    assert_eq!(w.requests(ORDER), 2);
    // Whoever waits and needs no turn any more goes on.
    w.patch_order("o0", json!({"spec": {"suspend": true}})).await.unwrap();
    w.order_at("o0", OrderState::Suspended).await;
}
