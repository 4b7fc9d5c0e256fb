//! Every request and answer of the provider's two texts, and what follows from them.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tenios_api::digest::sha256;
use tenios_simulator::{BadKey, DocumentState, Options};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::support::*;

#[tokio::test]
async fn a_document_gets_an_id_and_awaits_approval() {
    let simulator = simulator().await;
    let (status, answer) = post(&simulator, "/verification/create", &verification()).await;
    assert_eq!(status, 200);
    assert_eq!(answer.as_object().unwrap().len(), 1);
    let id: Uuid = answer["verification_id"].as_str().unwrap().parse().unwrap();

    let order = with(order(), "verification_id", id.to_string());
    let (status, refusal) = post(&simulator, "/number/order", &order).await;
    assert_eq!((status, &refusal["error_code"]), (400, &json!("NUMBER_ORDER_VERIFICATION_ID_NOT_VALID")));

    simulator.approve(id);
    assert_eq!(post(&simulator, "/number/order", &order).await, (200, json!({"order_id": "300000"})));
}

#[tokio::test]
async fn all_six_types_of_document_are_taken_and_no_other() {
    let simulator = simulator().await;
    for kind in [
        "ALLOCATION_NOTICE",
        "IDENTITY_CARD",
        "BUSINESS_LICENSE",
        "IDENTITY_CARD_AND_BUSINESS_LICENSE",
        "CERTIFICATE_OF_REGISTRATION",
        "CONTRACT",
    ] {
        let request = with(verification(), "document_type", kind);
        assert_eq!(post(&simulator, "/verification/create", &request).await.0, 200, "{kind}");
    }
    let request = with(verification(), "document_type", "PASSPORT");
    let (status, refusal) = post(&simulator, "/verification/create", &request).await;
    assert_eq!((status, &refusal["fields"]), (400, &json!(["document_type"])));
}

#[tokio::test]
async fn a_document_that_is_no_pdf_is_refused() {
    let simulator = simulator().await;
    let pdf = verification()["document_data"].as_str().unwrap().to_owned();
    assert!(pdf.ends_with('='), "the padding is to be tested");
    for (why, data) in [
        ("the page's own sample", "iVBORw0KGgoAAAANSUhEUgAAA3cA...".to_owned()),
        ("a PNG", "iVBORw0KGgoAAAANSUhEUgAAA3cA".to_owned()),
        ("not padded", pdf.trim_end_matches('=').to_owned()),
        ("wrapped", format!("{}\n{}", &pdf[..8], &pdf[8..])),
        ("not base64", "%PDF-1.7".to_owned()),
    ] {
        let request = with(verification(), "document_data", data);
        let (status, refusal) = post(&simulator, "/verification/create", &request).await;
        assert_eq!((status, &refusal["fields"]), (400, &json!(["document_data"])), "{why}");
    }
    simulator.set(|settings| settings.check_document_data = false);
    let sample = with(verification(), "document_data", "iVBORw0KGgoAAAANSUhEUgAAA3cA...");
    assert_eq!(post(&simulator, "/verification/create", &sample).await.0, 200);
}

#[tokio::test]
async fn a_missing_field_is_named() {
    let simulator = simulator().await;
    for field in
        ["country", "city", "zip", "street", "house_number", "document_type", "document_data", "area_code"]
    {
        for request in [without(verification(), field), with(verification(), field, 7)] {
            let (status, refusal) = post(&simulator, "/verification/create", &request).await;
            assert_eq!((status, &refusal["fields"]), (400, &json!([field])));
        }
    }
    for field in ["number_type", "verification_id"] {
        let (status, refusal) = post(&simulator, "/number/order", &without(order(), field)).await;
        assert_eq!((status, &refusal["fields"]), (400, &json!([field])));
    }
    simulator.set(|settings| settings.require_zip = false);
    assert_eq!(post(&simulator, "/verification/create", &without(verification(), "zip")).await.0, 200);
}

#[tokio::test]
async fn an_area_code_has_no_leading_zero() {
    let simulator = simulator().await;
    for area_code in ["0221", "2", "123456", "22a"] {
        let request = with(verification(), "area_code", area_code);
        let (status, refusal) = post(&simulator, "/verification/create", &request).await;
        assert_eq!((status, &refusal["fields"]), (400, &json!(["area_code"])), "{area_code}");
    }
}

