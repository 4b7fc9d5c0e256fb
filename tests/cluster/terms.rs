//! What outlives a term of leadership, and what went while nobody watched.

use harness::link::{Point, Storm, Verdict};
use http::StatusCode;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::{PhoneVerification, Reason};

use crate::testbed::{ORDER, PATIENCE, Testbed, message};
use harness::wait;

/// Shorter than the operator waits for the apiserver.
const SHORT_LEASE: [&str; 1] = ["--lease-duration=3s"];

/// The intent is not stored yet when the next term begins, and what its reconcile makes of that can't be shown.
#[tokio::test]
async fn p24_a_reconcile_that_outlives_its_term_leaves_nothing_waiting() {
    let (w, link) = Testbed::behind_a_link("outlives", |o| o.hurried().args(SHORT_LEASE)).await;
    w.metric("tenios_leader 1").await;
    let mut appended =
        link.hold_where(Point::Before, |name| name.starts_with("apiserver POST ledgerentries"));
    w.plain_order("o").await;
    let intent = wait::within("the intent to be written", PATIENCE, appended.recv()).await.unwrap();
    link.storm(Storm::Unanswered);
    w.metric("tenios_leader 0").await;
    link.storm(Storm::Calm);
    let status = |name: &str| name.starts_with("apiserver PATCH phonenumberorders/status");
    let mut told = link.hold_where(Point::After, status);
    let words = wait::within("the next term to find it busy", PATIENCE, told.recv()).await.unwrap();
    words.decide(Verdict::GoOn);
    w.order_at("o", OrderState::Ordering).await;
    let mut told = link.hold_where(Point::Before, status);
    intent.decide(Verdict::Answer(StatusCode::FORBIDDEN));
    let words = wait::within("what became of the intent", PATIENCE, told.recv()).await.unwrap();
    words.decide(Verdict::Answer(StatusCode::INTERNAL_SERVER_ERROR));
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn a_standby_counts_no_resource_whose_reconcile_outlived_its_term() {
    let (w, link) = Testbed::behind_a_link("standby-counts", |o| o.hurried().args(SHORT_LEASE)).await;
    w.metric("tenios_leader 1").await;
    let mut read = link.hold_where(Point::Before, |name| name.starts_with("apiserver GET secrets"));
    let key = json!({"name": "nobody", "key": "access-key"});
    w.order("o", json!({"verificationId": w.approved_document(), "accessKeySecretRef": key})).await;
    let read = wait::within("the Secret to be read", PATIENCE, read.recv()).await.unwrap();
    link.storm(Storm::Unanswered);
    w.metric("tenios_leader 0").await;
    read.decide(Verdict::GoOn);
    let ended = async || w.operator.log().contains("reconciled key=PhoneNumberOrder").then_some(());
    wait::until("its reconcile to end", PATIENCE, ended).await;
    let metrics = w.operator.metrics().await;
    let counted = metrics.lines().find(|line| line.starts_with("tenios_resources{") && !line.ends_with(" 0"));
    assert_eq!(counted, None);
}

#[tokio::test]
async fn p24_what_went_while_nobody_watched_is_told_to_those_who_refer_to_it() {
    let (w, link) = Testbed::behind_a_link("gap", |o| o).await;
    w.verification("v", json!({"suspend": true})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    let says = async |words: &str| {
        let said = async || {
            let order = w.order_because("o", Reason::AwaitingVerification).await;
            message(&order).contains(words).then_some(())
        };
        wait::until(words, PATIENCE, said).await;
    };
    says("to be submitted").await;
    link.storm(Storm::Dropping);
    let verifications: Api<PhoneVerification> = w.namespaces.api();
    verifications.delete("v", &DeleteParams::default()).await.unwrap();
    let gone = async || verifications.get_opt("v").await.unwrap().is_none().then_some(());
    wait::until("it to be gone", PATIENCE, gone).await;
    link.storm(Storm::Calm);
    says("does not exist").await;
}
