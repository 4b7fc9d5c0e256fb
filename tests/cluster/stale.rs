//! A control plane that stops, dies, or goes back in time. Each needs one of its own to harm.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_simulator::{Action, Fault, PushTime};

use crate::testbed::{ORDER, PATIENCE, Testbed};
use harness::link::Storm;
use harness::{ControlPlane, Link, OperatorOptions, TestNamespaces, wait};

/// Longer than any time-out on the way from the operator to etcd.
const LONG: Duration = Duration::from_secs(60);

async fn testbed(name: &str) -> (Arc<ControlPlane>, Testbed) {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    simulator.set(|s| s.push.when = PushTime::Never);
    let namespaces = TestNamespaces::on(plane.clone(), name).await;
    let operator = namespaces.operator(OperatorOptions::new(simulator.url()).hurried()).await;
    let slow: Action = serde_json::from_value(json!({"delay": {"ms": 1500}})).unwrap();
    simulator.fault(Fault::once(ORDER, slow));
    (plane, Testbed { namespaces, simulator, operator })
}

async fn in_flight(w: &Testbed) {
    w.plain_order("o").await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
}

pub async fn start_again(plane: &ControlPlane) {
    plane.etcd.start().unwrap();
    plane.apiserver.start().unwrap();
    plane.wait_ready().await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Where etcd's data is, and a copy of it as of one moment, for which it stands still.
pub fn backed_up(plane: &ControlPlane) -> (PathBuf, PathBuf) {
    let (data, backup) = (plane.etcd_data(), plane.directory().join("backup"));
    plane.etcd.pause();
    copy(&data, &backup);
    plane.etcd.resume();
    (data, backup)
}

pub fn set_back_to(data: &Path, backup: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    copy(backup, data);
}

/// For some seconds after the restore every write is answered with 504, whether it is done or not.
#[rstest]
#[case::nothing_is_done(Storm::Unanswered)]
#[case::all_is_done(Storm::AnswersLost)]
#[tokio::test]
async fn p09_p12_after_a_restore_a_write_that_failed_does_not_count_as_done(#[case] storm: Storm) {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::testbed::simulator().await;
    simulator.set(|s| s.push.when = PushTime::Never);
    let namespaces = TestNamespaces::on(plane.clone(), "writes-fail").await;
    let link = Link::to_apiserver(plane.server(), plane.authority()).await;
    let options = OperatorOptions::new(simulator.url()).hurried();
    let operator = namespaces.prepare_operator(&link.url(), options).await;
    operator.process.start().unwrap();
    operator.wait_ready().await;
    let w = Testbed { namespaces, simulator, operator };
    let slow: Action = serde_json::from_value(json!({"delay": {"ms": 1500}})).unwrap();
    w.simulator.fault(Fault::once(ORDER, slow));
    in_flight(&w).await;
    let (data, backup) = backed_up(&plane);
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();

    link.storm(storm);
    plane.apiserver.kill().await;
    plane.etcd.kill().await;
    set_back_to(&data, &backup);
    start_again(&plane).await;
    // A person's word, in the seconds in which nothing can be stored, that would make it order again.
    let not_placed = json!({"metadata": {"annotations": {"tenios.dev/not-placed": status.attempt}}});
    w.patch_order("o", not_placed).await.unwrap();
    let fails = match storm {
        Storm::Unanswered => "can't be checked or written back yet",
        _ => "writing back what is known",
    };
    wait::until("writes that fail", PATIENCE, async || w.operator.log().contains(fails).then_some(())).await;
    link.storm(Storm::Calm);
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"), "the id that was accepted");
    wait::until("the ledger to have it again", PATIENCE, async || {
        serde_json::to_string(&w.ledger().await[0].spec).unwrap().contains("300000").then_some(())
    })
    .await;
    w.no_more_requests(ORDER, 1).await;
}

/// The disk is set back to a moment at which the request was in flight and its answer not recorded.
#[rstest]
#[case::under_the_running_operator(false)]
#[case::and_the_operator_starts_anew(true)]
#[tokio::test]
async fn p08_p12_a_control_plane_that_goes_back_in_time_orders_nothing_again(#[case] restarted: bool) {
    let (plane, w) = testbed("back-in-time").await;
    in_flight(&w).await;
    let (data, backup) = backed_up(&plane);
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));

    plane.apiserver.kill().await;
    plane.etcd.kill().await;
    if restarted {
        w.operator.kill().await;
    }
    set_back_to(&data, &backup);
    start_again(&plane).await;
    if restarted {
        w.operator.restart().await;
        w.order_at("o", OrderState::OutcomeUnknown).await;
    } else {
        // Its watches were ahead of what is stored now. It begins them anew by itself, and gives the ledger
        // back what it remembers.
        w.order_at("o", OrderState::AwaitingNumber).await;
        wait::until("the ledger to have it again", PATIENCE, async || {
            let entry = serde_json::to_string(&w.ledger().await[0].spec).unwrap();
            entry.contains("\"type\":\"Accepted\"").then_some(())
        })
        .await;
    }
    w.no_more_requests(ORDER, 1).await;
    wait::until("a push that is stored", PATIENCE, async || {
        (w.push(json!({})).await.status == Some(200)).then_some(())
    })
    .await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    let entry = serde_json::to_string(&w.ledger().await[0].spec).unwrap();
    assert!(entry.contains("300000") && entry.contains("Assigned"), "{entry}");
    // A running operator remembers the provider's answer, too, and gives it back to the ledger.
    assert!(restarted || entry.contains("\"type\":\"Accepted\""), "{entry}");
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn an_etcd_that_stands_still_loses_nothing() {
    let (plane, w) = testbed("etcd-paused").await;
    in_flight(&w).await;
    plane.etcd.pause();
    tokio::time::sleep(LONG).await;
    plane.etcd.resume();
    plane.wait_ready().await;
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p10_p24_a_control_plane_that_dies_and_comes_back_loses_nothing() {
    let (plane, w) = testbed("died").await;
    in_flight(&w).await;
    plane.apiserver.kill().await;
    plane.etcd.kill().await;
    wait::until("the answer that can't be recorded", PATIENCE, async || {
        w.operator.log().contains("can't be recorded yet").then_some(())
    })
    .await;
    start_again(&plane).await;
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}
