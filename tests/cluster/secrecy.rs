//! Promise 21 over a whole run: no secret in any output.

use base64::Engine;
use serde_json::json;
use tenios_operator::api::Reason;
use tenios_operator::api::order::OrderState;
use tenios_operator::simulator::{Action, Fault};

use crate::world::{ORDER, World};

const ACCESS_KEY: &str = "4cc3ss-k3y-0f-a-t3nant";

#[tokio::test]
async fn p21_no_log_event_metric_or_condition_carries_a_secret() {
    let w = World::with("secrecy", |o| {
        o.access_key(Some(ACCESS_KEY))
            .push_key(Some("pu5h-k3y-0f-the-0perator"))
            .args(["--log=trace", "--log-format=json"])
    })
    .await;
    let document = b"%PDF-1.4 the register says Krugenofen".to_vec();
    w.secret("trade-register", "extract.pdf", &document).await;
    // The provider refuses, and quotes the request back.
    let encoded = base64::engine::general_purpose::STANDARD.encode(&document);
    // Where a message is cut, too.
    let everything = format!("{encoded} {}Krugenofen", "-".repeat(507 - "<document_data> ".len()));
    for (path, quote) in [("/verification/create", everything.as_str()), (ORDER, "the order")] {
        let piece = quote.get(4..40).unwrap_or("piece");
        let body = json!({"error_code": "BAD_CREDENTIALS", "fields": [piece, ACCESS_KEY],
            "error_message": format!("{quote} by {ACCESS_KEY}")});
        let action: Action =
            serde_json::from_value(json!({"status_before": {"code": 400, "body": body}})).unwrap();
        w.simulator.fault(Fault::once(path, action).times(0));
    }
    w.verification(
        "v",
        json!({"address": {"city": "Aachen", "zip": "52062", "street": "Krugenofen"}, "areaCode": "241"}),
    )
    .await;
    w.plain_order("o").await;
    w.verification_because("v", Reason::Refused).await;
    w.order_at("o", OrderState::Refused).await;
    assert!(w.requests(ORDER) >= 1);
    let kubectl = w.scenario.kubectl();
    let status = kubectl.run(&["get", "pver,pno,events", "-o", "json"]).await.expect_success();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let shown: Vec<_> = status["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| [&i["status"], &i["note"], &i["message"]])
        .collect();
    let ledger = serde_json::to_string(&w.ledger().await).unwrap();
    let outputs = [
        ("log", w.operator.log()),
        ("status and events", serde_json::to_string(&shown).unwrap()),
        ("metrics", w.operator.metrics().await),
        ("ledger", ledger),
    ];
    let body = w.simulator.journal().iter().find(|e| e.path == ORDER).unwrap().body.clone().unwrap();
    assert!(
        body["access_key"].as_str().unwrap().starts_with("sha256:"),
        "the journal keeps no secret either"
    );
    for secret in
        [ACCESS_KEY, "pu5h-k3y-0f-the-0perator", "Krugenofen", "Krug", "Aachen", "52062", "the register says"]
    {
        let hex = secret.bytes().fold(String::new(), |hex, b| format!("{hex}{b:02x}"));
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        for (whose, output) in &outputs {
            for form in [secret, &hex, &base64] {
                let line = output.lines().find(|line| line.contains(form));
                assert!(line.is_none(), "{form} is in the {whose}: {line:?}");
            }
        }
    }
}
