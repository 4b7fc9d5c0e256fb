//! The shipped dashboard, and what its panels show of a run.

use serde_json::Value;

use super::prometheus::{Prometheus, Series};
use harness::checkout;

/// One panel.
pub struct Panel {
    pub title: String,
    pub is_stat: bool,
    pub unit: String,
    /// Column, row, width and height on a grid of 24 columns.
    pub place: [i32; 4],
    queries: Vec<Query>,
}

struct Query {
    text: String,
    legend: String,
    instant: bool,
}

/// What a panel shows: each line with its name.
pub type Lines = Vec<(String, Vec<(f64, f64)>)>;

pub fn panels() -> Vec<Panel> {
    let dashboard = std::fs::read_to_string(checkout("deploy/monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let panel = |panel: &Value| Panel {
        title: text(&panel["title"]),
        is_stat: panel["type"] == "stat",
        unit: text(&panel["fieldConfig"]["defaults"]["unit"]),
        place: ["x", "y", "w", "h"]
            .map(|side| i32::try_from(panel["gridPos"][side].as_i64().unwrap()).unwrap()),
        queries: panel["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| Query {
                text: text(&target["expr"]),
                legend: text(&target["legendFormat"]),
                instant: target["instant"] == true,
            })
            .collect(),
    };
    dashboard["panels"].as_array().unwrap().iter().map(panel).collect()
}

impl Panel {
    /// Asks as Grafana does. Each of its queries must have an answer.
    pub async fn lines(&self, prometheus: &Prometheus, from: f64, to: f64) -> Result<Lines, String> {
        let mut lines = Lines::new();
        for query in &self.queries {
            let text = query.text.replace("$namespace", ".*").replace("$__rate_interval", "3s");
            assert!(!text.contains('$'), "{}: a variable that the test does not know: {text}", self.title);
            let found = if query.instant {
                prometheus.now(&text).await
            } else {
                prometheus.between(&text, from, to, ((to - from) / 60.0).max(0.5)).await
            };
            if found.is_empty() {
                return Err(format!("{}: {text} has no data", self.title));
            }
            lines.extend(found.into_iter().map(|series| (query.name(&self.title, &series), series.points)));
        }
        Ok(lines)
    }
}

impl Query {
    /// The legend, filled in. It must not name a label that is not there.
    fn name(&self, title: &str, series: &Series) -> String {
        let mut parts = self.legend.split("{{");
        let mut name = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (label, rest) = part.split_once("}}").unwrap();
            let value = series.labels.get(label);
            name += value.unwrap_or_else(|| panic!("{title}: no label {label} in {:?}", series.labels));
            name += rest;
        }
        name
    }
}
