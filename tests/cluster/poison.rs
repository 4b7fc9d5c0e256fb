//! Promise 23: one bad resource harms only itself.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tenios_operator::api::order::OrderState;

use crate::harness::{ControlPlane, OperatorOptions, Scenario, wait};
use crate::world::{ORDER, PATIENCE, World};

/// It loosens the CRD, so it needs a control plane of its own.
#[tokio::test]
async fn p21_p23_what_todays_types_can_not_read_is_reported_on_it_and_all_others_go_on() {
    let plane = std::sync::Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::world::simulator().await;
    let scenario = Scenario::on(plane.clone(), "poison").await;
    let crds: Api<CustomResourceDefinition> = Api::all(scenario.client());
    let strict = crds.get("phonenumberorders.tenios.dev").await.unwrap();
    loosen(&crds).await;
    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("tenios.dev", "v1alpha1", "PhoneNumberOrder"),
        "phonenumberorders",
    );
    let api: Api<DynamicObject> = Api::namespaced_with(scenario.client(), &scenario.namespace, &resource);
    let poisons = [
        ("number-as-id", json!({"verificationId": 77_777}), "spec.verificationId: invalid type"),
        ("list-as-spec", json!([77_777]), "spec"),
        ("no-spec", Value::Null, "spec"),
        (
            "bad-number",
            json!({"verificationId": "v", "linkTo": {"phoneNumber": "Domkloster"}}),
            "spec.linkTo.phoneNumber",
        ),
        (
            "unknown-policy",
            json!({"verificationId": "v", "deletionPolicy": "Domkloster"}),
            "spec.deletionPolicy: unknown",
        ),
        ("large", json!({"verificationId": ["x".repeat(700_000)]}), "spec.verificationId"),
    ];
    for (name, spec, _) in &poisons {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": name}, "spec": spec});
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        wait::until("the loosened schema to be served", PATIENCE, async || {
            api.create(&PostParams::default(), &object).await.ok()
        })
        .await;
    }
    let odd = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "odd-status"},
        "spec": {"verificationId": "v", "adopt": {"orderId": "42", "phoneNumber": "+492211"}}});
    api.create(&PostParams::default(), &serde_json::from_value(odd).unwrap()).await.unwrap();
    let status = Patch::Merge(json!({"status": {"orderId": 7, "conditions": "none"}}));
    api.patch_status("odd-status", &PatchParams::default(), &status).await.unwrap();
    let operator = scenario.operator(OperatorOptions::new(simulator.url())).await;
    let w = World { scenario, simulator, operator };
    w.plain_order("good").await;
    w.order_at("good", OrderState::Assigned).await;
    let mended = w.order_at("odd-status", OrderState::Assigned).await.status.unwrap();
    assert_eq!(mended.order_id.as_deref(), Some("42"), "p24: a status that can't be read is replaced");
    for (name, _, named) in &poisons {
        let seen = wait::until_seen(
            &format!("a report on {name}\n{}", w.operator.log_tail()),
            PATIENCE,
            async || api.get(name).await.unwrap().data["status"]["conditions"][0].clone(),
            |condition| condition["reason"] == "InvalidSpec",
        )
        .await;
        let message = seen["message"].as_str().unwrap();
        assert!(message.contains("can't read") && message.contains(named), "{seen}");
        assert!(!message.contains("Domkloster") && !message.contains("77777"), "p21: {seen}");
    }
    let strict = json!({"spec": {"versions": strict.spec.versions}});
    crds.patch("phonenumberorders.tenios.dev", &PatchParams::default(), &Patch::Merge(strict)).await.unwrap();
    w.no_more_requests(ORDER, 1).await;
}

async fn loosen(crds: &Api<CustomResourceDefinition>) {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut crd = crds.get("phonenumberorders.tenios.dev").await.unwrap();
    let version = &mut crd.spec.versions[0];
    version.selectable_fields = None;
    version.schema.as_mut().unwrap().open_api_v3_schema = serde_json::from_value(anything).unwrap();
    let patch = json!({"spec": {"versions": crd.spec.versions}});
    crds.patch("phonenumberorders.tenios.dev", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}
