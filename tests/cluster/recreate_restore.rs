//! What deployment tools, people and accidents do to resources.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{LedgerEntry, PhoneNumberOrder, PhoneVerification, Reason};
use tenios_simulator::{Action, Fault};

use crate::testbed::{ORDER, PATIENCE, Testbed, VERIFICATION, merge, message};
use harness::wait;

#[tokio::test]
async fn p12_a_wiped_status_comes_back_without_a_request() {
    let w = Testbed::new("wiped").await;
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let api: Api<PhoneNumberOrder> = w.namespaces.api();
    let wipe = Patch::Merge(json!({"status": null}));
    api.patch_status("o", &PatchParams::default(), &wipe).await.unwrap();
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p12_deleted_and_re_created_it_shows_the_first_ones_ids_and_number() {
    let w = Testbed::new("re-created").await;
    let id = w.approved().await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    w.delete_order("o").await;
    let api: Api<PhoneVerification> = w.namespaces.api();
    api.delete("v", &DeleteParams::default()).await.unwrap();
    wait::until("it to be gone", PATIENCE, async || api.get_opt("v").await.unwrap().is_none().then_some(()))
        .await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.verification("v", json!({"approval": "Approved"})).await;
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    let verification = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    assert_eq!(verification.verification_id, Some(id));
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

#[tokio::test]
async fn p12_re_created_with_other_ordering_fields_it_is_a_conflict_until_they_are_set_back() {
    let w = Testbed::new("re-created-other").await;
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id})).await;
    w.order_at("o", OrderState::Assigned).await;
    w.delete_order("o").await;
    w.order("o", json!({"verificationId": "another"})).await;
    let text = message(&w.order_at("o", OrderState::Conflict).await);
    assert!(text.contains(&id) && text.contains("another"), "{text}");
    w.patch_order("o", json!({"spec": {"verificationId": id}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p12_a_namespace_deleted_and_re_created_orders_nothing_again() {
    let w = Testbed::new("namespace").await;
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id})).await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let namespaces: Api<Namespace> = Api::all(w.namespaces.client());
    namespaces.delete(&w.namespaces.namespace, &DeleteParams::default()).await.unwrap();
    wait::until("the namespace to be gone", std::time::Duration::from_secs(60), async || {
        namespaces.get_opt(&w.namespaces.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
    w.namespaces.create_namespace(&w.namespaces.namespace).await;
    w.namespaces.let_operator_watch(&w.namespaces.namespace).await;
    w.order("o", json!({"verificationId": id})).await;
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p12_a_lost_ledger_is_rebuilt_from_the_status() {
    let w = Testbed::new("lost-ledger").await;
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    w.operator.kill().await;
    let ledger: Api<LedgerEntry> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    for entry in w.ledger().await {
        ledger.delete(&entry.metadata.name.unwrap(), &DeleteParams::default()).await.unwrap();
    }
    w.operator.restart().await;
    wait::until("the entry to be back", PATIENCE, async || (w.ledger().await.len() == 1).then_some(())).await;
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((after.order_id, after.phone_number), (before.order_id, before.phone_number));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p13_the_same_manifests_without_ledger_and_status_order_nothing_when_they_carry_their_ids() {
    let w = Testbed::new("moved").await;
    w.order("o", json!({"verificationId": "v1", "adopt": {"orderId": "300000", "phoneNumber": "+49221555"}}))
        .await;
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 0).await;
}

#[tokio::test]
async fn p04_a_mended_document_or_access_key_is_tried_sooner_than_the_unedited_spec() {
    let w = Testbed::with("mended-secret", |o| {
        o.hurried().args(["--refusal-retry-min=1h", "--refusal-retry-max=1h"])
    })
    .await;
    w.simulator.fault(Fault::once(VERIFICATION, refusal("VERIFICATION_BAD_DOCUMENT")));
    w.verification("v", json!({"approval": "Approved"})).await;
    w.verification_at("v", VerificationState::Refused).await;
    w.no_more_requests(VERIFICATION, 1).await;
    w.secret("trade-register", "extract.pdf", b"%PDF-1.7 another one %%EOF").await;
    w.verification_at("v", VerificationState::Approved).await;
    assert_eq!(w.requests(VERIFICATION), 2);

    w.secret("theirs", "key", b"wrong-key").await;
    w.secret("ours", "key", crate::testbed::KEY.as_bytes()).await;
    let with = |name: &str| json!({"accessKeySecretRef": {"name": name, "key": "key"}});
    let mut spec = with("theirs");
    merge(&mut spec, json!({"verificationRef": {"name": "v"}}));
    w.order("o", spec).await;
    w.order_at("o", OrderState::Refused).await;
    w.no_more_requests(ORDER, 1).await;
    w.patch_order("o", json!({"spec": with("ours")})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}

fn refusal(code: &str) -> Action {
    let body = json!({"error_code": code, "error_message": "No.", "fields": ["document_data"]});
    serde_json::from_value(json!({"status_before": {"code": 400, "body": body}})).unwrap()
}

#[tokio::test]
async fn p04_a_mended_spec_is_tried_again_after_a_refusal() {
    let w =
        Testbed::with("mended", |o| o.hurried().args(["--refusal-retry-min=10m", "--refusal-retry-max=20m"]))
            .await;
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id, "linkTo": {"phoneNumber": "+49888888"}})).await;
    let text = message(&w.order_because("o", Reason::Refused).await);
    assert!(text.contains("NUMBER_ORDER_WRONG_LINK_NUMBER") && text.contains("spec.linkTo"), "{text}");
    w.patch_order("o", json!({"spec": {"linkTo": null}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 2).await;
}
