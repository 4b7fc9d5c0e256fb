//! The chart's schema and the operator agree on what a value may be: both are held against one table.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::render::{NAMESPACE, chart_directory, objects};
use crate::tools::helm;
use harness::Output;

#[allow(dead_code, reason = "what the chart need not take is for the operator alone")]
#[path = "../options/table.rs"]
mod table;

/// Where the chart has the value of a flag, and the value as it has it. None where the chart sets the flag itself.
fn placed(flag: &str, text: &str) -> Option<(String, Value)> {
    let plain = || match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) if !flag.ends_with("-budget") => value,
        _ => json!(text),
    };
    Some(match flag {
        "--push-base-url" => ("/push/baseUrl".into(), json!(text)),
        "--relay-url" => ("/relay/url".into(), json!(text)),
        "--relay-config-map" => ("/relay/configMapName".into(), json!(text)),
        "--watch-namespace" => ("/watchNamespaces".into(), json!(text.split(',').collect::<Vec<_>>())),
        "--namespace" | "--termination-log" => return None,
        flag if flag.ends_with("-listen") || flag.ends_with("-file") && !flag.ends_with("-ca-file") => {
            return None;
        }
        flag => {
            let variable = flag.trim_start_matches("--").to_uppercase().replace('-', "_");
            let variable = variable.strip_prefix("TENIOS_").unwrap_or(&variable).to_owned();
            (format!("/env/TENIOS_{variable}"), plain())
        }
    })
}

/// The n-th value of every flag that has so many, by its place.
fn columns(values: impl Fn(&table::Row) -> &'static [&'static str]) -> Vec<BTreeMap<String, Value>> {
    let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in table::rows() {
        for text in values(&row).iter().filter(|text| !text.starts_with("http://")) {
            if let Some((path, value)) = placed(row.flag, text) {
                lists.entry(path).or_default().push(value);
            }
        }
    }
    let longest = lists.values().map(Vec::len).max().unwrap();
    let column = |n: usize| {
        let nth = lists.iter().filter_map(move |(path, list)| Some((path.clone(), list.get(n)?.clone())));
        nth.collect()
    };
    (0..longest).map(column).collect()
}

fn template(name: &str, column: &BTreeMap<String, Value>) -> Output {
    let mut values = json!({"env": {}, "push": {}, "relay": {}});
    for (path, value) in column {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let parent = values.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.map(|parent: &mut Map<_, _>| parent.insert(key.into(), value.clone()));
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("options-{name}.json"));
    std::fs::write(&file, values.to_string()).unwrap();
    helm(&[
        "template",
        "x",
        &chart_directory(),
        "--namespace",
        NAMESPACE,
        "--values",
        &file.to_string_lossy(),
    ])
}

#[test]
fn the_schema_takes_what_the_operator_takes() {
    for (n, column) in columns(|row| row.good).iter().enumerate() {
        let rendered = template(&format!("good-{n}"), column).expect_success();
        let objects = objects(&rendered);
        let container =
            &objects["Deployment tenios-system/tenios-operator"]["spec"]["template"]["spec"]["containers"][0];
        let set = container["env"].as_array().unwrap();
        for (path, value) in column.iter().filter(|(path, _)| path.starts_with("/env/")) {
            let variable = json!(path.trim_start_matches("/env/"));
            let found = set.iter().find(|env| env["name"] == variable).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(
                found["value"],
                value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                "{path}"
            );
        }
    }
}

#[test]
fn the_schema_refuses_what_makes_no_sense_to_the_operator() {
    for (n, column) in columns(|row| row.bad).iter().enumerate() {
        let said = template(&format!("bad-{n}"), column).expect_failure();
        for (path, value) in column {
            let named = said.contains(&format!("at '{path}'")) || said.contains(&format!("at '{path}/"));
            assert!(named, "{path} takes {value}:\n{said}");
        }
    }
}
