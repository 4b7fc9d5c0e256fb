//! How a number is told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tenios_http_server::Server;
use tenios_simulator::{Action, Fault, Millis, Options, PushSettings, PushTime, Simulator};

use crate::support::*;

async fn set_push(simulator: &Simulator, push: Value) {
    let settings = json!({"push": push}).to_string();
    let answer = send(simulator, Method::PUT, "/_simulator/settings", settings).await.unwrap();
    assert_eq!(answer.0, 200, "{}", answer.1);
}

fn told(number: &str, order_id: &str) -> Value {
    json!({"phonenumber": number, "order_id": order_id, "push_secret": "iwillnottellyou"})
}

#[tokio::test]
async fn a_number_is_told_as_documented_and_belongs_to_the_account() {
    let simulator = simulator().await;
    let receiver = Receiver::start(&[]).await;
    post(&simulator, "/number/order", &order_to(&receiver.url)).await;
    assert_eq!(receiver.wait_for(1).await, [told("+4922110000000", "300000")]);
    assert_eq!(simulator.numbers(), ["+4922110000000", NUMBER]);

    let second = with(order_to(&receiver.url), "link_to_number", "+4922110000000");
    assert_eq!(post(&simulator, "/number/order", &second).await.0, 200);
    assert_eq!(receiver.wait_for(2).await[1], told("+4922110000001", "300001"));
    let push = until("the record", || simulator.pushes().pop()).await;
    assert_eq!((push.url, push.status), (receiver.url.clone(), Some(200)));
    let (_, shown) = send(&simulator, Method::GET, "/_simulator/pushes", String::new()).await.unwrap();
    assert!(!shown.to_string().contains("iwillnottellyou"));
}

#[tokio::test]
async fn a_push_that_is_not_accepted_is_sent_again_a_few_times() {
    let simulator = simulator().await;
    set_push(&simulator, json!({"retry_ms": 1, "retries": 2})).await;
    let receiver = Receiver::start(&[503, 404]).await;
    post(&simulator, "/number/order", &order_to(&receiver.url)).await;
    receiver.wait_for(3).await;
    let statuses = until("three records", || Some(simulator.pushes()).filter(|list| list.len() == 3)).await;
    assert_eq!(
        statuses.iter().map(|push| push.status).collect::<Vec<_>>(),
        [Some(503), Some(404), Some(200)]
    );

    post(&simulator, "/number/order", &order_to("http://127.0.0.1:1/")).await;
    let pushes = until("six records", || Some(simulator.pushes()).filter(|list| list.len() == 6)).await;
    assert!(pushes[3..].iter().all(|push| push.status.is_none()));
}

#[tokio::test]
async fn a_push_may_come_before_the_answer() {
    let simulator = simulator().await;
    set_push(&simulator, json!({"when": "before_answer"})).await;
    let receiver = Receiver::start(&[]).await;
    post(&simulator, "/number/order", &order_to(&receiver.url)).await;
    assert_eq!(receiver.received().len(), 1, "told before the order was answered");
}

#[tokio::test]
async fn a_push_may_come_twice_or_never_for_one_order_only() {
    let simulator = simulator().await;
    let receiver = Receiver::start(&[]).await;
    let twice = PushSettings { copies: 2, ..PushSettings::default() };
    let never = PushSettings { when: PushTime::Never, ..PushSettings::default() };
    let fault = Fault::once("/number/order", Action::Push(twice));
    simulator.fault(fault.when("push_secret", "two"));
    let fault = Fault::once("/number/order", Action::Push(never));
    simulator.fault(fault.when("push_secret", "none"));

    for secret in ["none", "two", "one"] {
        let order = with(order_to(&receiver.url), "push_secret", secret);
        assert_eq!(post(&simulator, "/number/order", &order).await.0, 200);
    }
    let told = receiver.wait_for(3).await;
    let count = |secret: &str| told.iter().filter(|push| push["push_secret"] == *secret).count();
    assert_eq!((count("none"), count("one"), count("two")), (0, 1, 2));
    let assigned = || simulator.orders().iter().all(|order| order.phone_number.is_some()).then_some(());
    until("a number that nobody is told", assigned).await;
}

#[tokio::test]
async fn a_push_on_command_says_what_it_is_told_to_say() {
    let simulator = simulator_with(Options { assign_after: Duration::from_secs(3600), ..options() }).await;
    let receiver = Receiver::start(&[200, 503]).await;
    post(&simulator, "/number/order", &order_to(&receiver.url)).await;

    let truth = post(&simulator, "/_simulator/orders/300000/push", &json!({})).await;
    assert_eq!(truth, (200, json!({"status": 200, "body": "noted"})));
    let lies = json!({"phonenumber": "+4912344557", "order_id": 28, "push_secret": "guessed"});
    let answer = post(&simulator, "/_simulator/orders/300000/push", &lies).await;
    assert_eq!(answer.1["status"], json!(503));
    let elsewhere = json!({"url": "http://127.0.0.1:1/"});
    let answer = post(&simulator, "/_simulator/orders/300000/push", &elsewhere).await;
    assert_eq!(answer.1["status"], json!(null));
    assert_eq!(receiver.received(), [told("+4922110000000", "300000"), lies]);
}

#[tokio::test]
async fn a_push_over_https_trusts_the_given_roots_only() {
    let scratch = Scratch::new();
    scratch.certify();
    let receiver = || async {
        let server = Server::bind(local()).await.unwrap().with_tls(scratch.tls());
        Receiver::serve(server, "https", &[])
    };
    let trusting = Options { push_ca_file: Some(scratch.path("tls.crt")), plain_push: false, ..options() };
    let simulator = simulator_with(trusting).await;
    let trusted = receiver().await;
    post(&simulator, "/number/order", &order_to(&trusted.url)).await;
    trusted.wait_for(1).await;

    let simulator = simulator_with(options()).await;
    simulator.set(|settings| settings.push.retry_ms = Millis(1));
    let unknown = receiver().await;
    post(&simulator, "/number/order", &order_to(&unknown.url)).await;
    let push = until("a failed push", || simulator.pushes().pop()).await;
    assert_eq!(push.status, None);
    assert!(unknown.received().is_empty());
}
