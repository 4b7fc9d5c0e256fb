use tenios_operator::api::crd;
use tenios_operator::cli::{rules, validate};

use super::{Directory, plugin};

const VERIFICATION: &str = r#"# a comment
apiVersion: tenios.dev/v1alpha1
kind: PhoneVerification
metadata:
  name: cologne-office
spec:
  address: {country: Germany, city: Köln, zip: "50667", street: Domkloster, houseNumber: "4"}
  areaCode: "221"
  document:
    type: CERTIFICATE_OF_REGISTRATION
    secretRef: {name: trade-register, key: extract.pdf}
"#;
const ORDER: &str = "apiVersion: tenios.dev/v1alpha1
kind: PhoneNumberOrder
metadata: {name: main-line}
spec:
  verificationRef:
    name: cologne-office
";

/// `line: field: message`, of each finding.
fn found(text: &str) -> Vec<String> {
    let report = validate::text_of(text);
    report.findings.iter().map(|f| format!("{}: {}: {}", f.line, f.field, f.message)).collect()
}

/// A valid verification with one text replaced by another.
fn with(old: &str, new: &str) -> String {
    assert!(VERIFICATION.contains(old), "{old}");
    VERIFICATION.replace(old, new)
}

#[test]
fn each_rule_of_the_crds_has_its_function() {
    for crd in crd::all() {
        let crd = serde_json::to_value(crd).unwrap();
        let mut rules = Vec::new();
        collect(&crd, &mut rules);
        assert!(!rules.is_empty());
        for rule in rules {
            let known = rules::of(&rule).is_some() != rules::is_about_a_change(&rule);
            assert!(known, "`validate` does not know the rule {rule}");
        }
    }
}

fn collect(value: &serde_json::Value, rules: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            let here = fields.get("x-kubernetes-validations").and_then(|rules| rules.as_array());
            rules.extend(here.into_iter().flatten().map(|rule| rule["rule"].as_str().unwrap().to_owned()));
            fields.values().for_each(|value| collect(value, rules));
        }
        serde_json::Value::Array(elements) => elements.iter().for_each(|value| collect(value, rules)),
        _ => {}
    }
}

