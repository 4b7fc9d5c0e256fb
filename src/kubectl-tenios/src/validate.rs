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
use serde_json::{Map, Value};

use super::encoding::{self, NoText};
use super::manifest::{self, Node, Step};
use super::metadata::metadata;
use super::schema::{Check, Finding};
use super::{Failure, area_codes, out};
use tenios_api::{GROUP, crd, germany};

#[derive(Debug, Args)]
pub(super) struct ValidateOptions {
    /// File, directory, or - for standard input; repeatable.
    #[arg(long = "filename", short, required = true)]
    filenames: Vec<PathBuf>,
    /// Descend into subdirectories.
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
        let bytes = read(&file).map_err(|e| Failure::Failed(format!("{name}: {e}")))?;
        let report = encoding::text(&bytes).map_or_else(|error| Report::of_no_text(&error), |t| text_of(&t));
        for finding in &report.findings {
            out::print(&format!("{name}:{finding}\n"))?;
        }
        checked += report.checked;
        wrong += report.findings.len();
        skipped.extend(report.skipped);
    }
    if checked + wrong == 0 && skipped.is_empty() {
        return Err(Failure::failed("these files contain no objects; kubectl apply would fail as well"));
    }
    let skipped: Vec<String> = skipped.into_iter().collect();
    let others =
        if skipped.is_empty() { String::new() } else { format!("; not checked: {}", skipped.join(", ")) };
    eprintln!("resources checked: {checked}, problems found: {wrong}{others}");
    if wrong == 0 { Ok(()) } else { Err(Failure::AlreadyReported) }
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
                    "{}: contains no .yaml, .yml or .json files",
                    path.display()
                )));
            }
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Links to directories are not followed, as kubectl does not: they may lead in circles.
fn below(directory: &Path, recursive: bool, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if recursive {
                below(&path, true, files)?;
            }
        } else if matches!(path.extension().and_then(|e| e.to_str()), Some("yaml" | "yml" | "json"))
            && !path.is_dir()
        {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    if file != Path::new("-") {
        return std::fs::read(file);
    }
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Report {
    fn of_no_text(error: &NoText) -> Self {
        let line = if let NoText::Unknown(line) = error { *line } else { 1 };
        Self { findings: vec![Located::of_text(line, error)], ..Self::default() }
    }
}

impl Located {
    fn of_text(line: usize, why: impl fmt::Display) -> Self {
        Self { line, resource: String::new(), field: String::new(), message: why.to_string() }
    }
}

/// Checks every document of a YAML or JSON text.
#[must_use]
pub fn text_of(text: &str) -> Report {
    let mut report = Report::default();
    for document in manifest::documents(text) {
        match document {
            Ok(node) => {
                let value = node.value();
                if !value.is_null() {
                    check(&node, &value, &mut Vec::new(), &mut report);
                }
            }
            Err(broken) => report.findings.push(Located::of_text(broken.line, &broken)),
        }
    }
    report
}

/// Checks what is at this path of a document.
fn check(document: &Node, value: &Value, path: &mut Vec<Step>, report: &mut Report) {
    let kind = value["kind"].as_str();
    if let Some(items) = value["items"].as_array().filter(|_| kind.is_some_and(|kind| kind.ends_with("List")))
    {
        for (index, item) in items.iter().enumerate() {
            path.extend([Step::Field("items".into()), Step::Element(index)]);
            check(document, item, path, report);
            path.truncate(path.len() - 2);
        }
        return;
    }
    let Some(findings) = object(value) else {
        report.skipped.insert(kind.unwrap_or("objects without a kind").to_owned());
        return;
    };
    report.checked += 1;
    let name = value["metadata"]["name"].as_str().unwrap_or("?");
    let resource = format!("{}/{name}", kind.unwrap_or_default());
    let inside = |finding: &Finding| -> Vec<Step> { path.iter().chain(&finding.path).cloned().collect() };
    let repeated = document.at(path).map(Node::repeated).unwrap_or_default();
    let repeated = repeated.into_iter().map(|(path, line)| {
        let message = "occurs more than once; kubectl silently uses the last one".into();
        (line, Finding { path, message })
    });
    let wrong = findings.into_iter().map(|finding| (document.line(&inside(&finding)), finding));
    for (line, finding) in wrong.chain(repeated) {
        let reread = document.at(&inside(&finding)).and_then(Node::reread);
        report.findings.push(Located {
            line,
            resource: resource.clone(),
            field: finding.field(),
            message: reread.unwrap_or(finding.message),
        });
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
        check.field("kind", |check| check.report(format!("{kind:?} must be one of {}", kinds.join(", "))));
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

/// No schema can hold the list of area codes.
fn area_code(check: &mut Check, spec: &Value) {
    let Some(code) = spec["areaCode"].as_str() else { return };
    let known_wrong = check.found.iter().any(|finding| finding.field() == "spec.areaCode");
    let german = spec["address"]["country"].as_str().is_some_and(germany::is_named);
    if german && !known_wrong && !area_codes::is_german(code) {
        let path = vec![Step::Field("spec".into()), Step::Field("areaCode".into())];
        let mut inner = Check::at(path);
        inner.report(format!("{code} is not a German area code"));
        check.found.append(&mut inner.found);
    }
}
