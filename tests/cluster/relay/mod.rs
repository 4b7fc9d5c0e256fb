//! Promise 28: what the relay tells, over sockets, to a receiver that may do anything.

mod receiver;

use std::path::PathBuf;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;

use crate::testbed::{ORDER, PATIENCE, SILENCE, Testbed, simulator};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, ports, wait};
use receiver::{Arrival, Reaction, Receiver};

const KEY: &str = "relay-key-of-these-tests";

/// A file with the key, which goes with the control plane.
async fn key_file(name: &str) -> PathBuf {
    let file = ControlPlane::shared().await.directory().join(format!("{name}.relay-key"));
    std::fs::write(&file, format!("{KEY}\n")).unwrap();
    file
}

async fn listening(name: &str, port: u16) -> Testbed {
    let key = key_file(name).await;
    let arguments = [
        format!("--relay-url=http://127.0.0.1:{port}/events"),
        format!("--relay-key-file={}", key.display()),
        "--relay-timeout=1s".into(),
    ];
    Testbed::with(name, |options| options.hurried().args(arguments)).await
}

async fn assigned(w: &Testbed, name: &str) -> Value {
    w.plain_order(name).await;
    json!(w.order_at(name, OrderState::Assigned).await.status)
}

/// A metric of the relay without labels.
async fn metric(w: &Testbed, name: &str) -> Option<u64> {
    let metrics = w.operator.metrics().await;
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Waits until the ledger knows that all were told.
async fn told_everything(w: &Testbed) {
    wait::until_seen(
        "nothing to be told",
        PATIENCE,
        async || metric(w, "tenios_relay_undelivered ").await,
        |left| *left == Some(0),
    )
    .await;
}

/// No more events arrive.
async fn no_more(receiver: &Receiver, expected: usize) {
    wait::holds_for("the count of events", SILENCE, async || receiver.arrivals().len(), |n| *n == expected)
        .await;
}

fn types(arrivals: &[Arrival]) -> Vec<String> {
    let types = arrivals.iter().map(|arrival| arrival.event()["type"].as_str().unwrap().to_owned());
    types.map(|type_| type_.replace("dev.tenios.number.", "")).collect()
}

#[tokio::test]
async fn p28_a_number_and_its_cancellation_are_told_once_each_in_order_and_signed() {
    let receiver = Receiver::start().await;
    let w = listening("relay", receiver.port).await;
    let status = assigned(&w, "o").await;
    let event = receiver.has(1).await[0].clone();
    assert!(event.is_signed_with(KEY), "{event:?}");
    assert_eq!(event.header("Content-Type"), "application/cloudevents+json; charset=utf-8");
    assert_eq!(event.event()["specversion"], "1.0");
    let expected = json!({
        "namespace": w.namespaces.namespace, "name": "o", "attempt": status["attempt"],
        "orderId": status["orderId"], "phoneNumber": status["phoneNumber"],
    });
    assert_eq!(event.event()["data"], expected);
    told_everything(&w).await;

    // Another key from now on, as when the mounted Secret changes.
    std::fs::write(key_file("relay").await, "another-key-of-these-tests").unwrap();
    w.patch_order("o", json!({"spec": {"cancel": {"phoneNumber": status["phoneNumber"]}}})).await.unwrap();
    let cancelled = json!(w.order_at("o", OrderState::Cancelled).await.status);
    let event = receiver.has(2).await[1].clone();
    assert!(event.is_signed_with("another-key-of-these-tests"), "{event:?}");
    assert_eq!(event.event()["data"]["cancellationDate"], cancelled["cancellationDate"]);
    assert_eq!(event.event()["data"]["orderId"], status["orderId"]);
    told_everything(&w).await;
    w.operator.kill().await;
    w.operator.restart().await;
    no_more(&receiver, 2).await;
    assert_eq!(types(&receiver.arrivals()), ["assigned", "cancelled"]);
    let log = w.operator.log();
    assert!(!log.contains(KEY) && !log.contains("another-key"), "{log}");
}

#[tokio::test]
async fn p28_a_receiver_that_is_away_is_told_when_it_is_back() {
    let port = ports::free();
    let w = listening("relay-away", port).await;
    for name in ["a", "b", "c"] {
        assigned(&w, name).await;
    }
    assert_eq!(metric(&w, "tenios_relay_undelivered ").await, Some(3));
    assert_eq!(metric(&w, "tenios_relay_overdue ").await, Some(0));
    let receiver = Receiver::at(port).await;
    receiver.has(3).await;
    told_everything(&w).await;
    let names: Vec<_> = receiver.arrivals().iter().map(Arrival::name).collect();
    assert_eq!(names, ["a", "b", "c"], "in the order in which they were assigned");
}

#[tokio::test]
async fn p28_killed_between_the_assignment_and_the_delivery_it_tells_after_a_restart() {
    let receiver = Receiver::start().await;
    receiver.always(Some(Reaction::Hang));
    let w = listening("relay-killed", receiver.port).await;
    assigned(&w, "o").await;
    let first = receiver.has(1).await[0].clone();
    w.operator.kill().await;
    receiver.always(None);
    let before = receiver.arrivals().len();
    w.operator.restart().await;
    let after = receiver.has(before + 1).await;
    assert_eq!(after[before].body, first.body, "the same event under the same id");
    told_everything(&w).await;
    no_more(&receiver, before + 1).await;
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p17_p28_pushes_are_answered_and_orders_placed_while_the_receiver_hangs() {
    let receiver = Receiver::start().await;
    receiver.always(Some(Reaction::Hang));
    let key = key_file("relay-hangs").await;
    let arguments = [
        format!("--relay-url={}", receiver.url()),
        format!("--relay-key-file={}", key.display()),
        "--relay-timeout=10m".into(),
    ];
    let w = Testbed::with("relay-hangs", |options| options.args(arguments)).await;
    assigned(&w, "a").await;
    receiver.has(1).await;
    for name in ["b", "c"] {
        assigned(&w, name).await;
    }
    let answers: Vec<_> = w.simulator.pushes().iter().map(|push| push.status).collect();
    assert_eq!(answers, [Some(200); 3]);
    assert_eq!((receiver.arrivals().len(), receiver.open()), (1, 1), "one at a time for a namespace");
}

#[tokio::test]
async fn p28_a_redirect_is_not_followed() {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    receiver.next([Reaction::RedirectTo(elsewhere.url()), Reaction::RedirectTo(elsewhere.url())]);
    let w = listening("relay-redirect", receiver.port).await;
    assigned(&w, "o").await;
    receiver.has(3).await;
    told_everything(&w).await;
    assert_eq!(elsewhere.arrivals(), []);
}

#[tokio::test]
async fn p28_an_answer_without_an_end_is_given_up_and_only_its_status_counts() {
    let receiver = Receiver::start().await;
    receiver.next([Reaction::EndlessHead, Reaction::SlowHead, Reaction::EndlessBody]);
    let w = listening("relay-endless", receiver.port).await;
    assigned(&w, "o").await;
    receiver.has(3).await;
    told_everything(&w).await;
    no_more(&receiver, 3).await;
    wait::until_seen("every connection to be closed", PATIENCE, async || receiver.open(), |open| *open == 0)
        .await;
}

#[tokio::test]
async fn p28_what_happened_before_there_was_a_relay_is_not_told() {
    let receiver = Receiver::start().await;
    let mut w = Testbed::hurried("relay-later").await;
    assigned(&w, "before").await;
    let snapshots: Vec<_> =
        w.ledger().await.iter().map(|entry| json!(entry.spec)["snapshot"].clone()).collect();
    assert!(snapshots.iter().all(|snapshot| snapshot.get("unannounced").is_none()), "{snapshots:?}");
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let key = key_file("relay-later").await;
    let options = OperatorOptions::new(w.simulator.url()).hurried();
    let options = options
        .args([format!("--relay-url={}", receiver.url()), format!("--relay-key-file={}", key.display())]);
    w.operator = w.namespaces.operator(options).await;
    assigned(&w, "after").await;
    receiver.has(1).await;
    told_everything(&w).await;
    no_more(&receiver, 1).await;
    assert_eq!(receiver.arrivals()[0].name(), "after");
}

/// A `ConfigMap` that says where the events of the tenant's namespace go.
async fn receivers(w: &TestNamespaces, of: &str, receiver: &Receiver) {
    let api: Api<ConfigMap> = Api::namespaced(w.client(), of);
    let object =
        json!({"metadata": {"name": "tenios-relay"}, "data": {w.namespace.as_str(): receiver.url()}});
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

#[tokio::test]
async fn p22_p28_only_a_config_map_in_the_operators_namespace_says_who_is_told() {
    let (receiver, tenants) = (Receiver::start().await, Receiver::start().await);
    let namespaces = TestNamespaces::new("relay-whose").await;
    namespaces.let_operator_read_relay_config_map().await;
    receivers(&namespaces, &namespaces.operator_namespace, &receiver).await;
    receivers(&namespaces, &namespaces.namespace, &tenants).await;
    let simulator = simulator().await;
    let key = key_file("relay-whose").await;
    let options = OperatorOptions::new(simulator.url()).hurried();
    let options = options
        .args(["--relay-config-map=tenios-relay".into(), format!("--relay-key-file={}", key.display())]);
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    assigned(&w, "o").await;
    let event = receiver.has(1).await[0].clone();
    assert!(event.is_signed_with(KEY));
    told_everything(&w).await;
    assert_eq!(tenants.arrivals(), []);
}

/// Each fault on this link, each at an order of its own: it is told as often as it takes, and never less than once.
#[tokio::test]
async fn p28_whatever_breaks_on_the_way_every_number_is_told_and_ordered_once() {
    let receiver = Receiver::start().await;
    let w = listening("relay-faults", receiver.port).await;
    let faults = [
        ("cut-before", Reaction::CutBefore, 1),
        ("cut-after", Reaction::CutAfter, 2),
        ("cut-within", Reaction::CutWithin, 2),
        ("hang", Reaction::Hang, 2),
        ("400", Reaction::Status(400), 2),
        ("404", Reaction::Status(404), 2),
        ("429", Reaction::Status(429), 2),
        ("500", Reaction::Status(500), 2),
        ("503", Reaction::Status(503), 2),
    ];
    for (name, fault, expected) in faults.clone() {
        receiver.next([fault]);
        assigned(&w, name).await;
        told_everything(&w).await;
        let arrived = receiver.of(name);
        assert_eq!(arrived.len(), expected, "{name}");
        assert!(arrived.iter().all(|arrival| arrival.is_signed_with(KEY)), "{name}");
        assert!(arrived.iter().all(|arrival| arrival.id() == arrived[0].id()), "{name}");
    }
    // The process ends at each point of a delivery: before the receiver reads, and before and after it answers.
    for (name, fault) in [("killed-before", Reaction::CutBefore), ("killed-after", Reaction::Hang)] {
        let arrived = receiver.arrivals().len();
        receiver.always(Some(fault));
        assigned(&w, name).await;
        if name == "killed-after" {
            receiver.has(arrived + 1).await;
        }
        w.operator.kill().await;
        receiver.always(None);
        w.operator.restart().await;
        told_everything(&w).await;
        assert!(!receiver.of(name).is_empty(), "{name}");
    }
    assert_eq!(w.requests(ORDER), faults.len() + 2);
}
