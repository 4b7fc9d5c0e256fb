//! `docs/reference`, generated from what it describes: `make reference` writes it, the tests compare it.

use std::fmt::Write;

use clap::{Arg, CommandFactory};
use jiff::Timestamp;
use serde_json::Value;
use tenios_api::{Endpoint, Reason, crd};
use tenios_ledger::{Key, Kind};
use tenios_operator::options::Options;
use tenios_operator::telemetry::{Metrics, RequestOutcome, TrackedResource};
use tenios_simulator::SimulatorOptions;

#[test]
fn the_reference_of_the_resources_is_what_the_crds_say() {
    let mut text = begin("The resources", "the CRDs");
    for crd in crd::all() {
        resource(&mut text, &serde_json::to_value(crd).unwrap());
    }
    compare("api.md", &text);
}

#[test]
fn the_reference_of_the_flags_is_what_the_command_line_takes() {
    let mut text = begin("The flags", "the definitions of the command line");
    text.push_str(
        "Each flag has an environment variable. Times are written as `500ms`, `60s`, `5m`, `24h`.\n",
    );
    let mut program = Options::command();
    program.build();
    let run = program.find_subcommand("run").unwrap();
    for (name, command) in [("tenios-operator run", run), ("tenios-simulator", &SimulatorOptions::command())]
    {
        writeln!(text, "\n## {name}\n\n{}\n", sentence(&command.get_about().unwrap().to_string())).unwrap();
        text.push_str("| flag | variable | default | |\n|---|---|---|---|\n");
        for flag in command.get_arguments().filter(|argument| argument.get_env().is_some()) {
            text.push_str(&flag_row(flag));
        }
    }
    compare("flags.md", &text);
}

#[test]
fn the_reference_of_the_metrics_is_what_the_registry_holds() {
    let mut text = begin("The metrics", "the registry of metrics");
    text.push_str(
        "Labels and their values are told in [operations.md](../operations.md#metrics-health-logs).\n\n",
    );
    text.push_str("| metric | type | labels | |\n|---|---|---|---|\n");
    for row in metric_rows(&every_metric()) {
        text.push_str(&row);
    }
    compare("metrics.md", &text);
}

#[test]
fn the_reference_of_the_plugin_is_what_it_says_itself() {
    let mut text = begin("kubectl tenios", "what `--help` says");
    text.push_str("[kubectl-tenios.md](../kubectl-tenios.md) tells what each command is for.\n");
    plugin_help(&mut text, &[]);
    compare("kubectl-tenios.md", &text);
}

/// The help of this command, and of those below it.
fn plugin_help(text: &mut String, command: &[&str]) {
    let mut plugin = harness::Program::Plugin.command();
    // Help shows what a variable is set to.
    let help = plugin.env_clear().args(command).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let name = [&["kubectl", "tenios"], command].concat().join(" ");
    writeln!(text, "\n## {name}\n\n```text\n{}\n```", lines.join("\n")).unwrap();
    let below =
        lines.iter().skip_while(|line| **line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for name in below.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
        plugin_help(text, &[command, &[name]].concat());
    }
}

fn begin(title: &str, source: &str) -> String {
    format!(
        "# {title}\n\nGenerated from {source} by `make reference`; the tests fail when it is out of date.\n\n"
    )
}

fn compare(name: &str, text: &str) {
    let path = harness::checkout("docs/reference").join(name);
    if std::env::var_os("REFERENCE").is_some() {
        std::fs::write(&path, text).unwrap();
    } else {
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(committed == text, "docs/reference/{name} is out of date: run `make reference`");
    }
}

fn resource(text: &mut String, crd: &Value) {
    let names = &crd["spec"]["names"];
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = word(&names["kind"]);
    let group = format!("{}/{}", word(&crd["spec"]["group"]), word(&version["name"]));
    writeln!(text, "## {kind}\n\n{}\n", word(&schema["description"])).unwrap();
    let short =
        names["shortNames"].as_array().into_iter().flatten().map(|name| format!(", `{}`", word(name)));
    let short: String = short.collect();
    writeln!(text, "`{group}`, `{}`{short}\n", word(&names["plural"])).unwrap();
    rules(text, "On every change:", schema);
    for part in ["spec", "status"] {
        let fields = &schema["properties"][part];
        if fields.is_null() {
            continue;
        }
        writeln!(text, "### {kind} {part}\n\n| field | type | default | values | |\n|---|---|---|---|---|")
            .unwrap();
        rows(text, part, fields);
        text.push('\n');
        all_rules(text, part, fields);
    }
    writeln!(text, "### {kind} columns\n\n| column | shows | |\n|---|---|---|").unwrap();
    for column in version["additionalPrinterColumns"].as_array().into_iter().flatten() {
        let wide = if column["priority"].as_i64().unwrap_or(0) > 0 { "with `-o wide`" } else { "" };
        writeln!(text, "| {} | `{}` | {wide} |", word(&column["name"]), word(&column["jsonPath"])).unwrap();
    }
    text.push('\n');
    let selectable: Vec<String> = version["selectableFields"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|field| format!("`{}`", word(&field["jsonPath"]).trim_start_matches('.')))
        .collect();
    if !selectable.is_empty() {
        writeln!(text, "Field selectors: {}.\n", selectable.join(", ")).unwrap();
    }
}

