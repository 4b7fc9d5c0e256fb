//! The alerts under promtool.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::prometheus::tools;
use super::yaml;
use harness::checkout;

const TESTS: &str = "tests/e2e/monitoring/rules.test.yaml";

#[test]
fn the_alerts_sound_when_they_are_meant_to_and_only_then() {
    let mut promtool = Command::new(tools().join("promtool"));
    let said = promtool.args(["test", "rules"]).arg(checkout(TESTS)).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{}{}", text(&said.stdout), text(&said.stderr));
}

#[test]
fn each_alert_is_seen_silent_then_firing_then_silent_again() {
    let mut seen: BTreeMap<String, bool> = BTreeMap::new();
    let rules = yaml("deploy/monitoring/rules.yaml");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        seen.insert(rule["alert"].as_str().unwrap().to_owned(), false);
    }
    for test in yaml(TESTS)["tests"].as_array().unwrap() {
        let firing: Vec<String> = test["promql_expr_test"]
            .as_array()
            .unwrap()
            .iter()
            .map(|at| at["exp_samples"].to_string())
            .collect();
        for (alert, complete) in &mut seen {
            let fires = |samples: &String| samples.contains(&format!("\\\"{alert}\\\""));
            let first = firing.iter().position(fires);
            let last = firing.iter().rposition(fires);
            *complete |= first.zip(last).is_some_and(|(first, last)| first > 0 && last + 1 < firing.len());
        }
    }
    assert!(seen.len() >= 12 && seen.values().all(|complete| *complete), "{seen:#?}");
}
