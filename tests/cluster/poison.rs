//! Promise 23: one bad resource harms only itself, whatever an older or looser schema let in.

use std::collections::BTreeMap;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{LedgerEntry, Reason};

use crate::schema_violations::{self, NUMBER, Poison, TEXT, loosen, quotes_what_is_wrong, resource};
use crate::testbed::{ORDER, PATIENCE, Testbed, merge, message};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

/// How many objects are written at a time.
const AT_ONCE: usize = 24;

/// It loosens the CRDs, so it needs a control plane of its own.
#[tokio::test]
async fn p21_p23_every_field_of_every_wrong_type_harms_only_its_own_resource() {
    let plane = std::sync::Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::on(plane.clone(), "poison").await;
    for plural in ["phonenumberorders", "phoneverifications", "ledgerentries"] {
        loosen(&namespaces.client(), plural).await;
    }
    let poisons = schema_violations::poisons();
    write(&namespaces, &poisons).await;
    let spoilt = spoil_ledger(&namespaces).await;
    // A ledger entry that can't be read is asked for again: not within this test.
    let options = OperatorOptions::new(simulator.url()).args(["--retry-min=2m", "--retry-max=5m"]);
    let options = options.args(["--order-budget=1000/1h", "--order-budget-per-namespace=1000/1h"]);
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("good").await;
    w.order_at("good", OrderState::Assigned).await;
    let reported = every_report(&w, &poisons).await;
    ledger_is_reported(&w, &spoilt).await;

    // What was reported once is left alone: no request beyond the lease.
    w.namespaces.quiet().await;
    w.plain_order("later").await;
    w.order_at("later", OrderState::Assigned).await;
    assert!(w.operator.try_exit_status().is_none(), "the operator ended");
    let log = w.operator.log();
    let told = log.lines().find(|line| line.contains("panicked") || quotes_what_is_wrong(line));
    assert_eq!(told, None, "p21");
    assert_eq!(w.requests(ORDER), 2, "only the two healthy ones order");
    println!("{reported:#?}");
    println!("figure: poisoned objects | each harms only itself | {}", poisons.len());
}

#[tokio::test]
async fn p12_p23_what_a_status_knows_outlives_a_lost_ledger_and_a_spec_that_cant_be_read() {
    let plane = std::sync::Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::on(plane, "unreadable").await;
    loosen(&namespaces.client(), "phonenumberorders").await;
    let operator = namespaces.operator(OperatorOptions::new(simulator.url())).await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    w.operator.kill().await;
    let entries: Api<LedgerEntry> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    entries.delete(&w.ledger().await[0].name_any(), &DeleteParams::default()).await.unwrap();
    w.patch_order("o", json!({"spec": {"suspend": "perhaps"}})).await.ok();
    w.operator.restart().await;
    let orders: Api<DynamicObject> = Api::namespaced_with(
        w.namespaces.client(),
        &w.namespaces.namespace,
        &resource("PhoneNumberOrder", "phonenumberorders"),
    );
    let ready = async || orders.get("o").await.unwrap().data["status"]["conditions"][0]["reason"].clone();
    wait::until_seen("the report", PATIENCE, ready, |reason| reason == "InvalidSpec").await;
    orders
        .patch("o", &PatchParams::default(), &Patch::Merge(json!({"spec": {"suspend": null}})))
        .await
        .unwrap();
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    w.no_more_requests(ORDER, 1).await;
}

async fn write(namespaces: &TestNamespaces, poisons: &[Poison]) {
    let write = async |poison: &Poison| {
        let api = api(namespaces, poison);
        create(&api, &poison.object).await;
        if let Some(status) = poison.object.get("status") {
            let patch = json!({"status": status});
            api.patch_status(&poison.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        }
    };
    futures::stream::iter(poisons).map(write).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

async fn create(api: &Api<DynamicObject>, object: &Value) {
    let object = serde_json::from_value(object.clone()).unwrap();
    let params = PostParams::default();
    wait::until("the loosened schema to be served", PATIENCE, async || {
        api.create(&params, &object).await.ok()
    })
    .await;
}

fn api(namespaces: &TestNamespaces, poison: &Poison) -> Api<DynamicObject> {
    Api::namespaced_with(namespaces.client(), &namespaces.namespace, &resource(poison.kind, poison.plural))
}

/// Waits until each resource says what is wrong, or is handled as if nothing were; returns the counts.
async fn every_report(w: &Testbed, poisons: &[Poison]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for poison in poisons {
        let api = api(&w.namespaces, poison);
        let condition = wait::until_seen(
            &format!("a report on {} {}", poison.kind, poison.name),
            PATIENCE,
            async || api.get(&poison.name).await.unwrap().data["status"]["conditions"][0].clone(),
            // The condition that some bring along says nothing.
            |condition| condition["message"].as_str().is_some_and(|text| !text.is_empty()),
        )
        .await;
        let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
        let (reason, message) = (text("reason"), text("message"));
        assert!(!quotes_what_is_wrong(&message), "p21: {condition}");
        assert!(message.len() < 1000, "{condition}");
        let named = reason == "InvalidSpec" && message.contains(&poison.shown_path());
        assert!(named || poison.may_be_handled_as(&reason), "{} {}: {condition}", poison.kind, poison.name);
        let part = poison.path.split('.').next().unwrap_or_default();
        *counts.entry(format!("{} {part}: {reason}", poison.kind)).or_insert(0) += 1;
    }
    counts
}

/// Orders whose ledger entries can't be read: a wrong type, and an event of the future.
async fn spoil_ledger(namespaces: &TestNamespaces) -> [&'static str; 3] {
    let names = ["spoilt-snapshot", "spoilt-event", "spoilt-revision"];
    let wrong = [
        json!({"snapshot": {"terms": TEXT}}),
        json!({"events": [{"type": TEXT, "at": NUMBER}]}),
        json!({"revision": TEXT}),
    ];
    let dynamic = |namespace: &str, kind: &str, plural: &str| -> Api<DynamicObject> {
        Api::namespaced_with(namespaces.client(), namespace, &resource(kind, plural))
    };
    let entries = dynamic(&namespaces.operator_namespace, "LedgerEntry", "ledgerentries");
    let orders = dynamic(&namespaces.namespace, "PhoneNumberOrder", "phonenumberorders");
    let object = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    for (name, wrong) in names.into_iter().zip(wrong) {
        let namespace = &namespaces.namespace;
        let mut spec = json!({"kind": "PhoneNumberOrder", "namespace": namespace, "name": name, "revision": 1,
            "snapshot": {}, "events": []});
        merge(&mut spec, wrong);
        create(&entries, &object("LedgerEntry", &format!("pno.{namespace}.{name}"), spec)).await;
        create(&orders, &object("PhoneNumberOrder", name, json!({"verificationId": name}))).await;
    }
    names
}

async fn ledger_is_reported(w: &Testbed, names: &[&str]) {
    for name in names {
        let text = message(&w.order_because(name, Reason::LedgerUnavailable).await);
        assert!(text.contains(&format!("LedgerEntry pno.{}.{name}", w.namespaces.namespace)), "{text}");
        assert!(!quotes_what_is_wrong(&text), "p21: {text}");
    }
}
