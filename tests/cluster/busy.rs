//! An apiserver that has no time makes the operator slow, not loud.

use std::time::Duration;

use http::StatusCode;
use kube::api::{Api, ListParams};
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, Reason};

use crate::testbed::{KEY, ORDER, PATIENCE, Testbed, told};
use harness::link::{Point, Storm, Verdict};
use harness::{OperatorOptions, wait};

const ORDERS: usize = 20;

/// Two retries long: the second one comes five seconds after the first, the third one ten seconds later.
const WINDOW: Duration = Duration::from_secs(14);

/// For each order, the first time and twice again: what it would send from, and its status.
const MOST: usize = ORDERS * 2 * 3 + 30;

#[tokio::test]
async fn p24_an_apiserver_that_turns_everything_away_is_asked_less_and_less_and_all_is_ordered_later() {
    let budgets = ["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"];
    let (w, link) = Testbed::behind_a_link("busy", |options| options.args(budgets)).await;
    w.namespaces.quiet().await;
    let id = w.approved_document();
    link.storm(Storm::Busy);
    let before = link.passed().len();
    for n in 0..ORDERS {
        w.order(&format!("o{n}"), json!({"verificationId": id})).await;
    }
    let asked = async || link.passed().len() - before;
    wait::until("each order to be tried", PATIENCE, async || (asked().await >= ORDERS).then_some(())).await;
    wait::holds_for("a few requests for each order", WINDOW, asked, |asked| *asked <= MOST).await;
    assert_eq!(w.requests(ORDER), 0, "nothing is sent that could not be recorded");
    link.storm(Storm::Calm);
    wait::until("all numbers", 2 * PATIENCE, async || {
        let api: Api<PhoneNumberOrder> = w.namespaces.api();
        let orders = api.list(&ListParams::default()).await.unwrap();
        let state = |order: &PhoneNumberOrder| order.status.as_ref().and_then(|status| status.state);
        orders.iter().all(|order| state(order) == Some(OrderState::Assigned)).then_some(())
    })
    .await;
    assert_eq!(w.requests(ORDER), ORDERS);
}

/// As one does whose keys for Secrets are away, while it answers everything else.
#[tokio::test]
async fn p24_a_secret_that_the_apiserver_fails_to_read_is_named_and_used_once_it_can_be() {
    let (w, link) = Testbed::behind_a_link("unread", OperatorOptions::hurried).await;
    w.secret("tenios", "access-key", KEY.as_bytes()).await;
    let read = || link.hold_where(Point::Before, |name| name.starts_with("apiserver GET secrets"));
    let mut reads = read();
    let key = json!({"name": "tenios", "key": "access-key"});
    w.order("o", json!({"verificationId": w.approved_document(), "accessKeySecretRef": key})).await;
    let order = tokio::select! {
        order = w.order_because("o", Reason::AccessKeyNotFound) => order,
        () = async {
            while let Some(held) = reads.recv().await {
                reads = read();
                held.decide(Verdict::Answer(StatusCode::INTERNAL_SERVER_ERROR));
            }
        } => panic!("the link is gone"),
    };
    assert!(told(&order, "Secret \"tenios\" can't be read: "), "{order:?}");
    link.let_pass();
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
}
