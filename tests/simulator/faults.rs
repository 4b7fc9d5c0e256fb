//! What goes wrong on command.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tenios_simulator::Simulator;

use crate::support::*;

async fn fault(simulator: &Simulator, action: Value) {
    set_faults(simulator, json!([{"path": "/number/order", "action": action}])).await;
}

async fn set_faults(simulator: &Simulator, faults: Value) {
    let (status, answer) = post(simulator, "/_simulator/faults", &faults).await;
    assert_eq!(status, 200, "{answer}");
}

/// Orders with the fault in JSON, then without, and says what came first and how many orders there are.
async fn order_with(action: Value) -> (Result<(u16, Value), reqwest::Error>, usize) {
    let simulator = simulator().await;
    fault(&simulator, action).await;
    let answer = try_post(&simulator, "/number/order", &order()).await;
    let placed = simulator.orders().len();
    let journal = simulator.journal();
    assert_eq!(journal.len(), 1, "one arrival, whatever happens to it");
    assert_eq!(journal[0].processed, placed == 1);
    assert_eq!(journal[0].faults.len(), 1);
    assert_eq!(post(&simulator, "/number/order", &order()).await.0, 200, "the fault is used up");
    (answer, placed)
}

#[tokio::test]
async fn a_connection_is_dropped_before_or_after_processing() {
    let (answer, placed) = order_with(json!("drop_before")).await;
    assert!(answer.is_err());
    assert_eq!(placed, 0);
    let (answer, placed) = order_with(json!("drop_after")).await;
    assert!(answer.is_err());
    assert_eq!(placed, 1);
}

#[tokio::test]
async fn a_status_replaces_the_answer_before_or_after_processing() {
    let (answer, placed) = order_with(json!({"status_before": {"code": 503}})).await;
    assert_eq!((answer.unwrap().0, placed), (503, 0));
    let canned = json!({"status_after": {"code": 500, "body": {"error_code": "X"}}});
    let (answer, placed) = order_with(canned).await;
    assert_eq!((answer.unwrap(), placed), ((500, json!({"error_code": "X"})), 1));
}

#[tokio::test]
async fn a_status_may_have_headers_and_a_text() {
    let simulator = simulator().await;
    let canned = json!({"code": 429, "body": "<html>", "headers": {"Retry-After": "7"}});
    fault(&simulator, json!({"status_before": canned})).await;
    let url = format!("{}number/order", simulator.url());
    let answer = client().post(url).body(order().to_string()).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(answer.text().await.unwrap(), "<html>");
}

#[tokio::test]
async fn an_answer_breaks_off_in_its_body() {
    let simulator = simulator().await;
    fault(&simulator, json!("cut")).await;
    let url = format!("{}number/order", simulator.url());
    let mut answer = client().post(url).body(order().to_string()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.content_length(), Some(21));
    assert_eq!(answer.chunk().await.unwrap().unwrap().as_ref(), b"{\"order_id");
    assert!(answer.chunk().await.is_err());
    assert_eq!(simulator.orders().len(), 1);
}

#[tokio::test]
async fn an_answer_is_empty_or_not_what_it_should_be() {
    assert_eq!(order_with(json!("empty")).await.0.unwrap(), (200, Value::Null));
    let (answer, placed) = order_with(json!({"body_after": {"body": "[\"300000\"]"}})).await;
    assert_eq!((answer.unwrap(), placed), ((200, json!(["300000"])), 1));
}

#[tokio::test]
async fn an_answer_has_a_number_or_more_fields() {
    let (answer, _) = order_with(json!("numeric_order_id")).await;
    assert_eq!(answer.unwrap(), (200, json!({"order_id": 300_000})));
    let (_, answer) = order_with(json!("extra_fields")).await.0.unwrap();
    assert_eq!(answer["order_id"], json!("300000"));
    assert!(answer.as_object().unwrap().len() > 1);
}

#[tokio::test]
async fn an_answer_is_huge() {
    let simulator = simulator().await;
    fault(&simulator, json!({"huge": {}})).await;
    let url = format!("{}number/order", simulator.url());
    let answer = client().post(url).body(order().to_string()).send().await.unwrap();
    assert!(answer.bytes().await.unwrap().len() > 5_000_000);
}

#[tokio::test]
async fn a_request_is_sent_elsewhere() {
    let simulator = simulator().await;
    fault(&simulator, json!({"redirect": {"code": 307, "location": "/number/order"}})).await;
    let url = format!("{}number/order", simulator.url());
    let answer = client().post(url).body(order().to_string()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["location"].as_bytes()[..7]),
        (307, &b"/number"[..])
    );
    assert!(simulator.orders().is_empty());
}

#[tokio::test]
async fn a_request_is_processed_and_never_answered() {
    let simulator = simulator().await;
    fault(&simulator, json!("hang")).await;
    let url = format!("{}number/order", simulator.url());
    let request = client().post(url).body(order().to_string()).timeout(Duration::from_millis(150)).send();
    assert!(request.await.unwrap_err().is_timeout());
    assert_eq!(simulator.orders().len(), 1);
}

#[tokio::test]
async fn a_delayed_request_is_processed_although_its_client_left() {
    let simulator = simulator().await;
    fault(&simulator, json!({"delay": {"ms": 300}})).await;
    let url = format!("{}number/order", simulator.url());
    let request = client().post(url).body(order().to_string()).timeout(Duration::from_millis(100)).send();
    assert!(request.await.unwrap_err().is_timeout());
    assert!(simulator.orders().is_empty());
    until("the order", || simulator.orders().pop()).await;
}

#[tokio::test]
async fn a_delay_goes_together_with_another_fault() {
    let simulator = simulator().await;
    let faults = json!([
        {"path": "/number/order", "action": {"delay": {"ms": 50}}},
        {"path": "/number/order", "action": {"status_after": {"code": 502}}},
    ]);
    set_faults(&simulator, faults).await;
    let start = Instant::now();
    assert_eq!(post(&simulator, "/number/order", &order()).await.0, 502);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_fault_meets_only_what_it_matches_as_often_as_it_says() {
    let simulator = simulator().await;
    let refuse = json!({"status_before": {"code": 500}});
    let faults = json!([
        {"path": "/number/order", "action": refuse, "times": 2, "match": {"push_secret": "two"}},
        {"path": "*", "action": refuse, "times": 0, "match": {"push_secret": "always"}},
    ]);
    set_faults(&simulator, faults).await;
    for (secret, expected) in
        [("other", [200, 200, 200]), ("two", [500, 500, 200]), ("always", [500, 500, 500])]
    {
        for status in expected {
            let order = with(order(), "push_secret", secret);
            assert_eq!(post(&simulator, "/number/order", &order).await.0, status, "{secret}");
        }
    }
    send(&simulator, Method::DELETE, "/_simulator/faults", String::new()).await.unwrap();
    assert_eq!(post(&simulator, "/number/order", &with(order(), "push_secret", "always")).await.0, 200);
}

#[tokio::test]
async fn a_stop_ends_what_hangs() {
    let simulator = simulator().await;
    fault(&simulator, json!("hang")).await;
    let url = format!("{}number/order", simulator.url());
    let request = tokio::spawn(client().post(url).body(order().to_string()).send());
    until("the order", || simulator.orders().pop()).await;
    tokio::time::timeout(Duration::from_secs(5), simulator.stop()).await.unwrap();
    assert!(request.await.unwrap().is_err());
}
