//! The person who is asked about an unknown outcome: looks into the portal, and says what is true.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;
use tenios_api::NOT_PLACED_ANNOTATION;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;

use crate::status_observer::unknown_cancellation;
use crate::testbed::Testbed;

/// Time for a push to say it first, and for a slow provider to be done with what it has.
const PONDERS: Duration = Duration::from_secs(1);

/// Answers for ever.
pub async fn answer(testbed: &Testbed) {
    let mut fault_window = testbed.fault_window.subscribe();
    let mut seen = testbed.observer.subscribe();
    loop {
        // While a request may still be on its way, the portal does not tell the truth yet.
        let _ = fault_window.wait_for(|fault_window| !fault_window.open).await;
        let asked =
            seen.wait_for(|seen| asked(seen).next().is_some()).await.map(|seen| asked(&seen).collect());
        let asked: Vec<Asked> = asked.expect("the observer is open");
        tokio::time::sleep(PONDERS).await;
        if fault_window.borrow().open {
            continue;
        }
        let now = testbed.observer.now();
        for asked in asked.into_iter().filter(|before| self::asked(&now).any(|now| now == *before)) {
            tell(testbed, asked).await;
        }
    }
}

#[derive(PartialEq)]
enum Asked {
    Order { name: String, attempt: String },
    Verification { name: String, attempt: String },
    Cancellation { name: String, attempt: String, number: String },
}

fn asked(seen: &crate::status_observer::Seen) -> impl Iterator<Item = Asked> + '_ {
    let orders = seen.orders.values().filter_map(|order| {
        let status = order.status.as_ref().filter(|s| s.state == Some(OrderState::OutcomeUnknown))?;
        if let Some(attempt) = unknown_cancellation(status) {
            let told = order.annotations().get(NOT_PLACED_ANNOTATION) == Some(&attempt)
                || order.spec.cancel.as_ref().is_some_and(|cancel| cancel.done.is_some());
            let number = status.cancellation.clone()?.phone_number?;
            return (!told).then(|| Asked::Cancellation { name: order.name_any(), attempt, number });
        }
        let attempt = status.attempt.clone()?;
        let told =
            order.annotations().get(NOT_PLACED_ANNOTATION) == Some(&attempt) || order.spec.adopt.is_some();
        (!told).then(|| Asked::Order { name: order.name_any(), attempt })
    });
    let verifications = seen.verifications.values().filter_map(|verification| {
        let status = verification.status.as_ref()?;
        let status = Some(status).filter(|s| s.state == Some(VerificationState::OutcomeUnknown))?;
        let attempt = status.attempt.clone()?;
        let told = verification.annotations().get(NOT_PLACED_ANNOTATION) == Some(&attempt)
            || verification.spec.adopt.is_some();
        (!told).then(|| Asked::Verification { name: verification.name_any(), attempt })
    });
    orders.chain(verifications)
}

/// A resource that went meanwhile is asked about again when it is back.
async fn tell(testbed: &Testbed, asked: Asked) {
    let not_placed = |attempt| json!({"metadata": {"annotations": {NOT_PLACED_ANNOTATION: attempt}}});
    match asked {
        Asked::Order { name, attempt } => {
            let placed = testbed.simulator.orders().into_iter().find(|order| {
                order.push_url.as_ref().is_some_and(|url| url.rsplit('/').next() == Some(&attempt))
            });
            let word = placed.map_or_else(
                || not_placed(&attempt),
                |order| json!({"spec": {"adopt": {"orderId": order.order_id}}}),
            );
            let _ = testbed.patch_order(&name, word).await;
        }
        Asked::Cancellation { name, attempt, number } => {
            let orders = testbed.simulator.orders();
            let order = orders.into_iter().find(|order| order.phone_number.as_ref() == Some(&number));
            let date = order.and_then(|order| order.cancellation_date);
            let word = date.map_or_else(
                || not_placed(&attempt),
                |date| json!({"spec": {"cancel": {"phoneNumber": number, "done": date}}}),
            );
            let _ = testbed.patch_order(&name, word).await;
        }
        Asked::Verification { name, attempt } => {
            // Each run submits one verification, so whatever was taken is this one's.
            let taken = testbed.taken().into_iter().next();
            let word = taken.map_or_else(
                || not_placed(&attempt),
                |id| json!({"spec": {"adopt": {"verificationId": id}}}),
            );
            let _ = testbed.patch_verification(&name, word).await;
        }
    }
}