#[tokio::test]
async fn an_order_gets_an_id_and_each_its_own() {
    let simulator = simulator().await;
    assert_eq!(post(&simulator, "/number/order", &order()).await, (200, json!({"order_id": "300000"})));
    let bare = json!({"access_key": KEY, "number_type": "GEOGRAPHICAL", "verification_id": DOCUMENT});
    assert_eq!(post(&simulator, "/number/order", &bare).await, (200, json!({"order_id": "300001"})));
    let orders = simulator.orders();
    assert_eq!(orders[0].link_to_number.as_deref(), Some(NUMBER));
    assert_eq!(orders[1].link_to_number, None);
}

async fn refused(field: &str, value: Value, expected: Value) {
    let simulator = simulator().await;
    let refusal = post(&simulator, "/number/order", &with(order(), field, value)).await;
    assert_eq!(refusal, (400, expected));
    assert!(simulator.orders().is_empty());
}

#[tokio::test]
async fn a_wrong_number_type_is_refused_as_documented() {
    let expected = json!({
       "error_code": "NUMBER_ORDER_ILLEGAL_NUMBER_TYPE",
       "error_message": "Only 'GEOGRAPHICAL' number type is acceptable.",
       "fields": ["number_type"]
    });
    refused("number_type", json!("wrong value"), expected).await;
}

#[tokio::test]
async fn a_wrong_verification_id_is_refused_as_documented() {
    let expected = json!({
       "error_code": "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID",
       "error_message": "Invalid verificationId. Valid document UUID expected.",
       "fields": ["verification_id"]
    });
    refused("verification_id", json!("wrong uuid"), expected.clone()).await;
    refused("verification_id", json!("705d5302-d918-454a-b703-c9c23995726e"), expected.clone()).await;
    refused("verification_id", json!(DOCUMENT.replace('-', "")), expected).await;
}

#[tokio::test]
async fn a_wrong_link_number_is_refused_as_documented() {
    let expected = json!({
       "error_code": "NUMBER_ORDER_WRONG_LINK_NUMBER",
       "error_message": "The provided link phone number is not valid. You can use only suitable for linking numbers which are assigned to your account.",
       "fields": ["link_to_number"]
    });
    for number in [json!("+123"), json!("+4922112345678"), json!("49888888"), json!("+0123"), json!(5)] {
        refused("link_to_number", number, expected.clone()).await;
    }
}

#[tokio::test]
async fn a_wrong_push_secret_is_refused_as_documented() {
    let expected = json!({
       "error_code": "NUMBER_ORDER_INVALID_PUSH_SECRET",
       "error_message": "Provided push secret is not valid. Text up to 64 characters long is allowed.",
       "fields": ["push_secret"]
    });
    let documented = "*****************************************************************";
    for secret in [json!(documented), json!(""), json!(null)] {
        refused("push_secret", secret, expected.clone()).await;
    }
    let simulator = simulator().await;
    let longest = with(order(), "push_secret", "ü".repeat(64));
    assert_eq!(post(&simulator, "/number/order", &longest).await.0, 200);
}

#[tokio::test]
async fn a_push_url_is_https() {
    let simulator = simulator_with(Options { plain_push: false, ..options() }).await;
    for url in ["http://www.example.com/", "www.example.com", "ftp://example.com/", "/path"] {
        let (status, refusal) = post(&simulator, "/number/order", &order_to(url)).await;
        assert_eq!((status, &refusal["fields"]), (400, &json!(["push_url"])), "{url}");
    }
    assert_eq!(post(&simulator, "/number/order", &order_to("https://myurl")).await.0, 200);
}

#[tokio::test]
async fn a_wrong_access_key_is_refused_in_both_documented_ways() {
    let simulator = simulator().await;
    for request in [with(order(), "access_key", "wrong"), without(order(), "access_key")] {
        assert_eq!(post(&simulator, "/number/order", &request).await.0, 403);
    }
    simulator.set(|settings| settings.bad_key = BadKey::BadCredentials);
    let (status, refusal) = post(&simulator, "/number/order", &with(order(), "access_key", "wrong")).await;
    assert_eq!((status, &refusal["error_code"]), (400, &json!("BAD_CREDENTIALS")));
}

