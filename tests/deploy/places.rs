//! Where the chart is installed: behind a proxy, with IPv6, on `OpenShift`.

use serde_json::{Value, json};

use crate::render::{chart, objects};

fn rendered(set: &[&str]) -> (Value, Value) {
    let mut objects = objects(&chart(&["--set-json", &set.join(",")]));
    let mut take = |name: &str| objects.remove(&format!("{name} tenios-system/tenios-operator")).unwrap();
    (take("Deployment")["spec"]["template"]["spec"].take(), take("NetworkPolicy")["spec"]["egress"].take())
}

fn variable(pod: &Value, name: &str) -> Option<Value> {
    let set = pod["containers"][0]["env"].as_array().unwrap();
    set.iter().find(|env| env["name"] == name).map(|env| env["value"].clone())
}

#[test]
fn a_proxy_is_told_to_the_operator_and_its_port_is_let_out() {
    let proxy = r#"{"https": "http://proxy.example:3128", "http": "http://[2001:db8::1]", "noProxy": "10.0.0.0/8,.svc"}"#;
    let (pod, egress) = rendered(&[&format!("proxy={proxy}")]);
    assert_eq!(variable(&pod, "HTTPS_PROXY"), Some(json!("http://proxy.example:3128")));
    assert_eq!(variable(&pod, "HTTP_PROXY"), Some(json!("http://[2001:db8::1]")));
    assert_eq!(variable(&pod, "NO_PROXY"), Some(json!("10.0.0.0/8,.svc")));
    let ports = json!([{"protocol": "TCP", "port": 3128}, {"protocol": "TCP", "port": 80}]);
    assert!(egress.as_array().unwrap().contains(&json!({"ports": ports})), "{egress}");
    let (pod, egress) = rendered(&["proxy={}"]);
    assert_eq!(variable(&pod, "HTTPS_PROXY"), None);
    assert_eq!(egress.as_array().unwrap().len(), 3, "{egress}");
}

#[test]
fn further_variables_come_from_where_kubernetes_has_them() {
    let from = json!({"secretKeyRef": {"name": "proxy", "key": "url"}});
    let (pod, _) = rendered(&[&format!("extraEnv={}", json!([{"name": "HTTPS_PROXY", "valueFrom": from}]))]);
    let set = pod["containers"][0]["env"].as_array().unwrap();
    assert!(set.contains(&json!({"name": "HTTPS_PROXY", "valueFrom": from})), "{set:?}");
}

#[test]
fn the_listeners_can_be_kept_to_one_family() {
    for (address, metrics) in [("[::]", "[::]:8080"), ("0.0.0.0", "0.0.0.0:8080")] {
        let (pod, _) = rendered(&[&format!("listenOn={address:?}")]);
        assert_eq!(variable(&pod, "TENIOS_METRICS_LISTEN"), Some(json!(metrics)));
    }
    let (pod, _) = rendered(&["listenOn=\"\""]);
    assert_eq!(variable(&pod, "TENIOS_METRICS_LISTEN"), None, "the operator finds out itself");
    let objects = objects(&chart(&["--set", "ipFamilyPolicy=PreferDualStack"]));
    for service in ["tenios-operator", "tenios-operator-metrics"] {
        let service = &objects[&format!("Service tenios-system/{service}")];
        assert_eq!(service["spec"]["ipFamilyPolicy"], "PreferDualStack");
    }
}

#[test]
fn on_openshift_no_user_is_fixed_and_dns_is_asked_where_it_listens() {
    let (pod, egress) = rendered(&["openshift=true"]);
    assert_eq!(
        pod["securityContext"],
        json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    let ports: Vec<_> = egress[0]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [53, 53, 5353, 5353]);
    let (pod, egress) = rendered(&["openshift=false"]);
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert!(!egress.to_string().contains("5353"), "{egress}");
}
