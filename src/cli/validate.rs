//! `validate`: manifests against the CRDs that are compiled in, without a cluster.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::locate::{self, Chunk, Part, Step};
use super::schema::{Check, Finding};
use super::{Failure, area_codes, out, scalar};
use crate::api::{GROUP, crd};

#[derive(Debug, Args)]
pub(super) struct ValidateOptions {
    /// A file, a directory, or - for standard input; repeatable.
    #[arg(long = "filename", short, required = true)]
    filenames: Vec<PathBuf>,
    /// Directories with all that is below them.
    #[arg(long, short = 'R')]
    recursive: bool,
}

/// A finding in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// The line, from 1.
    pub line: usize,
    /// Which resource, as `Kind/name`; empty where the text is no YAML.
    pub resource: String,
    /// The field; empty where it is the whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.resource.as_str(), self.field.as_str()];
        let about: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let colon = if about.is_empty() { "" } else { ": " };
        write!(f, "{}: {}{colon}{}", self.line, about.join(" "), self.message)
    }
}

/// What came of checking.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What is wrong.
    pub findings: Vec<Located>,
    /// Resources that were checked.
    pub checked: usize,
    /// Kinds that were not, because they are none of ours.
    pub skipped: BTreeSet<String>,
}

static CRDS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(crd::all);

pub(super) fn run(options: &ValidateOptions) -> Result<(), Failure> {
    let (mut checked, mut wrong) = (0, 0);
    let mut skipped = BTreeSet::new();
    for file in files(&options.filenames, options.recursive)? {
        let name = if file == Path::new("-") { "standard input".into() } else { file.display().to_string() };
        let text = read(&file).map_err(|e| Failure::Failed(format!("{name}: {e}")))?;
        let report = text_of(&text);
        for finding in &report.findings {
            out::print(&format!("{name}:{finding}\n"))?;
        }
        checked += report.checked;
        wrong += report.findings.len();
        skipped.extend(report.skipped);
    }
    let skipped: Vec<String> = skipped.into_iter().collect();
    let others =
        if skipped.is_empty() { String::new() } else { format!("; not checked: {}", skipped.join(", ")) };
    eprintln!("{checked} resources checked, {wrong} things wrong{others}");
    if wrong == 0 { Ok(()) } else { Err(Failure::Told) }
}

