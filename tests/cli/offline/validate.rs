use kubectl_tenios::{rules, validate};
use tenios_api::crd;

use harness::Scratch;

use super::plugin;

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
    let directory = Scratch::new();
    let samples = harness::checkout("deploy/samples").display().to_string();
    let said = plugin(directory.path(), &["validate", "-f", &samples], "");
    assert_eq!((said.code, said.stdout.as_str()), (Some(0), ""), "{}", said.stderr);
    assert!(
        said.stderr.contains("resources checked: 3, problems found: 0; not checked: Namespace, Secret"),
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
        (with(r#""221""#, r#""2211""#), "8: spec.areaCode: 2211 is not a German area code"),
        (with(r#""221""#, "221"), "8: spec.areaCode: 221 is a number, but must be a string: quote it"),
        (with(r#""50667""#, r#""1067""#), "7: spec.address.zip: a German postcode has 5 digits"),
        (with(r#""50667""#, "01067"), "7: spec.address.zip: kubectl reads 01067 as a number: quote it"),
        (with("Domkloster", "NO"), "7: spec.address.street: kubectl reads NO as false: quote it"),
        (no_zip, "7: spec.address.zip: is missing"),
        (
            with("CERTIFICATE_OF_REGISTRATION", "PASSPORT"),
            "10: spec.document.type: \"PASSPORT\" must be one of",
        ),
        (with("key: extract.pdf", "key: a/b"), "11: spec.document.secretRef.key: \"a/b\" does not match"),
        (with("    secretRef", "    secretReff"), "11: spec.document.secretReff: unknown field"),
        (with("    secretRef", "    secretReff"), "9: spec.document.secretRef: is missing"),
        (with("  name: cologne-office", "  name: Köln"), "5: metadata.name: \"Köln\" is not a valid name"),
        (with("  name: cologne-office", "  label: {}"), "4: metadata.name: is missing"),
        (with("v1alpha1", "v1"), "2: apiVersion: must be tenios.dev/v1alpha1"),
        (
            with("kind: PhoneVerification", "kind: Verification"),
            "3: kind: \"Verification\" must be one of PhoneVerification",
        ),
        (with("spec:", "specs:"), "6: specs: unknown field"),
        (format!("{VERIFICATION}  suspend: maybe\n"), "12: spec.suspend: must be boolean, but is a string"),
        (format!("{VERIFICATION}  areaCode: \"30\"\n"), "12: spec.areaCode: occurs more than once"),
        (format!("{VERIFICATION}  on: 1\n"), "12: spec.true: unknown field"),
        (format!("{VERIFICATION}  ? [a]\n  : b\n"), "12: : can't be read as YAML: a list or an object"),
        (with("\"221\"", "!!int \"221\""), "8: spec.areaCode: 221 is a number"),
        (with("\"221\"", "2_2_1"), "8: spec.areaCode: kubectl reads 2_2_1 as a number: quote it"),
        (with("\"221\"", "0o335"), "8: spec.areaCode: kubectl reads 0o335 as a number: quote it"),
        (with("\"221\"", "+.inf"), "8: spec.areaCode: kubectl reads +.inf as a number: quote it"),
        (with("\"221\"", "~"), "8: spec.areaCode: must not be null"),
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
    assert_eq!(lines[2..], expected);
    // kubectl takes the directive for a document of its own, too.
    for broken in &found(&text)[..2] {
        assert!(broken.contains("can't be read as YAML"), "{broken}");
    }
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
    let directory = Scratch::new();
    directory.write("good.yaml", ORDER);
    directory.write("notes.txt", "not: [yaml");
    let said = plugin(directory.path(), &["validate", "-f", "."], "");
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"}, "spec": {"verificationRef": {"name": "v"},
"numberType": "MOBILE"}}]}"#;
    directory.write("bad.json", list);
    let said = plugin(directory.path(), &["validate", "-f", "."], "");
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.stdout,
        "./bad.json:3: PhoneNumberOrder/o spec.numberType: \"MOBILE\" must be one of GEOGRAPHICAL\n"
    );
    let said = plugin(directory.path(), &["validate", "-f", "good.yaml", "-f", "-"], list);
    assert!(said.stdout.starts_with("standard input:3: PhoneNumberOrder/o"), "{}", said.stdout);
    assert_eq!(said.code, Some(1));
}

#[test]
fn what_editors_and_windows_write_is_read_as_kubectl_reads_it() {
    let directory = Scratch::new();
    let bad = with(r#""221""#, r#""0221""#);
    let expected = "a.yaml:8: PhoneVerification/cologne-office spec.areaCode: ";
    let utf16 = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
        format!("\u{feff}{bad}").encode_utf16().flat_map(unit).collect()
    };
    for (what, bytes) in [
        ("a byte order mark", format!("\u{feff}{bad}").into_bytes()),
        ("UTF-16 LE", utf16(u16::to_le_bytes)),
        ("UTF-16 BE", utf16(u16::to_be_bytes)),
        ("CR LF", bad.replace('\n', "\r\n").into_bytes()),
    ] {
        directory.write("a.yaml", bytes);
        let said = plugin(directory.path(), &["validate", "-f", "a.yaml"], "");
        assert!(said.stdout.starts_with(expected), "{what}: {}{}", said.stdout, said.stderr);
        assert_eq!(said.stdout.lines().count(), 1, "{what}: {}", said.stdout);
    }
    // A file put behind another keeps its mark.
    let two = format!("\u{feff}{ORDER}---\n\u{feff}{bad}");
    assert_eq!(found(&two[3..]).len(), 1, "{:?}", found(&two[3..]));
    assert!(found(&two[3..])[0].starts_with("15: spec.areaCode"), "{:?}", found(&two[3..]));
    directory.write("good.yaml", ORDER);
    for (bytes, expected) in [
        (
            ORDER.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "a.yaml:1: can't be read as YAML: U+0000",
        ),
        (utf16(u16::to_le_bytes)[..201].to_vec(), "a.yaml:1: looks like UTF-16"),
        (b"# Latin-1\n# K\xf6ln\n".to_vec(), "a.yaml:2: is neither UTF-8 nor UTF-16"),
    ] {
        directory.write("a.yaml", bytes);
        let said = plugin(directory.path(), &["validate", "-f", "."], "");
        assert_eq!(said.code, Some(1));
        assert!(said.stdout.contains(expected), "{expected}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains("resources checked: 1,"), "{}", said.stderr);
    }
}

#[test]
fn the_line_ends_of_yaml_1_1_end_lines_as_in_kubectl_and_lines_are_those_of_an_editor() {
    for end in ['\u{85}', '\u{2028}', '\u{2029}'] {
        // The rest of a comment is none any more.
        let comment = VERIFICATION.replacen("# a comment", &format!("# a{end}comment"), 1);
        assert!(found(&comment)[0].contains("can't be read as YAML"), "{:?}", found(&comment));
        let harmless = VERIFICATION.replacen("# a comment", &format!("# a{end}# comment{end}"), 1);
        assert_eq!(found(&harmless), Vec::<String>::new());
        let after = harmless.replace(r#""221""#, "0221");
        assert!(found(&after)[0].starts_with("8: spec.areaCode: kubectl reads 0221"), "{:?}", found(&after));
        let plain = with("  areaCode: \"221\"", &format!("  suspend: true{end}  areaCode: \"221\""));
        assert_eq!(found(&plain), Vec::<String>::new(), "{end:?} begins a line");
        let quoted =
            with("  areaCode", &format!("  accessKeySecretRef: {{name: a, key: \"a{end}b\"}}\n  areaCode"));
        assert!(found(&quoted)[0].starts_with("8: spec.accessKeySecretRef.key: "), "{:?}", found(&quoted));
    }
}

#[test]
fn where_there_is_nothing_it_fails_as_kubectl_does() {
    let directory = Scratch::new();
    for text in ["", "\n\n", "# only a comment\n", "---\n---\n", "\u{feff}", "---\n# c\n---\nnull\n"] {
        directory.write("a.yaml", text);
        let said = plugin(directory.path(), &["validate", "-f", "a.yaml"], "");
        assert_eq!(said.code, Some(1), "{text:?}");
        assert!(said.stderr.contains("contain no objects"), "{text:?}: {}", said.stderr);
    }
    directory.write("b.yaml", ORDER);
    assert_eq!(plugin(directory.path(), &["validate", "-f", "."], "").code, Some(0));
}

#[test]
fn metadata_is_held_to_the_apiserver_s_rules() {
    let named = |more: &str| ORDER.replace("{name: main-line}", &format!("{{name: main-line, {more}}}"));
    let long = "x".repeat(64);
    for (text, expected) in [
        (named("labels: {a: 'b c'}"), "3: metadata.labels.a: \"b c\" is not a valid label value"),
        (named("labels: {a: -b}"), "metadata.labels.a: \"-b\" is not a valid label value"),
        (named(&format!("labels: {{a: {long}}}")), "is not a valid label value"),
        (named("labels: {a: 1}"), "metadata.labels.a: 1 must be a string: quote it"),
        (named("labels: {a: yes}"), "metadata.labels.a: kubectl reads yes as true: quote it"),
        (named("labels: {'a b': c}"), "metadata.labels.a b: is not a valid key"),
        (named("labels: {a/b/c: d}"), "is not a valid key"),
        (named("labels: {Upper.example/x: d}"), "is not a valid key"),
        (named("labels: [a]"), "metadata.labels: must be an object"),
        (named("annotations: {'-': d}"), "metadata.annotations.-: is not a valid key"),
        (named("annotations: {a: 1}"), "metadata.annotations.a: 1 must be a string"),
        (named("finalizers: ['a b']"), "metadata.finalizers[0]: \"a b\" is not a valid finalizer"),
        (named("finalizers: a"), "metadata.finalizers: must be a list"),
        (
            ORDER.replace("name: main-line", "generateName: -a"),
            "metadata.generateName: \"-a\" is not a valid prefix of a name",
        ),
        (ORDER.replace("name: main-line", "name: 1"), "metadata.name: 1 is not a valid name"),
    ] {
        let found = found(&text);
        assert!(found.iter().any(|f| f.contains(expected)), "{expected}\n{found:#?}\n{text}");
    }
    let large = format!("annotations: {{a: {}}}", "x".repeat(256 * 1024));
    assert_eq!(found(&named(&large)), ["3: metadata.annotations: are larger than 256 KiB in total"]);
    for right in [
        "labels: {a: '', app.kubernetes.io/name: B_c.d-1}",
        "labels: null, annotations: null, finalizers: null, namespace: ''",
        "annotations: {Upper.example/x: 'any text: at all'}",
        "finalizers: [example.com/x]",
    ] {
        assert_eq!(found(&named(right)), Vec::<String>::new(), "{right}");
    }
}

#[test]
fn links_that_lead_in_circles_are_not_followed_and_links_to_files_are_read() {
    let directory = Scratch::new();
    std::fs::create_dir_all(directory.path().join("all/below")).unwrap();
    directory.write("all/below/a.yaml", ORDER);
    directory.write("b", ORDER.replace("v1alpha1", "v1"));
    for (target, link) in [("..", "all/below/up"), (".", "all/self"), ("../b", "all/b.yaml"), ("all", "link")]
    {
        std::os::unix::fs::symlink(target, directory.path().join(link)).unwrap();
    }
    for named in ["all", "link"] {
        let said = plugin(directory.path(), &["validate", "-R", "-f", named], "");
        assert!(
            said.stderr.contains("resources checked: 2, problems found: 1"),
            "{}{}",
            said.stdout,
            said.stderr
        );
        assert!(said.stdout.starts_with(&format!("{named}/b.yaml:1: ")), "{}", said.stdout);
    }
    std::os::unix::fs::symlink("nowhere", directory.path().join("all/gone.yaml")).unwrap();
    let said = plugin(directory.path(), &["validate", "-f", "all"], "");
    assert!(said.stderr.contains("all/gone.yaml: No such file"), "{}", said.stderr);
}

#[test]
fn anchors_merges_and_json_are_read_and_neither_can_be_made_to_explode() {
    let anchors = "apiVersion: tenios.dev/v1alpha1
kind: PhoneNumberOrder
metadata: &m {name: a, labels: &l {x: z}}
spec: &s
  verificationRef: {name: v}
---
apiVersion: tenios.dev/v1alpha1
kind: PhoneNumberOrder
metadata: {name: b}
spec:
  <<: &link {linkTo: {phoneNumber: '+492219999999'}}
  verificationId: abc
";
    assert_eq!(found(anchors), Vec::<String>::new());
    assert!(
        found(&anchors.replace("'+492219999999'", "'0221'"))[0].starts_with("11: spec.linkTo.phoneNumber")
    );
    assert!(found("a: &a [*a]\n")[0].contains("can't be read as YAML"));
    let bomb: String = (1..30).fold("a0: &a0 [x, x]\n".into(), |text, level| {
        format!("{text}a{level}: &a{level} [*a{}, *a{}]\n", level - 1, level - 1)
    });
    assert!(found(&bomb)[0].contains("too large once its aliases are expanded"), "{:?}", found(&bomb));
    assert!(found(&"[".repeat(100_000))[0].contains("can't be read as YAML"));
    let json = r#"{"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o",
	"annotations": {"a": "\ud83d\ude00 \/"}}, "spec": {"verificationId": "a b"}}"#;
    let two = format!("{json}\n{json}");
    assert_eq!(validate::text_of(&two).checked, 2);
    assert!(
        found(&two).iter().all(|finding| finding.contains("spec.verificationId: \"a b\" does not match"))
    );
}