#[tokio::test]
async fn other_methods_are_unknown() {
    let simulator = simulator().await;
    assert_eq!(post(&simulator, "/number/list", &order()).await.0, 404);
    assert_eq!(post(&simulator, "/", &order()).await.0, 404);
    let read = send(&simulator, Method::GET, "/number/order", String::new()).await;
    assert_eq!(read.unwrap().0, 404);
}

#[tokio::test]
async fn what_is_not_a_json_object_is_refused_and_noted() {
    let simulator = simulator().await;
    for body in ["", "{\"access_key\": \"XXXXX-XXXX-XXXXXX\"", "[1]", "null"] {
        let answer = send(&simulator, Method::POST, "/number/order", body.into()).await.unwrap();
        assert_eq!(answer.0, 400, "{body}");
        assert!(answer.1["error_code"].is_string());
    }
    let journal = simulator.journal();
    assert_eq!(journal.len(), 4);
    assert!(journal.iter().all(|entry| entry.complete && entry.processed));
    assert_eq!(journal[1].body, None, "what cannot be read may hold a secret");
}

#[tokio::test]
async fn a_document_is_approved_after_a_time_or_on_command() {
    let simulator = simulator_with(Options { approve_after: Some(Duration::ZERO), ..options() }).await;
    let (_, answer) = post(&simulator, "/verification/create", &verification()).await;
    let order = with(order(), "verification_id", answer["verification_id"].clone());
    assert_eq!(post(&simulator, "/number/order", &order).await.0, 200);

    let path = format!("/_simulator/documents/{}", answer["verification_id"].as_str().unwrap());
    assert_eq!(post(&simulator, &path, &json!({"state": "rejected"})).await.0, 200);
    assert_eq!(post(&simulator, "/number/order", &order).await.0, 400);

    let another =
        json!({"status": 400, "error_code": "DOCUMENT_REJECTED", "error_message": "No.", "fields": []});
    let settings = json!({"unapproved": another}).to_string();
    assert_eq!(send(&simulator, Method::PUT, "/_simulator/settings", settings).await.unwrap().0, 200);
    assert_eq!(post(&simulator, "/number/order", &order).await.1["error_code"], json!("DOCUMENT_REJECTED"));
}

#[tokio::test]
async fn a_cancelled_number_gets_one_date() {
    let simulator = simulator().await;
    let request = json!({"access_key": KEY, "phone_number": NUMBER});
    let (status, first) = post(&simulator, "/number/cancel", &request).await;
    assert_eq!(status, 200);
    assert!(first["cancellation_date"].as_str().unwrap().parse::<jiff::civil::Date>().is_ok());
    assert_eq!(post(&simulator, "/number/cancel", &request).await, (200, first));
    simulator.set(|settings| settings.cancel_again = false);
    assert_eq!(post(&simulator, "/number/cancel", &request).await.0, 400);
    let foreign = json!({"access_key": KEY, "phone_number": "+4930123456"});
    assert_eq!(post(&simulator, "/number/cancel", &foreign).await.0, 400);
}

