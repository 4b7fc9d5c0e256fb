//! What people put into an address: at the border of a real apiserver, in the code and offline all say the same.

use kube::api::{Api, DeleteParams, PostParams};
use kubectl_tenios::validate;
use serde_json::{Value, json};
use tenios_api::PhoneVerification;
use tenios_api::valid::ValidVerification;
use tenios_api::verification::VerificationState;

use crate::testbed::{PATIENCE, Testbed, VERIFICATION};
use harness::{TestNamespaces, wait};

const BLANK: &str = "must not be blank";
const CONTROL: &str = "must not contain line breaks, tabs or other control characters";
const INVISIBLE: &str = "must not contain no-break spaces, zero-width or other invisible characters";
const GERMANY: &str = "write Germany";
const POSTCODE: &str = "a German postcode has 5 digits";

/// Field, text, and the words of the refusal; none where it is taken.
const TEXTS: &[(&str, &str, Option<&str>)] = &[
    ("street", "Domkloster", None),
    ("street", "Domkloster\n", None),
    ("street", "\n  Domkloster\r\n", None),
    ("street", "\u{a0}Domkloster\u{202f}\u{3000}\t\u{85}\u{2028}", None),
    ("street", "Unter den Linden", None),
    ("city", "Ko\u{308}ln", None),
    ("city", "Saarbrücken-St. Arnual (Süd) & Ost/West, „Nord“", None),
    ("city", "\u{1F3E0} 大阪市", None),
    ("houseNumber", "12 – 14 ½", None),
    ("zip", "50667\n", None),
    ("zip", "\u{a0}50667 ", None),
    ("country", "Germany\n", None),
    ("country", "\u{a0}Germany", None),
    ("country", "Österreich", None),
    ("country", "Denmark", None),
    ("country", "Saint Germain Islands", None),
    ("street", " ", Some(BLANK)),
    ("city", "\n", Some(BLANK)),
    ("houseNumber", "\u{a0}\u{2003}\t", Some(BLANK)),
    ("country", " \r\n", Some(BLANK)),
    ("street", "Domkloster\nHinterhaus", Some(CONTROL)),
    ("street", "Domkloster\r\nHinterhaus\n", Some(CONTROL)),
    ("street", "Domkloster\tHinterhaus", Some(CONTROL)),
    ("street", "Domkloster\u{0}", Some(CONTROL)),
    ("street", "\u{1b}[31mDomkloster", Some(CONTROL)),
    ("city", "Köln\u{7f}", Some(CONTROL)),
    ("city", "Kö\u{85}ln", Some(CONTROL)),
    ("city", "Kö\u{2028}ln", Some(CONTROL)),
    ("zip", "50\t667", Some(CONTROL)),
    ("street", "Alte\u{a0}Ziegelei", Some(INVISIBLE)),
    ("street", "Alte\u{202f}Ziegelei", Some(INVISIBLE)),
    ("street", "Alte\u{2003}Ziegelei", Some(INVISIBLE)),
    ("street", "\u{200b}", Some(INVISIBLE)),
    ("street", "\u{feff}Domkloster", Some(INVISIBLE)),
    ("street", "Domkloster\u{200b}", Some(INVISIBLE)),
    ("street", "Dom\u{ad}kloster", Some(INVISIBLE)),
    ("street", "Dom\u{2060}kloster", Some(INVISIBLE)),
    ("city", "\u{202e}nlöK", Some(INVISIBLE)),
    ("city", "K\u{fffd}ln", Some(INVISIBLE)),
    ("houseNumber", "4\u{fe0f}", Some(INVISIBLE)),
    ("houseNumber", "4\u{e0041}", Some(INVISIBLE)),
    ("country", "Ger\u{200d}many", Some(INVISIBLE)),
    ("country", "Deutschland", Some(GERMANY)),
    ("country", "DEUTSCHLAND\n", Some(GERMANY)),
    ("country", "germany", Some(GERMANY)),
    ("country", "GERMANY", Some(GERMANY)),
    ("country", "DE", Some(GERMANY)),
    ("country", "de", Some(GERMANY)),
    ("country", "DEU", Some(GERMANY)),
    ("country", "D", Some(GERMANY)),
    ("country", "BRD", Some(GERMANY)),
    ("country", "Bundesrepublik Deutschland", Some(GERMANY)),
    ("country", "Federal Republic of Germany", Some(GERMANY)),
    ("country", "Germany (DE)", Some(GERMANY)),
    ("zip", "5066", Some(POSTCODE)),
    ("zip", "５０６６７", Some(POSTCODE)),
];

