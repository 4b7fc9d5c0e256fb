//! The push receiver, as the provider and as strangers meet it.

use std::time::Instant;

use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_simulator::{Action, PushTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testbed::{ORDER, PATIENCE, Testbed};
use harness::{http, wait};

/// An order that waits for its number, and the path of its push.
async fn waiting(name: &str) -> (Testbed, String) {
    let w = Testbed::new(name).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let url = w.simulator.orders()[0].push_url.clone().unwrap();
    let path = url[url.find("/push/v1/").unwrap()..].to_owned();
    (w, path)
}

#[tokio::test]
async fn p17_p18_pushes_twice_late_and_with_another_number_end_with_the_first_one() {
    let (w, _) = waiting("pushes").await;
    for _ in 0..2 {
        let answer = w.push(json!({})).await;
        assert_eq!((answer.status, answer.body.as_str()), (Some(200), "{}"));
    }
    let first = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    let answer = w.push(json!({"phonenumber": "+4922199999"})).await;
    assert_eq!(answer.status, Some(200));
    w.order_where("o", "the other number named", |o| crate::testbed::message(o).contains("+4922199999"))
        .await;
    let after = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(after.phone_number, first.phone_number);
    assert_eq!(w.requests(ORDER), 1);
}

/// The path names the order, whatever the body does.
#[tokio::test]
async fn p03_p17_a_push_with_a_bare_number_and_no_order_id_settles_an_unknown_outcome() {
    let w = Testbed::new("bare-push").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    w.order_at("o", OrderState::OutcomeUnknown).await;
    let national = w.push(json!({"phonenumber": "0221 1234567", "order_id": null})).await;
    assert_eq!(national.status, Some(503), "{national:?}");
    let answer = w.push(json!({"phonenumber": 4_922_112_345_678_u64, "order_id": null})).await;
    assert_eq!(answer.status, Some(200), "{answer:?}");
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.phone_number.as_deref(), Some("+4922112345678"));
    assert_eq!(status.order_id, None);
    assert_eq!(w.push(json!({})).await.status, Some(200));
    w.order_where("o", "the order id", |o| o.status.as_ref().is_some_and(|s| s.order_id.is_some())).await;
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p18_a_push_before_the_answer_ends_the_same() {
    let w = Testbed::new("early-push").await;
    w.simulator.set(|s| s.push.when = PushTime::BeforeAnswer);
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.order_id.as_deref(), Some("300000"));
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p17_a_push_that_can_not_be_stored_is_not_acknowledged_and_redelivery_converges() {
    let (w, path) = waiting("not-stored").await;
    // Without the right to write it, the ledger refuses.
    let kubectl = w.namespaces.control_plane.kubectl().in_namespace(&w.namespaces.operator_namespace);
    let role = kubectl.run(&["get", "role", "tenios-operator", "-o", "json"]).await.expect_success();
    kubectl.run(&["delete", "role", "tenios-operator"]).await.expect_success();
    let pushed = async || w.push(json!({})).await.status;
    wait::until("the push to be refused", PATIENCE, async || (pushed().await == Some(503)).then_some(()))
        .await;
    let mut role: Value = serde_json::from_str(&role).unwrap();
    role["metadata"] = json!({"name": "tenios-operator"});
    kubectl.apply(&role.to_string()).await.expect_success();
    wait::until("the push to be stored", PATIENCE, async || (pushed().await == Some(200)).then_some(()))
        .await;
    w.order_at("o", OrderState::Assigned).await;
    assert!(path.starts_with("/push/v1/"));
}

#[tokio::test]
async fn p19_strangers_learn_nothing_and_no_apiserver_request_is_made_for_them() {
    let (w, path) = waiting("strangers").await;
    w.plain_order("finished").await;
    w.order_at("finished", OrderState::AwaitingNumber).await;
    let body = |secret: &str| {
        json!({"phonenumber": "+4922112345", "order_id": "300000", "push_secret": secret}).to_string()
    };
    let wrong = "0".repeat(64);
    let unknown = path.replace("/o/", "/no-such-order/");
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let mark = w.namespaces.quiet().await;
    let attempts = [
        (path.clone(), body(&wrong)),
        (path.clone(), body("short")),
        (unknown, body(&wrong)),
        ("/push/v1/a/b/c".into(), body(&wrong)),
        ("/push/v1/../../x".into(), body(&wrong)),
        ("/".into(), String::new()),
        ("/metrics".into(), "{}".into()),
        (path.clone(), "{\"phonenumber\":".into()),
        (path.clone(), deep),
        (path.clone(), "x".repeat(20_000)),
        (path.clone(), json!({"phonenumber": 7, "order_id": {}, "push_secret": []}).to_string()),
    ];
    let mut answers = std::collections::BTreeSet::new();
    for (path, body) in &attempts {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = raw(w.operator.push_port, &request).await;
        // The date header moves with the clock.
        let answer: Vec<&str> =
            answer.lines().filter(|l| !l.to_ascii_lowercase().starts_with("date:")).collect();
        answers.insert(answer.join("\n"));
    }
    assert_eq!(answers.len(), 1, "all answers are the same, byte for byte: {answers:#?}");
    assert!(answers.first().unwrap().starts_with("HTTP/1.1 404"), "{answers:?}");
    let made =
        w.namespaces.control_plane.requests_since(mark).await.by(&w.namespaces.operator_identity().user());
    let about_us = made.only(|r| !r.is_by_the_clock());
    assert!(about_us.is_empty(), "{about_us}");
}

async fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // An oversized body may be refused before it was read to its end.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = wait::within("an answer", PATIENCE, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn p20_silent_slow_and_endless_connections_do_not_keep_a_real_push_out() {
    let (w, path) = waiting("silent").await;
    let port = w.operator.push_port;
    let mut silent = Vec::new();
    for _ in 0..1000 {
        silent.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    let mut slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    slow.write_all(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{{").as_bytes())
        .await
        .unwrap();
    let endless = tokio::spawn(async move {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = "POST /push/v1/a/b/c HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let began = Instant::now();
        while began.elapsed() < PATIENCE && stream.write_all(b"400\r\n").await.is_ok() {
            if stream.write_all(&[b'x'; 1024]).await.is_err() || stream.write_all(b"\r\n").await.is_err() {
                break;
            }
        }
        began.elapsed()
    });
    let answer = wait::within("a real push", PATIENCE, w.push(json!({}))).await;
    assert_eq!(answer.status, Some(200));
    w.order_at("o", OrderState::Assigned).await;
    w.plain_order("meanwhile").await;
    w.order_where("meanwhile", "placed", |o| o.status.as_ref().is_some_and(|s| s.order_id.is_some())).await;
    assert!(endless.await.unwrap() < PATIENCE, "an endless body is cut");
    let mut rest = Vec::new();
    let _ = wait::within("the slow connection to be cut", PATIENCE, slow.read_to_end(&mut rest)).await;
    assert!(http::get(w.operator.health_port, "/livez").await.unwrap().status == 200);
    drop(silent);
}

#[tokio::test]
async fn p19_the_push_key_can_be_rotated() {
    let (w, _) = waiting("rotation").await;
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    w.operator.rotate_push_keys("a-new-push-key-for-tests\npush-key-for-tests\n");
    w.operator.restart().await;
    assert_eq!(w.push(json!({})).await.status, Some(200), "the old key still verifies");
    w.order_at("o", OrderState::Assigned).await;
    w.simulator.set(|s| s.push.when = PushTime::AfterAnswer);
    w.plain_order("signed-with-the-new").await;
    w.order_at("signed-with-the-new", OrderState::Assigned).await;
}

#[tokio::test]
async fn a_push_url_carries_the_path_prefix_and_the_secret_signs_what_is_behind_it() {
    let w = Testbed::with("prefix", |o| o.push_base_url("http://127.0.0.1:1/some/prefix/")).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let url = w.simulator.orders()[0].push_url.clone().unwrap();
    assert!(url.starts_with("http://127.0.0.1:1/some/prefix/push/v1/"), "{url}");
    let here = url.replace("127.0.0.1:1/", &format!("127.0.0.1:{}/", w.operator.push_port));
    assert_eq!(w.push(json!({"url": here})).await.status, Some(200));
    let stripped = here.replace("/some/prefix", "");
    assert_eq!(w.push(json!({"url": stripped})).await.status, Some(200));
}
