//! The life of a release: installed, at work, upgraded, uninstalled, installed again.

use std::path::Path;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams};
use tenios_api::LedgerEntry;

use crate::kubelet::Pod;
use crate::render::NAMESPACE;
use crate::testbed::Testbed;
use crate::tools::run;
use harness::checkout;

#[tokio::test]
async fn p12_installed_upgraded_uninstalled_and_installed_again_it_orders_once() {
    let testbed = Testbed::bare(&[NAMESPACE, "shop"]).await;
    testbed.secrets(NAMESPACE).await;
    let older = older_chart(testbed.plane.directory());
    testbed.helm("install", "tenios", NAMESPACE, &older, "").expect_success();
    testbed.established().await;
    assert!(!columns(&testbed).await.contains(&"Order".to_owned()), "the older CRD has no such column");

    let pod = Pod::start(&testbed.plane, NAMESPACE, testbed.push_port).await.ready().await;
    testbed.order("shop", "main-line").await;
    let number = testbed.number("shop", "main-line").await;

    testbed.helm_chart("upgrade", "tenios", NAMESPACE, "replicas=2").expect_success();
    assert!(columns(&testbed).await.contains(&"Order".to_owned()), "the CRD was not upgraded");
    assert_eq!(replicas(&testbed).await, Some(2));
    testbed.helm_chart("upgrade", "tenios", NAMESPACE, "crds.install=false").expect_success();
    assert_eq!(
        testbed.number("shop", "main-line").await,
        number,
        "the CRD stays when it is no longer part of the release"
    );
    testbed.helm_chart("upgrade", "tenios", NAMESPACE, "").expect_success();

    pod.end().await;
    testbed.helm_uninstall("tenios", NAMESPACE).expect_success();
    assert_eq!(replicas(&testbed).await, None, "the Deployment is gone");
    let kinds =
        "clusterroles,clusterrolebindings,roles,rolebindings,services,networkpolicies,serviceaccounts";
    let ours = ["get", kinds, "-A", "-l", "app.kubernetes.io/name=tenios-operator", "-o", "name"];
    assert_eq!(testbed.kubectl().run(&ours).await.expect_success(), "", "left behind");
    assert_eq!(testbed.number("shop", "main-line").await, number, "the order stays");
    let ledger: Api<LedgerEntry> = Api::namespaced(testbed.plane.client().await, NAMESPACE);
    assert_eq!(ledger.list(&ListParams::default()).await.unwrap().items.len(), 1, "the ledger stays");

    testbed.helm_chart("install", "tenios", NAMESPACE, "").expect_success();
    let _pod = Pod::start(&testbed.plane, NAMESPACE, testbed.push_port).await.ready().await;
    testbed.order("shop", "second-line").await;
    assert_ne!(testbed.number("shop", "second-line").await, number);
    assert_eq!(testbed.number("shop", "main-line").await, number);
    assert_eq!(testbed.simulator.requests("/number/order"), 2, "one for each order");
}

async fn columns(testbed: &Testbed) -> Vec<String> {
    let crds: Api<CustomResourceDefinition> = Api::all(testbed.plane.client().await);
    let crd = crds.get("phonenumberorders.tenios.dev").await.unwrap();
    let columns = crd
        .spec
        .versions
        .into_iter()
        .flat_map(|version| version.additional_printer_columns.unwrap_or_default());
    columns.map(|column| column.name).collect()
}

async fn replicas(testbed: &Testbed) -> Option<i32> {
    let deployments: Api<Deployment> = Api::namespaced(testbed.plane.client().await, NAMESPACE);
    deployments
        .get_opt("tenios-operator")
        .await
        .unwrap()
        .and_then(|deployment| deployment.spec.unwrap().replicas)
}

/// The chart with a CRD that lacks a column.
fn older_chart(directory: &Path) -> String {
    let older = directory.join("older-chart");
    run(Command::new("cp").arg("-R").arg(checkout("deploy/chart")).arg(&older)).expect_success();
    let crds = older.join("files/crds.yaml");
    let text = std::fs::read_to_string(&crds).unwrap();
    let column = "    - jsonPath: .status.orderId\n      name: Order\n      type: string\n";
    assert!(text.contains(column), "the CRD has another column by now");
    std::fs::write(&crds, text.replace(column, "")).unwrap();
    older.to_string_lossy().into_owned()
}