fn manifest(field: &str, text: &str) -> Value {
    let mut object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": "v"}, "spec": {
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221",
        "document": {"type": "CONTRACT", "secretRef": {"name": "s", "key": "k"}},
    }});
    object["spec"]["address"][field] = json!(text);
    object
}

/// As YAML of ASCII only: control characters stand in it escaped.
fn escaped(manifest: &Value) -> String {
    let escape = |c: char| match c {
        ' '..='~' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    manifest.to_string().chars().map(escape).collect()
}

#[tokio::test]
async fn p24_every_text_of_an_address_is_taken_or_refused_in_words_alike_by_apiserver_operator_and_plugin() {
    let namespaces = TestNamespaces::new("texts").await;
    let api: Api<PhoneVerification> = namespaces.api();
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut wrong = Vec::new();
    for (field, text, expected) in TEXTS {
        let manifest = manifest(field, text);
        let object: PhoneVerification = serde_json::from_value(manifest.clone()).unwrap();
        let said_by = [
            ("the apiserver", api.create(&dry_run, &object).await.err().map(|error| error.to_string())),
            ("the operator", ValidVerification::new(&object.spec).err()),
            ("the plugin", {
                let found = validate::text_of(&escaped(&manifest)).findings;
                (!found.is_empty()).then(|| format!("{found:?}"))
            }),
        ];
        for (who, said) in said_by {
            let fits = match (expected, &said) {
                (None, None) => true,
                (Some(words), Some(said)) => said.contains(words) && said.contains(field),
                _ => false,
            };
            if !fits {
                wrong.push(format!("{field} {text:?}: {who} says {said:?}, not {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As an editor on macOS writes it, as a block in YAML, and as a browser pastes it.
#[tokio::test]
async fn p12_the_same_address_in_another_unicode_form_is_no_conflict_and_is_sent_in_one_form() {
    let w = Testbed::new("unicode").await;
    let forms = [
        json!({"city": "Ko\u{308}ln", "street": "Große Straße\n"}),
        json!({"city": "K\u{f6}ln", "street": "\u{a0}Große Straße"}),
    ];
    let spec = |form: &Value| json!({"address": form});
    w.verification("v", spec(&forms[0])).await;
    w.verification_at("v", VerificationState::AwaitingApproval).await;
    let sent = w.simulator.journal().remove(0).body.unwrap();
    assert_eq!((&sent["city"], &sent["street"]), (&json!("K\u{f6}ln"), &json!("Große Straße")));

    // It is edited into the other form, which the border takes for the same.
    w.patch_verification("v", json!({"spec": spec(&forms[1])})).await.unwrap();
    let current = |v: &PhoneVerification| {
        v.status.as_ref().is_some_and(|s| Some(s.observed_generation) == v.metadata.generation)
    };
    let v = w.verification_where("v", "visited after the edit", current).await;
    assert_eq!(v.status.unwrap().state, Some(VerificationState::AwaitingApproval));
    // What differs otherwise is still frozen.
    let other = w.patch_verification("v", json!({"spec": {"address": {"city": "Bonn"}}})).await.unwrap_err();
    assert!(other.to_string().contains("immutable"), "{other}");

    let api: Api<PhoneVerification> = w.namespaces.api();
    api.delete("v", &DeleteParams::default()).await.unwrap();
    wait::until("it to be gone", PATIENCE, async || api.get_opt("v").await.unwrap().is_none().then_some(()))
        .await;
    w.verification("v", spec(&forms[1])).await;
    w.verification_at("v", VerificationState::AwaitingApproval).await;
    w.no_more_requests(VERIFICATION, 1).await;
}
