//! `ledger`.

use serde_json::Value;
use tenios_api::order::OrderState;

use super::Plugin;
use crate::testbed::{ORDER, Testbed};

#[tokio::test]
async fn forget_asks_refuses_while_the_resource_exists_and_lets_its_name_order_again() {
    let w = Testbed::new("cli-ledger").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let number = status.phone_number.unwrap();
    let list = plugin.run(&["ledger", "list"]).await.done();
    let row: Vec<&str> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [&w.namespaces.namespace, "pno/o", "accepted", "300000", &number, "1"]);
    let show = plugin.run(&["ledger", "show", "pno/o"]).await.done();
    for part in ["Intended", "Accepted", "Assigned", &number, &status.attempt.unwrap()] {
        assert!(show.contains(part), "{part}\n{show}");
    }
    let json: Value =
        serde_json::from_str(&plugin.run(&["ledger", "show", "pno/o", "-o", "json"]).await.done()).unwrap();
    assert_eq!(json["spec"]["name"], "o");

    let early = plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.ended(1);
    assert!(early.contains("pno/o exists in namespace"), "{early}");
    w.delete_order("o").await;
    let asked = plugin.answering(&["ledger", "forget", "pno/o"], "no\n").await.ended(1);
    assert!(asked.contains("id 300000") && asked.contains(&number), "{asked}");
    assert_eq!(w.ledger().await.len(), 1);
    let gone = plugin.answering(&["ledger", "forget", "pno/o"], "yes\n").await.done();
    assert!(gone.contains("id 300000"), "{gone}");
    assert_eq!(w.ledger().await.len(), 0);
    plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.ended(1);
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 2);
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_the_ledger() {
    let w = Testbed::new("cli-tenant").await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    let tenant = Plugin::by(&w.namespaces, &w.namespaces.tenant("admin").await).await;
    for arguments in
        [vec!["ledger", "list"], vec!["ledger", "show", "pno/o"], vec!["ledger", "forget", "pno/o", "--yes"]]
    {
        let said = tenant.run(&arguments).await.ended(1);
        assert!(said.contains("forbidden"), "{said}");
    }
    assert_eq!(w.ledger().await.len(), 1);
}
