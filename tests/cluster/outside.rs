//! The ledger outside the cluster, in a directory: a cluster is lost, two share one, the directory forgets.

use std::sync::Arc;

use harness::link::{Point, Storm, Verdict};
use harness::s3::{BUCKET, S3};
use harness::{ControlPlane, OperatorOptions, Scratch, TestNamespaces, http, wait};
use kube::api::{Api, ListParams};
use serde_json::json;
use tenios_api::order::{OrderState, PhoneNumberOrderStatus};
use tenios_api::verification::VerificationState;
use tenios_api::{LedgerEntry, Reason};
use tenios_simulator::PushTime;

use crate::cli::Plugin;
use crate::stale::{backed_up, set_back_to, start_again};
use crate::testbed::{CANCEL, ORDER, PATIENCE, PDF, Testbed, VERIFICATION, message};

fn ledger_url(directory: &Scratch) -> String {
    format!("file://{}", directory.path().display())
}

fn options(directory: &Scratch, options: OperatorOptions) -> OperatorOptions {
    options.hurried().args([format!("--ledger={}", ledger_url(directory))])
}

fn empty(directory: &Scratch) {
    std::fs::remove_dir_all(directory.path()).unwrap();
    std::fs::create_dir(directory.path()).unwrap();
}

/// Another cluster with the same namespaces, on the same ledger.
async fn another_cluster(w: &Testbed, directory: &Scratch) -> Testbed {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let namespaces = w.namespaces.twin(plane).await;
    let operator = namespaces.operator(options(directory, OperatorOptions::new(w.simulator.url()))).await;
    let twin = Testbed { namespaces, simulator: w.simulator.clone(), operator };
    twin.secret("trade-register", "extract.pdf", PDF).await;
    twin
}

