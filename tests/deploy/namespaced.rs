//! Several operators in one cluster, each with the rights for its own namespaces.

use crate::kubelet::Pod;
use crate::render::{NAMESPACE, chart, objects};
use crate::testbed::{PATIENCE, Testbed};

const NOTHING_CLUSTER_WIDE: &str = "crds.install=false,tenantRoles.create=false";

#[tokio::test]
async fn p22_with_roles_instead_of_a_cluster_role_it_serves_its_namespaces_and_no_other() {
    let testbed = Testbed::shared(&["north", "north-shop", "south-shop"]).await;
    testbed.secrets("north").await;
    let set = format!("{NOTHING_CLUSTER_WIDE},watchNamespaces={{north,north-shop}}");
    let rendered = objects(&chart(&["--set", &set]));
    assert!(!rendered.keys().any(|object| object.starts_with("ClusterRole")), "{:?}", rendered.keys());
    testbed.helm_chart("install", "north", "north", &set).expect_success();

    let _pod = Pod::start(&testbed.plane, "north", testbed.push_port).await.ready().await;
    testbed.order("south-shop", "not-ours").await;
    testbed.order("north-shop", "ours").await;
    testbed.number("north-shop", "ours").await;
    testbed.order("north", "also-ours").await;
    testbed.number("north", "also-ours").await;
    let other = testbed.orders("south-shop").await.get("not-ours").await.unwrap();
    assert_eq!(
        other.status.and_then(|status| status.state),
        None,
        "it wrote a status where it has no rights"
    );
    assert_eq!(testbed.simulator.requests("/number/order"), 2);
}

#[tokio::test]
async fn a_missing_secret_keeps_the_pod_from_starting_and_is_named_in_one_line() {
    let testbed = Testbed::shared(&["secretless"]).await;
    let set = format!("{NOTHING_CLUSTER_WIDE},watchNamespaces={{secretless}}");
    testbed.helm_chart("install", "secretless", "secretless", &set).expect_success();
    let pod = Pod::start(&testbed.plane, "secretless", testbed.push_port).await;
    assert_eq!(pod.process.exit_status(PATIENCE).await.code(), Some(2));
    let log = pod.process.log();
    assert!(
        log.contains("/tenios-push-key/push-key: No such file") && log.trim().lines().count() == 1,
        "{log}"
    );
}

#[tokio::test]
async fn a_second_operator_for_the_same_namespaces_is_refused() {
    let testbed = Testbed::bare(&[NAMESPACE, "team-a", "team-b", "shop", "branch"]).await;
    testbed.helm_chart("install", "all", NAMESPACE, "").expect_success();
    let said = testbed.helm_chart("install", "again", "team-a", NOTHING_CLUSTER_WIDE).expect_failure();
    assert!(
        said.contains("ClusterRole \"tenios-operator\"") && said.contains("cannot be imported"),
        "{said}"
    );
    testbed.helm_uninstall("all", NAMESPACE).expect_success();

    let install = |release: &str, namespace: &str, watched: &str| {
        let set = format!("{NOTHING_CLUSTER_WIDE},watchNamespaces={{{watched}}}");
        testbed.helm_chart("install", release, namespace, &set)
    };
    install("a", "team-a", "shop").expect_success();
    let said = install("b", "team-b", "shop").expect_failure();
    assert!(said.contains("Role \"tenios-operator-watch\" in namespace \"shop\""), "{said}");
    install("c", "team-b", "branch").expect_success();
}
