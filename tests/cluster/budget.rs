use std::time::Duration;

use serde_json::json;
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_simulator::{Action, Fault, PushTime};

use crate::testbed::{ORDER, PATIENCE, Testbed, message};
use harness::link::{Point, Verdict};
use harness::wait;

#[tokio::test]
async fn p14_of_five_orders_a_budget_of_three_lets_three_through() {
    let w = Testbed::with("budget", |o| o.args(["--order-budget-per-namespace=3/24h"])).await;
    let id = w.approved_document();
    for n in 0..5 {
        w.order(&format!("o{n}"), json!({"verificationId": id})).await;
    }
    wait::until("three orders", PATIENCE, async || (w.requests(ORDER) == 3).then_some(())).await;
    w.no_more_requests(ORDER, 3).await;
    let mut exceeded = 0;
    for n in 0..5 {
        let order = w
            .order_where(&format!("o{n}"), "an end", |o| {
                let state = o.status.as_ref().and_then(|s| s.state);
                matches!(state, Some(OrderState::Assigned | OrderState::Waiting))
            })
            .await;
        let reason = crate::testbed::ready(&order.status.as_ref().unwrap().conditions).unwrap().reason;
        if reason == Reason::BudgetExceeded {
            exceeded += 1;
            let text = message(&order);
            let from: jiff::Timestamp =
                text.rsplit("continues at ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
            let hours = from.duration_since(jiff::Timestamp::now()).as_hours();
            assert!((22..=24).contains(&hours), "{text}");
        }
    }
    assert_eq!(exceeded, 2);
}

#[tokio::test]
async fn p14_a_spent_budget_goes_on_by_itself_and_survives_a_restart() {
    let w =
        Testbed::with("budget-window", |o| o.args(["--order-budget=1/15s", "--leader-election=false"])).await;
    let id = w.approved_document();
    w.order("a", json!({"verificationId": id})).await;
    w.order_at("a", OrderState::Assigned).await;
    w.operator.kill().await;
    w.operator.restart().await;
    w.order("b", json!({"verificationId": id})).await;
    w.order_because("b", Reason::BudgetExceeded).await;
    assert_eq!(w.requests(ORDER), 1);
    w.order_at("b", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}

/// The watch tells of an intent before its append is answered, and until then it holds two places.
#[tokio::test]
async fn p14_p24_whoever_finds_a_place_taken_twice_looks_again_when_it_is_not() {
    let budget = |o: harness::OperatorOptions| o.args(["--order-budget-per-namespace=2/24h"]);
    let (w, link) = Testbed::behind_a_link("taken-twice", budget).await;
    let mut intents = link.hold_where(Point::After, |name| name.starts_with("apiserver POST ledgerentries"));
    w.plain_order("a").await;
    let intent = wait::within("the intent to be stored", PATIENCE, intents.recv()).await.unwrap();
    w.plain_order("b").await;
    w.order_because("b", Reason::BudgetExceeded).await;
    intent.decide(Verdict::GoOn);
    w.order_at("b", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}

#[tokio::test]
async fn requests_that_hang_do_not_hold_up_what_needs_none() {
    let flags = ["--provider-concurrency=1", "--concurrency=1", "--provider-timeout=10s"];
    let w = Testbed::with("full", |o| o.hurried().args(flags)).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.simulator.fault(Fault::once(ORDER, Action::Hang));
    w.plain_order("hangs").await;
    w.order_at("hangs", OrderState::Ordering).await;
    w.plain_order("waits").await;
    let text = message(&w.order_because("waits", Reason::ProviderUnavailable).await);
    assert!(text.contains("waiting for its turn"), "{text}");
    w.order("adopts", json!({"verificationId": "v", "adopt": {"orderId": "42"}})).await;
    w.order_at("adopts", OrderState::AwaitingNumber).await;
    w.order_at("hangs", OrderState::Ordering).await;
    w.order_at("waits", OrderState::AwaitingNumber).await;
    w.order_at("hangs", OrderState::OutcomeUnknown).await;
    assert_eq!(w.requests(ORDER), 2);
}

/// What costs nothing must not add up to a day without orders for everybody.
#[tokio::test]
async fn p14_p26_a_hundred_refusals_with_a_bogus_key_stop_nobodys_ordering() {
    let options =
        ["--order-budget=30/24h", "--order-budget-per-namespace=30/24h", "--provider-concurrency=20"];
    let w = Testbed::with("bogus", |o| o.args(options)).await;
    w.secret("bogus", "key", b"bogus").await;
    let id = w.approved_document();
    for refused in (0..100).step_by(20) {
        for n in refused..refused + 20 {
            let reference = json!({"name": "bogus", "key": "key"});
            w.order(&format!("o{n}"), json!({"verificationId": id, "accessKeySecretRef": reference})).await;
        }
        for n in refused..refused + 20 {
            w.order_at(&format!("o{n}"), OrderState::Refused).await;
        }
    }
    assert!(w.requests(ORDER) >= 100, "{}", w.requests(ORDER));
    w.order("paid", json!({"verificationId": id})).await;
    w.order_at("paid", OrderState::Assigned).await;
}

#[tokio::test]
async fn p14_three_orders_that_probe_leave_their_namespace_its_day() {
    let w = Testbed::with("probes", |o| o.hurried().args(["--order-budget-per-namespace=3/24h"])).await;
    w.simulator.set(|s| s.approve_after_ms = None);
    w.verification("v", json!({"approval": "Probe"})).await;
    for n in 0..3 {
        w.order(&format!("probe-{n}"), json!({"verificationRef": {"name": "v"}})).await;
    }
    wait::until("nine refusals", 3 * PATIENCE, async || (w.requests(ORDER) >= 9).then_some(())).await;
    w.plain_order("paid").await;
    w.order_at("paid", OrderState::Assigned).await;
}

#[tokio::test]
async fn p14_refusals_have_a_bound_of_their_own() {
    let w = Testbed::with("refusals", |o| o.args(["--order-budget-per-namespace=1/24h"])).await;
    w.secret("bogus", "key", b"bogus").await;
    let id = w.approved_document();
    for n in 0..10 {
        let reference = json!({"name": "bogus", "key": "key"});
        w.order(&format!("o{n}"), json!({"verificationId": id, "accessKeySecretRef": reference})).await;
        w.order_at(&format!("o{n}"), OrderState::Refused).await;
    }
    w.order("more", json!({"verificationId": id})).await;
    let text = message(&w.order_because("more", Reason::BudgetExceeded).await);
    assert!(text.contains("budget of this namespace for refused requests is used up"), "{text}");
    w.no_more_requests(ORDER, 10).await;
}

#[tokio::test]
async fn p14_p26_a_tenants_own_key_spends_a_budget_of_its_own() {
    let w = Testbed::with("own-key", |o| o.args(["--order-budget=1/24h"])).await;
    w.secret("tenios", "access-key", crate::testbed::KEY.as_bytes()).await;
    let id = w.approved_document();
    let reference = json!({"name": "tenios", "key": "access-key"});
    let own = json!({"verificationId": id, "accessKeySecretRef": reference});
    w.order("own", own.clone()).await;
    w.order_at("own", OrderState::Assigned).await;
    w.order("operators", json!({"verificationId": id})).await;
    w.order_at("operators", OrderState::Assigned).await;
    w.order("own-more", own).await;
    let text = message(&w.order_because("own-more", Reason::BudgetExceeded).await);
    assert!(text.contains("the order budget of this access key is used up"), "{text}");
    w.order("operators-more", json!({"verificationId": id})).await;
    let text = message(&w.order_because("operators-more", Reason::BudgetExceeded).await);
    assert!(text.contains("the order budget of the operator is used up"), "{text}");
    w.no_more_requests(ORDER, 2).await;
}

/// At the shipped pace, whose longest wait is five minutes.
#[tokio::test]
async fn p14_p24_a_place_that_a_refusal_gives_back_is_found_by_who_waits_for_it() {
    let w = Testbed::with("given-back", |o| o.args(["--order-budget-per-namespace=1/24h"])).await;
    w.secret("bogus", "key", b"bogus").await;
    w.simulator.fault(Fault::once(ORDER, Action::Delay { ms: Duration::from_secs(5).into() }));
    let id = w.approved_document();
    let reference = json!({"name": "bogus", "key": "key"});
    w.order("refused", json!({"verificationId": id, "accessKeySecretRef": reference})).await;
    w.order_at("refused", OrderState::Ordering).await;
    for name in ["needs-none", "waits"] {
        w.order(name, json!({"verificationId": id})).await;
        w.order_because(name, Reason::BudgetExceeded).await;
    }
    w.patch_order("needs-none", json!({"spec": {"suspend": true}})).await.unwrap();
    w.order_at("refused", OrderState::Refused).await;
    w.order_at("waits", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}
