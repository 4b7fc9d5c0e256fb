//! `history`.

use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_simulator::Action;

use super::Plugin;
use crate::testbed::{ORDER, Testbed};

#[tokio::test]
async fn an_orders_history_names_each_request_its_outcome_and_whose_word_it_was() {
    let w = Testbed::new("cli-history").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let missing = plugin.run(&["history", "pno/o"]).await.ended(1);
    assert!(missing.contains("pno/o in namespace") && missing.contains("does not exist"), "{missing}");
    w.faults(ORDER, Action::DropBefore);
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::OutcomeUnknown).await.status.unwrap();
    let first = status.attempt.unwrap();
    plugin.run(&["retry", "pno/o", "--attempt", &first, "--yes"]).await.done();
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let (second, number) = (status.attempt.unwrap(), status.phone_number.unwrap());

    let text = plugin.run(&["history", "pno/o"]).await.done();
    let mut lines = text.lines();
    assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>(), ["TIME", "BY", "WHAT"]);
    for expected in [
        format!("operator         the outcome of request {first} is unknown: "),
        format!("a person         declared that request {first} placed nothing"),
        format!("TENIOS           accepted request {second}: order 300000"),
        format!("TENIOS           pushed order 300000, number {number}, for request {second}"),
        format!("kubectl-tenios   metadata.annotations.tenios.dev/not-placed is {first}"),
    ] {
        assert!(text.contains(&expected), "{expected}\n{text}");
    }
    let json: Value =
        serde_json::from_str(&plugin.run(&["history", "pno/o", "-o", "json"]).await.done()).unwrap();
    let by: Vec<_> =
        json["history"].as_array().unwrap().iter().map(|row| row["by"].as_str().unwrap()).collect();
    assert!(by.contains(&"TENIOS") && by.contains(&"kubectl-tenios"), "{by:?}");

    plugin.run(&["cancel", "pno/o", "--phone-number", &number, "--yes"]).await.done();
    let status = w.order_at("o", OrderState::Cancelled).await.status.unwrap();
    let (date, third) = (status.cancellation_date.unwrap(), status.cancellation.unwrap().attempt.unwrap());

    // The history of what is gone.
    w.delete_order("o").await;
    let gone = plugin.run(&["history", "pno/o"]).await.done();
    for expected in [
        format!("accepted request {second}: order 300000"),
        format!("accepted request {third} to cancel: cancellation date {date}"),
    ] {
        assert!(gone.contains(&expected), "{expected}\n{gone}");
    }
}

#[tokio::test]
async fn p22_a_tenant_is_told_what_the_resource_and_its_events_say_and_nothing_of_the_ledger() {
    let w = Testbed::new("cli-history-tenant").await;
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let number = status.phone_number.unwrap();
    let tenant = Plugin::by(&w.namespaces, &w.namespaces.tenant("view").await).await;
    let said = tenant.run(&["history", "pno/o"]).await;
    assert!(
        said.stderr.contains("without the ledger") && said.stderr.contains("forbidden"),
        "{}",
        said.stderr
    );
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    for expected in ["accepted the request: order 300000", "Event NumberAssigned: ", &number] {
        assert!(said.stdout.contains(expected), "{expected}\n{}", said.stdout);
    }
    assert!(!said.stdout.contains("pushed"), "{}", said.stdout);
    w.patch_order("o", json!({"spec": {"cancel": {"phoneNumber": number}}})).await.unwrap();
    let date = w.order_at("o", OrderState::Cancelled).await.status.unwrap().cancellation_date.unwrap();
    let said = tenant.run(&["history", "pno/o"]).await;
    assert!(said.stdout.contains(&format!("cancelled the number as of {date}")), "{}", said.stdout);
}
