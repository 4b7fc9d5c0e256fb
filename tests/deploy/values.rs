//! The chart's values: described, held by the schema, and complete.

use std::collections::BTreeMap;
use std::fmt::Write;

use rstest::rstest;
use serde_json::{Value, json};

use crate::render::{chart, chart_directory, objects};
use crate::tools::{helm, run};
use harness::Program;
use harness::checkout;

/// Set by the templates; a value for one of them would contradict the ports, mounts and rights that they set, too.
const SET_BY_THE_CHART: [&str; 14] = [
    "TENIOS_ACCESS_KEY_FILE",
    "TENIOS_HEALTH_LISTEN",
    "TENIOS_METRICS_LISTEN",
    "TENIOS_NAMESPACE",
    "TENIOS_PUSH_BASE_URL",
    "TENIOS_PUSH_KEY_FILE",
    "TENIOS_PUSH_LISTEN",
    "TENIOS_PUSH_TLS_CERT_FILE",
    "TENIOS_PUSH_TLS_KEY_FILE",
    "TENIOS_RELAY_CONFIG_MAP",
    "TENIOS_RELAY_KEY_FILE",
    "TENIOS_RELAY_URL",
    "TENIOS_TERMINATION_LOG",
    "TENIOS_WATCH_NAMESPACE",
];

#[test]
fn helm_lint_has_nothing_to_say() {
    helm(&["lint", "--strict", &chart_directory()]).expect_success();
}

#[rstest]
#[case("replicas=-1", "at '/replicas': minimum: got -1, want 0")]
#[case("replicas=two", "at '/replicas': got string, want integer")]
#[case("replicas=null", "missing property 'replicas'")]
#[case("replica=2", "additional properties 'replica' not allowed")]
#[case("push.url=https://example.com", "at '/push': additional properties 'url' not allowed")]
#[case("push.baseUrl=push.example.com", "at '/push/baseUrl': 'push.example.com' does not match pattern")]
#[case(
    "push.baseUrl=http://push.example.com",
    "at '/push/baseUrl': 'http://push.example.com' does not match"
)]
#[case("push.baseUrl=https://a.example/push/v1/", "at '/push/baseUrl': 'not' failed")]
#[case("push.baseUrl=https://a.example/?a=b", "at '/push/baseUrl'")]
#[case("push.baseUrl=https://a.example/a: b", "at '/push/baseUrl'")]
#[case("push.baseUrl=https://A.example/", "at '/push/baseUrl'")]
#[case("push.ingress.enabled=true", "at '/push/baseUrl': minLength: got 0, want 1")]
#[case("push.httpRoute.enabled=true", "at '/push/httpRoute/parentRefs': minItems: got 0, want 1")]
#[case("push.tls.certManager.enabled=true", "at '/push/tls/secretName': minLength: got 0, want 1")]
#[case(
    "push.tls.certManager.enabled=true",
    "at '/push/tls/certManager/issuerRef/name': minLength: got 0, want 1"
)]
#[case("push.service.type=LoadBalancer", "at '/push/tls/secretName': minLength: got 0, want 1")]
#[case(
    "push.service.type=Public",
    "at '/push/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'"
)]
#[case("push.service.port=0", "at '/push/service/port': minimum: got 0, want 1")]
#[case("watchNamespaces={shop,shop}", "at '/watchNamespaces': items at 0 and 1 are equal")]
#[case("watchNamespaces={The Shop}", "at '/watchNamespaces/0': 'The Shop' does not match pattern")]
#[case("accessKey.secretName=a/b", "at '/accessKey/secretName': 'a/b' does not match pattern")]
#[case("accessKey.key=../token", "at '/accessKey/key': '../token' does not match pattern")]
#[case("image.digest=latest", "at '/image/digest': 'latest' does not match pattern")]
#[case("image.tag=a:b", "at '/image/tag': 'a:b' does not match pattern")]
#[case("resources.limits.memory=much", "at '/resources/limits/memory': 'much' does not match pattern")]
#[case("resources.requets.cpu=1", "at '/resources': additional properties 'requets' not allowed")]
#[case(
    "podDisruptionBudget.maxUnavailable=0",
    "at '/podDisruptionBudget/maxUnavailable': minimum: got 0, want 1"
)]
#[case("env.TENIOS_ORDER_BUDGET=many", "at '/env/TENIOS_ORDER_BUDGET': 'many' does not match pattern")]
#[case(
    "env.TENIOS_URL=http://tenios.example",
    "at '/env/TENIOS_URL': 'http://tenios.example' does not match pattern"
)]
#[case("env.TENIOS_NAMESPACE=other", "at '/env': additional properties 'TENIOS_NAMESPACE' not allowed")]
#[case("env.TENIOS_LEADER_ELECTION=false,replicas=2", "at '/replicas': maximum: got 2, want 1")]
#[case("proxy.https=proxy.example:3128", "at '/proxy/https': 'proxy.example:3128' does not match pattern")]
#[case("proxy.https=http://user:password@proxy.example", "at '/proxy/https'")]
#[case("listenOn=localhost", "at '/listenOn': value must be one of '', '0.0.0.0', '[::]'")]
#[case("ipFamilyPolicy=Dual", "at '/ipFamilyPolicy': value must be one of")]
#[case("openshift=yes please", "at '/openshift': got string, want boolean")]
#[case(
    "env.TENIOS_LEDGER=https://bucket.example",
    "at '/env/TENIOS_LEDGER': 'https://bucket.example' does not match"
)]
#[case(
    "relay.url=http://numbers.example",
    "at '/relay/url': 'http://numbers.example' does not match pattern"
)]
#[case("relay.configMapName=a/b", "at '/relay/configMapName': 'a/b' does not match pattern")]
#[case("extraEnv[0].name=TENIOS_NAMESPACE,extraEnv[0].value=a", "at '/extraEnv/0/name': 'not' failed")]
#[case("extraEnv[0].value=a", "at '/extraEnv/0': missing property 'name'")]
#[case("podLabels.app\\.kubernetes\\.io/name=other", "invalid propertyName 'app.kubernetes.io/name'")]
#[case(
    "monitoring.podMonitor.enabled=true,monitoring.serviceMonitor.enabled=true",
    "at '/monitoring/serviceMonitor/enabled': value must be false"
)]
#[case("monitoring.interval=often", "at '/monitoring/interval': 'often' does not match pattern")]
#[case(
    "monitoring.rules.runbookUrl=alerts.md",
    "at '/monitoring/rules/runbookUrl': 'alerts.md' does not match"
)]
#[case("monitoring.labels.helm\\.sh/chart=other", "invalid propertyName 'helm.sh/chart'")]
fn a_value_that_makes_no_sense_fails_with_the_schemas_message(#[case] set: &str, #[case] says: &str) {
    let said = helm(&["template", "x", &chart_directory(), "--set", set]).expect_failure();
    assert!(said.contains("values don't meet the specifications of the schema"), "--set {set}: {said}");
    assert!(said.contains(says), "--set {set}: {said}");
}