fn files(named: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = files.len();
            below(path, recursive, &mut files)
                .map_err(|e| Failure::Failed(format!("{}: {e}", path.display())))?;
            files[before..].sort();
            if files.len() == before {
                return Err(Failure::Failed(format!(
                    "{}: there is no .yaml, .yml or .json file",
                    path.display()
                )));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn below(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_dir() {
            if recursive {
                below(&path, true, files)?;
            }
        } else if matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> std::io::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// Checks every document of a YAML or JSON text.
#[must_use]
pub fn text_of(text: &str) -> Report {
    let mut report = Report::default();
    for chunk in locate::chunks(text) {
        let is_json = serde_json::from_str::<IgnoredAny>(chunk.text).is_ok();
        for (index, document) in locate::documents(chunk.text).into_iter().enumerate() {
            match document {
                Ok(Value::Null) => {}
                Ok(value) => {
                    let source = Source { chunk, document: index, is_json };
                    source.check(&value, &mut Vec::new(), &mut report);
                }
                Err(error) => report.findings.push(unreadable(chunk, &error)),
            }
        }
    }
    report
}

fn unreadable(chunk: Chunk<'_>, error: &serde_norway::Error) -> Located {
    let why = error.to_string();
    // Its line is counted from the part's begin.
    let why = why.split(" at line ").next().unwrap_or_default();
    Located {
        line: chunk.lines_before + error.location().map_or(1, |location| location.line()),
        resource: String::new(),
        field: String::new(),
        message: format!("can't be read as YAML: {why}"),
    }
}

struct Source<'a> {
    chunk: Chunk<'a>,
    document: usize,
    /// In JSON all text is quoted.
    is_json: bool,
}

impl Source<'_> {
    fn check(&self, value: &Value, path: &mut Vec<Step>, report: &mut Report) {
        if value["kind"] == "List" {
            for (index, item) in value["items"].as_array().into_iter().flatten().enumerate() {
                path.extend([Step::Field("items".into()), Step::Element(index)]);
                self.check(item, path, report);
                path.truncate(path.len() - 2);
            }
            return;
        }
        let mut read = value.clone();
        let mut reread = Vec::new();
        if is_ours(value) && !self.is_json {
            self.read_as_kubectl_does(&mut read, &mut path.clone(), &mut reread);
        }
        let Some(findings) = object(&read) else {
            report.skipped.insert(value["kind"].as_str().unwrap_or("what has no kind").to_owned());
            return;
        };
        report.checked += 1;
        let name = value["metadata"]["name"].as_str().unwrap_or("?");
        let resource = format!("{}/{name}", value["kind"].as_str().unwrap_or_default());
        for finding in findings {
            let whole: Vec<Step> = path.iter().cloned().chain(finding.path.iter().cloned()).collect();
            let message = reread.iter().find(|(path, _)| *path == whole).map(|(_, message)| message.clone());
            report.findings.push(Located {
                line: self.line(&whole),
                resource: resource.clone(),
                field: finding.field(),
                message: message.unwrap_or(finding.message),
            });
        }
    }

    /// Replaces unquoted text that kubectl takes for something else, and keeps what to say where that
    /// is wrong.
    fn read_as_kubectl_does(
        &self,
        value: &mut Value,
        path: &mut Vec<Step>,
        reread: &mut Vec<(Vec<Step>, String)>,
    ) {
        let mut go = |step: Step, value: &mut Value| {
            path.push(step);
            self.read_as_kubectl_does(value, path, reread);
            path.pop();
        };
        match value {
            Value::Object(fields) => {
                fields.iter_mut().for_each(|(name, value)| go(Step::Field(name.clone()), value));
            }
            Value::Array(elements) => {
                elements.iter_mut().enumerate().for_each(|(index, value)| go(Step::Element(index), value));
            }
            Value::String(text) => {
                let Some(other) = scalar::otherwise(text).filter(|_| self.is_plain(path)) else { return };
                let what = if other.is_boolean() { other.to_string() } else { "a number".into() };
                reread.push((path.clone(), format!("kubectl reads {text} as {what}: quote it")));
                *value = other;
            }
            _ => {}
        }
    }

    fn line(&self, path: &[Step]) -> usize {
        let place = locate::nearest(self.chunk.text, self.document, path);
        self.chunk.lines_before + place.map_or(1, |place| place.line)
    }

    fn is_plain(&self, path: &[Step]) -> bool {
        let place = locate::place(self.chunk.text, self.document, path, Part::Value);
        let first = place.and_then(|place| {
            let line = self.chunk.text.lines().nth(place.line - 1)?;
            line.chars().nth(place.column - 1)
        });
        first.is_some_and(|first| !matches!(first, '"' | '\'' | '|' | '>' | '!' | '&' | '*'))
    }
}

/// What is wrong with an object, by the schema, the rules and the list of area codes; none if it is of a
/// kind that is none of ours.
#[must_use]
pub fn object(value: &Value) -> Option<Vec<Finding>> {
    if !is_ours(value) {
        return None;
    }
    let kind = value["kind"].as_str().unwrap_or_default();
    let mut check = Check::default();
    let Some(schema) = schema(kind) else {
        let kinds: Vec<&str> = CRDS.iter().map(|crd| crd.spec.names.kind.as_str()).collect();
        check.field("kind", |check| check.report(format!("{kind:?} is none of {}", kinds.join(", "))));
        return Some(check.found);
    };
    if value["apiVersion"] != format!("{GROUP}/v1alpha1") {
        check.field("apiVersion", |check| check.report(format!("must be {GROUP}/v1alpha1")));
    }
    metadata(&mut check, &value["metadata"]);
    // The apiserver drops a status that somebody else sends, and adds metadata to the schema.
    let own: Map<String, Value> = value.as_object().map_or_else(Map::new, |fields| {
        let others = ["apiVersion", "kind", "metadata", "status"];
        fields
            .iter()
            .filter(|(name, _)| !others.contains(&name.as_str()))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    });
    check.value(schema, &Value::Object(own));
    area_code(&mut check, &value["spec"]);
    Some(check.found)
}

fn is_ours(value: &Value) -> bool {
    let version = value["apiVersion"].as_str().and_then(|version| version.split_once('/'));
    version.is_some_and(|(group, _)| group == GROUP)
}

fn schema(kind: &str) -> Option<&'static JSONSchemaProps> {
    let crd = CRDS.iter().find(|crd| crd.spec.names.kind == kind)?;
    crd.spec.versions.first()?.schema.as_ref()?.open_api_v3_schema.as_ref()
}

/// The fields of `ObjectMeta`.
const METADATA: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

fn metadata(check: &mut Check, metadata: &Value) {
    check.field("metadata", |check| {
        let Some(fields) = metadata.as_object() else { return check.report("is missing") };
        for name in fields.keys().filter(|name| !METADATA.contains(&name.as_str())) {
            check.field(name, |check| check.report("there is no such field"));
        }
        match fields.get("name") {
            Some(Value::String(name)) if is_name(name, 253, true) => {}
            None if fields.contains_key("generateName") => {}
            None => check.field("name", |check| check.report("is missing")),
            Some(name) => check.field("name", |check| {
                check.report(format!("{name} is no name: lower-case letters, digits, - and ., at most 253"));
            }),
        }
        if let Some(namespace) = fields.get("namespace")
            && !namespace.as_str().is_some_and(|name| is_name(name, 63, false))
        {
            check.field("namespace", |check| check.report(format!("{namespace} is no namespace")));
        }
        for field in ["labels", "annotations"] {
            check.field(field, |check| texts(check, &metadata[field]));
        }
    });
}

fn texts(check: &mut Check, marks: &Value) {
    for (name, value) in marks.as_object().into_iter().flatten() {
        if !value.is_string() {
            check.field(name, |check| check.report(format!("{value} must be text: quote it")));
        }
    }
}

/// RFC 1123, with or without dots.
pub(super) fn is_name(name: &str, most: usize, dots: bool) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= most && if dots { name.split('.').all(label) } else { label(name) }
}

/// No schema can hold the list of area codes.
fn area_code(check: &mut Check, spec: &Value) {
    let Some(code) = spec["areaCode"].as_str() else { return };
    let known_wrong = check.found.iter().any(|finding| finding.field() == "spec.areaCode");
    if spec["address"]["country"] == "Germany" && !known_wrong && !area_codes::is_german(code) {
        let path = vec![Step::Field("spec".into()), Step::Field("areaCode".into())];
        let mut inner = Check::at(path);
        inner.report(format!("{code} is no German area code"));
        check.found.append(&mut inner.found);
    }
}
