//! An apiserver that has no time makes the operator slow, not loud.

use std::time::Duration;

use kube::api::{Api, ListParams};
use serde_json::json;
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;

use crate::testbed::{ORDER, PATIENCE, Testbed, simulator};
use harness::link::Storm;
use harness::{Link, OperatorOptions, TestNamespaces, wait};

const ORDERS: usize = 20;

/// Two retries long: the second one comes five seconds after the first, the third one ten seconds later.
const WINDOW: Duration = Duration::from_secs(14);

/// For each order, the first time and twice again: what it would send from, and its status.
const MOST: usize = ORDERS * 2 * 3 + 30;

#[tokio::test]
async fn p24_an_apiserver_that_turns_everything_away_is_asked_less_and_less_and_all_is_ordered_later() {
    let simulator = simulator().await;
    let namespaces = TestNamespaces::new("busy").await;
    let plane = &namespaces.control_plane;
    let link = Link::to_apiserver(plane.server(), plane.authority()).await;
    let budgets = ["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"];
    let options = OperatorOptions::new(simulator.url()).args(budgets);
    let operator = namespaces.prepare_operator(&link.url(), options).await;
    operator.process.start().unwrap();
    operator.wait_ready().await;
    let w = Testbed { namespaces, simulator, operator };
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
