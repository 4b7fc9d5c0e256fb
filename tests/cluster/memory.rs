//! Promise 26: what a tenant makes for free takes no memory from others.

use std::time::Duration;

use futures::{StreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, PostParams};
use serde_json::{Map, Value, json};
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_operator::controller::NAMESPACE_LEASE;
use tenios_simulator::{Action, Fault, Millis};

use crate::testbed::{Testbed, VERIFICATION};
use harness::wait;

/// Half of what the chart gives a pod.
const ENOUGH_KIB: u64 = 64 * 1024;

async fn suspended(w: &Testbed, name: &str, metadata: Value) {
    let mut object = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
        "metadata": metadata,
        "spec": {"verificationId": "6a1f6c1e-0000-4000-8000-000000000000", "suspend": true},
    });
    object["metadata"]["name"] = json!(name);
    let api: Api<PhoneNumberOrder> = w.namespaces.api();
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
}

/// As many as etcd takes in one object.
fn labels() -> Value {
    Value::Object((0..16_000).map(|n| (format!("l{n}"), json!("x".repeat(63)))).collect::<Map<_, _>>())
}

#[tokio::test]
async fn p26_labels_and_annotations_of_one_tenant_take_no_memory_from_others() {
    let w = Testbed::new("fat").await;
    let labels = labels();
    let annotations = json!({"note": "x".repeat(250_000)});
    // The apiserver takes seconds for each patch of these.
    let orders = (0..12).map(|n| (format!("labels-{n}"), json!({"labels": labels})));
    let orders = orders.chain((0..60).map(|n| (format!("notes-{n}"), json!({"annotations": annotations}))));
    w.operator.kill().await;
    let w = &w;
    let written =
        stream::iter(orders).map(|(name, metadata)| async move { suspended(w, &name, metadata).await });
    written.buffer_unordered(4).collect::<()>().await;
    w.operator.restart().await;
    w.plain_order("o").await;
    // The apiserver is busy with the others' labels for a while.
    let orders: Api<PhoneNumberOrder> = w.namespaces.api();
    for (name, state) in [("o", OrderState::Assigned), ("notes-59", OrderState::Suspended)] {
        wait::until("its state", Duration::from_secs(90), async || {
            let order = orders.get(name).await.ok()?;
            (order.status?.state == Some(state)).then_some(())
        })
        .await;
    }
    let peak = w.operator.peak_kib().unwrap();
    println!("figure: peak with 30 MB of labels and annotations | {peak} KiB");
    assert!(peak < ENOUGH_KIB, "{peak} KiB");
}

#[tokio::test]
async fn p26_a_lease_of_a_megabyte_takes_no_memory_and_no_line_of_the_log() {
    let w = Testbed::new("holder").await;
    let holder = format!("x\nlevel=ERROR forged\n{}", "y".repeat(1_000_000));
    let lease = json!({"metadata": {"name": NAMESPACE_LEASE}, "spec": {"holderIdentity": holder}});
    let leases: Api<Lease> = w.namespaces.api();
    leases.create(&PostParams::default(), &serde_json::from_value(lease).unwrap()).await.unwrap();
    wait::until("the namespace is left alone", Duration::from_secs(60), async || {
        w.operator.metrics().await.contains("\ntenios_namespaces_of_others 1\n").then_some(())
    })
    .await;
    for n in 0..100 {
        suspended(&w, &format!("o{n}"), json!({})).await;
    }
    wait::until("each is told so", Duration::from_secs(60), async || {
        (w.events().await.len() == 100).then_some(())
    })
    .await;
    let peak = w.operator.peak_kib().unwrap();
    println!("figure: peak with a Lease of a megabyte and 100 orders | {peak} KiB");
    assert!(peak < ENOUGH_KIB, "{peak} KiB");
    assert!(!w.operator.log().contains("forged"), "{}", w.operator.log_tail());
}

#[tokio::test]
async fn p26_documents_of_the_largest_size_leave_room_in_the_pod() {
    let w = Testbed::with("documents", |o| o.args(["--provider-timeout=30s"])).await;
    // Of a megabyte, with the end where it belongs.
    let mut document = crate::testbed::PDF[..9].to_vec();
    document.resize(1_000_000 - crate::testbed::PDF.len() + 9, b'\n');
    document.extend_from_slice(&crate::testbed::PDF[9..]);
    w.secret("large", "extract.pdf", &document).await;
    w.simulator.fault(Fault { times: 40, ..Fault::once(VERIFICATION, Action::Delay { ms: Millis(2000) }) });
    for n in 0..40 {
        let large = json!({"document": {"secretRef": {"name": "large"}}});
        w.verification(&format!("v{n}"), large).await;
    }
    wait::until("all are submitted", Duration::from_secs(90), async || {
        (w.requests(VERIFICATION) == 40).then_some(())
    })
    .await;
    let peak = w.operator.peak_kib().unwrap();
    println!("figure: peak with 40 documents of a megabyte | {peak} KiB");
    // Sixteen are in flight and sixteen wait for their turn.
    assert!(peak < ENOUGH_KIB + 32 * 1024 / 2, "{peak} KiB");
}
