use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{ConditionType, Reason};
use tenios_simulator::{Action, PushTime};

use crate::testbed::{ORDER, Testbed, VERIFICATION, condition, message, told};

#[tokio::test]
async fn p13_p15_adopted_ids_send_nothing() {
    let w = Testbed::new("adopt").await;
    w.verification("v", json!({"approval": "Approved", "adopt": {"verificationId": "705d5302"}})).await;
    w.order(
        "o",
        json!({"verificationRef": {"name": "v"}, "adopt": {"orderId": "42", "phoneNumber": "+492211"}}),
    )
    .await;
    let verification = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    assert_eq!(verification.verification_id.as_deref(), Some("705d5302"));
    let order = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!((order.order_id.as_deref(), order.phone_number.as_deref()), (Some("42"), Some("+492211")));
    w.no_more_requests(ORDER, 0).await;
    assert_eq!(w.requests(VERIFICATION), 0);
}

#[tokio::test]
async fn p15_an_order_id_or_number_has_one_owner_and_the_second_claim_is_named() {
    let w = Testbed::new("claims").await;
    w.order("first", json!({"verificationId": "v", "adopt": {"orderId": "42", "phoneNumber": "+492211"}}))
        .await;
    w.order_at("first", OrderState::Assigned).await;
    w.order("same-id", json!({"verificationId": "v", "adopt": {"orderId": "42"}})).await;
    w.order("same-number", json!({"verificationId": "v", "adopt": {"phoneNumber": "+492211"}})).await;
    for (name, value) in [("same-id", "42"), ("same-number", "+492211")] {
        let text = message(&w.order_at(name, OrderState::Conflict).await);
        assert!(text.contains(value) && text.contains("PhoneNumberOrder first"), "{text}");
    }
    w.delete_order("first").await;
    // No request stands behind the first one's claim, so that it ends with it.
    let status = w.order_at("same-id", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("42"));
    w.order_at("same-number", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 0);
}

#[tokio::test]
async fn p15_what_was_placed_stays_its_owners_when_the_resource_is_gone() {
    let w = Testbed::new("placed-claim").await;
    w.plain_order("first").await;
    w.order_at("first", OrderState::Assigned).await;
    w.delete_order("first").await;
    w.order("second", json!({"verificationId": "v", "adopt": {"orderId": "300000"}})).await;
    let second = w.order_at("second", OrderState::Conflict).await;
    assert!(message(&second).contains("PhoneNumberOrder first"), "{}", message(&second));
    // The ledger is swept a moment after a resource is gone.
    w.namespaces.quiet().await;
    let second = w.order_at("second", OrderState::Conflict).await;
    assert_eq!(second.status.unwrap().order_id, None, "deleting a resource does not free what it paid for");
}

#[tokio::test]
async fn p15_p22_who_adopts_what_another_orders_takes_nothing_from_him() {
    let w = Testbed::new("squatter").await;
    let squat = json!({"verificationId": "v", "adopt": {"orderId": "300000"}});
    w.order("squatter", squat).await;
    w.order_at("squatter", OrderState::AwaitingNumber).await;
    w.plain_order("owner").await;
    let status = w.order_at("owner", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    let squatter = w.order_at("squatter", OrderState::Conflict).await;
    assert!(message(&squatter).contains("PhoneNumberOrder owner"), "{}", message(&squatter));
    assert_eq!(squatter.status.unwrap().phone_number, None);
}

#[tokio::test]
async fn p03_p15_a_mistyped_adoption_after_an_unknown_outcome_is_corrected() {
    let w = Testbed::new("mistyped").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    w.order_at("o", OrderState::OutcomeUnknown).await;
    w.patch_order("o", json!({"spec": {"adopt": {"orderId": "3000000"}}})).await.unwrap();
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    let ordered = condition(&status.conditions, ConditionType::Ordered).unwrap();
    assert_eq!((status.order_id.as_deref(), ordered.reason), (Some("3000000"), Reason::Adopted));
    assert_eq!(w.push(json!({})).await.status, Some(200));
    w.order_where("o", "told of the order", |o| told(o, "order 300000 with number")).await;
    w.patch_order("o", json!({"spec": {"adopt": {"orderId": "300000"}}})).await.unwrap();
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p15_what_was_placed_is_not_replaced_by_adoption() {
    let w = Testbed::new("adopt-other").await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.patch_order("o", json!({"spec": {"adopt": {"orderId": "42"}}})).await.unwrap();
    let text = message(&w.order_at("o", OrderState::Conflict).await);
    assert!(text.contains("42") && text.contains("300000"), "{text}");
    w.patch_order("o", json!({"spec": {"adopt": null}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
}
