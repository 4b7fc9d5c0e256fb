//! Promise 26: what costs nothing leaves nothing behind once its resource is gone, and what may have cost
//! something stays.

use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams};
use serde_json::json;
use tenios_api::PhoneVerification;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_ledger::VERIFICATIONS_KEPT;

use crate::testbed::{CANCEL, PATIENCE, Testbed, VERIFICATION};
use harness::wait;

async fn only(w: &Testbed, expected: &[&str]) {
    wait::until_seen(
        "the ledger",
        3 * PATIENCE,
        async || {
            let mut names: Vec<_> = w.ledger().await.into_iter().map(|entry| entry.spec.name).collect();
            names.sort();
            names
        },
        |names| names == expected,
    )
    .await;
}

async fn adopted(w: &Testbed, name: &str, id: usize) {
    let adopt = json!({"orderId": id.to_string(), "phoneNumber": format!("+4922155{id:04}")});
    w.order(name, json!({"verificationId": "v1", "adopt": adopt})).await;
    w.order_at(name, OrderState::Assigned).await;
}

#[tokio::test]
async fn p26_adopt_delete_repeat_leaves_nothing_and_an_order_that_was_placed_stays() {
    let w = Testbed::new("sweep").await;
    w.plain_order("paid").await;
    w.order_at("paid", OrderState::Assigned).await;
    for n in 0..20 {
        adopted(&w, &format!("free-{n}"), n).await;
        w.delete_order(&format!("free-{n}")).await;
    }
    adopted(&w, "lives", 100).await;
    w.delete_order("paid").await;
    only(&w, &["lives", "paid"]).await;

    // What went while nobody watched is found at the start.
    w.operator.kill().await;
    w.delete_order("lives").await;
    w.operator.restart().await;
    only(&w, &["paid"]).await;
    // The name is free, and the number is nobody's.
    adopted(&w, "lives", 100).await;
}

#[tokio::test]
async fn p26_what_was_refused_leaves_nothing_either() {
    let w = Testbed::new("refused").await;
    w.secret("bogus", "key", b"bogus").await;
    let bogus = json!({"accessKeySecretRef": {"name": "bogus", "key": "key"}});
    let verification = w.verification("v", bogus).await;
    w.verification_at("v", VerificationState::Refused).await;
    assert_eq!(w.ledger().await.len(), 1);
    let api: Api<PhoneVerification> = w.namespaces.api();
    api.delete(&verification.name_any(), &DeleteParams::default()).await.unwrap();
    only(&w, &[]).await;
}

/// Nothing is sent for such a manifest, and a person is asked.
#[tokio::test]
async fn p16_p26_adopt_cancel_delete_repeat_leaves_nothing() {
    let w = Testbed::new("adopt-cancel").await;
    for n in 0..5 {
        let (name, number) = (format!("o{n}"), format!("+492215550{n:03}"));
        let spec = json!({"verificationId": "v", "adopt": {"phoneNumber": number}, "cancel": {"phoneNumber": number}});
        w.order(&name, spec).await;
        w.order_at(&name, OrderState::OutcomeUnknown).await;
        if n % 2 == 0 {
            w.patch_order(&name, json!({"spec": {"cancel": {"done": "2027-01-31"}}})).await.unwrap();
            w.order_at(&name, OrderState::Cancelled).await;
        }
        w.delete_order(&name).await;
    }
    only(&w, &[]).await;
    assert_eq!(w.requests(CANCEL), 0);
}

#[tokio::test]
async fn p12_p26_verify_delete_repeat_leaves_the_newest_hundred_and_what_was_ordered_with() {
    let w = Testbed::new("verified").await;
    let api: Api<PhoneVerification> = w.namespaces.api();
    w.approved().await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_at("o", OrderState::Assigned).await;
    let submitted = async |name: &str| {
        w.verification_at(name, VerificationState::AwaitingApproval).await.status.unwrap().verification_id
    };
    w.verification("oldest", json!({})).await;
    let oldest = submitted("oldest").await;
    let names: Vec<_> = (0..VERIFICATIONS_KEPT).map(|n| format!("newer-{n:03}")).collect();
    for name in &names {
        w.verification(name, json!({})).await;
    }
    let mut newest = None;
    for name in &names {
        newest = submitted(name).await;
    }
    api.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    let expected: Vec<_> = names.iter().map(String::as_str).chain(["o", "v"]).collect();
    only(&w, &expected).await;

    let last = names.last().unwrap();
    w.verification(last, json!({})).await;
    assert_eq!(submitted(last).await, newest, "the first one's id");
    w.verification("oldest", json!({})).await;
    assert_ne!(submitted("oldest").await, oldest);
    assert_eq!(w.requests(VERIFICATION), 2 + VERIFICATIONS_KEPT + 1);
}
