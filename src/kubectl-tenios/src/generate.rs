//! `generate`: for each branch of a table a Secret with its document, a verification and an order.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};

use super::branches::{self, BadCell, Branch};
use super::find;
use super::out;
use super::schema::Finding;
use super::{Failure, phone_number, validate};
use tenios_api::pdf::Document;

const DOCUMENT_KEY: &str = "document.pdf";
const COUNTRY: &str = "Germany";

#[derive(Debug, Args)]
pub(super) struct GenerateOptions {
    /// The table, as CSV with a header; documents are paths relative to it.
    #[arg(long = "filename", short)]
    filename: PathBuf,
    /// What to link each number to: the name of a `PhoneNumberOrder`, or a number such as +4922112345678.
    #[arg(long, value_parser = link)]
    link_to: Option<Link>,
}

#[derive(Clone, Debug)]
enum Link {
    Order(String),
    Number(String),
}

fn link(text: &str) -> Result<Link, String> {
    if text.starts_with('+') {
        return phone_number(text).map(Link::Number);
    }
    if tenios_api::name::is_dns_subdomain(text) {
        Ok(Link::Order(text.into()))
    } else {
        Err(format!("{text:?} is neither a number that begins with + nor the name of a PhoneNumberOrder"))
    }
}

pub(super) fn run(options: &GenerateOptions, namespace: Option<&str>) -> Result<(), Failure> {
    let file = options.filename.display();
    let table = std::fs::read(&options.filename).map_err(|e| Failure::Failed(format!("{file}: {e}")))?;
    let (branches, mut bad) =
        branches::read(&table).map_err(|cell| Failure::Failed(format!("{file}:{cell}")))?;
    let directory = options.filename.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut done = 0;
    for branch in &branches {
        let name = branch.cell("name");
        let before = seen.insert(name, branch.line);
        let made = match before {
            Some(line) => {
                Err(vec![bad_cell(branch, "name", format!("{name:?} is already used in line {line}"))])
            }
            None => make(branch, directory, options.link_to.as_ref(), namespace),
        };
        match made {
            Ok(manifests) => {
                done += 1;
                for manifest in &manifests {
                    out::print("---\n")?;
                    out::print_as(out::Format::Yaml, manifest)?;
                }
            }
            Err(cells) => bad.extend(cells),
        }
    }
    bad.sort_by_key(|cell| cell.line);
    for cell in &bad {
        eprintln!("{file}:{cell}");
    }
    eprintln!(
        "{done} branches generated. Apply them with kubectl apply --server-side: a document may be too large for the last-applied-configuration annotation of a client-side apply."
    );
    if bad.is_empty() { Ok(()) } else { Err(Failure::AlreadyReported) }
}

fn bad_cell(branch: &Branch, column: &str, message: impl Into<String>) -> BadCell {
    BadCell { line: branch.line, column: column.into(), message: message.into() }
}

fn make(
    branch: &Branch,
    directory: &Path,
    link_to: Option<&Link>,
    namespace: Option<&str>,
) -> Result<[Value; 3], Vec<BadCell>> {
    let document = document(branch, directory);
    let manifests = manifests(branch, link_to, namespace);
    let findings = manifests.iter().flat_map(|manifest| validate::object(manifest).unwrap_or_default());
    let mut bad: Vec<BadCell> = Vec::new();
    for finding in findings {
        let cell = bad_cell(branch, column(&finding), wording(&finding));
        if !bad.contains(&cell) {
            bad.push(cell);
        }
    }
    let [verification, order] = manifests;
    match document {
        Ok(pdf) if bad.is_empty() => Ok([secret(branch, namespace, &pdf), verification, order]),
        Ok(_) => Err(bad),
        Err(cell) => {
            bad.push(cell);
            Err(bad)
        }
    }
}

/// The column that a field was made from.
fn column(finding: &Finding) -> &'static str {
    let field = finding.field();
    match field.as_str() {
        "metadata.name" => "name",
        "spec.document.type" => "documentType",
        other => {
            let last = other.rsplit('.').next().unwrap_or_default();
            branches::NEEDED
                .into_iter()
                .chain(branches::OPTIONAL)
                .find(|column| *column == last)
                .unwrap_or("name")
        }
    }
}

/// What a spreadsheet often does to this column.
fn wording(finding: &Finding) -> String {
    let message = finding.message.split("; quote").next().unwrap_or_default();
    match finding.field().as_str() {
        "spec.address.zip" => format!("{message}; a spreadsheet may have dropped a leading zero"),
        "spec.areaCode" => format!("{message}; write it without the leading 0"),
        _ => finding.message.clone(),
    }
}

fn document(branch: &Branch, directory: &Path) -> Result<Vec<u8>, BadCell> {
    let path = branch.cell("document");
    let bad = |message: String| bad_cell(branch, "document", message);
    if path.is_empty() {
        return Err(bad("is empty".into()));
    }
    let file = find::file(directory, path).map_err(|why| bad(format!("{path}: {why}")))?;
    let pdf = std::fs::read(file).map_err(|error| bad(format!("{path}: {error}")))?;
    // What the operator would not send is not put into a Secret either.
    Document::new(pdf.clone()).map_err(|why| bad(format!("{path} {why}")))?;
    Ok(pdf)
}

fn secret_name(branch: &Branch) -> String {
    format!("{}-document", branch.cell("name"))
}

fn metadata(name: &str, namespace: Option<&str>) -> Value {
    match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    }
}

fn secret(branch: &Branch, namespace: Option<&str>, pdf: &[u8]) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(&secret_name(branch), namespace),
        "data": {DOCUMENT_KEY: STANDARD.encode(pdf)},
    })
}

fn manifests(branch: &Branch, link_to: Option<&Link>, namespace: Option<&str>) -> [Value; 2] {
    let name = branch.cell("name");
    let api_version = format!("{}/v1alpha1", tenios_api::GROUP);
    let country = Some(branch.cell("country")).filter(|country| !country.is_empty()).unwrap_or(COUNTRY);
    let mut verification = json!({
        "apiVersion": api_version,
        "kind": "PhoneVerification",
        "metadata": metadata(name, namespace),
        "spec": {
            "address": {
                "country": country,
                "city": branch.cell("city"),
                "zip": branch.cell("zip"),
                "street": branch.cell("street"),
                "houseNumber": branch.cell("houseNumber"),
            },
            "areaCode": branch.cell("areaCode"),
            "document": {
                "type": branch.cell("documentType"),
                "secretRef": {"name": secret_name(branch), "key": DOCUMENT_KEY},
            },
        },
    });
    let valid_until = branch.cell("validUntil");
    if !valid_until.is_empty() {
        verification["spec"]["document"]["validUntil"] = json!(valid_until);
    }
    let mut order = json!({
        "apiVersion": api_version,
        "kind": "PhoneNumberOrder",
        "metadata": metadata(name, namespace),
        "spec": {"verificationRef": {"name": name}},
    });
    match link_to {
        // The main line itself is linked to nothing.
        Some(Link::Order(main)) if main != name => {
            order["spec"]["linkTo"] = json!({"orderRef": {"name": main}});
        }
        Some(Link::Number(number)) => order["spec"]["linkTo"] = json!({"phoneNumber": number}),
        _ => {}
    }
    [verification, order]
}
