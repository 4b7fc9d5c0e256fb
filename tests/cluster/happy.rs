use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{ConditionStatus, ConditionType, PhoneVerification, Reason};

use crate::testbed::{ORDER, PATIENCE, Testbed, VERIFICATION, condition, ready};
use harness::wait;

#[tokio::test]
async fn p01_two_manifests_become_a_number_with_one_request_each() {
    let w = Testbed::new("happy").await;
    w.verification("cologne-office", json!({"approval": "Approved"})).await;
    w.order("main-line", json!({"verificationRef": {"name": "cologne-office"}})).await;
    let status = w.order_at("main-line", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.observed_generation, 1);
    assert!(status.phone_number.unwrap().starts_with("+49221"));
    assert!(status.ordered_time.is_some() && status.assigned_time.is_some() && status.attempt.is_some());
    let conditions = &status.conditions;
    for (type_, reason) in [
        (ConditionType::Ready, Reason::NumberAssigned),
        (ConditionType::Ordered, Reason::Ordered),
        (ConditionType::Assigned, Reason::NumberAssigned),
    ] {
        let condition = condition(conditions, type_).unwrap();
        assert_eq!((condition.status, condition.reason), (ConditionStatus::True, reason));
    }
    assert_eq!(conditions.len(), 3, "Reconciling and Stalled are there only while True: {conditions:?}");
    let verification = w.verification_at("cologne-office", VerificationState::Approved).await.status.unwrap();
    assert_eq!(verification.verification_id, status.verification_id);
    assert!(verification.document_digest.unwrap().starts_with("sha256:"));
    assert_eq!((w.requests(VERIFICATION), w.requests(ORDER)), (1, 1));
}

#[tokio::test]
async fn manifests_may_come_in_any_order_and_references_wake_their_waiters() {
    // With waits this long a reference that is polled would not make it in time.
    let w = Testbed::with("any-order", |o| o.args(["--retry-min=10m", "--retry-max=20m"])).await;
    w.order("branch", json!({"verificationRef": {"name": "v"}, "linkTo": {"orderRef": {"name": "main"}}}))
        .await;
    w.order_because("branch", Reason::AwaitingVerification).await;
    w.verification("v", json!({})).await;
    w.order_because("branch", Reason::AwaitingApproval).await;
    w.verification_because("v", Reason::AwaitingApproval).await;
    w.patch_verification("v", json!({"spec": {"approval": "Approved"}})).await.unwrap();
    w.order_because("branch", Reason::AwaitingLinkTarget).await;
    assert_eq!(w.requests(ORDER), 0);
    w.order("main", json!({"verificationRef": {"name": "v"}})).await;
    let main = w.order_at("main", OrderState::Assigned).await.status.unwrap();
    let branch = w.order_at("branch", OrderState::Assigned).await.status.unwrap();
    assert_eq!(branch.link_to, main.phone_number);
    assert_eq!((w.requests(VERIFICATION), w.requests(ORDER)), (1, 2));
}

