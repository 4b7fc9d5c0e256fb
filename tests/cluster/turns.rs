//! Who sends when, at the shipped pace and the shipped number of requests in flight: a wake that is lost shows as a
//! silence here, because the next retry is minutes away.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, PhoneVerification};
use tenios_simulator::{Action, Fault, JournalEntry, PushTime};

use crate::testbed::{ORDER, PATIENCE, Testbed, VERIFICATION, simulator, told};
use harness::{ControlPlane, Link, OperatorOptions, TestNamespaces, wait};

/// The default of `--provider-concurrency`.
const IN_FLIGHT: usize = 16;

/// The default of `--concurrency`.
const RECONCILED: usize = 16;

/// How long the provider takes for those that fill every slot: until the others stand in line, on a slow machine, too.
const FIRST: Duration = Duration::from_secs(30);

/// From now on the provider takes so long for each request, and longer for the first ones.
fn takes(w: &Testbed, path: &str, long: Duration) {
    w.simulator.set(|s| s.push.when = PushTime::Never);
    let delay = |long: Duration| -> Action {
        serde_json::from_value(json!({"delay": {"ms": long.as_millis()}})).unwrap()
    };
    w.simulator.fault(Fault::once(path, delay(FIRST)).times(u32::try_from(IN_FLIGHT).unwrap()));
    w.simulator.fault(Fault::once(path, delay(long)).times(0));
}

fn answered(journal: &[JournalEntry]) -> usize {
    journal.iter().filter(|entry| entry.answer.is_some()).count()
}

/// In another namespace than the crowd's.
async fn single_order(w: &Testbed, namespace: &str) -> Api<PhoneNumberOrder> {
    let api: Api<PhoneNumberOrder> = Api::namespaced(w.namespaces.client(), namespace);
    let order = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "single"},
        "spec": {"verificationId": w.approved_document()},
    });
    let order = serde_json::from_value::<PhoneNumberOrder>(order).unwrap();
    api.create(&PostParams::default(), &order).await.unwrap();
    api
}

async fn suspend(w: &Testbed, n: usize) {
    w.patch_order(&format!("o{n:02}"), json!({"spec": {"suspend": true}})).await.unwrap();
}

#[tokio::test]
async fn p24_a_hundred_orders_at_a_slow_provider_leave_without_a_silence_whoever_needs_none_any_more() {
    let w = Testbed::with("hundred", |o| {
        o.args(["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"])
    })
    .await;
    let takes_so_long = Duration::from_secs(3);
    takes(&w, ORDER, takes_so_long);
    let id = w.approved_document();
    // All at once, as after a restart or one large apply.
    w.operator.kill().await;
    for n in 0..100 {
        w.order(&format!("o{n:02}"), json!({"verificationId": id})).await;
    }
    w.operator.restart().await;
    wait::until("some to wait for their turn", PATIENCE, async || {
        let api: Api<PhoneNumberOrder> = w.namespaces.api();
        let orders = api.list(&ListParams::default()).await.unwrap();
        let waiting: Vec<_> = orders.into_iter().filter(|o| told(o, "waiting for its turn")).collect();
        (waiting.len() >= 50).then_some(())
    })
    .await;
    futures::future::join_all((60..100).map(|n| suspend(&w, n))).await;
    let suspended = async || {
        let api: Api<PhoneNumberOrder> = w.namespaces.api();
        let orders = api.list(&ListParams::default()).await.unwrap();
        orders
            .into_iter()
            .filter(|o| o.status.as_ref().and_then(|s| s.state) == Some(OrderState::Suspended))
            .count()
    };
    // Whichever of them left before they were suspended.
    let done = wait::poll(2 * PATIENCE, async || {
        let all = answered(&w.simulator.journal()) == w.requests(ORDER)
            && w.requests(ORDER) + suspended().await == 100;
        all.then_some(())
    })
    .await;
    let journal = w.simulator.journal();
    assert!(
        done.is_some(),
        "{} requests arrived, {} were answered, {} orders are suspended\n{}",
        journal.len(),
        answered(&journal),
        suspended().await,
        w.operator.log_tail()
    );
    // In units of one request: where something waits, the next one leaves when one ends.
    let unit = takes_so_long.as_secs_f64();
    let gaps = journal[IN_FLIGHT..]
        .windows(2)
        .map(|pair| pair[1].time.duration_since(pair[0].time).as_secs_f64() / unit);
    let longest = gaps.fold(0.0, f64::max);
    assert!(longest < 3.0, "a silence as long as {longest} requests");
}

