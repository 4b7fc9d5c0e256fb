//! Promise 21, as far as types can keep it.

use tenios_api::pdf::Document;
use tenios_api::verification::Address;
use tenios_provider::PushTarget;

#[test]
fn p21_no_debug_output_shows_an_address_a_document_or_a_push_secret() {
    let address: Address = serde_json::from_value(serde_json::json!({
        "country": "Germany", "city": "Aachen", "zip": "52062", "street": "Krugenofen", "houseNumber": "17b"
    }))
    .unwrap();
    let document = Document::new(b"%PDF-1.4 Krugenofen %%EOF".to_vec()).unwrap();
    let target =
        PushTarget { url: "https://push.example/push/v1/a/b/c".into(), secret: "5ecre7".to_owned().into() };
    let shown = format!("{address:?} {document:?} {target:?}");
    for secret in ["Aachen", "52062", "Krugenofen", "17b", "%PDF", "5ecre7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_document_is_a_pdf_of_at_most_a_million_bytes_known_by_its_digest() {
    let mut bytes = b"%PDF-%%EOF".to_vec();
    let document = Document::new(bytes.clone()).unwrap();
    // sha256sum of these ten bytes.
    let digest = "sha256:bfa46a6395a5ff9b24b500aa7b859b9cf7c2d1eaca67a66ef03f3355276a5f6e";
    assert_eq!(tenios_api::digest::sha256(document.bytes()), digest);
    assert_eq!(format!("{document:?}"), "Document(10 bytes)");
    bytes.resize(Document::LIMIT, b' ');
    assert!(Document::new(bytes.clone()).is_ok());
    bytes.push(b' ');
    assert!(Document::new(bytes).unwrap_err().contains("has 1000001 bytes"));
    assert!(Document::new(b"%PDF".to_vec()).unwrap_err().contains("is not a PDF"));
    assert!(Document::new(Vec::new()).unwrap_err().contains("is empty"));
}
