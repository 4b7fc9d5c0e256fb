//! What the provider and the network can do to a request.

use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, Reason};
use tenios_simulator::{Action, Fault, PushTime};

use crate::testbed::{ORDER, PATIENCE, Testbed, VERIFICATION, message};
use harness::{ports, wait};

fn action(action: Value) -> Action {
    serde_json::from_value(action).unwrap()
}

fn status(code: u16) -> Value {
    json!({"status_before": {"code": code}})
}

fn attempt(order: &PhoneNumberOrder) -> String {
    order.status.as_ref().unwrap().attempt.clone().unwrap()
}

/// Every way in which an answer can be lost, and no push comes.
#[rstest]
#[case::reset_before(json!("drop_before"))]
#[case::reset_after(json!("drop_after"))]
#[case::http_500(status(500))]
#[case::http_502(json!({"status_after": {"code": 502}}))]
#[case::bare_503(json!({"status_after": {"code": 503}}))]
#[case::http_504(status(504))]
#[case::cut(json!("cut"))]
#[case::empty(json!("empty"))]
#[case::not_json(json!({"body_after": {"body": "<html>ok</html>"}}))]
#[case::wrong_type(json!({"body_after": {"body": "{\"order_id\": [1]}"}}))]
#[case::huge(json!({"huge": {}}))]
#[case::redirect(json!({"redirect": {"code": 307, "location": "/number/order"}}))]
#[case::see_other(json!({"redirect": {"code": 303, "location": "/number/order"}}))]
#[case::silence(json!("hang"))]
#[tokio::test]
async fn p03_p05_a_lost_answer_is_not_a_failure(#[case] fault: Value) {
    let w = Testbed::hurried("lost").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, action(fault));
    w.plain_order("o").await;
    let order = w.order_at("o", OrderState::OutcomeUnknown).await;
    let text = message(&order);
    assert!(
        text.contains(&format!(
            "kubectl annotate pno o -n {} --overwrite tenios.dev/not-placed={}",
            w.namespaces.namespace,
            attempt(&order)
        )),
        "{text}"
    );
    w.no_more_requests(ORDER, 1).await;
    assert!(w.operator.resident_kib().unwrap_or(0) < 200 * 1024, "an answer of 5 MB must not be kept");
}

#[tokio::test]
async fn p03_a_push_resolves_an_order_whose_answer_was_lost() {
    let w = Testbed::new("push-resolves").await;
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p03_adoption_resolves_an_order_whose_answer_was_lost() {
    let w = Testbed::new("adopt-resolves").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    w.order_at("o", OrderState::OutcomeUnknown).await;
    w.patch_order("o", json!({"spec": {"adopt": {"orderId": "300000"}}})).await.unwrap();
    let status = w.order_at("o", OrderState::AwaitingNumber).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p07_the_word_that_it_was_not_placed_names_the_attempt_and_works_once() {
    let w = Testbed::new("not-placed").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.simulator.fault(Fault::once(ORDER, Action::DropBefore).times(2));
    w.plain_order("o").await;
    let first = attempt(&w.order_at("o", OrderState::OutcomeUnknown).await);
    let annotate = |value: &str| json!({"metadata": {"annotations": {"tenios.dev/not-placed": value}}});
    w.patch_order("o", annotate("something-else")).await.unwrap();
    wait::until("an event about the wrong value", PATIENCE, async || {
        let events = w.events().await;
        let ignored = events.iter().filter(|e| e.reason.as_deref() == Some("AnnotationIgnored")).count();
        (ignored == 1).then_some(())
    })
    .await;
    w.no_more_requests(ORDER, 1).await;
    w.patch_order("o", annotate(&first)).await.unwrap();
    let again = w
        .order_where("o", "a second attempt of unknown outcome", |o| {
            o.status.as_ref().is_some_and(|s| {
                s.state == Some(OrderState::OutcomeUnknown) && s.attempt.as_deref() != Some(&first)
            })
        })
        .await;
    w.no_more_requests(ORDER, 2).await;
    w.patch_order("o", annotate(&attempt(&again))).await.unwrap();
    w.order_at("o", OrderState::AwaitingNumber).await;
    assert_eq!(w.requests(ORDER), 3);
    w.patch_order("o", annotate("too-late")).await.unwrap();
    wait::until("an event about the value that comes too late", PATIENCE, async || {
        let events = w.events().await;
        events.iter().any(|e| e.note.as_ref().is_some_and(|n| n.contains("too-late"))).then_some(())
    })
    .await;
    w.no_more_requests(ORDER, 3).await;
}

#[rstest]
#[case::illegal_number_type("NUMBER_ORDER_ILLEGAL_NUMBER_TYPE", "number_type", "spec.numberType", false)]
#[case::verification_id(
    "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID",
    "verification_id",
    "spec.verificationRef",
    true
)]
#[case::link_number("NUMBER_ORDER_WRONG_LINK_NUMBER", "link_to_number", "spec.linkTo", true)]
#[case::push_secret("NUMBER_ORDER_INVALID_PUSH_SECRET", "push_secret", "--push-key-file", false)]
#[case::undocumented("NUMBER_ORDER_NO_CREDIT", "area", "area", false)]
#[case::bad_credentials("BAD_CREDENTIALS", "access_key", "spec.accessKeySecretRef", true)]
#[tokio::test]
async fn p04_a_refusal_names_code_message_and_field_and_makes_no_hot_loop(
    #[case] code: &str,
    #[case] field: &str,
    #[case] named: &str,
    #[case] tried_again: bool,
) {
    let w = Testbed::with("refusal", |o| o.args(["--refusal-retry-min=4s"])).await;
    let body = json!({"error_code": code, "error_message": "Only this is acceptable.", "fields": [field]});
    w.faults(ORDER, action(json!({"status_before": {"code": 400, "body": body}})));
    w.plain_order("o").await;
    let text = message(&w.order_at("o", OrderState::Refused).await);
    assert!(
        text.contains(code) && text.contains("Only this is acceptable.") && text.contains(named),
        "{text}"
    );
    assert_eq!(w.requests(ORDER), 1);
    if tried_again {
        w.order_at("o", OrderState::Assigned).await;
        assert_eq!(w.requests(ORDER), 2);
    } else {
        w.no_more_requests(ORDER, 1).await;
    }
}

