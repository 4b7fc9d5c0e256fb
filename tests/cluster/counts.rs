//! What an order costs when many are ordered at once, and what a finished one weighs: counts, which are the same on
//! every machine. `make bench` measures the times, and compares all of it with its goals. A bound here is what is
//! reached; whoever improves it lowers it.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_simulator::Millis;

use crate::testbed::{PATIENCE, Testbed};
use harness::finished::Seedling;
use harness::{Request, Requests};

/// At once: more than there are slots, so that they wait for each other.
const ORDERS: usize = 60;
/// The intent, the outcome, the number.
const LEDGER_WRITES: usize = ORDERS * 3;
/// The last look, and the Lease of the namespace for those that begin before it was read once.
const READS: usize = ORDERS * 3 / 2;

const FINISHED: usize = 1000;
/// Of each finished order, resident after a start with them: 2.8 on a quiet machine, more where the start is slow.
const KIB: f64 = 6.0;

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
    let mut orders = Vec::new();
    for n in 0..ORDERS {
        orders.push(w.order_at(&format!("o{n}"), OrderState::Assigned).await);
    }
    w.namespaces.quiet().await;
    let made = w.namespaces.control_plane.requests_since(mark).await.by(&user);
    let mut waits = Waits::default();
    for order in &orders {
        waits.add(order, &made);
    }
    let own_lease = |r: &Request| r.resource == "leases" && r.namespace == w.namespaces.operator_namespace;
    let reads = made
        .clone()
        .only(|r| matches!(r.verb.as_str(), "get" | "list") && !r.resource.is_empty() && !own_lease(r));
    let of = |resource| made.clone().writes().of(resource).0;
    let (written, refused): (Vec<_>, Vec<_>) = of("ledgerentries").into_iter().partition(|r| r.code < 300);
    let (written, refused, reads) = (written.len(), refused.len(), reads.0.len());
    let (status, events) = (of("phonenumberorders/status").len(), of("events").len());
    println!(
        "{ORDERS} orders: {written} writes to the ledger and {refused} refused, {status} to the status, {reads} \
         reads, {events} Events"
    );
    // On a slow machine the answer and the number come together: whoever is second reads what the first one wrote.
    assert!(written <= LEDGER_WRITES && refused <= ORDERS && reads <= READS + refused, "{made}");
    assert!(status <= ORDERS + waits.shown && events <= ORDERS + waits.told, "{waits:#?}: {made}");
    assert_eq!(w.requests(crate::testbed::ORDER), ORDERS);
}

/// What a slow machine adds: a wait is shown once it has lasted, and told once it has lasted for longer.
#[derive(Debug, Default)]
struct Waits {
    shown: usize,
    told: usize,
    /// Of each order whose status was written more than once.
    story: Vec<String>,
}

impl Waits {
    fn add(&mut self, order: &PhoneNumberOrder, made: &Requests) {
        let name = order.metadata.name.as_deref().unwrap();
        let created = order.metadata.creation_timestamp.as_ref().unwrap().0;
        let intended = order.status.as_ref().unwrap().ordered_time.unwrap();
        let entry = format!(".{name}");
        let replaced = made.clone().of("ledgerentries").only(|r| r.name.ends_with(&entry) && r.code < 300).0;
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let (outcome, number) = (time(&replaced[0].completed), time(&replaced.last().unwrap().completed));
        let lasted = |from: Timestamp, to: Timestamp, seconds| {
            usize::from(to.duration_since(from) >= SignedDuration::from_secs(seconds))
        };
        // For a slot; for the answer; for the number, which is known once it is stored.
        self.shown +=
            lasted(created, intended, 5) + lasted(intended, outcome, 1) + lasted(outcome, number, 1);
        self.told += lasted(intended, number, 3);
        let shown = made.clone().of("phonenumberorders/status").only(|r| r.name == name).0;
        if shown.len() > 1 {
            let shown = shown.iter().map(|r| format!("{} {}", r.received, r.code)).collect::<Vec<_>>();
            self.story.push(format!("{name}: {created} {intended} {outcome} {number}, shown {shown:?}"));
        }
    }
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
