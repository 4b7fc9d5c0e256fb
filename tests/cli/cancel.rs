//! `cancel`, and what the other commands make of a number that is cancelled.

use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_simulator::Action;

use super::Plugin;
use crate::testbed::{CANCEL, ORDER, Testbed};

async fn assigned(w: &Testbed) -> String {
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await.status.unwrap().phone_number.unwrap()
}

#[tokio::test]
async fn p16_cancel_asks_first_and_takes_no_number_but_that_of_the_order() {
    let w = Testbed::new("cli-cancel").await;
    let plugin = Plugin::by(&w.namespaces, &w.namespaces.tenant("edit").await).await;
    let number = assigned(&w).await;
    let other = plugin.run(&["cancel", "pno/o", "--phone-number", "+4922100000000", "--yes"]).await.ended(1);
    assert!(other.contains(&format!("the number of pno/o is {number}, not +4922100000000")), "{other}");
    plugin.run(&["cancel", "pno/o"]).await.ended(2);
    plugin.run(&["cancel", "pver/o", "--phone-number", &number]).await.ended(2);
    let cancel = ["cancel", "pno/o", "--phone-number", &number];
    for answer in ["", "no\n", "y\n"] {
        let said = plugin.answering(&cancel, answer).await.ended(1);
        assert!(said.contains("can't be undone") && said.contains("nothing was changed"), "{said}");
    }
    w.no_more_requests(CANCEL, 0).await;
    let said = plugin.answering(&cancel, "yes\n").await.done();
    assert!(said.contains("add the field there") && said.contains(&number), "{said}");
    w.order_at("o", OrderState::Cancelled).await;
    let again = plugin.run(&[&cancel[..], &["--yes"]].concat()).await.ended(1);
    assert!(again.contains("is already cancelled"), "{again}");
    w.no_more_requests(CANCEL, 1).await;
    let viewer = Plugin::by(&w.namespaces, &w.namespaces.tenant("view").await).await;
    let shown = viewer.run(&["status"]).await.done();
    assert!(shown.contains("Cancelled"), "{shown}");
}

#[tokio::test]
async fn p03_p16_what_became_of_a_lost_cancellation_is_said_by_a_person() {
    let w = Testbed::hurried("cli-cancel-lost").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.faults(CANCEL, Action::DropBefore);
    let number = assigned(&w).await;
    plugin.run(&["cancel", "pno/o", "--phone-number", &number, "--yes"]).await.done();
    let status = w.order_at("o", OrderState::OutcomeUnknown).await.status.unwrap();
    let again = plugin.run(&["cancel", "pno/o", "--phone-number", &number, "--yes"]).await.ended(1);
    assert!(again.contains("OutcomeUnknown; nothing was changed, and nothing more is sent"), "{again}");
    let (of_order, of_cancel) = (status.attempt.unwrap(), status.cancellation.unwrap().attempt.unwrap());
    let other = plugin.run(&["retry", "pno/o", "--attempt", &of_order, "--yes"]).await.ended(1);
    assert!(other.contains(&format!("the latest attempt of pno/o is {of_cancel}")), "{other}");
    w.faults(CANCEL, Action::DropBefore);
    let retry = plugin.answering(&["retry", "pno/o", "--attempt", &of_cancel], "yes\n").await;
    assert!(retry.stderr.contains("cancelled nothing"), "{}", retry.stderr);
    retry.done();
    w.order_where("o", "unknown again", |o| {
        let status = o.status.as_ref().unwrap();
        let attempt = status.cancellation.as_ref().and_then(|c| c.attempt.as_ref());
        status.state == Some(OrderState::OutcomeUnknown) && attempt != Some(&of_cancel)
    })
    .await;
    let done = ["cancel", "pno/o", "--phone-number", &number, "--done", "2026-12-31"];
    plugin.run(&done).await.done();
    let status = w.order_at("o", OrderState::Cancelled).await.status.unwrap();
    assert_eq!(status.cancellation_date.as_deref(), Some("2026-12-31"));
    w.no_more_requests(CANCEL, 2).await;
}

#[tokio::test]
async fn p13_p16_an_export_says_what_is_cancelled_and_the_ledger_forgets_both_entries() {
    let w = Testbed::new("cli-cancel-export").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let number = assigned(&w).await;
    plugin.run(&["cancel", "pno/o", "--phone-number", &number, "--yes"]).await.done();
    let date = w.order_at("o", OrderState::Cancelled).await.status.unwrap().cancellation_date.unwrap();
    let export: Vec<Value> = serde_saphyr::from_multiple(&plugin.run(&["export"]).await.done()).unwrap();
    assert_eq!(export[0]["spec"]["cancel"], json!({"phoneNumber": number, "done": date}));
    assert_eq!(export[0]["spec"]["adopt"]["phoneNumber"], number);

    let listed = plugin.run(&["ledger", "list"]).await.done();
    assert!(listed.contains("cancel/o") && listed.contains("pno/o"), "{listed}");
    let shown = plugin.run(&["ledger", "show", "pno/o"]).await.done();
    assert!(shown.contains(&date) && shown.contains("300000"), "{shown}");
    w.delete_order("o").await;
    plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.done();
    assert_eq!(w.ledger().await.len(), 0);
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 2).await;
}