fn rows(text: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let (path, inner) = if field["items"].is_object() {
            (format!("{path}.{name}[]"), &field["items"])
        } else {
            (format!("{path}.{name}"), field)
        };
        let default = match &field["default"] {
            Value::Null if required.contains(&name.as_str()) => "required".to_owned(),
            Value::Null => String::new(),
            default => format!("`{}`", plain(default)),
        };
        let about = sentence(field["description"].as_str().unwrap_or_default());
        let row = [format!("`{path}`"), type_of(field), default, values(field), about];
        writeln!(text, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
        rows(text, &path, inner);
    }
}

fn type_of(field: &Value) -> String {
    let type_ = field["type"].as_str().unwrap_or("any");
    match field["format"].as_str() {
        Some("date-time") => "time".to_owned(),
        _ if type_ == "array" => "list".to_owned(),
        _ => type_.to_owned(),
    }
}

/// Which values a field takes: one of some words, or what its bounds say.
fn values(field: &Value) -> String {
    if let Some(words) = field["enum"].as_array() {
        let words = words.iter().filter(|word| !word.is_null());
        return words.map(|word| format!("`{}`", plain(word))).collect::<Vec<_>>().join(", ");
    }
    let number = |name: &str| field[name].as_f64().map(|number| number.to_string());
    let mut bounds = Vec::new();
    match (number("minLength"), number("maxLength")) {
        (Some(least), Some(most)) => bounds.push(format!("{least} to {most} characters")),
        (None, Some(most)) => bounds.push(format!("at most {most} characters")),
        _ => {}
    }
    bounds.extend(number("minimum").map(|least| format!("at least {least}")));
    bounds.extend(number("maxItems").map(|most| format!("at most {most}")));
    bounds.extend(field["pattern"].as_str().map(|pattern| format!("`{pattern}`")));
    bounds.extend(field["example"].as_str().map(|example| format!("such as `{example}`")));
    bounds.join(", ")
}

fn all_rules(text: &mut String, path: &str, schema: &Value) {
    rules(text, &format!("On `{path}`:"), schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all_rules(text, &format!("{path}.{name}"), field);
    }
}

fn rules(text: &mut String, heading: &str, schema: &Value) {
    let Some(rules) = schema["x-kubernetes-validations"].as_array() else { return };
    writeln!(text, "{heading}\n").unwrap();
    for rule in rules {
        writeln!(text, "- {}", rule["message"].as_str().unwrap()).unwrap();
    }
    text.push('\n');
}

fn flag_row(flag: &Arg) -> String {
    let default: Vec<String> =
        flag.get_default_values().iter().map(|value| format!("`{}`", value.to_string_lossy())).collect();
    let words: Vec<String> =
        flag.get_possible_values().iter().map(|word| format!("`{}`", word.get_name())).collect();
    let mut about = sentence(&flag.get_help().map(ToString::to_string).unwrap_or_default());
    if !words.is_empty() && words != ["`true`", "`false`"] {
        write!(about, " One of {}.", words.join(", ")).unwrap();
    }
    if flag.is_required_set() {
        about.push_str(" Required.");
    }
    let variable = flag.get_env().unwrap().to_string_lossy();
    format!("| `--{}` | `{variable}` | {} | {about} |\n", flag.get_long().unwrap(), default.join(" "))
}

/// A registry in which every metric was used: a family without a member shows nothing.
fn every_metric() -> String {
    let metrics = Metrics::default();
    metrics.provider_request(Endpoint::OrderNumber, RequestOutcome::Accepted, 0.0);
    let key = Key { kind: Kind::Order, namespace: String::new(), name: String::new() };
    let resource = TrackedResource {
        state: "Waiting".into(),
        reason: Reason::NotOrdered,
        since: Some(Timestamp::UNIX_EPOCH),
        expires: Some(Timestamp::UNIX_EPOCH),
        unwritten: Some(Reason::ConfigMapForbidden),
    };
    metrics.resource(&key, Some(resource));
    metrics.reconciled(Kind::Order, 0.0);
    metrics.crd_compatible("", true);
    metrics.store_request("", "", 0.0);
    metrics.expect_relay();
    metrics.encode()
}

fn metric_rows(exposition: &str) -> Vec<String> {
    let about = |keyword: &str| {
        let prefix = format!("# {keyword} ");
        exposition.lines().filter_map(move |line| line.strip_prefix(&prefix)?.split_once(' '))
    };
    let row = |(name, type_): (&str, &str)| {
        let (_, help) = about("HELP").find(|(other, _)| *other == name).unwrap();
        let sample = match type_ {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let first = exposition.lines().find(|line| line.starts_with(&sample)).unwrap();
        let labels =
            first.split_once('{').map(|(_, rest)| rest.split_once('}').unwrap().0).unwrap_or_default();
        let labels: Vec<String> = labels
            .split(',')
            .filter_map(|label| Some(label.split_once('=')?.0))
            .filter(|name| *name != "le")
            .map(|name| format!("`{name}`"))
            .collect();
        format!("| `{sample}` | {type_} | {} | {} |\n", labels.join(", "), sentence(help))
    };
    about("TYPE").map(row).collect()
}

/// On one line, with a full stop at the end.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() || text.ends_with('.') { text } else { format!("{text}.") }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}
