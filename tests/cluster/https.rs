//! Both links to the provider over TLS, with certificates of the test's own.

use std::time::Duration;

use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_http_server::Tls;
use tenios_simulator::{Options, Simulator};

use crate::testbed::{KEY, ORDER, Testbed};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, ports};

async fn testbed(name: &str, trust: bool) -> Testbed {
    let plane = ControlPlane::shared().await;
    let file = |suffix: &str| plane.directory().join(format!("{name}.{suffix}"));
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(file("crt"), pair.cert.pem()).unwrap();
    std::fs::write(file("key"), pair.signing_key.serialize_pem()).unwrap();
    let options = Options {
        assign_after: Duration::from_millis(50),
        tls: Some(Tls::from_files(&file("crt"), &file("key")).unwrap()),
        push_ca_file: Some(file("crt")),
        ..Options::new(KEY)
    };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    assert!(simulator.url().starts_with("https://"));
    let port = ports::free();
    let mut arguments = vec![
        format!("--push-listen=127.0.0.1:{port}"),
        format!("--push-base-url=https://127.0.0.1:{port}"),
        format!("--push-tls-cert-file={}", file("crt").display()),
        format!("--push-tls-key-file={}", file("key").display()),
    ];
    if trust {
        arguments.push(format!("--tenios-ca-file={}", file("crt").display()));
    }
    let namespaces = TestNamespaces::on(plane, name).await;
    let operator = namespaces.operator(OperatorOptions::new(simulator.url()).args(arguments)).await;
    Testbed { namespaces, simulator, operator }
}

#[tokio::test]
async fn request_and_push_go_over_tls() {
    let w = testbed("https", true).await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
    assert!(w.simulator.pushes().iter().all(|p| p.url.starts_with("https://") && p.status == Some(200)));
}

#[tokio::test]
async fn p04_a_provider_whose_certificate_is_not_trusted_gets_no_request_and_is_tried_again() {
    let w = testbed("untrusted", false).await;
    w.plain_order("o").await;
    let first = w.order_because("o", Reason::ProviderUnavailable).await.status.unwrap().attempt;
    w.order_where("o", "at another attempt", |o| o.status.as_ref().is_some_and(|s| s.attempt != first)).await;
    assert!(w.simulator.journal().is_empty());
}
