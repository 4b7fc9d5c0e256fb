//! What users do, and the named end that each of it must come to.

use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{ConditionStatus, ConditionType, PhoneNumberOrder};
use tenios_simulator::{Action, DocumentState, Fault, PushOverrides, PushTime};

use crate::collide::pair;
use crate::status_observer::Seen;
use crate::testbed::{Testbed, order_state, verification_state};

/// One course of events.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// What the simulator is set to before anything happens.
    pub prepare: fn(&Testbed),
    pub play: for<'a> fn(&'a Testbed) -> LocalBoxFuture<'a, ()>,
    pub end: End,
}

/// Where a scenario ends, whatever happened on its way.
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
    /// Their numbers are cancelled.
    pub cancelled: &'static [&'static str],
}

impl End {
    pub fn is_reached(&self, seen: &Seen) -> bool {
        let assigned = |name: &str| order_state(seen, name) == Some(OrderState::Assigned);
        let all = seen.orders.keys().filter(|name| assigned(name)).count();
        let is_cancelled = |name: &&str| order_state(seen, name) == Some(OrderState::Cancelled);
        all >= self.assigned.len() + self.others
            && self.cancelled.iter().all(is_cancelled)
            && self.assigned.iter().all(|name| assigned(name))
            && seen.orders.values().all(is_written)
            && self
                .approved
                .iter()
                .all(|name| verification_state(seen, name) == Some(VerificationState::Approved))
    }
}

/// Whether its number is where the spec wants it, if it wants it anywhere.
fn is_written(order: &PhoneNumberOrder) -> bool {
    let conditions = order.status.iter().flat_map(|status| &status.conditions);
    let mut written = conditions.filter(|c| c.type_ == ConditionType::NumberWritten);
    order.spec.write_number_to.is_none() || written.any(|c| c.status == ConditionStatus::True)
}

const NOTHING: fn(&Testbed) = |_| {};

pub const ALL: [Scenario; 10] = [
    Scenario {
        name: "verify-order",
        prepare: NOTHING,
        play: |testbed| verify_order(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &["v"], others: 0, orders: 1, submissions: 1, cancelled: &[] },
    },
    Scenario {
        name: "linked",
        prepare: NOTHING,
        play: |testbed| linked(testbed).boxed_local(),
        end: End {
            assigned: &["main", "branch"],
            approved: &[],
            others: 0,
            orders: 2,
            submissions: 0,
            cancelled: &[],
        },
    },
    Scenario {
        name: "refused-mended",
        prepare: NOTHING,
        play: |testbed| refused_mended(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "adopt",
        prepare: lose_an_answer,
        play: |testbed| adopt(testbed).boxed_local(),
        end: End {
            assigned: &["known", "lost"],
            approved: &["v"],
            others: 0,
            orders: 1,
            submissions: 0,
            cancelled: &[],
        },
    },
    Scenario {
        name: "early-push",
        prepare: |testbed| testbed.simulator.set(|settings| settings.push.when = PushTime::BeforeAnswer),
        play: |testbed| one_order(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "recreate",
        prepare: NOTHING,
        play: |testbed| recreate(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "written",
        prepare: NOTHING,
        play: |testbed| written(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "namespace",
        prepare: NOTHING,
        play: |testbed| namespace(testbed).boxed_local(),
        end: End { assigned: &["o"], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "collide",
        prepare: NOTHING,
        play: |testbed| collide(testbed).boxed_local(),
        end: End { assigned: &[], approved: &[], others: 2, orders: 2, submissions: 0, cancelled: &[] },
    },
    Scenario {
        name: "cancel",
        prepare: NOTHING,
        play: |testbed| cancel(testbed).boxed_local(),
        end: End { assigned: &[], approved: &[], others: 0, orders: 1, submissions: 0, cancelled: &["o"] },
    },
];

async fn verify_order(testbed: &Testbed) {
    testbed.verification("v", json!({})).await;
    testbed.verification_at("v", VerificationState::AwaitingApproval).await;
    // It may be deleted at this moment, and comes again.
    while testbed.patch_verification("v", json!({"spec": {"approval": "Approved"}})).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    testbed.order("o", json!({"verificationRef": {"name": "v"}})).await;
}

async fn linked(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed.order("branch", json!({"verificationId": id, "linkTo": {"orderRef": {"name": "main"}}})).await;
    testbed.order("main", json!({"verificationId": id})).await;
}

async fn refused_mended(testbed: &Testbed) {
    let (pending, approved) =
        (testbed.document(DocumentState::Rejected), testbed.document(DocumentState::Approved));
    testbed.order("o", json!({"verificationId": pending})).await;
    testbed.order_at("o", OrderState::Refused).await;
    let mended = json!({"spec": {"verificationId": approved}});
    // A second replica may show its older view for a moment, and then the field is frozen.
    while testbed.patch_order("o", mended.clone()).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        testbed.order_at("o", OrderState::Refused).await;
    }
}

/// The first order is placed, its answer lost, and its number told on command only.
fn lose_an_answer(testbed: &Testbed) {
    testbed.simulator.set(|settings| settings.push.when = PushTime::Never);
    testbed.simulator.fault(Fault::once("/number/order", Action::DropAfter));
}

async fn adopt(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed
        .order(
            "known",
            json!({"verificationId": id, "adopt": {"orderId": "777", "phoneNumber": "+492215550777"}}),
        )
        .await;
    testbed.verification("v", json!({"approval": "Approved", "adopt": {"verificationId": id}})).await;
    testbed.order_at("known", OrderState::Assigned).await;
    testbed.order("lost", json!({"verificationId": id})).await;
    // The truthful person finds it in the portal.
    testbed.order_at("lost", OrderState::AwaitingNumber).await;
    for _ in 0..100 {
        let told = testbed.simulator.push(300_000, PushOverrides::default()).await;
        if told.is_some_and(|answer| answer.status == Some(200)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn one_order(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed.order("o", json!({"verificationId": id})).await;
}

async fn recreate(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed.order("o", json!({"verificationId": id})).await;
    testbed.order_at("o", OrderState::Assigned).await;
    testbed.delete_order("o").await;
    testbed.order("o", json!({"verificationId": id})).await;
}

async fn written(testbed: &Testbed) {
    testbed.namespaces.let_operator_write_config_maps().await;
    let id = testbed.document(DocumentState::Approved);
    testbed.order("o", json!({"verificationId": id, "writeNumberTo": {"configMapName": "main-line"}})).await;
}

async fn namespace(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed.order("o", json!({"verificationId": id})).await;
    testbed.order_at("o", OrderState::Assigned).await;
    testbed.replace_namespace().await;
    testbed.order("o", json!({"verificationId": id})).await;
}

async fn collide(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    let (long, cut) = pair(&testbed.namespaces.namespace, "o");
    testbed.order(&long, json!({"verificationId": id})).await;
    testbed.order(&cut, json!({"verificationId": id})).await;
}

async fn cancel(testbed: &Testbed) {
    let id = testbed.document(DocumentState::Approved);
    testbed.order("o", json!({"verificationId": id})).await;
    loop {
        testbed.order_at("o", OrderState::Assigned).await;
        let number = testbed.observer.now().orders.get("o").and_then(|o| o.status.clone()?.phone_number);
        // It may be deleted at this moment, and comes again.
        if let Some(number) = number {
            let asks = json!({"spec": {"cancel": {"phoneNumber": number}}});
            if testbed.patch_order("o", asks).await.is_ok() {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
