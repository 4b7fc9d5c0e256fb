//! A Prometheus that scrapes one operator as the Prometheus operator would have it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use super::yaml;
use harness::{ControlPlane, Process, checkout, http, ports, wait};

const PATIENCE: Duration = Duration::from_secs(30);

/// Where prometheus and promtool are.
pub fn tools() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut build = Command::new(checkout("tests/prometheus/build"));
        let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/prometheus/build failed");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    })
}

/// One line of a panel.
#[derive(Clone, Debug)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    /// Time and value, without those that are no number.
    pub points: Vec<(f64, f64)>,
}

/// See the module documentation.
pub struct Prometheus {
    process: Process,
    port: u16,
}

impl Prometheus {
    /// It scrapes the operator behind that port and evaluates the shipped rules twice a second.
    pub async fn start(plane: &ControlPlane, metrics_port: u16) -> Self {
        Self::with_rules(plane, metrics_port, checkout("deploy/monitoring/rules.yaml")).await
    }

    /// The same, and no rule waits before it sounds.
    pub async fn impatient(plane: &ControlPlane, metrics_port: u16) -> Self {
        let rules = std::fs::read_to_string(checkout("deploy/monitoring/rules.yaml")).unwrap();
        let lines = rules.lines().filter(|line| !line.trim_start().starts_with("for: "));
        let file = plane.directory().join(format!("rules-{metrics_port}.yaml"));
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        Self::with_rules(plane, metrics_port, file).await
    }

    async fn with_rules(plane: &ControlPlane, metrics_port: u16, rules: PathBuf) -> Self {
        let directory = plane.directory().join(format!("prometheus-{metrics_port}"));
        std::fs::create_dir_all(&directory).unwrap();
        let monitor = yaml("deploy/monitoring/pod-monitor/pod-monitor.yaml");
        let config = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "tenios-system/tenios-operator",
                "honor_labels": monitor["spec"]["podMetricsEndpoints"][0]["honorLabels"],
                "static_configs": [{
                    "targets": [format!("127.0.0.1:{}", metrics_port)],
                    "labels": {"namespace": "tenios-system", "pod": "tenios-operator-0", "container": "operator", "endpoint": "metrics"},
                }],
            }],
        });
        let file = directory.join("prometheus.yaml");
        std::fs::write(&file, config.to_string()).unwrap();
        let port = ports::free();
        let process = plane.process("prometheus", tools().join("prometheus")).args([
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]);
        process.start().unwrap();
        let prometheus = Self { process, port };
        prometheus.sees("tenios_leader == 1").await;
        prometheus
    }

    /// Waits until this query has a result, which is that of a scrape.
    pub async fn sees(&self, query: &str) {
        let seen = wait::poll(PATIENCE, async || {
            let answer = self.try_get(&format!("query?query={}", escaped(query))).await?;
            (!answer["result"].as_array()?.is_empty()).then_some(())
        });
        assert!(seen.await.is_some(), "{query} has no result:\n{}", self.process.log_tail());
    }

    /// The last sample of each series.
    pub async fn now(&self, query: &str) -> Vec<Series> {
        let answer = self.get(&format!("query?query={}", escaped(query))).await;
        series(&answer, |result| vec![result["value"].clone()])
    }

    /// Samples of each series from one time to another.
    pub async fn between(&self, query: &str, from: f64, to: f64, step: f64) -> Vec<Series> {
        let path = format!("query_range?query={}&start={from}&end={to}&step={step}", escaped(query));
        series(&self.get(&path).await, |result| result["values"].as_array().unwrap().clone())
    }

    /// What the API says at this path.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.try_get(path).await;
        answer.unwrap_or_else(|| panic!("{path} was not answered:\n{}", self.process.log_tail()))
    }

    async fn try_get(&self, path: &str) -> Option<Value> {
        let answer = http::get(self.port, &format!("/api/v1/{path}")).await.ok()?;
        let mut body: Value = serde_json::from_str(&answer.body).ok()?;
        assert!(answer.status == 503 || body["status"] == "success", "{path}: {body}");
        Some(body["data"].take())
    }
}

fn series(answer: &Value, samples: impl Fn(&Value) -> Vec<Value>) -> Vec<Series> {
    let point = |sample: &Value| Some((sample[0].as_f64()?, sample[1].as_str()?.parse::<f64>().ok()?));
    let results = answer["result"].as_array().unwrap().iter();
    results
        .map(|result| Series {
            labels: serde_json::from_value(result["metric"].clone()).unwrap(),
            points: samples(result).iter().filter_map(point).filter(|(_, value)| value.is_finite()).collect(),
        })
        .filter(|series| !series.points.is_empty())
        .collect()
}

fn escaped(query: &str) -> String {
    let mut text = String::new();
    for byte in query.bytes() {
        write!(text, "%{byte:02X}").unwrap();
    }
    text
}
