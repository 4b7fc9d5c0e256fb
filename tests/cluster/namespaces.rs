//! Promise 26: a namespace that can't be listed or is another's stops only itself.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_operator::controller::NAMESPACE_LEASE;

use crate::testbed::{PATIENCE, Testbed, simulator};
use harness::{OperatorOptions, TestNamespaces, wait};

async fn metric(w: &Testbed, line: &str) {
    wait::until(line, PATIENCE, async || {
        w.operator.metrics().await.contains(&format!("\n{line}\n")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn p26_a_namespace_that_cant_be_listed_stops_only_itself() {
    let simulator = simulator().await;
    let namespaces = TestNamespaces::new("unlisted").await;
    let lost = format!("{}-lost", namespaces.namespace);
    namespaces.create_namespace(&lost).await;
    let options = OperatorOptions::new(simulator.url());
    let options = options
        .args([format!("--watch-namespace={lost}"), format!("--watch-namespace={}", namespaces.namespace)]);
    // Ready, so that pushes reach it.
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    metric(&w, "tenios_namespaces_unlisted 1").await;
    let log = w.operator.log();
    let named = log.lines().filter(|line| {
        line.contains("can't be listed") && line.contains(&lost) && line.contains("phonenumberorders")
    });
    assert_eq!(named.count(), 1, "{log}");

    w.namespaces.let_operator_watch(&lost).await;
    let there: Api<PhoneNumberOrder> = Api::namespaced(w.namespaces.client(), &lost);
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
    let w = Testbed::with("left", |o| o.args(["--retry-min=5m", "--retry-max=5m"])).await;
    let leases: Api<Lease> = w.namespaces.api();
    let lease = json!({"metadata": {"name": NAMESPACE_LEASE}, "spec": {"holderIdentity": "elsewhere"}});
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
    leases.delete(NAMESPACE_LEASE, &DeleteParams::default()).await.unwrap();
    w.order_at("suspended", OrderState::Suspended).await;
    w.order_at("waits", OrderState::Waiting).await;
    metric(&w, "tenios_namespaces_of_others 0").await;
}

/// In place of what the operator may do in the tenant's namespace.
async fn only_role(w: &Testbed, allowed: Value) {
    let roles: Api<Role> = w.namespaces.api();
    let bindings: Api<RoleBinding> = w.namespaces.api();
    let shipped = bindings.list(&ListParams::default()).await.unwrap().items.remove(0);
    let role = json!({"metadata": {"name": "only"}, "rules": allowed});
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    let only = json!({
        "metadata": {"name": "only"}, "subjects": shipped.subjects,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "only"},
    });
    bindings.create(&PostParams::default(), &serde_json::from_value(only).unwrap()).await.unwrap();
    bindings.delete(shipped.metadata.name.as_deref().unwrap(), &DeleteParams::default()).await.unwrap();
}

/// Roles in single namespaces are often kept by hand, and are behind after an upgrade.
#[tokio::test]
async fn a_role_without_the_watch_on_leases_still_serves_and_the_log_names_what_it_lacks() {
    let w = Testbed::new("old-role").await;
    only_role(
        &w,
        json!([
            {"apiGroups": ["tenios.dev"], "resources": ["phoneverifications", "phonenumberorders"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["tenios.dev"], "resources": ["phoneverifications/status", "phonenumberorders/status"], "verbs": ["patch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create"]},
        ]),
    )
    .await;
    w.operator.kill().await;
    w.operator.restart().await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    wait::until("the hint", PATIENCE, async || {
        w.operator.log().contains("list and watch on Leases named tenios-operator-ledger").then_some(())
    })
    .await;
    metric(&w, "tenios_namespaces_unlisted 0").await;
}

#[tokio::test]
async fn p24_a_status_that_may_not_be_written_is_told_by_an_event() {
    let w = Testbed::new("mute").await;
    // As the shipped one, without the status.
    only_role(
        &w,
        json!([
            {"apiGroups": ["tenios.dev"], "resources": ["phoneverifications", "phonenumberorders"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch", "create"]},
        ]),
    )
    .await;
    w.order("o", json!({"verificationRef": {"name": "later"}})).await;
    wait::until("the event", 2 * PATIENCE, async || {
        let events = w.events().await;
        let told = events.iter().find(|event| event.reason.as_deref() == Some("ReconcileFailed"))?;
        told.note.as_deref()?.contains("phonenumberorders/status").then_some(())
    })
    .await;
    assert!(w.operator.metrics().await.contains("kind=\"PhoneNumberOrder\",reason=\"apiserver\"} "));
}
