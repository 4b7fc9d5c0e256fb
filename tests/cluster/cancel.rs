//! Promise 16: a number is cancelled where its order asks for that, once, and never because anything is deleted. The
//! simulator's journal and account are the judges.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{ConditionStatus, ConditionType, LedgerEntry, PhoneNumberOrder, Reason};
use tenios_simulator::{Action, Fault};

use crate::testbed::{CANCEL, KEY, ORDER, PATIENCE, Testbed, condition, message, told};
use harness::wait;

fn asking(number: &str) -> Value {
    json!({"spec": {"cancel": {"phoneNumber": number}}})
}

/// An order of this name that has its number, which is returned.
async fn assigned(w: &Testbed, name: &str) -> String {
    w.plain_order(name).await;
    number_of(&w.order_at(name, OrderState::Assigned).await)
}

fn number_of(order: &PhoneNumberOrder) -> String {
    order.status.as_ref().unwrap().phone_number.clone().unwrap()
}

fn attempt(order: &PhoneNumberOrder) -> String {
    order.status.as_ref().unwrap().cancellation.as_ref().unwrap().attempt.clone().unwrap()
}

/// When the account says that this number ends.
fn date_of(w: &Testbed, number: &str) -> Option<String> {
    let orders = w.simulator.orders();
    let order = orders.iter().find(|order| order.phone_number.as_deref() == Some(number))?;
    order.cancellation_date.map(|date| date.to_string())
}

