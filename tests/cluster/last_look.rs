//! Promise 25: what was deleted, suspended or edited on the way to a request is not sent as it was decided. The
//! journal is the judge.

use http::StatusCode;
use kube::api::{Api, DeleteParams};
use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{PhoneNumberOrder, PhoneVerification, Reason};

use crate::testbed::{KEY, ORDER, PATIENCE, PDF, Testbed, VERIFICATION, told};
use harness::link::{Point, Storm, Verdict};
use harness::{Link, OperatorOptions, wait};

/// What a person or a tool does to an order meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Suspends,
    Edits,
    Deletes,
    /// With `--cascade=foreground`, so that it stays until the garbage collector has looked.
    DeletesInTheForeground,
    /// Something else holds it.
    DeletesWithAFinalizer,
}

async fn behind_a_link(name: &str) -> (Testbed, Link) {
    // The Lease of the election is read by the same kind of request as a namespace's.
    let options = |o: OperatorOptions| o.hurried().args(["--leader-election=false"]);
    let (w, link) = Testbed::behind_a_link(name, options).await;
    w.secret("trade-register", "extract.pdf", PDF).await;
    (w, link)
}

async fn hold_by_a_finalizer(w: &Testbed, name: &str) {
    w.patch_order(name, json!({"metadata": {"finalizers": ["example.com/backup"]}})).await.unwrap();
}

/// The verification id that it is edited to.
async fn change(w: &Testbed, name: &str, change: Change) -> String {
    let another = w.approved_document();
    let orders: Api<PhoneNumberOrder> = w.namespaces.api();
    match change {
        Change::Suspends => {
            w.patch_order(name, json!({"spec": {"suspend": true}})).await.unwrap();
        }
        Change::Edits => {
            w.patch_order(name, json!({"spec": {"verificationId": another}})).await.unwrap();
        }
        Change::DeletesInTheForeground => {
            orders.delete(name, &DeleteParams::foreground()).await.unwrap();
        }
        Change::Deletes | Change::DeletesWithAFinalizer => {
            orders.delete(name, &DeleteParams::default()).await.unwrap();
        }
    }
    another
}

/// What has to have become of it.
async fn judge(w: &Testbed, name: &str, change: Change, another: &str) {
    match change {
        Change::Suspends => {
            w.order_at(name, OrderState::Suspended).await;
        }
        Change::Edits => {
            w.order_at(name, OrderState::Assigned).await;
        }
        Change::DeletesWithAFinalizer => {
            let order = w.order_where(name, "said to be deleted", |o| told(o, "is being deleted")).await;
            let text = json!(order.status).to_string();
            assert!(!text.contains("Stalled") && !text.contains("Reconciling"), "{text}");
        }
        Change::Deletes | Change::DeletesInTheForeground => {}
    }
    w.no_more_requests(ORDER, usize::from(change == Change::Edits)).await;
    for entry in w.simulator.journal().iter().filter(|entry| entry.path == ORDER) {
        let body = entry.body.clone().unwrap_or_default();
        assert_eq!(body["verification_id"], *another, "what was edited away was sent");
    }
}

#[rstest]
#[tokio::test]
async fn p25_nothing_leaves_as_it_was_decided_before_a_lease_was_read_slowly(
    #[values(
        Change::Suspends,
        Change::Edits,
        Change::Deletes,
        Change::DeletesInTheForeground,
        Change::DeletesWithAFinalizer
    )]
    meanwhile: Change,
) {
    let (w, link) = behind_a_link("slow-lease").await;
    let mut slow = link.hold_where(Point::Before, |name| name.starts_with("apiserver GET leases"));
    w.plain_order("o").await;
    let held = wait::within("the Lease to be asked for", PATIENCE, slow.recv()).await.unwrap();
    if meanwhile == Change::DeletesWithAFinalizer {
        hold_by_a_finalizer(&w, "o").await;
    }
    let another = change(&w, "o", meanwhile).await;
    held.decide(Verdict::GoOn);
    judge(&w, "o", meanwhile, &another).await;
}

/// What is read is fresh, only the watch is not: the access key comes, and is looked for from time to time.
#[rstest]
#[tokio::test]
async fn p08_p25_a_watch_that_is_behind_sends_nothing_that_was_changed(
    #[values(Change::Suspends, Change::Edits, Change::Deletes, Change::DeletesWithAFinalizer)]
    meanwhile: Change,
) {
    let (w, link) = behind_a_link("behind").await;
    let id = w.approved_document();
    let key = json!({"name": "tenios", "key": "access-key"});
    w.order("o", json!({"verificationId": id, "accessKeySecretRef": key})).await;
    w.order_because("o", Reason::AccessKeyNotFound).await;
    if meanwhile == Change::DeletesWithAFinalizer {
        hold_by_a_finalizer(&w, "o").await;
    }
    link.storm(Storm::Frozen);
    let another = change(&w, "o", meanwhile).await;
    w.secret("tenios", "access-key", KEY.as_bytes()).await;
    // It sees the key, and is at rest about the order or has sent it.
    let seen = link.passed().len();
    wait::until("the order to be looked at once more", PATIENCE, async || {
        let since = link.passed().split_off(seen);
        since.iter().any(|p| p.name.contains("GET secrets") && p.status == Some(200)).then_some(())
    })
    .await;
    judge_sent(&w, meanwhile).await;
    link.storm(Storm::Calm);
    judge(&w, "o", meanwhile, &another).await;
}