#[tokio::test]
async fn an_unapproved_verification_holds_its_orders_back_without_a_request() {
    let w = Testbed::new("unapproved").await;
    w.verification("v", json!({})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    let order = w.order_because("o", Reason::AwaitingApproval).await;
    assert_eq!(order.status.unwrap().state, Some(OrderState::Waiting));
    w.no_more_requests(ORDER, 0).await;
}

#[tokio::test]
async fn p04_a_probing_order_tries_slowly_until_the_provider_takes_it_and_that_proves_the_approval() {
    let w = Testbed::hurried("probe").await;
    w.simulator.set(|s| s.approve_after_ms = None);
    w.verification("v", json!({"approval": "Probe"})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    let refused = w.order_because("o", Reason::Refused).await;
    let text = crate::testbed::message(&refused);
    assert!(
        text.contains("NUMBER_ORDER_VERIFICATION_ID_NOT_VALID") && text.contains("spec.verificationRef"),
        "{text}"
    );
    let verification = w.verification_because("v", Reason::Probing).await.status.unwrap();
    w.simulator.approve(verification.verification_id.unwrap().parse().unwrap());
    w.order_at("o", OrderState::Assigned).await;
    let verification = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    let approved = condition(&verification.conditions, ConditionType::Approved).unwrap();
    assert_eq!(approved.reason, Reason::ProvenByOrder);
    let placed = w.simulator.journal().iter().filter(|e| e.path == ORDER && e.processed).count();
    assert!(w.requests(ORDER) >= 2 && placed >= 1);
    assert_eq!(w.simulator.orders().len(), 1);
}

#[tokio::test]
async fn without_a_push_url_the_message_says_how_to_record_the_number() {
    let w = Testbed::with("no-push", |o| o.push_key(None)).await;
    w.plain_order("o").await;
    let order = w.order_because("o", Reason::AwaitingNumber).await;
    assert!(crate::testbed::message(&order).contains("spec.adopt.phoneNumber"));
    let body = w.simulator.journal()[0].body.clone().unwrap();
    assert!(body.get("push_url").is_none() && body.get("push_secret").is_none());
    w.patch_order("o", json!({"spec": {"adopt": {"phoneNumber": "+4922112345678"}}})).await.unwrap();
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.phone_number.as_deref(), Some("+4922112345678"));
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn a_suspended_order_is_held_back_until_it_is_resumed() {
    let w = Testbed::new("suspend").await;
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id, "suspend": true})).await;
    w.order_at("o", OrderState::Suspended).await;
    w.no_more_requests(ORDER, 0).await;
    w.patch_order("o", json!({"spec": {"suspend": false}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
}

#[tokio::test]
async fn a_document_that_was_approved_is_deleted_and_its_last_day_is_told_whenever_somebody_knows_it() {
    let w = Testbed::new("documents").await;
    w.verification("v", json!({})).await;
    let v = w.verification_at("v", VerificationState::AwaitingApproval).await;
    let said = |v: PhoneVerification| ready(&v.status.unwrap().conditions).unwrap().message.clone();
    assert!(!said(v).contains("not needed"), "another may have to be sent");
    // The border, which knows the calendar, and what may change of a document after the submission.
    let day = |day: &str| json!({"spec": {"document": {"validUntil": day}}});
    for wrong in ["2031-02-30", "31.05.2031", "2031-05-31T00:00:00Z"] {
        let error = w.patch_verification("v", day(wrong)).await.unwrap_err().to_string();
        assert!(error.contains("spec.document.validUntil"), "{error}");
    }
    w.patch_verification("v", day("2031-05-31")).await.unwrap();
    let another = json!({"spec": {"document": {"secretRef": {"name": "another"}}}});
    let error = w.patch_verification("v", another).await.unwrap_err().to_string();
    assert!(error.contains("immutable"), "{error}");
    wait::until("the end of that day in the metrics", PATIENCE, async || {
        let line = "tenios_document_valid_until_timestamp_seconds 1938038400";
        w.operator.metrics().await.lines().any(|l| l == line).then_some(())
    })
    .await;

    w.patch_verification("v", json!({"spec": {"approval": "Approved"}})).await.unwrap();
    let v = w.verification_at("v", VerificationState::Approved).await;
    let said = said(v);
    assert!(said.contains("key \"extract.pdf\" of Secret \"trade-register\" is not needed"), "{said}");
    let secrets: Api<Secret> = w.namespaces.api();
    secrets.delete("trade-register", &DeleteParams::default()).await.unwrap();
    // Nobody misses it: not a resource that is created again, and no order.
    let api: Api<PhoneVerification> = w.namespaces.api();
    api.delete("v", &DeleteParams::default()).await.unwrap();
    w.verification("v", json!({"approval": "Approved"})).await;
    w.verification_at("v", VerificationState::Approved).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!((w.requests(VERIFICATION), w.requests(ORDER)), (1, 1));
}
