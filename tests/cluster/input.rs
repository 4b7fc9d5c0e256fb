//! Bad input: named, without a request, and it goes on by itself once mended.

use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_api::pdf::Document;
use tenios_api::verification::VerificationState;

use crate::testbed::{ORDER, PATIENCE, PDF, Testbed, VERIFICATION, message, told};
use harness::{OperatorOptions, TestNamespaces, http, wait};

#[rstest]
#[case::no_secret("none", Reason::DocumentNotFound, None)]
#[case::no_key("other", Reason::DocumentNotFound, Some(("other", PDF.to_vec())))]
#[case::empty("doc", Reason::DocumentInvalid, Some(("extract.pdf", vec![])))]
#[case::no_pdf("doc", Reason::DocumentInvalid, Some(("extract.pdf", b"\x89PNG\r\n".to_vec())))]
#[case::cut_off("doc", Reason::DocumentInvalid, Some(("extract.pdf", PDF[..PDF.len() - 4].to_vec())))]
#[case::a_web_page("doc", Reason::DocumentInvalid, Some(("extract.pdf", b"<!DOCTYPE html><html><title>Sign in</title></html>".to_vec())))]
#[case::too_large("doc", Reason::DocumentInvalid, Some(("extract.pdf", [b"%PDF-".to_vec(), vec![0; Document::LIMIT]].concat())))]
#[tokio::test]
async fn p24_a_missing_or_invalid_document_is_named_and_goes_on_once_mended(
    #[case] secret: &str,
    #[case] reason: Reason,
    #[case] content: Option<(&str, Vec<u8>)>,
) {
    let w = Testbed::new("document").await;
    if let Some((key, content)) = content {
        w.secret(secret, key, &content).await;
    }
    let reference = json!({"secretRef": {"name": secret, "key": "extract.pdf"}});
    w.verification("v", json!({"document": reference})).await;
    w.verification_because("v", reason).await;
    assert_eq!(w.requests(VERIFICATION), 0);
    w.secret(secret, "extract.pdf", PDF).await;
    w.verification_at("v", VerificationState::AwaitingApproval).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

#[tokio::test]
async fn p24_a_missing_access_key_is_named_and_goes_on_once_it_is_there() {
    let w = Testbed::with("access-key", |o| o.hurried().access_key(None)).await;
    let id = w.approved_document();
    w.order(
        "o",
        json!({"verificationId": id, "accessKeySecretRef": {"name": "tenios", "key": "access-key"}}),
    )
    .await;
    w.order("own", json!({"verificationId": id})).await;
    let text = message(&w.order_because("o", Reason::AccessKeyNotFound).await);
    assert!(text.contains("\"tenios\""), "{text}");
    let text = message(&w.order_because("own", Reason::AccessKeyNotFound).await);
    assert!(text.contains("--access-key-file"), "{text}");
    for (unusable, named) in [(&b" \n"[..], "is empty"), (b"two\nlines", "is not an access key")] {
        w.secret("tenios", "access-key", unusable).await;
        w.order_where("o", &format!("told that the key {named}"), |o| told(o, named)).await;
    }
    assert_eq!(w.requests(ORDER), 0);
    w.secret("tenios", "access-key", b"test-key\n").await;
    w.order_at("o", OrderState::Assigned).await;
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn a_missing_secret_leaves_the_operator_not_ready_and_is_named_once() {
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::new("not-ready").await;
    let plane = &namespaces.control_plane;
    // As the manifests mount it: the Secret's name is a part of the path.
    let mounted = plane.directory().join(&namespaces.namespace).join("tenios-access-key");
    let file = mounted.join("access-key");
    let flag = format!("--access-key-file={}", file.display());
    let options = OperatorOptions::new(simulator.url()).access_key(None).args([flag]);
    let operator = namespaces.prepare_operator(plane.server(), options).await;
    operator.start().unwrap();
    let missing = wait::until("what /readyz lacks", PATIENCE, async || {
        let answer = http::get(operator.health_port, "/readyz").await.ok()?;
        (answer.status == 503 && answer.body.contains("--access-key-file")).then_some(answer.body)
    })
    .await;
    std::fs::create_dir_all(&mounted).unwrap();
    std::fs::write(&file, "test-key").unwrap();
    operator.wait_ready().await;
    let log = operator.log();
    assert_eq!(log.lines().filter(|line| line.contains("tenios-access-key")).count(), 1, "{missing} {log}");
    // What was there once may go: each resource says so itself, and pushes still come.
    std::fs::remove_file(&file).unwrap();
    // Not at once: it may have begun to lead, and its watches be on their way.
    operator.wait_ready().await;
}

#[tokio::test]
async fn p24_rings_and_references_to_nothing_are_named() {
    let w = Testbed::new("rings").await;
    let id = w.approved_document();
    let linked = |to: &str| json!({"verificationId": id, "linkTo": {"orderRef": {"name": to}}});
    w.order("itself", linked("itself")).await;
    w.order("a", linked("b")).await;
    w.order("b", linked("c")).await;
    w.order("c", linked("a")).await;
    w.order("nowhere", linked("missing")).await;
    let text = message(&w.order_because("itself", Reason::InvalidSpec).await);
    assert!(text.contains("itself"), "{text}");
    for (name, ring) in [("a", "a -> b -> c -> a"), ("b", "b -> c -> a -> b"), ("c", "c -> a -> b -> c")] {
        let text = message(
            &w.order_where(name, "the ring", |o| {
                o.status
                    .as_ref()
                    .is_some_and(|s| s.conditions.iter().any(|c| c.reason == Reason::InvalidSpec))
            })
            .await,
        );
        assert!(text.contains(ring), "{text}");
    }
    let text = message(&w.order_because("nowhere", Reason::AwaitingLinkTarget).await);
    assert!(text.contains("missing"), "{text}");
    w.no_more_requests(ORDER, 0).await;
    w.patch_order("c", json!({"spec": {"linkTo": null}})).await.unwrap();
    for name in ["a", "b", "c"] {
        w.order_at(name, OrderState::Assigned).await;
    }
    assert_eq!(w.requests(ORDER), 3);
}

#[tokio::test]
async fn p24_a_reference_to_a_refused_verification_waits_and_one_to_a_rejected_verification_stalls() {
    let w = Testbed::with("refused-verification", |o| {
        o.args(["--refusal-retry-min=10m", "--refusal-retry-max=20m"])
    })
    .await;
    w.faults(
        VERIFICATION,
        serde_json::from_value(json!({"status_before": {"code": 400, "body": {"error_code": "NO"}}}))
            .unwrap(),
    );
    w.verification("refused", json!({"approval": "Approved"})).await;
    w.order("a", json!({"verificationRef": {"name": "refused"}})).await;
    w.verification_at("refused", VerificationState::Refused).await;
    let text = message(&w.order_because("a", Reason::AwaitingVerification).await);
    assert!(text.contains("refused"), "{text}");
    w.verification("rejected", json!({"approval": "Rejected"})).await;
    w.order("b", json!({"verificationRef": {"name": "rejected"}})).await;
    w.verification_at("rejected", VerificationState::Rejected).await;
    let text = message(&w.order_because("b", Reason::VerificationRejected).await);
    assert!(text.contains("rejected"), "{text}");
    w.no_more_requests(ORDER, 0).await;
    w.patch_verification("rejected", json!({"spec": {"approval": "Approved"}})).await.unwrap();
    w.order_at("b", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
}

#[rstest]
#[case::neither(json!({}), "exactly one")]
#[case::both(json!({"verificationId": "v", "verificationRef": {"name": "v"}}), "exactly one")]
#[case::link_to_both(json!({"verificationId": "v", "linkTo": {"phoneNumber": "+49221", "orderRef": {"name": "o"}}}), "exactly one")]
#[case::no_e164(json!({"verificationId": "v", "linkTo": {"phoneNumber": "0221 123"}}), "linkTo.phoneNumber")]
#[case::empty_adopt(json!({"verificationId": "v", "adopt": {}}), "orderId")]
#[case::unknown_type(json!({"verificationId": "v", "numberType": "MOBILE"}), "numberType")]
#[tokio::test]
async fn an_order_that_makes_no_sense_is_rejected_with_the_field(#[case] spec: Value, #[case] named: &str) {
    let namespaces = harness::TestNamespaces::new("cel").await;
    let manifest = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"}, "spec": spec});
    let said = namespaces.kubectl().apply(&manifest.to_string()).await.expect_failure();
    assert!(said.contains(named), "{said}");
}

#[rstest]
#[case::leading_zero(json!({"areaCode": "0221"}), "areaCode")]
#[case::one_digit(json!({"areaCode": "2"}), "area code")]
#[case::first_digit(json!({"areaCode": "122"}), "area code")]
#[case::postcode(json!({"address": {"zip": "5066"}}), "postcode")]
#[case::document_type(json!({"document": {"type": "PASSPORT"}}), "document.type")]
#[tokio::test]
async fn a_german_verification_that_makes_no_sense_is_rejected_with_the_field(
    #[case] changes: Value,
    #[case] named: &str,
) {
    let namespaces = harness::TestNamespaces::new("cel").await;
    let mut spec = json!({
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221",
        "document": {"type": "CONTRACT", "secretRef": {"name": "s", "key": "k"}},
    });
    let abroad = json!({"address": {"country": "Austria", "zip": "1010"}, "areaCode": "1"});
    let manifest = |name: &str, spec: &Value| json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": name}, "spec": spec});
    let mut austrian = spec.clone();
    crate::testbed::merge(&mut austrian, abroad);
    namespaces.kubectl().apply(&manifest("abroad", &austrian).to_string()).await.expect_success();
    crate::testbed::merge(&mut spec, changes);
    let said = namespaces.kubectl().apply(&manifest("v", &spec).to_string()).await.expect_failure();
    assert!(said.contains(named), "{said}");
}

#[tokio::test]
async fn a_resource_that_nobody_visited_is_not_current() {
    let namespaces = harness::TestNamespaces::new("defaults").await;
    let manifest = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"}, "spec": {"verificationId": "v"}});
    namespaces.kubectl().apply(&manifest.to_string()).await.expect_success();
    let said = namespaces
        .kubectl()
        .run(&[
            "get",
            "pno",
            "o",
            "-o",
            "jsonpath={.status.observedGeneration} {.spec.numberType} {.spec.suspend}",
        ])
        .await;
    assert_eq!(said.expect_success(), "-1 GEOGRAPHICAL false");
}

#[tokio::test]
async fn states_are_selectable_and_printed() {
    let w = Testbed::new("columns").await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    let kubectl = w.namespaces.kubectl();
    let found = kubectl
        .run(&["get", "tenios", "--field-selector=status.state=Assigned", "-o", "name"])
        .await
        .expect_success();
    assert_eq!(found.trim(), "phonenumberorder.tenios.dev/o");
    let table = kubectl.run(&["get", "pno", "-o", "wide"]).await.expect_success();
    for column in
        ["STATE", "NUMBER", "ORDER", "REASON", "AGE", "VERIFICATION", "LINK", "MESSAGE", "300000", "Assigned"]
    {
        assert!(table.contains(column), "{table}");
    }
}
