//! TLS on both links, with a certificate and trust roots that the chart mounts.

use std::time::Duration;

use tenios_http_server::Tls;
use tenios_simulator::{Options, Simulator};

use crate::kubelet::Pod;
use crate::testbed::Testbed;

#[tokio::test]
async fn the_receiver_ends_tls_with_the_secret_that_the_chart_mounts() {
    let mut testbed = Testbed::shared(&["https"]).await;
    testbed.secrets("https").await;
    let file = |suffix: &str| testbed.plane.directory().join(format!("receiver.{suffix}"));
    let (cert, key) = (file("crt"), file("key"));
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&cert, pair.cert.pem()).unwrap();
    std::fs::write(&key, pair.signing_key.serialize_pem()).unwrap();
    let kubectl = testbed.kubectl().in_namespace("https");
    let path = |name: &str, path: &std::path::Path| format!("--{name}={}", path.display());
    let tls = ["create", "secret", "tls", "push-tls", &path("cert", &cert), &path("key", &key)];
    kubectl.run(&tls).await.expect_success();
    let root = format!("--from-file=ca.crt={}", cert.display());
    kubectl.run(&["create", "secret", "generic", "tenios-root", &root]).await.expect_success();

    let options = Options {
        assign_after: Duration::from_millis(50),
        tls: Some(Tls::from_files(&cert, &key).unwrap()),
        push_ca_file: Some(cert),
        ..Options::new("the-access-key")
    };
    testbed.simulator = Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap();
    let set = [
        "crds.install=false,tenantRoles.create=false,watchNamespaces={https}",
        "push.tls.secretName=push-tls,env.TENIOS_ALLOW_HTTP=false,env.TENIOS_CA_FILE=/etc/tenios/root/ca.crt",
        &format!("push.baseUrl=https://127.0.0.1:{}", testbed.push_port),
        "extraVolumes[0].name=root,extraVolumes[0].secret.secretName=tenios-root",
        "extraVolumeMounts[0].name=root,extraVolumeMounts[0].mountPath=/etc/tenios/root",
    ];
    testbed.helm_chart("install", "https", "https", &set.join(",")).expect_success();
    let _pod = Pod::start(&testbed.plane, "https", testbed.push_port).await.ready().await;
    testbed.order("https", "main-line").await;
    testbed.number("https", "main-line").await;
    let pushes = testbed.simulator.pushes();
    assert!(
        pushes.iter().all(|push| push.url.starts_with("https://") && push.status == Some(200)),
        "{pushes:?}"
    );
}