#[test]
fn a_name_that_looks_like_a_number_stays_a_name() {
    let numbers =
        ["accessKey.secretName=1", "push.keySecret.name=2", "push.tls.secretName=3", "priorityClassName=4"];
    let numbers = format!("{},watchNamespaces={{5,true}},push.ingress.className=6", numbers.join(","));
    let ingress = "push.ingress.enabled=true,push.baseUrl=https://7";
    let rendered = objects(&chart(&["--set-string", &numbers, "--set", ingress]));
    for name in ["Role 5/tenios-operator-watch", "RoleBinding true/tenios-operator-watch"] {
        assert!(rendered.contains_key(name), "{name} in {:?}", rendered.keys());
    }
    let ingress = &rendered["Ingress tenios-system/tenios-operator"]["spec"];
    assert_eq!((&ingress["ingressClassName"], &ingress["rules"][0]["host"]), (&json!("6"), &json!("7")));
    let pod = &rendered["Deployment tenios-system/tenios-operator"]["spec"]["template"]["spec"];
    let secrets: Vec<_> =
        pod["volumes"].as_array().unwrap().iter().map(|v| v["secret"]["secretName"].clone()).collect();
    assert_eq!(secrets, [json!("1"), json!("2"), json!("3")]);
    assert_eq!(pod["priorityClassName"], json!("4"));
}

