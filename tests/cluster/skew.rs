//! A CRD that is older or newer than the operator.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;

use crate::testbed::{PATIENCE, Testbed};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

/// Changes a CRD, and waits until the apiserver publishes it.
async fn change(client: &Client, plural: &str, change: fn(&mut Value), published: fn(&Value) -> bool) {
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("{plural}.tenios.dev");
    let mut crd = serde_json::to_value(crds.get(&name).await.unwrap()).unwrap();
    change(&mut crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]);
    let crd = serde_json::from_value(crd).unwrap();
    crds.replace(&name, &PostParams::default(), &crd).await.unwrap();
    wait::until("the changed schema", PATIENCE, async || {
        let request = http::Request::get("/openapi/v3/apis/tenios.dev/v1alpha1").body(Vec::new()).unwrap();
        let schemas: Value = client.request(request).await.ok()?;
        published(&schemas["components"]["schemas"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_older_and_a_newer_crd_are_told_once_and_hold_nothing_up() {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::on(plane, "skew").await;
    let older = |properties: &mut Value| {
        properties["status"]["properties"].as_object_mut().unwrap().remove("requests").unwrap();
    };
    change(&namespaces.client(), "phonenumberorders", older, |schemas| {
        let status = &schemas["dev.tenios.v1alpha1.PhoneNumberOrder"]["properties"]["status"]["properties"];
        status.is_object() && status["requests"].is_null()
    })
    .await;
    let newer = |properties: &mut Value| {
        properties["spec"]["properties"]["colour"] = json!({"type": "string"});
    };
    change(&namespaces.client(), "phoneverifications", newer, |schemas| {
        schemas["dev.tenios.v1alpha1.PhoneVerification"]["properties"]["spec"]["properties"]["colour"]
            .is_object()
    })
    .await;

    let operator = namespaces.operator(OperatorOptions::new(simulator.url())).await;
    let w = Testbed { namespaces, simulator, operator };
    let mark = w.namespaces.control_plane.audit().mark();
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    // What the older CRD drops from a status is not written again and again.
    w.namespaces.quiet().await;
    let user = w.namespaces.operator_identity().user();
    let made = w.namespaces.control_plane.requests_since(mark).await.by(&user).writes();
    let shown = made.only(|request| request.resource == "phonenumberorders/status");
    assert!((1..=6).contains(&shown.0.len()), "{shown}");
    wait::until("the metric", PATIENCE, async || {
        let metrics = w.operator.metrics().await;
        let compatible = |kind: &str| {
            let start = format!("tenios_crd_compatible{{kind=\"{kind}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&start)).map(ToOwned::to_owned)
        };
        let all = ["PhoneNumberOrder", "PhoneVerification", "LedgerEntry"].map(compatible);
        (all == ["0", "0", "1"].map(|value| Some(value.to_owned()))).then_some(())
    })
    .await;
    let log = w.operator.log();
    let told =
        |text: &str, field: &str| log.lines().filter(|l| l.contains(text) && l.contains(field)).count();
    assert_eq!(told("is older than this operator", "status.requests"), 1, "{log}");
    assert_eq!(told("is newer than this operator", "spec.colour"), 1, "{log}");
}
