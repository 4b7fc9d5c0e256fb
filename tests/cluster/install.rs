//! The shipped base, as it is applied.

use serde_json::json;
use tenios_api::order::OrderState;

use crate::testbed::{ORDER, PATIENCE, Testbed};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

/// It watches every namespace, so it needs a control plane of its own.
#[tokio::test]
async fn p22_under_the_shipped_cluster_role_it_serves_all_namespaces() {
    let plane = std::sync::Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::on(plane, "cluster-wide").await;
    namespaces.let_operator_watch_everything().await;
    let operator = namespaces.operator(OperatorOptions::new(simulator.url()).watch_everything()).await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn references_reach_only_the_resources_own_namespace() {
    let w = Testbed::new("tenants").await;
    let other = format!("{}-other", w.namespaces.namespace);
    w.namespaces.create_namespace(&other).await;
    for path in [format!("{other}/v"), "../v".to_owned()] {
        let order = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"},
            "spec": {"verificationRef": {"name": path, "namespace": other}}});
        let said = w
            .namespaces
            .kubectl()
            .run_with_input(&["create", "--validate=strict", "-f", "-"], &order.to_string())
            .await
            .expect_failure();
        assert!(said.contains("unknown field \"spec.verificationRef.namespace\""), "{said}");
    }
}

#[tokio::test]
async fn readiness_means_watches_established_and_ledger_reachable() {
    let w = Testbed::new("readiness").await;
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let kubectl = w.namespaces.control_plane.kubectl().in_namespace(&w.namespaces.operator_namespace);
    let bindings = kubectl.run(&["get", "rolebindings", "-o", "json"]).await.expect_success();
    kubectl.run(&["delete", "rolebindings", "--all"]).await.expect_success();
    let operator = w.namespaces.start_operator(OperatorOptions::new(w.simulator.url())).await;
    wait::until("a watch that is refused", PATIENCE, async || {
        operator.log().contains("the ledger's watch broke").then_some(())
    })
    .await;
    assert!(!operator.is_ready().await);
    kubectl.apply(&bindings).await;
    operator.wait_ready().await;
}

#[tokio::test]
async fn a_wrong_configuration_ends_with_one_line_that_names_the_flag() {
    for (arguments, named) in [
        (vec!["run", "--tenios-url=http://example.com"], "--tenios-url"),
        (vec!["run", "--push-base-url=https://example.com"], "--push-key-file"),
        (vec!["run", "--order-budget=many"], "--order-budget"),
        (vec!["run", "--retry-min=never"], "--retry-min"),
        (vec!["run", "--otlp-endpoint=collector:4318"], "--otlp-endpoint"),
        (vec!["run", "--ledger=paper"], "--ledger"),
        (vec!["run", "--no-such-flag"], "--no-such-flag"),
        (vec!["run", "--tenios-ca-file=/no/such/file"], "--tenios-ca-file"),
    ] {
        let output = harness::Program::Operator.command().args(&arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(named) && said.trim().lines().count() == 1, "{arguments:?}: {said}");
    }
}

#[test]
fn without_trust_roots_it_ends_and_says_so() {
    let mut operator = harness::Program::Operator.command();
    operator.arg("run").env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/no/such/directory");
    let output = operator.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("certificate") && said.trim().lines().count() == 1, "{said}");
}