async fn delete_namespace(w: &Testbed) {
    let namespaces: Api<Namespace> = Api::all(w.namespaces.client());
    namespaces.delete(&w.namespaces.namespace, &DeleteParams::default()).await.unwrap();
    wait::until("the namespace to be gone", PATIENCE, async || {
        namespaces.get_opt(&w.namespaces.namespace).await.unwrap().is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn p16_a_number_is_cancelled_once_and_that_is_an_end() {
    let w = Testbed::new("cancel").await;
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking(&number)).await.unwrap();
    let order = w.order_at("o", OrderState::Cancelled).await;
    let status = order.status.as_ref().unwrap();
    assert_eq!(status.cancellation_date, date_of(&w, &number));
    assert!(status.cancellation_date.is_some());
    let cancelled = condition(&status.conditions, ConditionType::Cancelled).unwrap();
    assert_eq!((cancelled.status, cancelled.reason), (ConditionStatus::True, Reason::Cancelled));
    wait::until("an event", PATIENCE, async || {
        w.events().await.iter().any(|e| e.reason.as_deref() == Some("Cancelled")).then_some(())
    })
    .await;

    // Taking it away undoes nothing, and the name stays used.
    w.patch_order("o", json!({"spec": {"cancel": null}})).await.unwrap();
    let id = w.approved_document();
    w.delete_order("o").await;
    w.order("o", json!({"verificationId": id})).await;
    let again = w.order_at("o", OrderState::Cancelled).await;
    assert_eq!(again.status.unwrap().cancellation_date, date_of(&w, &number));
    w.no_more_requests(CANCEL, 1).await;
    assert_eq!(w.requests(ORDER), 1);
    let body = w.simulator.journal().into_iter().find(|e| e.path == CANCEL).unwrap().body.unwrap();
    assert_eq!(body["phone_number"], number);
}

#[tokio::test]
async fn p16_deleting_a_resource_or_its_namespace_cancels_nothing_and_is_never_held_up() {
    let w = Testbed::new("deleted").await;
    let numbers = [assigned(&w, "o").await, assigned(&w, "p").await];
    w.delete_order("o").await;
    // The Secret that a request would need goes first.
    let secrets: Api<Secret> = w.namespaces.api();
    secrets.delete("trade-register", &DeleteParams::default()).await.unwrap();
    delete_namespace(&w).await;
    w.no_more_requests(CANCEL, 0).await;
    assert!(numbers.iter().all(|number| date_of(&w, number).is_none()));
}

/// A cancellation that waits for its access key must not hold up its namespace, nor be sent once that is gone.
#[tokio::test]
async fn p16_a_namespace_goes_while_a_cancellation_waits_for_a_secret_that_went_first() {
    let w = Testbed::hurried("wedged").await;
    w.secret("tenios", "key", KEY.as_bytes()).await;
    let id = w.approved_document();
    let key = json!({"name": "tenios", "key": "key"});
    w.order("o", json!({"verificationId": id, "accessKeySecretRef": key})).await;
    let number = number_of(&w.order_at("o", OrderState::Assigned).await);
    let secrets: Api<Secret> = w.namespaces.api();
    secrets.delete("tenios", &DeleteParams::default()).await.unwrap();
    w.patch_order("o", asking(&number)).await.unwrap();
    w.order_because("o", Reason::AccessKeyNotFound).await;
    delete_namespace(&w).await;
    w.no_more_requests(CANCEL, 0).await;
    assert_eq!(date_of(&w, &number), None);
}

/// What a tool does that prunes what is no longer in Git, and comes back with the field set.
#[tokio::test]
async fn p16_pruned_and_applied_again_with_the_field_it_is_cancelled_once() {
    let w = Testbed::new("pruned").await;
    let id = w.approved_document();
    w.order("o", json!({"verificationId": id})).await;
    let number = number_of(&w.order_at("o", OrderState::Assigned).await);
    w.delete_order("o").await;
    w.order("o", json!({"verificationId": id, "cancel": {"phoneNumber": number}})).await;
    w.order_at("o", OrderState::Cancelled).await;
    w.delete_order("o").await;
    w.order("o", json!({"verificationId": id, "cancel": {"phoneNumber": number}})).await;
    w.order_at("o", OrderState::Cancelled).await;
    w.no_more_requests(CANCEL, 1).await;
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p16_any_other_number_is_refused_with_a_message_and_nothing_is_ordered_to_be_cancelled() {
    let w = Testbed::new("other-number").await;
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking("+4922100000000")).await.unwrap();
    let text = message(&w.order_because("o", Reason::InvalidSpec).await);
    assert!(text.contains("+4922100000000") && text.contains(&number), "{text}");
    let id = w.approved_document();
    w.order("new", json!({"verificationId": id, "cancel": {"phoneNumber": number}})).await;
    w.order_because("new", Reason::InvalidSpec).await;
    w.no_more_requests(CANCEL, 0).await;
    assert_eq!(w.requests(ORDER), 1);
    w.patch_order("o", json!({"spec": {"cancel": null}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
}

/// Ways in which an answer is lost, before and after the number was cancelled.
#[rstest]
#[case::reset_before(json!("drop_before"))]
#[case::reset_after(json!("drop_after"))]
#[case::http_500(json!({"status_before": {"code": 500}}))]
#[case::bare_503(json!({"status_after": {"code": 503}}))]
#[case::cut(json!("cut"))]
#[case::no_date(json!({"body_after": {"body": "{}"}}))]
#[case::redirect(json!({"redirect": {"code": 307, "location": "/number/cancel"}}))]
#[tokio::test]
async fn p03_p16_a_lost_answer_waits_for_a_person_and_is_never_sent_again(#[case] fault: Value) {
    let w = Testbed::hurried("lost-cancel").await;
    w.faults(CANCEL, serde_json::from_value(fault).unwrap());
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking(&number)).await.unwrap();
    let order = w.order_at("o", OrderState::OutcomeUnknown).await;
    let text = message(&order);
    assert!(text.contains(&format!("tenios.dev/not-placed={}", attempt(&order))), "{text}");
    assert!(text.contains("spec.cancel.done"), "{text}");
    w.no_more_requests(CANCEL, 1).await;
    let done = json!({"spec": {"cancel": {"phoneNumber": number, "done": "2027-01-31"}}});
    w.patch_order("o", done).await.unwrap();
    let status = w.order_at("o", OrderState::Cancelled).await.status.unwrap();
    assert_eq!(status.cancellation_date.as_deref(), Some("2027-01-31"));
    w.no_more_requests(CANCEL, 1).await;
}

#[tokio::test]
async fn p07_p16_the_word_that_it_was_not_cancelled_names_the_attempt_and_works_once() {
    let w = Testbed::hurried("cancel-again").await;
    w.simulator.fault(Fault::once(CANCEL, Action::DropBefore).times(2));
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking(&number)).await.unwrap();
    let annotate = |value: &str| json!({"metadata": {"annotations": {"tenios.dev/not-placed": value}}});
    let first = w.order_at("o", OrderState::OutcomeUnknown).await;
    let (of_order, of_cancel) = (first.status.as_ref().unwrap().attempt.clone().unwrap(), attempt(&first));
    w.patch_order("o", annotate(&of_order)).await.unwrap();
    w.no_more_requests(CANCEL, 1).await;
    w.patch_order("o", annotate(&of_cancel)).await.unwrap();
    w.order_where("o", "unknown again", |o| {
        let state = o.status.as_ref().and_then(|s| s.state);
        state == Some(OrderState::OutcomeUnknown) && attempt(o) != of_cancel
    })
    .await;
    w.no_more_requests(CANCEL, 2).await;
    let second = attempt(&w.order_at("o", OrderState::OutcomeUnknown).await);
    w.patch_order("o", annotate(&second)).await.unwrap();
    w.order_at("o", OrderState::Cancelled).await;
    w.no_more_requests(CANCEL, 3).await;
    assert!(date_of(&w, &number).is_some());
}

#[tokio::test]
async fn p04_p16_what_tenios_refuses_is_shown_and_another_edit_tries_again() {
    let w = Testbed::hurried("refused-cancel").await;
    let refusal = json!({"error_code": "TOO_EARLY", "error_message": "not yet", "fields": ["phone_number"]});
    let refused = json!({"status_before": {"code": 400, "body": refusal}});
    w.faults(CANCEL, serde_json::from_value(refused).unwrap());
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking(&number)).await.unwrap();
    let text = message(&w.order_at("o", OrderState::Refused).await);
    assert!(text.contains("TOO_EARLY") && text.contains("spec.cancel.phoneNumber"), "{text}");
    w.no_more_requests(CANCEL, 1).await;
    w.patch_order("o", json!({"spec": {"cancel": null}})).await.unwrap();
    w.order_at("o", OrderState::Assigned).await;
    w.patch_order("o", asking(&number)).await.unwrap();
    w.order_at("o", OrderState::Cancelled).await;
    w.no_more_requests(CANCEL, 2).await;
}

#[tokio::test]
async fn p14_p16_beyond_the_budget_a_cancellation_waits_and_says_until_when() {
    let w = Testbed::with("cancel-budget", |o| o.args(["--cancel-budget=1/24h"])).await;
    let numbers = [assigned(&w, "o").await, assigned(&w, "p").await];
    w.patch_order("o", asking(&numbers[0])).await.unwrap();
    w.order_at("o", OrderState::Cancelled).await;
    w.patch_order("p", asking(&numbers[1])).await.unwrap();
    let text = message(&w.order_because("p", Reason::BudgetExceeded).await);
    assert!(text.contains("--cancel-budget") && text.contains("continues at"), "{text}");
    w.no_more_requests(CANCEL, 1).await;
    // Orders have a budget of their own.
    assigned(&w, "q").await;
    w.patch_order("p", json!({"spec": {"cancel": null}})).await.unwrap();
    w.order_at("p", OrderState::Assigned).await;
}

#[tokio::test]
async fn p12_p16_a_lost_status_or_entry_brings_no_second_cancellation() {
    let w = Testbed::hurried("lost-entry").await;
    let number = assigned(&w, "o").await;
    w.patch_order("o", asking(&number)).await.unwrap();
    let date = w.order_at("o", OrderState::Cancelled).await.status.unwrap().cancellation_date;
    let api: Api<PhoneNumberOrder> = w.namespaces.api();
    let wipe = Patch::Merge(json!({"status": null}));
    api.patch_status("o", &PatchParams::default(), &wipe).await.unwrap();
    w.order_at("o", OrderState::Cancelled).await;
    // The operator would write back what it remembers.
    w.operator.process.stop(PATIENCE).await;
    let entries: Api<LedgerEntry> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    entries.delete_collection(&DeleteParams::default(), &kube::api::ListParams::default()).await.unwrap();
    w.operator.process.start().unwrap();
    w.operator.wait_ready().await;
    wait::until("both entries to be there again", PATIENCE, async || {
        (w.ledger().await.len() == 2).then_some(())
    })
    .await;
    let status = w.order_at("o", OrderState::Cancelled).await.status.unwrap();
    assert_eq!((status.cancellation_date, status.phone_number), (date, Some(number)));
    w.no_more_requests(CANCEL, 1).await;
}

#[tokio::test]
async fn p13_p16_a_manifest_that_adopts_and_cancels_asks_before_it_sends() {
    let w = Testbed::hurried("brought-along").await;
    let number = "+4922155500100";
    let spec = json!({"verificationId": "unknown", "adopt": {"phoneNumber": number}, "cancel": {"phoneNumber": number}});
    w.order("o", spec).await;
    let order = w.order_at("o", OrderState::OutcomeUnknown).await;
    assert!(told(&order, "spec.cancel was there before"), "{}", message(&order));
    w.no_more_requests(CANCEL, 0).await;
    let done = json!({"spec": {"cancel": {"phoneNumber": number, "done": "2026-12-31"}}});
    w.patch_order("o", done).await.unwrap();
    w.order_at("o", OrderState::Cancelled).await;
    w.no_more_requests(CANCEL, 0).await;
}

#[tokio::test]
async fn p16_nobody_links_to_a_number_that_is_cancelled() {
    let w = Testbed::new("link-cancelled").await;
    let number = assigned(&w, "main").await;
    w.patch_order("main", asking(&number)).await.unwrap();
    w.order_at("main", OrderState::Cancelled).await;
    let id = w.approved_document();
    w.order("branch", json!({"verificationId": id, "linkTo": {"orderRef": {"name": "main"}}})).await;
    let text = message(&w.order_because("branch", Reason::AwaitingLinkTarget).await);
    assert!(text.contains("cancelled"), "{text}");
    w.no_more_requests(ORDER, 1).await;
}
