//! Promise 21, as far as types can keep it.

use tenios_operator::api::verification::Address;
use tenios_operator::tenios::{Document, PushTarget};

#[test]
fn p21_no_debug_output_shows_an_address_a_document_or_a_push_secret() {
    let address: Address = serde_json::from_value(serde_json::json!({
        "country": "Germany", "city": "Aachen", "zip": "52062", "street": "Krugenofen", "houseNumber": "17b"
    }))
    .unwrap();
    let document = Document::new(b"%PDF-1.4 Krugenofen".to_vec()).unwrap();
    let target =
        PushTarget { url: "https://push.example/push/v1/a/b/c".into(), secret: "5ecre7".to_owned().into() };
    let shown = format!("{address:?} {document:?} {target:?}");
    for secret in ["Aachen", "52062", "Krugenofen", "17b", "%PDF", "5ecre7"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
