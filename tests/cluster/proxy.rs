//! Behind a proxy: names that resolve nowhere else, for the operator and for the plugin.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_http_server::Tls;
use tenios_simulator::{Options, Simulator};

use crate::cli::Plugin;
use crate::testbed::{KEY, ORDER, Testbed};
use harness::{ControlPlane, OperatorOptions, Proxy, TestNamespaces};

/// A name in the apiserver's certificate.
const CLUSTER: &str = "kubernetes.default.svc:443";
const TENIOS: &str = "tenios.test:443";

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("https://").trim_end_matches('/').parse().unwrap()
}

async fn simulator(plane: &ControlPlane, name: &str) -> (Simulator, String) {
    let file = |suffix: &str| plane.directory().join(format!("{name}.{suffix}"));
    let pair = rcgen::generate_simple_self_signed(["tenios.test".to_owned()]).unwrap();
    std::fs::write(file("crt"), pair.cert.pem()).unwrap();
    std::fs::write(file("key"), pair.signing_key.serialize_pem()).unwrap();
    let options = Options {
        assign_after: Duration::from_millis(50),
        tls: Some(Tls::from_files(&file("crt"), &file("key")).unwrap()),
        plain_push: true,
        ..Options::new(KEY)
    };
    let simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    (simulator, format!("--tenios-ca-file={}", file("crt").display()))
}

#[tokio::test]
async fn p04_behind_a_proxy_the_operator_works_and_what_the_proxy_refuses_was_not_processed() {
    let plane = ControlPlane::shared().await;
    let (simulator, roots) = simulator(&plane, "behind-a-proxy").await;
    let proxy = Proxy::start(&[(CLUSTER, address(plane.server())), (TENIOS, address(simulator.url()))]).await;
    proxy.answer(TENIOS, 502);
    let namespaces = TestNamespaces::on(plane, "proxy").await;
    let options = OperatorOptions::new("https://tenios.test").args([roots]).hurried();
    let options = options.env("HTTPS_PROXY", &proxy.url).env("NO_PROXY", "other.test,10.0.0.0/8");
    let operator = namespaces.prepare_operator("https://kubernetes.default.svc", options).await;
    operator.process.start().unwrap();
    operator.wait_ready().await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    for status in [502, 407, 503] {
        proxy.answer(TENIOS, status);
        let first = w.order_because("o", Reason::ProviderUnavailable).await.status.unwrap().attempt;
        w.order_where("o", "at another attempt", |o| o.status.as_ref().is_some_and(|s| s.attempt != first))
            .await;
        assert_eq!(w.requests(ORDER), 0, "after {status}");
    }
    proxy.answer(TENIOS, 200);
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
    assert!(proxy.asked(CLUSTER) > 0, "the apiserver was reached without the proxy");
}

/// What a URL has to escape is in it. The provider's client and the apiserver's each read it in their own way.
const PASSWORD: &str = "hunter2@:%/";

#[tokio::test]
async fn p21_a_proxy_with_a_password_is_told_it_and_nobody_else() {
    let plane = ControlPlane::shared().await;
    let (simulator, roots) = simulator(&plane, "proxy-password").await;
    let routes = [(CLUSTER, address(plane.server())), (TENIOS, address(simulator.url()))];
    let proxy = Proxy::start_with_password(&routes, "operator", PASSWORD).await;
    let namespaces = TestNamespaces::on(plane.clone(), "proxy-password").await;
    let options = OperatorOptions::new("https://tenios.test").args([roots, "--log=trace".into()]);
    let options = options.env("HTTPS_PROXY", &proxy.url);
    let operator = namespaces.prepare_operator("https://kubernetes.default.svc", options).await;
    operator.process.start().unwrap();
    operator.wait_ready().await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);

    let knows = kubeconfig(&plane, "password", Some(&proxy.url));
    let plugin = Plugin::of(&w.namespaces).await.at(&knows);
    plugin.run(&["status"]).await.done();
    let stranger = proxy.url.replace("operator:", "somebody:");
    let stranger = kubeconfig(&plane, "stranger", Some(&stranger));
    let plugin = Plugin::of(&w.namespaces).await.at(&stranger);
    let said = plugin.run(&["status"]).await.ended(1);
    for text in [said, w.operator.log()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

/// A kubeconfig for a cluster that only the proxy reaches.
fn kubeconfig(plane: &ControlPlane, name: &str, proxy_url: Option<&str>) -> std::path::PathBuf {
    let admin = std::fs::read(plane.kubectl().kubeconfig()).unwrap();
    let mut content: Value = serde_json::from_slice(&admin).unwrap();
    let cluster = &mut content["clusters"][0]["cluster"];
    cluster["server"] = json!("https://kubernetes.default.svc");
    if let Some(url) = proxy_url {
        cluster["proxy-url"] = json!(url);
    }
    let file = plane.directory().join(format!("{name}.proxy.kubeconfig"));
    std::fs::write(&file, content.to_string()).unwrap();
    file
}

#[tokio::test]
async fn the_plugin_goes_through_the_proxy_that_kubectl_goes_through() {
    let namespaces = TestNamespaces::new("proxied").await;
    let plane = namespaces.control_plane.clone();
    let proxy = Proxy::start(&[(CLUSTER, address(plane.server()))]).await;
    let bare = kubeconfig(&plane, "bare", None);
    let named = kubeconfig(&plane, "named", Some(&proxy.url));
    let without_scheme = proxy.url.trim_start_matches("http://").to_owned();
    for (kubeconfig, environment, through) in [
        (&named, vec![], true),
        (&named, vec![("NO_PROXY", "*")], true),
        (&named, vec![("HTTPS_PROXY", "http://127.0.0.1:9")], true),
        (&bare, vec![("HTTPS_PROXY", &*proxy.url)], true),
        (&bare, vec![("https_proxy", &*without_scheme)], true),
        (
            &bare,
            vec![
                ("HTTPS_PROXY", &*proxy.url),
                ("NO_PROXY", "127.0.0.1, other.test,10.0.0.0/8,/run/socket,<local>,"),
            ],
            true,
        ),
        (&bare, vec![("HTTPS_PROXY", &*proxy.url), ("NO_PROXY", "localhost,kubernetes.default.svc")], false),
        (&bare, vec![("HTTPS_PROXY", &*proxy.url), ("no_proxy", ".svc")], false),
        (&bare, vec![("HTTP_PROXY", &*proxy.url)], false),
        (&bare, vec![("HTTPS_PROXY", ""), ("https_proxy", &*proxy.url)], true),
    ] {
        let asked = proxy.asked(CLUSTER);
        let said = Plugin::of(&namespaces).await.at(kubeconfig).with(&environment).run(&["status"]).await;
        assert_eq!(said.code == Some(0), through, "{environment:?}: {}{}", said.stdout, said.stderr);
        assert_eq!(proxy.asked(CLUSTER) > asked, through, "{environment:?}");
    }
    for url in ["ftp://user:hunter2@proxy.test", "http://"] {
        let kubeconfig = kubeconfig(&plane, "wrong", Some(url));
        let said = Plugin::of(&namespaces).await.at(&kubeconfig).run(&["status"]).await.ended(1);
        assert!(said.contains("proxy-url") && !said.contains("hunter2"), "{said}");
    }
}
