//! `validate` and the apiserver agree, as far as the apiserver goes: it knows no list of area codes, and of a
//! key that stands there twice kubectl silently takes the last.

use kubectl_tenios::validate;

use harness::TestNamespaces;

const VERIFICATION: &str = r#"apiVersion: tenios.dev/v1alpha1
kind: PhoneVerification
metadata: {name: NAME}
spec:
  address: {country: Germany, city: Köln, zip: "50667", street: Domkloster, houseNumber: "4"}
  areaCode: "221"
  document: {type: CONTRACT, secretRef: {name: trade-register, key: extract.pdf}}
"#;
const ORDER: &str = "apiVersion: tenios.dev/v1alpha1
kind: PhoneNumberOrder
metadata: {name: NAME}
spec:
";

/// Further lines of an order's spec.
const ORDERS: &[&str] = &[
    "verificationRef: {name: v}",
    "verificationId: abc",
    "verificationId: ''",
    "verificationId: a b",
    "verificationId: 123",
    "verificationId: '0123'",
    "verificationId: 0123",
    "verificationId: 0x1f",
    "verificationId: 12_3",
    "verificationId: 1_a",
    "verificationId: 1e3x",
    "verificationId: 089.5",
    "verificationId: no",
    "verificationId: y",
    "verificationId: Nord",
    "verificationId: 1_2_3",
    "verificationId: 0o17",
    "verificationId: 0b11",
    "verificationId: 1e3",
    "verificationId: .5",
    "verificationId: 1.",
    "verificationId: +.inf",
    "verificationId: .NaN",
    "verificationId: ~",
    "verificationId: =",
    "verificationId: !!str 12",
    "verificationId: !!int '12'",
    "verificationId: !x 12",
    "verificationId: '12'",
    "verificationId: &a abc, adopt: {orderId: *a}",
    "<<: {verificationId: abc}",
    "verificationId: abc, <<: {verificationRef: {name: v}}",
    "<<: {verificationId: abc, numberType: MOBILE}, numberType: GEOGRAPHICAL",
    "verificationId: abc, numberType: GEOGRAPHICAL, <<: {numberType: MOBILE}",
    "verificationId: abc, numberType: MOBILE, <<: {numberType: GEOGRAPHICAL}",
    "<<: [{verificationId: abc}, {verificationId: 12}]",
    "<<: [{verificationId: 12}, {verificationId: abc}]",
    "<<: abc, verificationId: abc",
    "verificationId: 1e400",
    "verificationId: -.inf",
    "verificationId: +.nan",
    "verificationId: 0x",
    "verificationId: 0b2",
    "verificationId: '<<'",
    "verificationId: \"a\\/b\"",
    "verificationId: \"\\ud83d\\ude00\"",
    "verificationId: \"\\\\/\"",
    "verificationId: a\u{2028}b",
    "verificationId: \"a\u{2028}b\"",
    "verificationId: a\u{85}b",
    "verificationId: a\u{2028}, suspend: true",
    "verificationId: \u{feff}abc",
    "verificationId: 9223372036854775808",
    "verificationId: 123456789012345678901234567890",
    "verificationId: 2026-11-22",
    "verificationId: 12:30",
    "verificationId: true",
    "verificationId: null",
    "{}",
    "verificationRef: {name: v}, verificationId: abc",
    "verificationRef: {name: v}, verificationId: null",
    "verificationRef: null, verificationId: abc",
    "verificationRef: {}",
    "verificationRef: {name: ''}",
    "verificationRef: {name: v, namespace: other}",
    "verificationRef: v",
    "verificationRef: [v]",
    "verificationId: abc, numberType: GEOGRAPHICAL",
    "verificationId: abc, numberType: MOBILE",
    "verificationId: abc, numberType: null",
    "verificationId: abc, linkTo: {}",
    "verificationId: abc, linkTo: null",
    "verificationId: abc, linkTo: {phoneNumber: '+492219999999'}",
    "verificationId: abc, linkTo: {phoneNumber: +492219999999}",
    "verificationId: abc, linkTo: {phoneNumber: '0221999999'}",
    "verificationId: abc, linkTo: {phoneNumber: '+0221999999'}",
    "verificationId: abc, linkTo: {phoneNumber: '+4922199999999999'}",
    "verificationId: abc, linkTo: {phoneNumber: '+49221', orderRef: {name: o}}",
    "verificationId: abc, linkTo: {phoneNumber: null, orderRef: {name: o}}",
    "verificationId: abc, linkTo: {orderRef: {name: o}}",
    "verificationId: abc, adopt: {}",
    "verificationId: abc, adopt: {orderId: '300000'}",
    "verificationId: abc, adopt: {orderId: 300000}",
    "verificationId: abc, adopt: {orderId: null, phoneNumber: null}",
    "verificationId: abc, adopt: {orderId: null}",
    "verificationId: abc, adopt: {phoneNumber: '+492211'}",
    "verificationId: abc, suspend: true",
    "verificationId: abc, suspend: 'true'",
    "verificationId: abc, suspend: yes",
    "verificationId: abc, suspend: null",
    "verificationId: abc, suspended: true",
    "verificationId: abc, deletionPolicy: Retain",
    "verificationId: abc, accessKeySecretRef: {name: tenios}",
    "verificationId: abc, accessKeySecretRef: {name: tenios, key: a/b}",
    "verificationId: abc, accessKeySecretRef: {name: tenios, key: access-key}",
];