async fn manifests(w: &Testbed) {
    w.verification("v", json!({"approval": "Approved"})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
}

fn ids(status: &PhoneNumberOrderStatus) -> (Option<String>, Option<String>, Option<String>) {
    (status.attempt.clone(), status.order_id.clone(), status.phone_number.clone())
}

#[tokio::test]
async fn p13_p27_the_same_manifests_in_a_new_cluster_show_the_same_numbers_and_send_nothing() {
    let directory = Scratch::new();
    let w = Testbed::with("lost", |shared| options(&directory, shared)).await;
    manifests(&w).await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let verified = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    w.operator.kill().await;
    let sent = (w.requests(VERIFICATION), w.requests(ORDER));
    assert_eq!(sent, (1, 1));
    // Nothing is left of it but the directory.
    let new = another_cluster(&w, &directory).await;
    manifests(&new).await;
    let after = new.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(ids(&after), ids(&before));
    let again = new.verification_at("v", VerificationState::Approved).await.status.unwrap();
    assert_eq!(again.verification_id, verified.verification_id);
    new.no_more_requests(ORDER, 1).await;
    assert_eq!((w.requests(VERIFICATION), w.requests(ORDER)), sent);
}

#[tokio::test]
async fn p13_p17_a_push_for_the_old_clusters_order_is_stored_by_the_new_one() {
    let directory = Scratch::new();
    let w = Testbed::with("moved", |shared| options(&directory, shared)).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    manifests(&w).await;
    let before = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    w.operator.kill().await;
    let new = another_cluster(&w, &directory).await;
    manifests(&new).await;
    new.order_at("o", OrderState::AwaitingNumber).await;
    // The name of the receiver leads to the new one now.
    let path = format!("push/v1/{}/o/{}", w.namespaces.namespace, before.attempt.unwrap());
    let url = format!("http://127.0.0.1:{}/{path}", new.operator.push_port);
    let answer = w.push(json!({"url": url})).await;
    assert_eq!(answer.status, Some(200));
    let after = new.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(after.order_id, before.order_id);
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p27_two_clusters_at_the_same_time_order_once_and_both_show_it() {
    let directory = Scratch::new();
    let w = Testbed::with("shared", |shared| options(&directory, shared)).await;
    let other = another_cluster(&w, &directory).await;
    let names = ["o1", "o2", "o3", "o4", "o5", "o6"];
    let document = w.approved_document();
    for name in names {
        let spec = json!({"verificationId": document});
        tokio::join!(w.order(name, spec.clone()), other.order(name, spec));
    }
    let mut by = [0, 0];
    for name in names {
        let here = w.order_at(name, OrderState::Assigned).await.status.unwrap();
        let there = other.order_at(name, OrderState::Assigned).await.status.unwrap();
        assert_eq!(ids(&here), ids(&there), "{name}");
        let sent =
            |w: &Testbed| w.operator.log().contains(&format!("attempt={}", here.attempt.as_deref().unwrap()));
        by[usize::from(!sent(&w))] += 1;
    }
    assert_eq!(w.requests(ORDER), names.len(), "sent by either: {by:?}");
    // One that only the other one knows yet is shown here at once.
    other.order("later", json!({"verificationId": document})).await;
    let there = other.order_at("later", OrderState::Assigned).await.status.unwrap();
    w.order("later", json!({"verificationId": document})).await;
    let here = w.order_at("later", OrderState::Assigned).await.status.unwrap();
    assert_eq!(ids(&here), ids(&there));
    assert_eq!(w.requests(ORDER), names.len() + 1);
}

async fn readiness(w: &Testbed) -> String {
    http::get(w.operator.health_port, "/readyz").await.map(|answer| answer.body).unwrap_or_default()
}

async fn not_ready(w: &Testbed, words: &str) {
    wait::until(&format!("not ready because of {words}"), PATIENCE, async || {
        readiness(w).await.contains(words).then_some(())
    })
    .await;
}

#[tokio::test]
async fn p27_a_store_that_was_emptied_stops_ordering_until_a_person_decides() {
    let directory = Scratch::new();
    let w = Testbed::with("emptied", |shared| options(&directory, shared)).await;
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    empty(&directory);
    // It finds out before anything leaves, without a restart.
    w.plain_order("p").await;
    let command = format!("`kubectl tenios ledger copy --from kubernetes --to {}`", ledger_url(&directory));
    not_ready(&w, &command).await;
    let waiting = w.order_because("p", Reason::LedgerUnavailable).await;
    assert!(message(&waiting).contains("nothing is sent"), "{}", message(&waiting));
    w.operator.kill().await;
    w.operator.start().unwrap();
    not_ready(&w, "the store was emptied").await;
    not_ready(&w, &command).await;
    w.no_more_requests(ORDER, 1).await;

    let plugin = Plugin::of(&w.namespaces).await;
    let differs = plugin.run(&["ledger", "verify", &ledger_url(&directory)]).await;
    assert_eq!(differs.code, Some(1), "{}", differs.stdout);
    assert!(differs.stdout.contains("is in the cluster only"), "{}", differs.stdout);
    let copy = ["ledger", "copy", "--from=kubernetes", "--to", &ledger_url(&directory), "--yes"];
    let copied = plugin.run(&copy).await.done();
    assert!(copied.contains("the same"), "{copied}");
    plugin.run(&["ledger", "verify", &ledger_url(&directory)]).await.done();
    // Again: nothing is left to do.
    let again = plugin.run(&copy).await.done();
    assert!(again.contains("; 0 entries written"), "{again}");
    w.operator.wait_ready().await;
    w.order_at("p", OrderState::Assigned).await;
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await.status.unwrap()), ids(&before));
    assert_eq!(w.requests(ORDER), 2);
}