#[tokio::test]
async fn p26_one_tenants_three_hundred_verifications_hold_anothers_order_back_for_its_turn_only() {
    let simulator = simulator().await;
    let namespaces = TestNamespaces::new("crowd").await;
    let other = format!("{}-other", namespaces.namespace);
    namespaces.create_namespace(&other).await;
    namespaces.let_operator_watch(&other).await;
    let watched = [&namespaces.namespace, &other].map(|name| format!("--watch-namespace={name}"));
    let operator = namespaces.operator(OperatorOptions::new(simulator.url()).args(watched)).await;
    let w = Testbed { namespaces, simulator, operator };
    w.secret("trade-register", "extract.pdf", crate::testbed::PDF).await;
    takes(&w, VERIFICATION, Duration::from_secs(1));
    w.operator.kill().await;
    for n in 0..300 {
        w.verification(&format!("v{n}"), json!({})).await;
    }
    w.operator.restart().await;
    wait::until("the crowd to fill every slot and to wait in line", PATIENCE, async || {
        let api: Api<PhoneVerification> = w.namespaces.api();
        let crowd = api.list(&ListParams::default()).await.unwrap();
        let waiting =
            crowd.into_iter().filter(|v| json!(v.status).to_string().contains("waiting for its turn"));
        (waiting.count() >= 100).then_some(())
    })
    .await;

    let before = w.requests(VERIFICATION);
    assert!(before < 150, "{before} have left already: the crowd is too small for this machine");
    let there = single_order(&w, &other).await;
    wait::poll(2 * PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
    let journal = w.simulator.journal();
    let arrived = journal.iter().position(|entry| entry.path == ORDER);
    let status: Value = json!(there.get("single").await.unwrap().status);
    let arrived =
        arrived.unwrap_or_else(|| panic!("the order never left: {status:#}\n{}", w.operator.log_tail()));
    let ahead = arrived - before;
    // Those that left while it was noticed, and those whose turn came before.
    assert!(ahead <= 3 * IN_FLIGHT, "{ahead} requests of the crowd went first");
}

/// Two tenants of an operator that watches everything. The requests about one of them wait at the link.
async fn stalled(name: &str) -> (Testbed, Link, String) {
    let simulator = simulator().await;
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let namespaces = TestNamespaces::on(plane.clone(), name).await;
    let other = format!("{}-other", namespaces.namespace);
    namespaces.create_namespace(&other).await;
    namespaces.let_operator_watch_everything().await;
    let link = Link::to_apiserver(plane.server(), plane.authority()).await;
    link.stall(Some(&namespaces.namespace));
    let options = OperatorOptions::new(simulator.url()).watch_everything();
    let operator = namespaces.prepare_operator(&link.url(), options).await;
    operator.process.start().unwrap();
    operator.wait_ready().await;
    (Testbed { namespaces, simulator, operator }, link, other)
}

/// Requests that wait at the link, or were given up there.
fn hanging(link: &Link, request: &str) -> usize {
    let passed = link.passed();
    passed.iter().filter(|passed| passed.name.starts_with(request) && passed.status.is_none()).count()
}

#[tokio::test]
async fn p26_a_namespace_whose_reconciles_hang_holds_back_no_others_order() {
    let (w, link, other) = stalled("hang").await;
    let written = || hanging(&link, "apiserver PATCH phonenumberorders/status");
    for n in 0..300 {
        w.order(&format!("o{n}"), json!({"verificationRef": {"name": "never"}})).await;
    }
    wait::until("as many reconciles to hang as may", PATIENCE, async || {
        (written() >= RECONCILED).then_some(())
    })
    .await;
    single_order(&w, &other).await;
    wait::until("the other's order to leave", 2 * PATIENCE, async || (w.requests(ORDER) == 1).then_some(()))
        .await;
    // On a slow machine they may have been given up once meanwhile.
    let hung = written();
    assert!(hung <= 2 * RECONCILED, "{hung} reconciles of the crowd went first");
}

#[tokio::test]
async fn p26_a_namespace_whose_secrets_are_read_slowly_holds_back_no_others_verification() {
    let (mut w, link, other) = stalled("secrets").await;
    let read = || hanging(&link, "apiserver GET secrets");
    for n in 0..40 {
        w.verification(&format!("v{n}"), json!({})).await;
    }
    wait::until("a Secret to be read", PATIENCE, async || (read() > 0).then_some(())).await;
    let before = read();
    w.namespaces.namespace = other;
    w.secret("trade-register", "extract.pdf", crate::testbed::PDF).await;
    w.verification("single", json!({})).await;
    wait::until("the other's verification to leave", 2 * PATIENCE, async || {
        (w.requests(VERIFICATION) == 1).then_some(())
    })
    .await;
    let hung = read() - before;
    assert!(hung <= 2, "{hung} Secrets of the crowd were read first");
}

#[tokio::test]
async fn p24_who_waits_for_a_turn_and_is_told_what_exists_waits_no_longer() {
    let w = Testbed::with("told", |o| o.args(["--provider-concurrency=1"])).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.simulator.fault(Fault::once(ORDER, Action::Hang));
    w.plain_order("hangs").await;
    wait::until("the request that hangs", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
    w.plain_order("waits").await;
    w.order_where("waits", "waiting for its turn", |o| told(o, "waiting for its turn")).await;
    w.patch_order("waits", json!({"spec": {"adopt": {"orderId": "42"}}})).await.unwrap();
    w.order_at("waits", OrderState::AwaitingNumber).await;
    w.order_at("hangs", OrderState::Ordering).await;
}
