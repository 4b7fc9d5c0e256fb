//! Two installations, each with a ledger of its own, that were told to serve the same namespace.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_operator::controller::NAMESPACE_LEASE;

use crate::testbed::{ORDER, PATIENCE, SILENCE, Testbed, VERIFICATION};
use harness::{Operator, OperatorOptions, TestNamespaces, wait};

/// The operator of another installation, at work in the namespace of this testbed.
async fn rival(w: &Testbed) -> (TestNamespaces, Operator) {
    let other = TestNamespaces::on(w.namespaces.control_plane.clone(), "rival").await;
    other.let_operator_watch(&w.namespaces.namespace).await;
    let options = OperatorOptions::new(w.simulator.url())
        .hurried()
        .args([format!("--watch-namespace={}", w.namespaces.namespace)]);
    let operator = other.operator(options).await;
    (other, operator)
}

async fn claim(w: &Testbed) -> Option<String> {
    let leases: Api<Lease> = w.namespaces.api();
    leases.get_opt(NAMESPACE_LEASE).await.unwrap()?.spec?.holder_identity
}

#[tokio::test]
async fn p01_p14_two_installations_in_one_namespace_send_each_request_once() {
    let w = Testbed::hurried("rivals").await;
    let (other, operator) = rival(&w).await;
    w.verification("v", json!({"approval": "Approved"})).await;
    let orders = ["o1", "o2", "o3", "o4"];
    for name in orders {
        w.order(name, json!({"verificationRef": {"name": "v"}})).await;
    }
    for name in orders {
        w.order_at(name, OrderState::Assigned).await;
    }
    let sent = || (w.requests(VERIFICATION), w.requests(ORDER));
    assert_eq!(sent(), (1, orders.len()));

    let owner = claim(&w).await.unwrap();
    assert!([&w.namespaces.operator_namespace, &other.operator_namespace].contains(&&owner), "{owner}");
    let loser = if owner == other.operator_namespace { &w.operator } else { &operator };
    wait::until("the one that gives way says so", PATIENCE, async || {
        loser.metrics().await.contains("\ntenios_namespaces_of_others 1\n").then_some(())
    })
    .await;
    let said = loser.log().lines().filter(|line| line.contains("ignores it and sends nothing")).count();
    assert_eq!(said, 1, "{}", loser.log());
    let told = w.events().await.into_iter().any(|event| event.reason.as_deref() == Some("ServedByAnother"));
    assert!(told, "no event names the other installation");
    // They don't correct each other's words.
    other.quiet().await;
    let mark = w.namespaces.quiet().await;
    let writes = async || {
        let made = w.namespaces.control_plane.requests_since(mark).await;
        made.only(|r| r.namespace == w.namespaces.namespace && r.resource.ends_with("/status"))
    };
    wait::holds_for("no status is written", SILENCE, writes, harness::Requests::is_empty).await;
    assert_eq!(sent(), (1, orders.len()));
}

#[tokio::test]
async fn a_namespace_whose_operator_is_gone_is_taken_over_by_a_persons_hand() {
    let w = Testbed::new("taken-over").await;
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    w.operator.kill().await;
    let (other, _operator) = rival(&w).await;
    w.plain_order("later").await;
    wait::until("the event", PATIENCE, async || {
        let events = w.events().await;
        events.iter().any(|event| event.reason.as_deref() == Some("ServedByAnother")).then_some(())
    })
    .await;
    assert_eq!(w.requests(ORDER), 1, "it waits for a person");
    let leases: Api<Lease> = w.namespaces.api();
    leases.delete(NAMESPACE_LEASE, &DeleteParams::default()).await.unwrap();
    w.order_at("later", OrderState::Assigned).await;
    assert_eq!(claim(&w).await, Some(other.operator_namespace.clone()));
    // The new ledger knows the first order from its status.
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    assert_eq!(w.requests(ORDER), 2);
}
