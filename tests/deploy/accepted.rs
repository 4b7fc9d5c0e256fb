//! A real apiserver takes what is shipped, and holds its pods to the strictest standard.

use serde_json::{Value, json};

use crate::render::{NAMESPACE, documents, every_chart, kustomize};
use crate::tools;
use harness::{ControlPlane, Kubectl};

#[tokio::test]
async fn a_real_apiserver_takes_every_object_without_a_warning() {
    let kubectl = ControlPlane::shared().await.kubectl();
    let others = tools::directory().join("crds").to_string_lossy().into_owned();
    kubectl.run(&["apply", "--server-side", "-f", &others]).await.expect_success();
    kubectl.established(&["-f", &others]).await.expect_success();
    for namespace in ["shop", "branch", "argocd", "flux-system", "velero"] {
        kubectl.run(&["create", "namespace", namespace]).await.expect_success();
    }
    restricted_namespace(&kubectl).await;
    let dry =
        ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-"];
    let of_tools = crate::gitops::manifests();
    for (name, yaml) in every_chart().iter().chain(&of_tools) {
        let said = kubectl.run_with_input(&dry, yaml).await;
        assert!(said.success && said.stderr.is_empty(), "{name}: {}", said.stderr);
    }
}

#[tokio::test]
async fn the_pods_keep_to_the_restricted_standard() {
    let kubectl = ControlPlane::shared().await.kubectl();
    restricted_namespace(&kubectl).await;
    let kubectl = kubectl.in_namespace(NAMESPACE);
    let create = async |pod: &Value| {
        kubectl.run_with_input(&["create", "--dry-run=server", "-f", "-"], &pod.to_string()).await
    };
    for (name, yaml) in every_chart() {
        let pod = pod(yaml);
        let said = create(&pod).await;
        assert!(said.success && said.stderr.is_empty(), "{name}: {}", said.stderr);
        let container = &pod["spec"]["containers"][0];
        // The standard asks for everything else, but not for this.
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true, "{name}");

        let mut privileged = pod.clone();
        privileged["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
        let refused = create(&privileged).await.expect_failure();
        assert!(refused.contains("violates PodSecurity \"restricted:latest\""), "{name}: {refused}");
    }
}

#[test]
fn only_dns_the_apiserver_and_https_go_out_and_only_pushes_and_metrics_come_in() {
    for (name, yaml) in every_chart() {
        let documents = documents(yaml);
        let policy =
            documents.iter().find(|object| object["kind"] == "NetworkPolicy").expect("a NetworkPolicy");
        let spec = &policy["spec"];
        assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]), "{name}");
        assert_eq!(ports(&spec["ingress"]), ["TCP 8082", "TCP 8080"], "{name}");
        let dns: &[&str] = match name.as_str() {
            "overlays/openshift" => &["UDP 53", "TCP 53", "UDP 5353", "TCP 5353"],
            _ => &["UDP 53", "TCP 53"],
        };
        assert_eq!(ports(&spec["egress"]), [dns, &["TCP 443", "TCP 6443"]].concat(), "{name}");

        let pod = pod(yaml);
        assert_eq!(
            spec["podSelector"]["matchLabels"], pod["metadata"]["labels"],
            "{name}: selects other pods"
        );
        let container = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
        let number =
            |name| container.iter().find(|port| port["name"] == name).unwrap()["containerPort"].clone();
        assert_eq!([number("push"), number("metrics")], [json!(8082), json!(8080)], "{name}");
    }
}

/// Each rule must name its ports: one without any is a rule for all.
fn ports(rules: &Value) -> Vec<String> {
    let ports =
        rules.as_array().unwrap().iter().flat_map(|rule| rule["ports"].as_array().expect("a rule's ports"));
    ports.map(|port| format!("{} {}", port["protocol"].as_str().unwrap(), port["port"])).collect()
}

/// The pod that a rendering's Deployment makes.
fn pod(yaml: &str) -> Value {
    let documents = documents(&yaml.replace("defaultMode: 0440", "defaultMode: 288"));
    let deployment = documents.iter().find(|object| object["kind"] == "Deployment").expect("a Deployment");
    let template = &deployment["spec"]["template"];
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "operator", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    })
}

/// The base's Namespace and `ServiceAccount`, without which no pod is admitted.
async fn restricted_namespace(kubectl: &Kubectl) {
    let base = kustomize("base");
    for kind in ["Namespace", "ServiceAccount"] {
        let object = documents(&base).into_iter().find(|object| object["kind"] == kind).unwrap();
        kubectl
            .run_with_input(&["apply", "--server-side", "-f", "-"], &object.to_string())
            .await
            .expect_success();
    }
}
