//! `export`.

use std::sync::Arc;

use kube::Api;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{PhoneNumberOrder, PhoneVerification};
use tenios_simulator::{Action, PushTime};

use super::Plugin;
use crate::testbed::{ORDER, PATIENCE, SILENCE, Testbed, VERIFICATION};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

fn manifests(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[tokio::test]
async fn p13_an_export_applied_to_an_empty_cluster_shows_everything_and_orders_nothing() {
    let w = Testbed::new("cli-export").await;
    // Proven by its order alone: no ledger elsewhere knows that.
    w.verification("v", json!({"approval": "Probe"})).await;
    w.order("main", json!({"verificationRef": {"name": "v"}})).await;
    w.order("branch", json!({"verificationRef": {"name": "v"}, "linkTo": {"orderRef": {"name": "main"}}}))
        .await;
    let before =
        [w.order_at("main", OrderState::Assigned).await, w.order_at("branch", OrderState::Assigned).await];
    let verified = w.verification_at("v", VerificationState::Approved).await;
    // What nobody knows the outcome of, and what never got that far.
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("unknown").await;
    w.order_at("unknown", OrderState::OutcomeUnknown).await;
    w.order("early", json!({"verificationRef": {"name": "none"}})).await;
    w.order_at("early", OrderState::Waiting).await;
    let (orders, verifications) = (w.requests(ORDER), w.requests(VERIFICATION));

    let export = Plugin::of(&w.namespaces).await.run(&["export"]).await;
    assert!(export.stderr.contains("Secrets are not exported"), "{}", export.stderr);
    for name in ["unknown", "early"] {
        assert!(
            export.stderr.contains(&format!("pno/{name} in {}: has no order id yet", w.namespaces.namespace))
        );
    }
    let backup = export.done();
    for manifest in manifests(&backup) {
        assert_eq!(manifest["status"], Value::Null);
        let fields: Vec<&String> = manifest["metadata"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["name", "namespace"]);
    }

    // The old operator still runs, with the same provider behind it.
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let namespaces = TestNamespaces::on(plane, "cli-import").await;
    namespaces.let_operator_watch_everything().await;
    namespaces.create_namespace(&w.namespaces.namespace).await;
    let operator = namespaces.operator(OperatorOptions::new(w.simulator.url()).watch_everything()).await;
    let kubectl = namespaces.control_plane.kubectl();
    kubectl.run_with_input(&["apply", "-f", "-"], &backup).await.expect_success();
    let api: Api<PhoneNumberOrder> = Api::namespaced(namespaces.client(), &w.namespaces.namespace);
    for old in before {
        let name = old.metadata.name.unwrap();
        let old = old.status.unwrap();
        let new = wait::poll(PATIENCE, async || {
            let status = api.get(&name).await.unwrap().status?;
            (status.state == Some(OrderState::Assigned)).then_some(status)
        });
        let new = new.await.unwrap_or_else(|| panic!("{name} is not assigned:\n{}", operator.log_tail()));
        assert_eq!((new.order_id, new.phone_number), (old.order_id, old.phone_number));
    }
    let api: Api<PhoneVerification> = Api::namespaced(namespaces.client(), &w.namespaces.namespace);
    wait::until("the verification, approved", PATIENCE, async || {
        let status = api.get("v").await.unwrap().status?;
        let same = status.verification_id == verified.status.as_ref().unwrap().verification_id;
        (status.state == Some(VerificationState::Approved) && same).then_some(())
    })
    .await;
    let all = async || (w.requests(ORDER), w.requests(VERIFICATION));
    wait::holds_for("the count of requests", SILENCE, all, |now| *now == (orders, verifications)).await;
}

#[tokio::test]
async fn an_export_leaves_out_what_belongs_to_this_cluster_and_its_tools() {
    let w = Testbed::new("cli-marks").await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    let marks = json!({"metadata": {
        "labels": {"team": "shop", "kustomize.toolkit.fluxcd.io/name": "apps"},
        "annotations": {"note": "kept", "tenios.dev/not-placed": "abc", "argocd.argoproj.io/tracking-id": "x"},
    }});
    w.patch_order("o", marks).await.unwrap();
    let export = Plugin::of(&w.namespaces).await.run(&["export", "-o", "json"]).await.done();
    let export: Value = serde_json::from_str(&export).unwrap();
    assert_eq!(
        export["items"][0]["metadata"],
        json!({"name": "o", "namespace": w.namespaces.namespace, "labels": {"team": "shop"}, "annotations": {"note": "kept"}})
    );
    assert_eq!(export["items"][0]["spec"]["adopt"]["orderId"], "300000");
    assert_eq!(export["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn kubectl_reads_every_text_of_an_export_as_it_was() {
    let w = Testbed::new("cli-texts").await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    let texts = [
        "NO",
        "y",
        "~",
        "null",
        "<<",
        "=",
        "0o17",
        "1:30",
        "1e3",
        "1_2",
        ".5",
        "+4",
        "01067",
        "2026-11-22",
        "- a",
        "a: b",
        "a #b",
        "#",
        "a\nb\n",
        " a ",
        "\ta",
        "\u{2028}a",
        "a\u{85}b",
        "\u{7f}",
        "\u{feff}a",
        "a\u{a0}b",
        "\u{a0}",
        "\"'",
        "\\x",
        "---",
        "...",
        "@",
        "%",
        "`",
        "!x",
        "&x",
        "*x",
        "[",
        "{",
        "?",
        "|",
        ">",
        "",
        "é\u{301}😀",
        "a\r\nb",
        "on",
        "0x1F",
        ".inf",
    ];
    let notes: serde_json::Map<String, Value> =
        texts.iter().enumerate().map(|(index, text)| (format!("text-{index}"), json!(text))).collect();
    w.patch_order("o", json!({"metadata": {"annotations": notes}})).await.unwrap();
    let export = Plugin::of(&w.namespaces).await.run(&["export"]).await.done();
    let kubectl = w.namespaces.kubectl();
    let read =
        kubectl.run_with_input(&["create", "--dry-run=client", "-o", "json", "-f", "-"], &export).await;
    let read: Value = serde_json::from_str(&read.expect_success()).unwrap();
    assert_eq!(read["metadata"]["annotations"], Value::Object(notes), "{export}");
}
