//! The alerts and the dashboard, with a real Prometheus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde::Deserialize;
use serde_json::Value;

use crate::harness::checkout;

/// Where prometheus and promtool are.
fn tools() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut build = Command::new(checkout("tests/prometheus/build"));
        let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/prometheus/build failed");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    })
}

fn promtool(arguments: &[&str]) -> Output {
    let command = Command::new(tools().join("promtool")).args(arguments).stdin(Stdio::null()).output();
    command.unwrap()
}

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(checkout(path)).unwrap();
    Value::deserialize(serde_norway::Deserializer::from_str(&text)).unwrap()
}

#[test]
fn the_alerts_sound_when_they_are_meant_to_and_only_then() {
    let file = checkout("tests/e2e/rules.test.yaml");
    let said = promtool(&["test", "rules", &file.to_string_lossy()]);
    assert!(said.status.success(), "{said:?}");
}

#[test]
fn each_alert_is_seen_silent_then_firing_then_silent_again() {
    let mut seen: BTreeMap<String, bool> = BTreeMap::new();
    let rules = yaml("deploy/monitoring/rules.yaml");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        seen.insert(rule["alert"].as_str().unwrap().to_owned(), false);
    }
    let tests = yaml("tests/e2e/rules.test.yaml");
    for test in tests["tests"].as_array().unwrap() {
        // The times of a test stand in order.
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