/// One text of a valid verification, and what replaces it.
const VERIFICATIONS: &[(&str, &str)] = &[
    ("NAME", "NAME"),
    ("\"50667\"", "50667"),
    ("\"50667\"", "01067"),
    ("\"50667\"", "08096"),
    ("\"50667\"", "\"01067\""),
    ("\"50667\"", "'1067'"),
    ("\"50667\"", "D-50667"),
    ("Germany", "Austria"),
    ("Germany", "null"),
    ("Germany", ""),
    ("Germany, city: Köln, zip: \"50667\"", "Austria, city: Wien, zip: A-1010"),
    ("\"221\"", "221"),
    ("\"221\"", "'0221'"),
    ("\"221\"", "'2'"),
    ("\"221\"", "'199'"),
    ("\"221\"", "'123456789'"),
    ("\"221\"", "'221221'"),
    ("\"4\"", "4"),
    ("\"4\"", "4a"),
    ("\"4\"", "''"),
    ("\"4\"", "12345678901234567"),
    ("Domkloster", "on"),
    ("Domkloster", "'on'"),
    (
        "Domkloster",
        "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ",
    ),
    (
        "Domkloster",
        "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ",
    ),
    ("CONTRACT", "contract"),
    ("document:", "documents:"),
    ("key: extract.pdf", "key: extract.pdf, optional: true"),
    ("spec:", "spec: null\nspecs:"),
    ("{name: NAME}", "{name: NAME, label: {a: b}}"),
    ("{name: NAME}", "{name: NAME, labels: {a: 1}}"),
    ("{name: NAME}", "{name: NAME, annotations: {a: 'true'}}"),
    ("{name: NAME}", "{name: NAME, labels: {a: null}}"),
    ("{name: NAME}", "{name: NAME, labels: null}"),
    ("{name: NAME}", "{name: NAME, labels: {}}"),
    ("{name: NAME}", "{name: NAME, labels: [a]}"),
    ("{name: NAME}", "{name: NAME, labels: {a: 'b c'}}"),
    ("{name: NAME}", "{name: NAME, labels: {a: b.C_d-1}}"),
    ("{name: NAME}", "{name: NAME, labels: {a: -b}}"),
    ("{name: NAME}", "{name: NAME, labels: {a: ''}}"),
    ("{name: NAME}", "{name: NAME, labels: {'a b': c}}"),
    ("{name: NAME}", "{name: NAME, labels: {'': c}}"),
    ("{name: NAME}", "{name: NAME, labels: {a/b/c: d}}"),
    ("{name: NAME}", "{name: NAME, labels: {example.com/A: d}}"),
    ("{name: NAME}", "{name: NAME, labels: {Example.com/a: d}}"),
    ("{name: NAME}", "{name: NAME, labels: {on: off}}"),
    ("{name: NAME}", "{name: NAME, labels: {on: 'off'}}"),
    (
        "{name: NAME}",
        "{name: NAME, labels: {a: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}}",
    ),
    ("{name: NAME}", "{name: NAME, annotations: {Example.com/a: 'x y'}}"),
    ("{name: NAME}", "{name: NAME, annotations: {a: null}}"),
    ("{name: NAME}", "{name: NAME, annotations: {'a b': c}}"),
    ("{name: NAME}", "{name: NAME, annotations: \"x\"}"),
    ("{name: NAME}", "{name: NAME, finalizers: [example.com/x]}"),
    ("{name: NAME}", "{name: NAME, finalizers: ['x y']}"),
    ("{name: NAME}", "{name: NAME, finalizers: x}"),
    ("{name: NAME}", "{name: NAME, namespace: ''}"),
    ("{name: NAME}", "{name: NAME, namespace: null}"),
    ("{name: NAME}", "{name: NAME, generateName: -x}"),
    ("{name: NAME}", "{name: ''}"),
    ("{name: NAME}", "{name: null}"),
    ("{name: NAME}", "{name: 12}"),
    ("{name: NAME}", "{name: NAME.x}"),
    ("kind: Phone", "# a\u{2028}b\nkind: Phone"),
    ("kind: Phone", "# a\u{2028}# b\nkind: Phone"),
    ("kind: Phone", "# a\u{85}b\nkind: Phone"),
    ("kind: Phone", "\u{85}kind: Phone"),
    ("kind: Phone", "\u{2028}kind: Phone"),
    ("spec:", "spec:\u{2029}"),
    ("type: CONTRACT", "type: \u{feff}CONTRACT"),
    ("kind: Phone", "# \u{7f}\nkind: Phone"),
    ("kind: Phone", "# \u{1}\nkind: Phone"),
    ("apiVersion:", "\u{feff}apiVersion:"),
    ("apiVersion:", "%YAML 1.1\n---\napiVersion:"),
    ("areaCode:", "? areaCode\n  :"),
    ("areaCode: \"221\"", "areaCode: \"221\"\n  \"suspend\": true"),
    ("areaCode: \"221\"", "areaCode: >-\n    221"),
    ("areaCode: \"221\"", "areaCode: |\n    221"),
    ("areaCode: \"221\"", "areaCode:\t\"221\""),
    ("areaCode: \"221\"", "\tareaCode: \"221\""),
    ("areaCode: \"221\"", "areaCode: \"\\x32\\u0032\\x31\""),
    ("{name: NAME}", "{name: Capital}"),
    ("{name: NAME}", "{generateName: NAME-}"),
    ("{name: NAME}", "{}"),
    ("v1alpha1", "v1"),
    ("spec:", "status: {state: Approved}\nspec:"),
    ("areaCode:", "approval: Later\n  areaCode:"),
    ("areaCode:", "approval: null\n  areaCode:"),
    ("areaCode:", "adopt: {}\n  areaCode:"),
    ("areaCode:", "adopt: {verificationId: null}\n  areaCode:"),
    ("areaCode:", "adopt: {verificationId: abc}\n  areaCode:"),
];

