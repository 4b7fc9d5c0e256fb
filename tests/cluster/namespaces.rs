//! Promise 26: a namespace that can't be listed or is another's stops only itself.

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::json;
use tenios_operator::api::PhoneNumberOrder;
use tenios_operator::api::order::OrderState;
use tenios_operator::controller::CLAIM;

use crate::harness::{OperatorOptions, Scenario, wait};
use crate::world::{PATIENCE, World, simulator};

async fn metric(w: &World, line: &str) {
    wait::until(line, PATIENCE, async || {
        w.operator.metrics().await.contains(&format!("\n{line}\n")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn p26_a_namespace_that_cant_be_listed_stops_only_itself() {
    let simulator = simulator().await;
    let scenario = Scenario::new("unlisted").await;
    let lost = format!("{}-lost", scenario.namespace);
    scenario.create_namespace(&lost).await;
    let options = OperatorOptions::new(simulator.url());
    let options = options
        .args([format!("--watch-namespace={lost}"), format!("--watch-namespace={}", scenario.namespace)]);
    // Ready, so that pushes reach it.
    let operator = scenario.operator(options).await;
    let w = World { scenario, simulator, operator };
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    metric(&w, "tenios_namespaces_unlisted 1").await;
    let log = w.operator.log();
    let named = log.lines().filter(|line| {
        line.contains("can't be listed") && line.contains(&lost) && line.contains("phonenumberorders")
    });
    assert_eq!(named.count(), 1, "{log}");

    w.scenario.let_operator_watch(&lost).await;
    let there: Api<PhoneNumberOrder> = Api::namespaced(w.scenario.client(), &lost);
    let order = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"},
        "spec": {"verificationId": w.approved_document()},
    });
    there.create(&PostParams::default(), &serde_json::from_value(order).unwrap()).await.unwrap();
    wait::until("it goes on there by itself", 3 * PATIENCE, async || {
        let order = there.get("o").await.unwrap();
        (order.status?.state == Some(OrderState::Assigned)).then_some(())
    })
    .await;
    metric(&w, "tenios_namespaces_unlisted 0").await;
}

/// As its message says: delete the Lease. Nothing is polled within this test.
#[tokio::test]
async fn p24_what_waits_or_is_suspended_has_a_status_once_the_namespace_is_ours() {
    let w = World::with("left", |o| o.args(["--retry-min=5m", "--retry-max=5m"])).await;
    let leases: Api<Lease> = w.scenario.api();
    let lease = json!({"metadata": {"name": CLAIM}, "spec": {"holderIdentity": "elsewhere"}});
    leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
    metric(&w, "tenios_namespaces_of_others 1").await;
    let id = w.approved_document();
    w.order("suspended", json!({"verificationId": id, "suspend": true})).await;
    w.order("waits", json!({"verificationRef": {"name": "later"}})).await;
    wait::until("both are left alone", PATIENCE, async || {
        let told = w.events().await.into_iter().filter(|e| e.reason.as_deref() == Some("ServedByAnother"));
        (told.count() == 2).then_some(())
    })
    .await;
    leases.delete(CLAIM, &DeleteParams::default()).await.unwrap();
    w.order_at("suspended", OrderState::Suspended).await;
    w.order_at("waits", OrderState::Waiting).await;
    metric(&w, "tenios_namespaces_of_others 0").await;
}