#[test]
fn the_samples_are_valid_and_other_kinds_are_left_alone() {
    let directory = Directory::new();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples");
    let said = plugin(directory.path(), &["validate", "-f", samples], "");
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    assert!(
        said.stderr.contains("3 resources checked, 0 things wrong; not checked: Namespace, Secret"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_finding_names_line_and_field() {
    let no_zip = with(r#" zip: "50667","#, "");
    for (text, expected) in [
        (with(r#""221""#, r#""0221""#), "8: spec.areaCode: \"0221\" does not match"),
        (with(r#""221""#, r#""22111111""#), "8: spec.areaCode: a German area code has 2 to 5 digits"),
        (with(r#""221""#, r#""2211""#), "8: spec.areaCode: 2211 is no German area code"),
        (with(r#""221""#, "221"), "8: spec.areaCode: 221 is a number, and must be text: quote it"),
        (with(r#""50667""#, r#""1067""#), "7: spec.address.zip: a German postcode has 5 digits"),
        (with(r#""50667""#, "01067"), "7: spec.address.zip: kubectl reads 01067 as a number: quote it"),
        (with("Domkloster", "NO"), "7: spec.address.street: kubectl reads NO as false: quote it"),
        (no_zip, "7: spec.address.zip: is missing"),
        (with("CERTIFICATE_OF_REGISTRATION", "PASSPORT"), "10: spec.document.type: \"PASSPORT\" is none of"),
        (with("key: extract.pdf", "key: a/b"), "11: spec.document.secretRef.key: \"a/b\" does not match"),
        (with("    secretRef", "    secretReff"), "11: spec.document.secretReff: there is no such field"),
        (with("    secretRef", "    secretReff"), "9: spec.document.secretRef: is missing"),
        (with("  name: cologne-office", "  name: Köln"), "5: metadata.name: \"Köln\" is no name"),
        (with("  name: cologne-office", "  label: {}"), "4: metadata.name: is missing"),
        (with("v1alpha1", "v1"), "2: apiVersion: must be tenios.dev/v1alpha1"),
        (
            with("kind: PhoneVerification", "kind: Verification"),
            "3: kind: \"Verification\" is none of PhoneVerification",
        ),
        (with("spec:", "specs:"), "6: specs: there is no such field"),
        (format!("{VERIFICATION}  suspend: maybe\n"), "12: spec.suspend: must be boolean, and is text"),
        (format!("{VERIFICATION}  areaCode: \"30\"\n"), "can't be read as YAML"),
        (
            format!("{VERIFICATION}---\n{ORDER}  verificationId: abc\n"),
            "16: spec: give exactly one of verificationRef",
        ),
        (
            format!("{ORDER}  linkTo: {{phoneNumber: \"0221\"}}\n"),
            "7: spec.linkTo.phoneNumber: \"0221\" is not an E.164",
        ),
        (format!("{ORDER}  linkTo: {{}}\n"), "7: spec.linkTo: give exactly one of phoneNumber and orderRef"),
        (format!("{ORDER}  adopt: {{}}\n"), "7: spec.adopt: give orderId, phoneNumber or both"),
        ("a: [\n".to_owned(), "can't be read as YAML"),
    ] {
        let found = found(&text);
        assert!(found.iter().any(|f| f.contains(expected)), "{expected}\n{found:#?}\n{text}");
    }
}

#[test]
fn a_broken_document_does_not_hide_the_next_and_lines_are_counted_over_all_of_them() {
    let bad = ORDER.replace("v1alpha1", "v1");
    let text = format!(
        "%YAML 1.1\n# first\n--- # here\na: [\n---\n{bad}...\n---\n{bad}--- {{kind: Secret}}\n---\n{bad}"
    );
    let lines: Vec<String> =
        found(&text).iter().map(|f| f.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    let expected: Vec<String> = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.starts_with("apiVersion"))
        .map(|(index, _)| format!("{}: apiVersion", index + 1))
        .collect();
    assert_eq!(expected.len(), 3);
    assert_eq!(lines[1..], expected);
    assert!(found(&text)[0].contains("can't be read as YAML"), "{:?}", found(&text));
}

#[test]
fn nothing_is_wrong_with_what_is_right() {
    for text in [
        VERIFICATION.to_owned(),
        ORDER.to_owned(),
        with(r#""50667""#, "'01067'"),
        with("Domkloster", "Nordstraße"),
        // Abroad there is no list.
        with("Germany", "Austria").replace("\"221\"", "\"1\"").replace("50667", "1010"),
        format!("{VERIFICATION}status: {{state: Approved}}\n"),
        format!("{VERIFICATION}  approval: null\n"),
        // True, to kubectl.
        format!("{VERIFICATION}  suspend: yes\n"),
        r#"{"apiVersion": "v1", "kind": "List", "items": []}"#.to_owned(),
        format!("---\n---\n{ORDER}---\n"),
        String::new(),
    ] {
        assert_eq!(found(&text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn files_directories_and_standard_input_are_read_and_one_bad_file_fails_all() {
    let directory = Directory::new();
    directory.write("good.yaml", ORDER);
    directory.write("notes.txt", "not: [yaml");
    let said = plugin(directory.path(), &["validate", "-f", "."], "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"}, "spec": {"verificationRef": {"name": "v"},
"deletionPolicy": "Delete"}}]}"#;
    directory.write("bad.json", list);
    let said = plugin(directory.path(), &["validate", "-f", "."], "");
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.stdout,
        "./bad.json:3: PhoneNumberOrder/o spec.deletionPolicy: \"Delete\" is none of Retain\n"
    );
    let said = plugin(directory.path(), &["validate", "-f", "good.yaml", "-f", "-"], list);
    assert!(said.stdout.starts_with("standard input:3: PhoneNumberOrder/o"), "{}", said.stdout);
    assert_eq!(said.code, Some(1));
}