#[tokio::test]
async fn p27_a_ledger_moves_out_of_the_cluster_and_back_without_an_order() {
    let directory = Scratch::new();
    let w = Testbed::hurried("there-and-back").await;
    w.plain_order("o").await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let restarted = async |w: Testbed, options: OperatorOptions| {
        w.operator.terminate();
        w.operator.exit_status(PATIENCE).await;
        let operator = w.namespaces.start_operator(options).await;
        Testbed { operator, ..w }
    };
    let inside = OperatorOptions::new(w.simulator.url()).hurried();
    let outside = options(&directory, OperatorOptions::new(w.simulator.url()));
    let plugin = Plugin::of(&w.namespaces).await;

    let w = restarted(w, outside.clone()).await;
    not_ready(&w, "`kubectl tenios ledger copy --from kubernetes").await;
    let url = ledger_url(&directory);
    plugin.run(&["ledger", "copy", "--from", "kubernetes", "--to", &url, "--yes"]).await.done();
    w.operator.wait_ready().await;
    w.plain_order("p").await;
    w.order_at("p", OrderState::Assigned).await;

    let w = restarted(w, inside).await;
    not_ready(&w, "`kubectl tenios ledger copy --from URL --to kubernetes`").await;
    plugin.run(&["ledger", "copy", "--from", &url, "--to", "kubernetes", "--yes"]).await.done();
    w.operator.wait_ready().await;
    w.plain_order("q").await;
    w.order_at("q", OrderState::Assigned).await;
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await.status.unwrap()), ids(&before));
    assert_eq!(w.requests(ORDER), 3);
}

#[tokio::test]
async fn p12_p27_an_entry_deleted_by_hand_comes_back_from_the_store_and_forget_is_for_good() {
    let directory = Scratch::new();
    let w = Testbed::with("deleted", |shared| options(&directory, shared)).await;
    let spec = json!({"verificationId": w.approved_document()});
    w.order("o", spec.clone()).await;
    let before = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    w.delete_order("o").await;
    let kubectl = w.namespaces.control_plane.kubectl().in_namespace(&w.namespaces.operator_namespace);
    kubectl.run(&["delete", "ledgerentries", "--all"]).await.expect_success();
    w.order("o", spec.clone()).await;
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(w.requests(ORDER), 1);

    w.delete_order("o").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let said = plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.ended(1);
    assert!(said.contains("--ledger"), "{said}");
    plugin.run(&["ledger", "forget", "pno/o", "--yes", "--ledger", &ledger_url(&directory)]).await.done();
    w.order("o", spec).await;
    let new = w.order_where("o", "a new order", |o| {
        o.status.as_ref().is_some_and(|s| s.order_id.is_some() && s.order_id != before.order_id)
    });
    new.await;
    assert_eq!(w.requests(ORDER), 2);
}

/// With its ledger in the cluster, what came after the backup would be ordered again: docs/ledger.md.
#[tokio::test]
async fn p12_p27_after_a_restore_of_etcd_what_was_ordered_since_the_backup_is_found_in_the_store() {
    let (directory, plane) = (Scratch::new(), Arc::new(ControlPlane::start().await.unwrap()));
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::on(plane.clone(), "restored").await;
    let operator = namespaces.operator(options(&directory, OperatorOptions::new(simulator.url()))).await;
    let w = Testbed { namespaces, simulator, operator };
    let spec = json!({"verificationId": w.approved_document()});
    w.order("before", spec.clone()).await;
    let before = w.order_at("before", OrderState::Assigned).await.status.unwrap();
    let (data, backup) = backed_up(&plane);
    w.order("since", spec.clone()).await;
    let since = w.order_at("since", OrderState::Assigned).await.status.unwrap();

    // Nothing remembers it but the directory.
    w.operator.kill().await;
    plane.apiserver.kill().await;
    plane.etcd.kill().await;
    set_back_to(&data, &backup);
    start_again(&plane).await;
    w.operator.restart().await;
    w.order("since", spec).await;
    assert_eq!(ids(&w.order_at("since", OrderState::Assigned).await.status.unwrap()), ids(&since));
    assert_eq!(ids(&w.order_at("before", OrderState::Assigned).await.status.unwrap()), ids(&before));
    w.no_more_requests(ORDER, 2).await;
}

