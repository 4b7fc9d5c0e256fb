//! What an order costs when many are ordered at once, and what a finished one weighs: counts, which are the same on
//! every machine. `make bench` measures the times, and compares all of it with its goals. A bound here is what is
//! reached; whoever improves it lowers it.

use futures::future::join_all;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_simulator::Millis;

use crate::testbed::{PATIENCE, Testbed};
use harness::finished::Seedling;
use harness::{Request, Requests};

/// At once: more than there are slots, so that they wait for each other.
const ORDERS: usize = 60;
/// To the ledger and to the status, of each order.
const WRITES: f64 = 4.7;
/// The last look, and the Lease of the namespace for those that begin before it was read once.
const READS: f64 = 1.5;
const EVENTS: f64 = 1.1;

const FINISHED: usize = 1000;
/// Of each finished order, resident after a start with them.
const KIB: f64 = 4.5;

#[allow(clippy::cast_precision_loss, reason = "small")]
fn each(requests: &Requests, fits: impl Fn(&Request) -> bool) -> f64 {
    requests.0.iter().filter(|request| fits(request)).count() as f64 / ORDERS as f64
}

#[tokio::test]
async fn an_order_in_a_burst_costs_hardly_more_than_one_alone() {
    let budgets = ["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"];
    let w = Testbed::with("burst", |o| o.args(budgets)).await;
    let user = w.namespaces.operator_identity().user();
    // An order whose number comes with its answer would be written by both at once.
    w.simulator.set(|s| s.assign_after_ms = Millis(500));
    let id = w.approved_document();
    let mark = w.namespaces.quiet().await;
    join_all((0..ORDERS).map(|n| {
        let (w, spec) = (&w, json!({"verificationId": id}));
        async move { w.order(&format!("o{n}"), spec).await }
    }))
    .await;
    for n in 0..ORDERS {
        w.order_at(&format!("o{n}"), OrderState::Assigned).await;
    }
    w.namespaces.quiet().await;
    let made = w.namespaces.control_plane.requests_since(mark).await.by(&user);
    let own_lease = |r: &Request| r.resource == "leases" && r.namespace == w.namespaces.operator_namespace;
    let reads =
        each(&made, |r| matches!(r.verb.as_str(), "get" | "list") && !r.resource.is_empty() && !own_lease(r));
    let made_by_writing = made.clone().writes();
    let writes = each(&made_by_writing, |r| !matches!(r.resource.as_str(), "" | "leases" | "events"));
    let events = each(&made_by_writing, |r| r.resource == "events");
    println!("each of {ORDERS}: {writes:.2} writes, {reads:.2} reads, {events:.2} Events");
    assert!(writes <= WRITES && reads <= READS && events <= EVENTS, "{made}");
    assert_eq!(w.requests(crate::testbed::ORDER), ORDERS);
}

#[tokio::test]
async fn a_finished_order_weighs_little() {
    let w = Testbed::new("weight").await;
    w.namespaces.quiet().await;
    let empty = w.operator.resident_kib().unwrap();
    w.plain_order("seedling").await;
    let seedling = Seedling::of(&w.namespaces).await.unwrap();
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    seedling.copy(&w.namespaces, 1..FINISHED).await.unwrap();
    let user = w.namespaces.operator_identity().user();
    let mark = w.namespaces.control_plane.audit().mark();
    w.operator.restart().await;
    w.namespaces.quiet().await;
    let made = w.namespaces.control_plane.requests_since(mark).await.by(&user);
    let writes = made.writes().only(|request| request.resource != "leases");
    assert!(writes.is_empty(), "finished orders are left alone, but for\n{writes}");
    let grown = w.operator.resident_kib().unwrap().saturating_sub(empty);
    #[allow(clippy::cast_precision_loss, reason = "small")]
    let each = grown as f64 / FINISHED as f64;
    println!("each of {FINISHED} finished orders: {each:.2} KiB");
    assert!(each <= KIB, "{each:.2} KiB");
}
