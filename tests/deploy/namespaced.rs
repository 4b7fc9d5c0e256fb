//! Several operators in one cluster, each with the rights for its own namespaces.

use crate::kubelet::Pod;
use crate::render::NAMESPACE;
use crate::stage::Stage;

const NOTHING_CLUSTER_WIDE: &str = "crds.install=false,tenantRoles.create=false";

#[tokio::test]
async fn p22_with_roles_instead_of_a_cluster_role_it_serves_its_namespaces_and_no_other() {
    let stage = Stage::new(&["team-a", "shop", "branch"]).await;
    stage.secrets("team-a").await;
    stage.helm_chart("install", "a", "team-a", "watchNamespaces={team-a,shop}").expect_success();
    stage.established().await;
    let roles = stage.kubectl().run(&["get", "clusterroles", "tenios-operator", "--ignore-not-found"]).await;
    assert_eq!(roles.expect_success(), "", "a ClusterRole in a namespaced installation");

    let _pod = Pod::start(&stage.plane, "team-a", stage.push_port).await.ready().await;
    stage.order("branch", "not-ours").await;
    stage.order("shop", "ours").await;
    stage.number("shop", "ours").await;
    stage.order("team-a", "also-ours").await;
    stage.number("team-a", "also-ours").await;
    let other = stage.orders("branch").await.get("not-ours").await.unwrap();
    assert_eq!(
        other.status.and_then(|status| status.state),
        None,
        "it wrote a status where it has no rights"
    );
    assert_eq!(stage.simulator.requests("/number/order"), 2);
}

#[tokio::test]
async fn a_second_operator_for_the_same_namespaces_is_refused() {
    let stage = Stage::new(&[NAMESPACE, "team-a", "team-b", "shop", "branch"]).await;
    stage.helm_chart("install", "all", NAMESPACE, "").expect_success();
    let said = stage.helm_chart("install", "again", "team-a", NOTHING_CLUSTER_WIDE).expect_failure();
    assert!(
        said.contains("ClusterRole \"tenios-operator\"") && said.contains("cannot be imported"),
        "{said}"
    );
    stage.helm_uninstall("all", NAMESPACE).expect_success();

    let install = |release: &str, namespace: &str, watched: &str| {
        let set = format!("{NOTHING_CLUSTER_WIDE},watchNamespaces={{{watched}}}");
        stage.helm_chart("install", release, namespace, &set)
    };
    install("a", "team-a", "shop").expect_success();
    let said = install("b", "team-b", "shop").expect_failure();
    assert!(said.contains("Role \"tenios-operator-watch\" in namespace \"shop\""), "{said}");
    install("c", "team-b", "branch").expect_success();
}
