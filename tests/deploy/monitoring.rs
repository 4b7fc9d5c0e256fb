//! Alerts, dashboard and monitors: that their copies agree, that each alert has a runbook, and that none asks for a
//! metric that is not there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::render::{chart, documents, kustomize, objects};
use harness::checkout;

const RUNBOOKS: &str = "https://example.com/tenios-operator/docs/alerts.md";

fn read(path: &str) -> String {
    std::fs::read_to_string(checkout(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rules() -> Vec<Value> {
    let file = documents(&read("deploy/monitoring/rules.yaml")).remove(0);
    let groups = file["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

#[test]
fn what_is_made_from_the_rules_and_the_dashboard_is_up_to_date() {
    for file in ["rules.yaml", "dashboard.json"] {
        let copy = read(&format!("deploy/chart/files/{file}"));
        assert!(
            copy == read(&format!("deploy/monitoring/{file}")),
            "chart/files/{file}: run `make monitoring`"
        );
    }
    let rule = documents(&read("deploy/monitoring/prometheus-rule.yaml")).remove(0);
    let plain = documents(&read("deploy/monitoring/rules.yaml")).remove(0);
    assert!(rule["spec"] == plain, "prometheus-rule.yaml is out of date: run `make monitoring`");
}

#[test]
fn each_alert_says_what_to_do_and_has_its_runbook_and_each_runbook_its_alert() {
    let rules = rules();
    let mut linked = BTreeSet::new();
    for rule in &rules {
        let alert = text(&rule["alert"]);
        assert!(matches!(text(&rule["labels"]["severity"]), "critical" | "warning"), "{alert}");
        let annotations = &rule["annotations"];
        assert!(text(&annotations["summary"]).len() > 15, "{alert}: {annotations}");
        assert!(text(&annotations["description"]).len() > 80, "{alert}: {annotations}");
        assert_eq!(text(&annotations["runbook_url"]), format!("{RUNBOOKS}#{}", alert.to_lowercase()));
        assert!(linked.insert(alert.to_owned()), "{alert} stands there twice");
    }
    let runbooks = read("docs/alerts.md");
    let sections: Vec<_> = runbooks.split("\n## ").skip(1).collect();
    let titles: BTreeSet<_> =
        sections.iter().map(|section| section.lines().next().unwrap().to_owned()).collect();
    assert_eq!((linked.len(), linked), (sections.len(), titles));
    for section in sections {
        for part in ["**What it means.**", "**How to look.**", "**What to do.**", "```sh\nkubectl "] {
            assert!(section.contains(part), "{part} is missing: {section}");
        }
    }
}

#[test]
fn the_runbooks_are_where_the_value_says() {
    let url = "https://wiki.example.com/alerts";
    let set = format!("monitoring.rules.enabled=true,monitoring.rules.runbookUrl={url}");
    let rendered = objects(&chart(&["--set", &set]));
    let spec = rendered["PrometheusRule tenios-system/tenios-operator"]["spec"].to_string();
    assert!(!spec.contains("https://example.com"), "{spec}");
    assert_eq!(spec.matches(&format!("{url}#tenios")).count(), rules().len());
}

#[test]
fn the_service_monitor_is_the_same_from_chart_and_kustomize() {
    let chart = chart(&["--set", "monitoring.serviceMonitor.enabled=true"]);
    let name = "ServiceMonitor tenios-system/tenios-operator";
    assert_eq!(
        objects(&chart)[name]["spec"],
        objects(&kustomize("monitoring/service-monitor"))[name]["spec"]
    );
    // A port of that name is what the Service of the push lacks.
    for (service, ports) in
        [("tenios-operator", json!(["push"])), ("tenios-operator-metrics", json!(["metrics"]))]
    {
        let service = &objects(&chart)[&format!("Service tenios-system/{service}")]["spec"];
        let named: Vec<_> = service["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
        assert_eq!(json!(named), ports);
    }
}

#[test]
fn what_prometheus_selects_by_can_be_set() {
    let set = "monitoring.podMonitor.enabled=true,monitoring.rules.enabled=true,monitoring.labels.release=main,\
        monitoring.interval=15s,monitoring.dashboard.enabled=true,monitoring.dashboard.labels.board=x";
    let rendered = objects(&chart(&["--set", set]));
    for kind in ["PodMonitor", "PrometheusRule"] {
        let labels = &rendered[&format!("{kind} tenios-system/tenios-operator")]["metadata"]["labels"];
        assert_eq!(labels["release"], "main", "{kind}");
    }
    let monitor = &rendered["PodMonitor tenios-system/tenios-operator"]["spec"];
    assert_eq!(monitor["podMetricsEndpoints"][0]["interval"], "15s");
    let labels = &rendered["ConfigMap tenios-system/tenios-operator-dashboard"]["metadata"]["labels"];
    assert_eq!((&labels["grafana_dashboard"], &labels["board"]), (&json!("1"), &json!("x")));
}

#[test]
fn the_dashboard_in_the_config_map_is_the_one_of_the_file() {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let rendered = objects(&kustomize("overlays/monitoring"));
    let held =
        text(&rendered["ConfigMap tenios-system/tenios-operator-dashboard"]["data"]["tenios-operator.json"]);
    assert_eq!(serde_json::from_str::<Value>(held).unwrap(), dashboard);
    let ids: BTreeSet<_> =
        dashboard["panels"].as_array().unwrap().iter().map(|panel| panel["id"].to_string()).collect();
    assert_eq!(ids.len(), dashboard["panels"].as_array().unwrap().len());
}

/// Their names; the table is held to the code by `pure`.
#[test]
fn rules_and_dashboard_ask_for_metrics_that_are_documented() {
    let table = read("docs/operations.md");
    let documented: BTreeSet<_> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `tenios_")?.split_once('`'))
        .map(|(name, _)| format!("tenios_{name}"))
        .collect();
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries: Vec<_> = targets
        .map(|target| text(&target["expr"]).to_owned())
        .chain(rules().iter().map(|rule| text(&rule["expr"]).to_owned()))
        .collect();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let asked: BTreeSet<_> = queries
        .iter()
        .flat_map(|query| query.split(|c| !word(c)))
        .filter(|name| name.starts_with("tenios_"))
        .map(|name| name.trim_end_matches("_bucket").to_owned())
        .collect();
    assert!(asked.len() > 8 && asked.is_subset(&documented), "{:?}", asked.difference(&documented));
}