#[tokio::test]
async fn the_journal_has_every_request_and_no_secret() {
    let scratch = Scratch::new();
    let file = scratch.path("journal.jsonl");
    let simulator = simulator_with(Options { journal: Some(file.clone()), ..options() }).await;
    post(&simulator, "/verification/create", &verification()).await;
    post(&simulator, "/number/order", &without(order(), "push_url")).await;
    let nested = json!({"access_key": {"deep": KEY}, "more": [{"push_secret": "iwillnottellyou"}]});
    post(&simulator, "/number/order", &nested).await;

    let (_, shown) = send(&simulator, Method::GET, "/_simulator/journal", String::new()).await.unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(shown, Value::Array(lines.clone()));
    assert_eq!(lines.len(), 3);
    let document = verification()["document_data"].as_str().unwrap().to_owned();
    for secret in [KEY, "iwillnottellyou", &document] {
        assert!(!written.contains(secret), "{secret}");
    }
    assert_eq!(lines[0]["body"]["document_data"], json!(sha256(&document)));
    assert_eq!(lines[0]["body"]["city"], json!("Aarbergen"));
    assert_eq!(lines[1]["body"]["access_key"], json!(sha256(KEY)));
    assert_eq!(lines[1]["body"]["push_secret"], json!(sha256("iwillnottellyou")));
    assert_eq!(lines[1]["answer"], json!({"status": 200, "body": {"order_id": "300000"}}));
    assert_eq!(lines[1]["path"], json!("/number/order"));
    assert!(lines[1]["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[tokio::test]
async fn a_request_that_broke_off_is_noted_and_not_processed() {
    let scratch = Scratch::new();
    let file = scratch.path("journal.jsonl");
    let simulator = simulator_with(Options { journal: Some(file.clone()), ..options() }).await;
    let mut stream = TcpStream::connect(simulator.address()).await.unwrap();
    let body = order().to_string();
    let head = format!("POST /number/order HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..body.len() - 1]).await.unwrap();
    until("its arrival", || simulator.journal().pop()).await;
    drop(stream);
    let line =
        until("its line", || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["complete"], &line["body"]), (&json!(false), &json!(null)));
    assert!(simulator.orders().is_empty());
    assert_eq!(simulator.requests("/number/order"), 0);
}

#[tokio::test]
async fn it_speaks_tls_1_2_and_1_3() {
    let scratch = Scratch::new();
    let certificate = scratch.certify();
    let simulator = simulator_with(Options { tls: Some(scratch.tls()), ..options() }).await;
    for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
        let client =
            trusting(&certificate).tls_version_min(version).tls_version_max(version).build().unwrap();
        let url = format!("{}number/order", simulator.url());
        let answer = client.post(url).body(order().to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert!(simulator.url().starts_with("https://127.0.0.1:"));
}

#[tokio::test]
async fn a_reset_forgets_everything() {
    let simulator = simulator().await;
    post(&simulator, "/number/order", &order()).await;
    simulator.set(|settings| settings.bad_key = BadKey::BadCredentials);
    assert_eq!(post(&simulator, "/_simulator/reset", &json!({})).await.0, 200);
    assert!(simulator.orders().is_empty() && simulator.journal().is_empty());
    assert!(simulator.numbers().is_empty() && simulator.documents().is_empty());
    let (_, settings) = send(&simulator, Method::GET, "/_simulator/settings", String::new()).await.unwrap();
    assert_eq!(settings["bad_key"], json!("forbidden"));

    let seed = json!({"verification_id": DOCUMENT});
    assert_eq!(post(&simulator, "/_simulator/documents", &seed).await.0, 200);
    assert_eq!(simulator.documents()[0].state, DocumentState::Approved);
    assert_eq!(post(&simulator, "/_simulator/numbers", &json!({"phone_number": NUMBER})).await.0, 200);
    assert_eq!(post(&simulator, "/number/order", &order()).await.1, json!({"order_id": "300000"}));
}

#[tokio::test]
async fn a_wrong_command_is_told_what_is_wrong() {
    let simulator = simulator().await;
    for (path, body, wrong) in [
        ("/_simulator/faults", json!([{"path": "/number/order", "action": "explode"}]), "explode"),
        ("/_simulator/faults", json!({"path": "/", "action": {"status_after": {"code": 99}}}), "99"),
        ("/_simulator/documents", json!({"state": "lost"}), "lost"),
    ] {
        let (status, answer) = post(&simulator, path, &body).await;
        assert_eq!(status, 400);
        assert!(answer["error"].as_str().unwrap().contains(wrong), "{answer}");
    }
    let unknown =
        send(&simulator, Method::PUT, "/_simulator/settings", json!({"aprove": 1}).to_string()).await;
    assert_eq!(unknown.unwrap().0, 400);
    assert_eq!(post(&simulator, "/_simulator/orders/1/push", &json!({})).await.0, 404);
}

#[tokio::test]
async fn requests_beyond_the_rate_are_answered_429_and_not_processed() {
    let simulator = simulator().await;
    simulator.set(|settings| settings.most_per_second = Some(0));
    assert_eq!(post(&simulator, "/number/order", &order()).await.0, 429);
    assert!(simulator.orders().is_empty() && !simulator.journal()[0].processed);
    simulator.set(|settings| settings.most_per_second = Some(1000));
    assert_eq!(post(&simulator, "/number/order", &order()).await.0, 200);
}