#[tokio::test]
async fn p16_p27_clusters_on_one_ledger_cancel_once_and_a_new_one_knows_it() {
    let directory = Scratch::new();
    let w = Testbed::with("cancelled-once", |shared| options(&directory, shared)).await;
    let other = another_cluster(&w, &directory).await;
    let spec = json!({"verificationId": w.approved_document()});
    let mut numbers = Vec::new();
    let names = ["o1", "o2", "o3", "o4"];
    for name in names {
        w.order(name, spec.clone()).await;
        let number = w.order_at(name, OrderState::Assigned).await.status.unwrap().phone_number.unwrap();
        other.order(name, spec.clone()).await;
        other.order_at(name, OrderState::Assigned).await;
        numbers.push(number);
    }
    for (name, number) in names.into_iter().zip(&numbers) {
        let cancel = json!({"spec": {"cancel": {"phoneNumber": number}}});
        let (here, there) =
            tokio::join!(w.patch_order(name, cancel.clone()), other.patch_order(name, cancel));
        here.and(there).unwrap();
    }
    let cancelled = async |w: &Testbed, name: &str| {
        w.order_at(name, OrderState::Cancelled).await.status.unwrap().cancellation_date
    };
    for name in names {
        let date = cancelled(&w, name).await;
        assert!(date.is_some());
        assert_eq!(date, cancelled(&other, name).await);
    }
    assert_eq!(w.requests(CANCEL), names.len());

    w.operator.kill().await;
    other.operator.kill().await;
    let new = another_cluster(&w, &directory).await;
    // Git may have the field or not.
    new.order("o1", spec.clone()).await;
    let cancel = json!({"verificationId": spec["verificationId"], "cancel": {"phoneNumber": numbers[1]}});
    new.order("o2", cancel).await;
    for name in ["o1", "o2"] {
        cancelled(&new, name).await;
    }
    new.no_more_requests(CANCEL, names.len()).await;
    assert_eq!(w.requests(ORDER), names.len());
}

/// The apiserver takes no write for longer than a lease lasts, and the store does.
#[tokio::test]
async fn p03_p27_who_lost_the_lease_still_knows_that_an_intent_which_only_the_store_took_was_not_sent() {
    let directory = Scratch::new();
    let (w, link) = Testbed::behind_a_link("aside", |o| options(&directory, o)).await;
    w.metric("tenios_leader 1").await;
    let mut copied = link.hold_where(Point::Before, |name| name.starts_with("apiserver POST ledgerentries"));
    w.plain_order("o").await;
    let held = wait::within("the copy to be written", PATIENCE, copied.recv()).await.unwrap();
    link.storm(Storm::Unanswered);
    held.decide(Verdict::GoOn);
    w.metric("tenios_leader 0").await;
    link.storm(Storm::Calm);
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
    let entries: Api<LedgerEntry> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    let events: Vec<_> =
        entries.list(&ListParams::default()).await.unwrap().into_iter().flat_map(|e| e.spec.events).collect();
    let is_there = |name: &str| events.iter().any(|event| event["type"] == name);
    assert!(is_there("NotProcessed") && !is_there("Unknown"), "{events:#?}");
}

#[tokio::test]
async fn p27_over_s3_an_order_is_stored_and_a_server_that_is_away_holds_up_new_orders_only() {
    let server = S3::start().await;
    let ledger = format!("--ledger=s3://{BUCKET}/prod");
    let environment = server.environment();
    let options = |options: OperatorOptions| {
        let options = options.hurried().args([ledger.clone()]);
        environment.iter().fold(options, |options, (name, value)| options.env(name, value))
    };
    let w = Testbed::with("s3", options).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let metrics = w.operator.metrics().await;
    assert!(
        metrics.contains(r#"tenios_ledger_store_requests_total{operation="create",result="done"} "#),
        "{metrics}"
    );
    let plugin = environment.iter().fold(Plugin::of(&w.namespaces).await, |plugin, (name, value)| {
        plugin.with(&[(*name, value.as_str())])
    });
    plugin.run(&["ledger", "verify", &format!("s3://{BUCKET}/prod"), "--allow-http"]).await.done();
    drop(server);
    // Away: what is new waits, and a push is stored and shown.
    w.plain_order("p").await;
    w.order_because("p", Reason::LedgerUnavailable).await;
    assert_eq!(w.push(json!({})).await.status, Some(200));
    w.order_at("o", OrderState::Assigned).await;
    assert!(w.operator.is_ready().await);
    w.no_more_requests(ORDER, 1).await;
}
