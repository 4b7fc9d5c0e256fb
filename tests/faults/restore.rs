//! A ledger that is set back, as by a backup of etcd that was put in its place: each entry as it was one
//! write before, while the operator goes on. In etcd itself, because the apiserver lets no revision fall.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::testbed::Testbed;

/// Sets every entry back by one write. What was written once only stays: that it is gone, a watch would say,
/// as it does not after a real restore (`tests/cluster/stale.rs`).
pub async fn set_back(testbed: &Testbed) {
    let plane = &testbed.namespaces.control_plane;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let etcd = async |method: &str, body: Value| -> Value {
        let url = format!("{}/v3/kv/{method}", plane.etcd_url());
        let sent = client.post(url).body(body.to_string()).send().await.expect("etcd answers");
        let text = sent.error_for_status().expect("etcd takes it").text().await.expect("an answer");
        serde_json::from_str(&text).expect("JSON")
    };
    let all = format!("/registry/tenios.dev/ledgerentries/{}/", testbed.namespaces.operator_namespace);
    let end = format!("{}0", all.trim_end_matches('/'));
    let now = etcd("range", json!({"key": STANDARD.encode(&all), "range_end": STANDARD.encode(&end)})).await;
    for entry in now["kvs"].as_array().into_iter().flatten() {
        let (key, written) = (&entry["key"], &entry["mod_revision"]);
        let written: u64 = written.as_str().and_then(|text| text.parse().ok()).expect("a revision");
        let before = etcd("range", json!({"key": key, "revision": (written - 1).to_string()})).await;
        if let Some(value) = before["kvs"].get(0).map(|entry| &entry["value"]) {
            etcd("put", json!({"key": key, "value": value})).await;
            testbed.observer.note(&format!("set back: {}", text(value)));
        }
    }
}

fn text(value: &Value) -> String {
    let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    let spec: Value =
        serde_json::from_slice::<Value>(&bytes).map(|entry| entry["spec"].clone()).unwrap_or_default();
    format!("{} to revision {}", spec["name"], spec["revision"])
}