#[tokio::test]
async fn validate_and_the_apiserver_agree() {
    let orders = ORDERS.iter().map(|spec| match *spec {
        "{}" => ORDER.replace("spec:\n", "spec: {}\n"),
        spec => ORDER.replace("spec:\n", &format!("spec: {{{spec}}}\n")),
    });
    let verifications = VERIFICATIONS.iter().map(|(old, new)| {
        assert!(VERIFICATION.contains(old), "{old}");
        VERIFICATION.replace(old, new)
    });
    let namespaces = TestNamespaces::new("cli-agreement").await;
    let directory = namespaces.control_plane.directory().join(&namespaces.namespace);
    std::fs::create_dir(&directory).unwrap();
    let texts: Vec<String> = orders
        .chain(verifications)
        .enumerate()
        .map(|(i, t)| t.replace("NAME", &format!("row-{i}")))
        .collect();
    for (index, text) in texts.iter().enumerate() {
        std::fs::write(directory.join(format!("row-{index}.yaml")), text).unwrap();
    }
    let directory = directory.to_string_lossy().into_owned();
    let create = ["create", "--dry-run=server", "--validate=strict", "-f", &directory];
    let output = namespaces.kubectl().run(&create).await;
    let mut wrong = Vec::new();
    let mut taken = 0;
    for (index, text) in texts.iter().enumerate() {
        let created = |line: &str| {
            let name =
                line.split_whitespace().next().and_then(|first| first.split_once('/')).map(|(_, name)| name);
            name.is_some_and(|name| {
                ["", "-", "."].iter().any(|end| {
                    let whole = format!("row-{index}{end}");
                    if end.is_empty() { name == whole } else { name.starts_with(&whole) }
                })
            })
        };
        let by_apiserver = output.stdout.lines().any(created);
        let findings = validate::text_of(text.trim_start_matches('\u{feff}')).findings;
        taken += usize::from(by_apiserver);
        if by_apiserver != findings.is_empty() {
            let file = format!("row-{index}.yaml");
            let why: Vec<&str> = output.stderr.lines().filter(|line| line.contains(&file)).collect();
            wrong.push(format!("apiserver: {by_apiserver} {why:?}; validate: {findings:?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(taken > 20 && taken < texts.len() - 40, "{taken} of {}", texts.len());
}