async fn judge_sent(w: &Testbed, change: Change) {
    let most = usize::from(change == Change::Edits);
    wait::holds_for(
        "nothing that was changed is sent",
        crate::testbed::SILENCE,
        async || w.requests(ORDER),
        |n| *n <= most,
    )
    .await;
}

/// As Argo CD does with one commit: it prunes some orders and approves the verification that they wait for.
#[rstest]
#[tokio::test]
async fn p25_one_apply_that_removes_orders_and_approves_their_verification_sends_none_of_them(
    #[values(Change::Deletes, Change::DeletesInTheForeground, Change::DeletesWithAFinalizer)] how: Change,
) {
    let w = Testbed::with("prune", |o| {
        o.args(["--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"])
    })
    .await;
    for round in 0..3 {
        let verification = format!("v{round}");
        w.verification(&verification, json!({})).await;
        w.verification_because(&verification, Reason::AwaitingApproval).await;
        let names: Vec<String> = (0..12).map(|n| format!("o{round}-{n}")).collect();
        for name in &names {
            w.order(name, json!({"verificationRef": {"name": verification}})).await;
            if how == Change::DeletesWithAFinalizer {
                hold_by_a_finalizer(&w, name).await;
            }
        }
        for name in &names {
            w.order_because(name, Reason::AwaitingApproval).await;
        }
        // Its caches learn of all of it at once, in whichever order.
        w.operator.pause();
        for name in &names {
            change(&w, name, how).await;
        }
        w.patch_verification(&verification, json!({"spec": {"approval": "Approved"}})).await.unwrap();
        w.operator.resume();
        w.verification_at(&verification, VerificationState::Approved).await;
        w.no_more_requests(ORDER, 0).await;
    }
}

#[tokio::test]
async fn p25_no_document_is_read_or_sent_for_a_verification_that_is_being_deleted() {
    let (w, link) = behind_a_link("document").await;
    let mut slow = link.hold_where(Point::Before, |name| name.starts_with("apiserver GET leases"));
    w.verification("v", json!({})).await;
    let held = wait::within("the Lease to be asked for", PATIENCE, slow.recv()).await.unwrap();
    w.patch_verification("v", json!({"metadata": {"finalizers": ["example.com/backup"]}})).await.unwrap();
    let verifications: Api<PhoneVerification> = w.namespaces.api();
    verifications.delete("v", &DeleteParams::default()).await.unwrap();
    held.decide(Verdict::GoOn);
    let seen = w
        .verification_where("v", "said to be deleted", |v| {
            json!(v.status).to_string().contains("is being deleted")
        })
        .await;
    assert_eq!(seen.status.unwrap().state, Some(VerificationState::Waiting));
    let before = link.passed().len();
    let patch = json!({"spec": {"areaCode": "30"}});
    let generation = w.patch_verification("v", patch).await.unwrap().metadata.generation.unwrap();
    w.verification_where("v", "looked at again", |v| {
        v.status.as_ref().is_some_and(|s| s.observed_generation == generation)
    })
    .await;
    w.no_more_requests(VERIFICATION, 0).await;
    let read = link.passed().split_off(before).into_iter().filter(|p| p.name.contains("GET secrets")).count();
    assert_eq!(read, 0, "its Secret is read once more");
}

/// What was ordered is shown, and what is in flight is recorded, for as long as the resource is there.
#[tokio::test]
async fn p25_what_was_sent_before_the_deletion_is_still_recorded_and_shown() {
    let w = Testbed::new("sent-before").await;
    let slow: Value = json!({"delay": {"ms": 5000}});
    w.faults(ORDER, serde_json::from_value(slow).unwrap());
    w.plain_order("o").await;
    w.order_at("o", OrderState::Ordering).await;
    hold_by_a_finalizer(&w, "o").await;
    change(&w, "o", Change::DeletesWithAFinalizer).await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p25_where_the_last_look_fails_nothing_leaves_and_it_is_looked_again() {
    let (w, link) = behind_a_link("blind").await;
    let is_the_look = |name: &str| name.starts_with("apiserver GET phonenumberorders");
    let mut look = link.hold_where(Point::Before, is_the_look);
    w.plain_order("o").await;
    let held = wait::within("the last look", PATIENCE, look.recv()).await.unwrap();
    held.decide(Verdict::Answer(StatusCode::SERVICE_UNAVAILABLE));
    let mut again = link.hold_where(Point::Before, is_the_look);
    w.order_because("o", Reason::LedgerUnavailable).await;
    let held = wait::within("the next look", PATIENCE, again.recv()).await.unwrap();
    assert_eq!(w.requests(ORDER), 0);
    held.decide(Verdict::GoOn);
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
}
