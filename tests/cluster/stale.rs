//! A control plane that stops, dies, or goes back in time. Each needs one of its own to harm.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;
use tenios_operator::api::order::OrderState;
use tenios_operator::simulator::{Action, Fault, PushTime};

use crate::harness::{ControlPlane, OperatorOptions, Scenario, wait};
use crate::world::{ORDER, PATIENCE, World};

/// Longer than any time-out on the way from the operator to etcd.
const LONG: Duration = Duration::from_secs(60);

async fn world(name: &str) -> (Arc<ControlPlane>, World) {
    let plane = Arc::new(ControlPlane::start().await.unwrap());
    let simulator = crate::world::simulator().await;
    simulator.set(|s| s.push.when = PushTime::Never);
    let scenario = Scenario::on(plane.clone(), name).await;
    let operator = scenario.operator(OperatorOptions::new(simulator.url()).hurried()).await;
    let slow: Action = serde_json::from_value(json!({"delay": {"ms": 1500}})).unwrap();
    simulator.fault(Fault::once(ORDER, slow));
    (plane, World { scenario, simulator, operator })
}

async fn in_flight(w: &World) {
    w.plain_order("o").await;
    wait::until("the request", PATIENCE, async || (w.requests(ORDER) == 1).then_some(())).await;
}

async fn start_again(plane: &ControlPlane) {
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

/// The disk is set back to a moment at which the request was in flight and its answer not recorded.
#[rstest]
#[case::under_the_running_operator(false)]
#[case::and_the_operator_starts_anew(true)]
#[tokio::test]
async fn p08_p12_a_control_plane_that_goes_back_in_time_orders_nothing_again(#[case] restarted: bool) {
    let (plane, w) = world("back-in-time").await;
    in_flight(&w).await;
    let (data, backup) = (plane.etcd_data(), plane.directory().join("backup"));
    // Stopped, so that the copy is of one moment.
    plane.etcd.pause();
    copy(&data, &backup);
    plane.etcd.resume();
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));

    plane.apiserver.kill().await;
    plane.etcd.kill().await;
    if restarted {
        w.operator.kill().await;
    }
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    start_again(&plane).await;
    // A running one may go on with watches that are ahead of what is stored, and shows nothing until
    // something changes.
    if restarted {
        w.operator.restart().await;
        w.order_at("o", OrderState::OutcomeUnknown).await;
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
    let (plane, w) = world("etcd-paused").await;
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
    let (plane, w) = world("died").await;
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