#[rstest]
#[case::forbidden(403, "HTTP_403")]
#[case::unknown_method(404, "HTTP_404")]
#[tokio::test]
async fn p04_a_wrong_key_or_url_is_tried_again_at_the_slow_pace(#[case] code: u16, #[case] named: &str) {
    let w = Testbed::with("wrong-key", |o| o.args(["--refusal-retry-min=4s"])).await;
    w.faults(ORDER, action(json!({"status_before": {"code": code, "body": "<html>"}})));
    w.plain_order("o").await;
    let text = message(&w.order_at("o", OrderState::Refused).await);
    assert!(text.contains(named), "{text}");
    assert_eq!(w.requests(ORDER), 1);
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}

#[rstest]
#[case::too_many_requests(json!({"status_before": {"code": 429, "headers": {"Retry-After": "1"}}}))]
#[case::unavailable(json!({"status_before": {"code": 503, "headers": {"Retry-After": "1"}}}))]
#[tokio::test]
async fn p02_p04_what_was_provably_not_processed_is_tried_again_with_an_intent_of_its_own(
    #[case] fault: Value,
) {
    let w = Testbed::new("not-processed").await;
    w.simulator.fault(Fault::once(ORDER, action(fault)).times(2));
    w.plain_order("o").await;
    let waiting = w.order_because("o", Reason::ProviderUnavailable).await;
    assert_eq!(waiting.status.as_ref().unwrap().state, Some(OrderState::Waiting));
    let assigned = w.order_at("o", OrderState::Assigned).await;
    assert_ne!(attempt(&waiting), attempt(&assigned));
    assert_eq!(w.requests(ORDER), 3);
    let urls: std::collections::BTreeSet<String> =
        w.simulator.journal().iter().map(|e| e.body.as_ref().unwrap()["push_url"].to_string()).collect();
    assert_eq!(urls.len(), 3, "each request has an attempt of its own");
    let snapshot = serde_json::to_value(&w.ledger().await[0].spec).unwrap().to_string();
    assert_eq!(snapshot.matches("\"Intended\"").count(), 3, "{snapshot}");
}

#[rstest]
#[case::connection_refused(format!("http://127.0.0.1:{}", ports::free()))]
#[case::no_such_host("http://tenios.invalid".to_owned())]
#[tokio::test]
async fn p04_a_provider_that_can_not_be_reached_is_tried_again(#[case] url: String) {
    unreachable_at(url).await;
}

#[tokio::test]
async fn p04_a_provider_that_speaks_no_tls_is_tried_again() {
    let other = crate::testbed::simulator().await;
    unreachable_at(other.url().replacen("http://", "https://", 1)).await;
    assert!(other.orders().is_empty());
}

async fn unreachable_at(url: String) {
    let w =
        Testbed::with("unreachable", |o| o.args([format!("--tenios-url={url}"), "--send-within=5s".into()]))
            .await;
    w.plain_order("o").await;
    let first = attempt(&w.order_because("o", Reason::ProviderUnavailable).await);
    w.order_where("o", "another attempt", |o| {
        o.status.as_ref().is_some_and(|s| s.attempt.as_ref() != Some(&first))
    })
    .await;
    assert_eq!(w.simulator.orders().len(), 0);
}

#[rstest]
#[case::number(Action::NumericOrderId)]
#[case::unknown_fields(Action::ExtraFields)]
#[tokio::test]
async fn an_answer_of_another_shape_is_accepted(#[case] shape: Action) {
    let w = Testbed::new("shape").await;
    w.faults(ORDER, shape);
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
}

#[tokio::test]
async fn a_verification_of_unknown_outcome_is_resolved_by_adoption() {
    let w = Testbed::new("verification-unknown").await;
    w.faults(VERIFICATION, Action::Cut);
    w.verification("v", json!({})).await;
    w.verification_because("v", Reason::OutcomeUnknown).await;
    w.no_more_requests(VERIFICATION, 1).await;
    let id = w.simulator.documents()[0].verification_id;
    w.patch_verification("v", json!({"spec": {"adopt": {"verificationId": id}, "approval": "Approved"}}))
        .await
        .unwrap();
    w.verification_because("v", Reason::Approved).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}