#[test]
fn every_flag_can_be_set_and_stands_with_the_operators_default() {
    let help = run(Program::Operator.command().args(["run", "--help"])).expect_success();
    let flags: BTreeMap<String, Option<String>> = help
        .split("[env: ")
        .skip(1)
        .map(|text| {
            let name = text.split(['=', ']']).next().unwrap().to_owned();
            let default = text.split("\n      --").next().unwrap().split_once("[default: ");
            (name, default.map(|(_, text)| text.split(']').next().unwrap().to_owned()))
        })
        .collect();
    let schema = schema();
    let env = schema["properties"]["env"]["properties"].as_object().unwrap();
    let (name, _) = flags.first_key_value().unwrap();
    assert!(flags.len() > 20 && name.starts_with("TENIOS_"), "{flags:?}");
    for name in env.keys() {
        assert!(flags.contains_key(name), "{name} is no flag of the operator");
    }
    for (name, default) in &flags {
        let Some(described) = env.get(name) else {
            assert!(SET_BY_THE_CHART.contains(&name.as_str()), "{name} can't be set by a value");
            continue;
        };
        if let Some(default) = default {
            assert_eq!(
                plain(&described["default"]),
                *default,
                "{name}: the schema's default and the operator's"
            );
        }
    }
}

#[test]
fn every_value_is_described_alike_in_values_and_schema() {
    let comments = comments();
    let mut described = BTreeMap::new();
    describe("", &schema(), &mut described);
    described.retain(|path, _| comments.contains_key(path) || !path.starts_with("env."));
    described.remove("global");
    for (path, comment) in &comments {
        assert_eq!(described.get(path), Some(comment), "{path}: the schema's description and the comment");
    }
    for path in described.keys() {
        assert!(comments.contains_key(path), "values.yaml doesn't show {path}");
    }
}

#[test]
fn the_charts_version_is_the_operators() {
    let text = std::fs::read_to_string(checkout("deploy/chart/Chart.yaml")).unwrap();
    let chart: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let base = std::fs::read_to_string(checkout("deploy/base/kustomization.yaml")).unwrap();
    assert!(base.contains(&format!("newTag: {:?}", env!("CARGO_PKG_VERSION"))), "{base}");
}

#[test]
fn the_readme_lists_every_value() {
    const BEGIN: &str = "<!-- values: generated by `make chart-readme` -->\n";
    const END: &str = "<!-- end of values -->\n";
    let path = checkout("deploy/chart/README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the table's begin");
    let (_, after) = rest.split_once(END).expect("the README has the table's end");
    let generated = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("CHART_README").is_some() {
        std::fs::write(&path, &generated).unwrap();
    } else {
        assert!(readme == generated, "deploy/chart/README.md is out of date: run `make chart-readme`");
    }
}

fn schema() -> Value {
    let text = std::fs::read_to_string(checkout("deploy/chart/values.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The table of what can be set: a value that is itself a list or a map is one row.
fn table() -> String {
    let text = std::fs::read_to_string(checkout("deploy/chart/values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let mut described = BTreeMap::new();
    describe("", &schema(), &mut described);
    let mut table = String::from("| value | default | |\n|---|---|---|\n");
    for (path, description) in &described {
        let default = match path.strip_prefix("env.") {
            Some(name) => schema()["properties"]["env"]["properties"][name]["default"].clone(),
            None => path.split('.').fold(values.clone(), |value, key| value[key].clone()),
        };
        let group = described.keys().any(|other| other.starts_with(&format!("{path}."))) && path != "env";
        if group {
            continue;
        }
        let default = match plain(&default) {
            default if default.is_empty() => String::new(),
            default => format!("`{default}`"),
        };
        writeln!(table, "| `{path}` | {default} | {description} |").unwrap();
    }
    table
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// The description of each property that is declared, by its path.
fn describe(path: &str, schema: &Value, described: &mut BTreeMap<String, String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let Some(description) = property["description"].as_str() else {
            // Below a value that is documented as a whole.
            continue;
        };
        described.insert(path.clone(), description.to_owned());
        describe(&path, property, described);
    }
}

/// The comment above each key of values.yaml, by the key's path. What has none belongs to the value above it.
fn comments() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(checkout("deploy/chart/values.yaml")).unwrap();
    let (mut comments, mut comment, mut path) = (BTreeMap::new(), Vec::new(), Vec::<String>::new());
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(part) = content.strip_prefix("# ") {
            comment.push(part.to_owned());
        } else if let (Some((key, _)), false) = (content.split_once(':'), comment.is_empty()) {
            path.truncate((line.len() - content.len()) / 2);
            path.push(key.to_owned());
            comments.insert(path.join("."), comment.join(" "));
            comment.clear();
        } else {
            assert!(comment.is_empty(), "a comment above nothing: {comment:?}");
        }
    }
    comments
}
