//! What users do, and the named end that each of it must come to.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_simulator::{Action, DocumentState, Fault, PushOverrides, PushTime};

use crate::collide::pair;
use crate::eyes::Seen;
use crate::stage::{Stage, order_state, verification_state};

/// One course of events.
#[derive(Clone, Copy)]
pub struct Plot {
    pub name: &'static str,
    /// What the simulator is set to before anything happens.
    pub prepare: fn(&Stage),
    pub play: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, ()>,
    pub end: End,
}

/// Where a plot ends, whatever happened on its way.
#[derive(Clone, Copy)]
pub struct End {
    /// They have a number.
    pub assigned: &'static [&'static str],
    pub approved: &'static [&'static str],
    /// So many further orders have one, whose names depend on the namespace.
    pub others: usize,
    /// Orders that the provider accepted, each of which costs money.
    pub orders: usize,
    /// Verifications that it took.
    pub submissions: usize,
}

impl End {
    pub fn is_reached(&self, seen: &Seen) -> bool {
        let assigned = |name: &str| order_state(seen, name) == Some(OrderState::Assigned);
        let all = seen.orders.keys().filter(|name| assigned(name)).count();
        all >= self.assigned.len() + self.others
            && self.assigned.iter().all(|name| assigned(name))
            && self
                .approved
                .iter()
                .all(|name| verification_state(seen, name) == Some(VerificationState::Approved))
    }
}

const NOTHING: fn(&Stage) = |_| {};

pub const ALL: [Plot; 8] = [
    Plot {
        name: "verify-order",
        prepare: NOTHING,
        play: |stage| verify_order(stage).boxed_local(),
        end: End { assigned: &["o"], approved: &["v"], others: 0, orders: 1, submissions: 1 },
    },
    Plot {
        name: "linked",
        prepare: NOTHING,
        play: |stage| linked(stage).boxed_local(),
        end: End { assigned: &["main", "branch"], approved: &[], others: 0, orders: 2, submissions: 0 },
    },
    Plot {
        name: "refused-mended",
        prepare: NOTHING,
        play: |stage| refused_mended(stage).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0 },
    },
    Plot {
        name: "adopt",
        prepare: lose_an_answer,
        play: |stage| adopt(stage).boxed_local(),
        end: End { assigned: &["known", "lost"], approved: &["v"], others: 0, orders: 1, submissions: 0 },
    },
    Plot {
        name: "early-push",
        prepare: |stage| stage.simulator.set(|settings| settings.push.when = PushTime::BeforeAnswer),
        play: |stage| one_order(stage).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0 },
    },
    Plot {
        name: "recreate",
        prepare: NOTHING,
        play: |stage| recreate(stage).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0 },
    },
    Plot {
        name: "namespace",
        prepare: NOTHING,
        play: |stage| namespace(stage).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0 },
    },
    Plot {
        name: "collide",
        prepare: NOTHING,
        play: |stage| collide(stage).boxed_local(),
        end: End { assigned: &[], approved: &[], others: 2, orders: 2, submissions: 0 },
    },
];

async fn verify_order(stage: &Stage) {
    stage.verification("v", json!({})).await;
    stage.verification_at("v", VerificationState::AwaitingApproval).await;
    // It may be deleted at this moment, and comes again.
    while stage.patch_verification("v", json!({"spec": {"approval": "Approved"}})).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.order("o", json!({"verificationRef": {"name": "v"}})).await;
}

async fn linked(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    stage.order("branch", json!({"verificationId": id, "linkTo": {"orderRef": {"name": "main"}}})).await;
    stage.order("main", json!({"verificationId": id})).await;
}

async fn refused_mended(stage: &Stage) {
    let (pending, approved) =
        (stage.document(DocumentState::Rejected), stage.document(DocumentState::Approved));
    stage.order("o", json!({"verificationId": pending})).await;
    stage.order_at("o", OrderState::Refused).await;
    let mended = json!({"spec": {"verificationId": approved}});
    // A second replica may show its older view for a moment, and then the field is frozen.
    while stage.patch_order("o", mended.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        stage.order_at("o", OrderState::Refused).await;
    }
}

/// The first order is placed, its answer lost, and its number told on command only.
fn lose_an_answer(stage: &Stage) {
    stage.simulator.set(|settings| settings.push.when = PushTime::Never);
    stage.simulator.fault(Fault::once("/number/order", Action::DropAfter));
}

async fn adopt(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    stage
        .order(
            "known",
            json!({"verificationId": id, "adopt": {"orderId": "777", "phoneNumber": "+492215550777"}}),
        )
        .await;
    stage.verification("v", json!({"approval": "Approved", "adopt": {"verificationId": id}})).await;
    stage.order_at("known", OrderState::Assigned).await;
    stage.order("lost", json!({"verificationId": id})).await;
    // The truthful person finds it in the portal.
    stage.order_at("lost", OrderState::AwaitingNumber).await;
    for _ in 0..100 {
        let told = stage.simulator.push(300_000, PushOverrides::default()).await;
        if told.is_some_and(|answer| answer.status == Some(200)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn one_order(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    stage.order("o", json!({"verificationId": id})).await;
}

async fn recreate(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    stage.order("o", json!({"verificationId": id})).await;
    stage.order_at("o", OrderState::Assigned).await;
    stage.delete_order("o").await;
    stage.order("o", json!({"verificationId": id})).await;
}

async fn namespace(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    stage.order("o", json!({"verificationId": id})).await;
    stage.order_at("o", OrderState::Assigned).await;
    stage.replace_namespace().await;
    stage.order("o", json!({"verificationId": id})).await;
}

async fn collide(stage: &Stage) {
    let id = stage.document(DocumentState::Approved);
    let (long, cut) = pair(&stage.scenario.namespace, "o");
    stage.order(&long, json!({"verificationId": id})).await;
    stage.order(&cut, json!({"verificationId": id})).await;
}
