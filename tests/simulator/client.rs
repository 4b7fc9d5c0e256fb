//! The operator's own client against the simulator: every outcome, and one arrival for each call.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use tenios_operator::api::PhoneNumber;
use tenios_operator::api::verification::{Address, DocumentType};
use tenios_operator::simulator::{Action, Fault, Simulator, digest};
use tenios_operator::tenios::{Document, Outcome, PushTarget, Request, SendBy, Tenios};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{DOCUMENT, KEY, NUMBER, local, simulator};

const ORDER: &str = "/number/order";
const VERIFICATION: &str = "/verification/create";
const SOON: Duration = Duration::from_secs(5);

fn client(url: &str) -> Tenios {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Tenios::new(url.parse().unwrap(), None, Duration::from_millis(700)).unwrap()
}

pub fn order() -> Request {
    Request::Order {
        number_type: "GEOGRAPHICAL",
        verification_id: DOCUMENT.into(),
        link_to: Some(PhoneNumber::try_from(NUMBER).unwrap()),
        push: Some(PushTarget {
            url: "https://push.example.com/push/v1/a/b/c".into(),
            secret: "s".repeat(64).into(),
        }),
    }
}

fn verification(document: &[u8]) -> Request {
    Request::Verification {
        address: Address {
            country: "Germany".into(),
            city: "Aarbergen".into(),
            zip: "50670".into(),
            street: "Musterstraße".into(),
            house_number: "11".into(),
        },
        area_code: "221".into(),
        document_type: DocumentType::AllocationNotice,
        document: Document::new(document.to_vec()).unwrap(),
    }
}

async fn send(url: &str, request: &Request) -> Outcome {
    client(url).send(request, &SecretString::from(KEY), SendBy::within(SOON)).await
}

fn action(action: Value) -> Action {
    serde_json::from_value(action).unwrap()
}

/// What becomes of an order under this fault. However it ends, it arrived once.
async fn order_under(fault: Value) -> Outcome {
    let simulator = simulator().await;
    simulator.fault(Fault::once(ORDER, action(fault)));
    let outcome = send(simulator.url(), &order()).await;
    assert_eq!(simulator.requests(ORDER), 1, "{outcome:?}");
    outcome
}

#[tokio::test]
async fn what_was_seen_is_said_with_its_cause_once() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{closed}");
    assert_eq!(client(&url).timeout(), Duration::from_millis(700));
    let Outcome::NotProcessed { why, .. } = send(&url, &order()).await else { panic!("nothing was there") };
    assert!(
        why.contains("error sending request") && why.to_lowercase().contains("connection refused"),
        "{why}"
    );
    assert_eq!(why.matches("tcp connect error").count(), 1, "{why}");
}

#[tokio::test]
async fn the_length_of_a_request_is_told_before_it() {
    let listener = tokio::net::TcpListener::bind(local()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 1024];
        let read = stream.read(&mut head).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"order_id\":\"42\"}")
            .await
            .unwrap();
        String::from_utf8_lossy(&head[..read]).to_lowercase()
    });
    let outcome = send(&url, &order()).await;
    assert_eq!(outcome, Outcome::Accepted { id: "42".into() });
    let head = server.await.unwrap();
    assert!(head.contains("\r\ncontent-length: ") && !head.contains("chunked"), "{head}");
}

#[test]
fn each_outcome_has_its_label() {
    let unknown = Outcome::Unknown { why: String::new() };
    let not_processed = Outcome::NotProcessed { why: String::new(), retry_after: None };
    let labels = [Outcome::Accepted { id: String::new() }, not_processed, unknown].map(|o| o.label());
    assert_eq!(labels, ["accepted", "not_processed", "unknown"]);
}

#[tokio::test]
async fn every_field_of_an_order_arrives_as_documented() {
    let simulator = simulator().await;
    let outcome = send(simulator.url(), &order()).await;
    assert_eq!(outcome, Outcome::Accepted { id: "300000".into() });
    let expected = json!({
        "access_key": digest(KEY),
        "number_type": "GEOGRAPHICAL",
        "verification_id": DOCUMENT,
        "link_to_number": NUMBER,
        "push_url": "https://push.example.com/push/v1/a/b/c",
        "push_secret": digest(&"s".repeat(64)),
    });
    assert_eq!(body(&simulator), expected);
}

fn body(simulator: &Simulator) -> Value {
    serde_json::to_value(simulator.journal().last().unwrap()).unwrap()["body"].clone()
}

/// Around the size of the pieces that the document is encoded in.
#[rstest]
#[case(5)]
#[case(6)]
#[case(7)]
#[case(24 * 1024 - 1)]
#[case(24 * 1024)]
#[case(24 * 1024 + 1)]
#[case(Document::LIMIT)]
#[tokio::test]
async fn a_document_arrives_in_base64_whatever_its_length(#[case] length: usize) {
    let mut document = b"%PDF-".to_vec();
    document.extend((document.len()..length).map(|n| u8::try_from(n % 251).unwrap()));
    let simulator = simulator().await;
    let outcome = send(simulator.url(), &verification(&document)).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    let expected = json!({
        "access_key": digest(KEY),
        "country": "Germany",
        "city": "Aarbergen",
        "zip": "50670",
        "street": "Musterstraße",
        "house_number": "11",
        "document_type": "ALLOCATION_NOTICE",
        "area_code": "221",
        "document_data": digest(&STANDARD.encode(&document)),
    });
    assert_eq!(body(&simulator), expected);
    assert_eq!(simulator.requests(VERIFICATION), 1);
}

#[rstest]
#[case::empty(vec![], "is empty")]
#[case::text(b"hello".to_vec(), "is not a PDF")]
#[case::large(vec![b'%'; Document::LIMIT + 1], "1000001 bytes")]
fn what_can_not_be_sent_is_no_document(#[case] bytes: Vec<u8>, #[case] named: &str) {
    let why = Document::new(bytes).unwrap_err();
    assert!(why.contains(named), "{why}");
}

#[rstest]
#[case::text(json!({"body_after": {"body": r#"{"order_id":"42"}"#}}), "42")]
#[case::number(json!("numeric_order_id"), "300000")]
#[case::more_fields(json!("extra_fields"), "300000")]
#[case::created(json!({"status_after": {"code": 201, "body": {"order_id": "7"}}}), "7")]
#[case::long(json!({"body_after": {"body": json!({"order_id": "x".repeat(128)}).to_string()}}), &"x".repeat(128))]
#[case::a_float_that_is_whole(json!({"body_after": {"body": r#"{"order_id":42.0}"#}}), "42")]
#[case::just_fits(json!({"huge": {"bytes": 60_000}}), "300000")]
#[tokio::test]
async fn an_accepted_order_has_its_id(#[case] fault: Value, #[case] id: &str) {
    assert_eq!(order_under(fault).await, Outcome::Accepted { id: id.into() });
}

fn answer(code: u16) -> Value {
    json!({"status_after": {"code": code}})
}

fn says(body: &str) -> Value {
    json!({"body_after": {"body": body}})
}

#[rstest]
#[case::reset_before(json!("drop_before"))]
#[case::reset_after(json!("drop_after"))]
#[case::silence(json!("hang"))]
#[case::cut(json!("cut"))]
#[case::empty(json!("empty"))]
#[case::huge(json!({"huge": {}}))]
#[case::a_little_too_large(json!({"huge": {"bytes": 66_000}}))]
#[case::not_json(says("ok"))]
#[case::no_id(says("{}"))]
#[case::null(says(r#"{"order_id":null}"#))]
#[case::empty_id(says(r#"{"order_id":""}"#))]
#[case::blank(says(r#"{"order_id":"4 2"}"#))]
#[case::too_long(says(&json!({"order_id": "x".repeat(129)}).to_string()))]
#[case::negative(says(r#"{"order_id":-1}"#))]
#[case::broken(says(r#"{"order_id":1.5}"#))]
#[case::a_list(says(r#"{"order_id":["42"]}"#))]
#[case::moved(json!({"redirect": {"code": 301, "location": "/number/order"}}))]
#[case::see_other(json!({"redirect": {"code": 303, "location": "/number/order"}}))]
#[case::kept(json!({"redirect": {"code": 308, "location": "/number/order"}}))]
#[case::timed_out(answer(408))]
#[case::in_conflict(answer(409))]
#[case::too_early(answer(425))]
#[case::client_left(answer(499))]
#[case::failed(answer(500))]
#[case::bad_gateway(answer(502))]
#[case::bare_unavailable(answer(503))]
#[case::gateway_timed_out(answer(504))]
#[case::beyond(answer(599))]
#[tokio::test]
async fn p03_p05_what_is_ambiguous_is_unknown_after_one_arrival(#[case] fault: Value) {
    let redirect = fault["redirect"].is_object();
    let Outcome::Unknown { why } = order_under(fault).await else { panic!("it is known") };
    assert_eq!(why.contains("a redirect, which is not followed"), redirect, "{why}");
}

#[rstest]
#[case::too_many(429, None, None)]
#[case::too_many_for_a_while(429, Some("7"), Some(7))]
#[case::unavailable_for_a_while(503, Some("3"), Some(3))]
#[case::unavailable_for_who_knows(503, Some("soon"), None)]
#[tokio::test]
async fn p04_what_the_provider_asks_to_try_later_was_not_processed(
    #[case] code: u16,
    #[case] asked: Option<&str>,
    #[case] expected: Option<u32>,
) {
    let headers: serde_json::Map<String, Value> =
        asked.map(|value| ("Retry-After".into(), value.into())).into_iter().collect();
    let outcome = order_under(json!({"status_before": {"code": code, "headers": headers}})).await;
    let Outcome::NotProcessed { retry_after, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(retry_after, expected);
}

#[rstest]
#[case::documented("NUMBER_ORDER_ILLEGAL_NUMBER_TYPE", 400, false)]
#[case::verification("NUMBER_ORDER_VERIFICATION_ID_NOT_VALID", 400, true)]
#[case::link("NUMBER_ORDER_WRONG_LINK_NUMBER", 400, true)]
#[case::key("BAD_CREDENTIALS", 400, true)]
#[case::forbidden("ANYTHING", 403, true)]
#[case::not_found("ANYTHING", 404, true)]
#[case::undocumented("NO_CREDIT", 402, false)]
#[tokio::test]
async fn a_refusal_says_what_was_said(#[case] code: &str, #[case] status: u16, #[case] can_pass: bool) {
    let body = json!({"error_code": code, "error_message": "Not\u{7} so.", "fields": ["link_to_number"]});
    let outcome = order_under(json!({"status_before": {"code": status, "body": body}})).await;
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.code.as_str(), refusal.can_pass), (code, can_pass));
    assert_eq!((refusal.message.as_str(), refusal.fields), ("Not so.", vec!["link_to_number".to_owned()]));
}

#[rstest]
#[case::no_body(json!(""))]
#[case::no_json(json!("<html>"))]
#[case::no_code(json!({"error_message": ""}))]
#[case::empty_code(json!({"error_code": ""}))]
#[case::blank_code(json!({"error_code": "NO CODE"}))]
#[case::long_code(json!({"error_code": "X".repeat(129)}))]
#[case::null_code(json!({"error_code": null, "fields": null}))]
#[tokio::test]
async fn a_refusal_without_a_usable_code_is_named_by_its_status(#[case] body: Value) {
    let outcome = order_under(json!({"status_before": {"code": 422, "body": body}})).await;
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.code.as_str(), refusal.can_pass), ("HTTP_422", false));
}

#[tokio::test]
async fn a_refusal_is_kept_bounded() {
    let body = json!({
        "error_code": "Y".repeat(128),
        "error_message": "m".repeat(513),
        "fields": vec!["g".repeat(65); 17],
    });
    let outcome = order_under(json!({"status_before": {"code": 400, "body": body}})).await;
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    assert_eq!((refusal.code.len(), refusal.message.len(), refusal.fields.len()), (128, 512, 16));
    assert!(refusal.fields.iter().all(|field| field.len() == 64));
}

#[tokio::test]
async fn p04_who_can_not_be_reached_has_not_processed_anything() {
    let nobody = tokio::net::TcpListener::bind(local()).await.unwrap().local_addr().unwrap();
    let silent = tokio::net::TcpListener::bind(local()).await.unwrap();
    for url in [
        format!("http://{nobody}"),
        "http://tenios.invalid".to_owned(),
        // It takes the connection and never answers the TLS handshake.
        format!("https://{}", silent.local_addr().unwrap()),
    ] {
        let outcome = send(&url, &order()).await;
        assert!(matches!(outcome, Outcome::NotProcessed { .. }), "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn p02_a_request_that_is_due_no_more_does_not_leave() {
    let simulator = simulator().await;
    for request in [order(), verification(b"%PDF-1.7")] {
        let client = client(simulator.url());
        let outcome = client.send(&request, &SecretString::from(KEY), SendBy::within(Duration::ZERO)).await;
        assert!(matches!(outcome, Outcome::NotProcessed { .. }), "{outcome:?}");
    }
    assert!(simulator.orders().is_empty() && simulator.documents().len() == 1, "only what was there before");
}

/// An answer before the request is complete counts as any other answer.
#[tokio::test]
async fn an_early_answer_is_an_answer() {
    let listener = tokio::net::TcpListener::bind(local()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 64];
        stream.read_exact(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 429 Slow Down\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let outcome = send(&url, &verification(b"%PDF-1.7")).await;
    assert!(matches!(outcome, Outcome::NotProcessed { .. }), "{outcome:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn a_base_url_may_have_a_path_and_a_slash() {
    let simulator = simulator().await;
    for url in [
        format!("{}/api/", simulator.url().trim_end_matches('/')),
        format!("{}/api", simulator.url().trim_end_matches('/')),
    ] {
        let _ = send(&url, &order()).await;
        assert_eq!(simulator.journal().last().unwrap().path, "/api/number/order");
    }
}

/// A server that answers one request with these bytes, and closes the connection if it is told to.
async fn answering(bytes: Vec<u8>, close: bool) -> String {
    let listener = tokio::net::TcpListener::bind(local()).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(&bytes).await.unwrap();
        if !close {
            // Until the client has had enough.
            let _ = stream.read(&mut [0]).await;
        }
    });
    url
}

fn head(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n").as_bytes(), body].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[rstest]
#[case::byte_order_mark("", "\u{feff}{\"order_id\":\"900004\"}".into())]
#[case::blanks("", r#"{"order_id":" 900004 "}"#.into())]
#[case::no_break_spaces("", "{\"order_id\":\"\u{a0}900004\u{feff}\"}".into())]
#[case::utf16(
    "content-type: application/json; charset=utf-16\r\n",
    utf16("\u{feff}{\"order_id\":\"900004\"}")
)]
#[case::latin1("", b"{\"order_id\":\"900004\",\"city\":\"K\xf6ln\"}".to_vec())]
#[case::gzip("content-encoding: gzip\r\n", gzip(b"{\"order_id\":\"900004\"}"))]
#[case::gzip_that_nobody_named("", gzip(b"{\"order_id\":\"900004\"}"))]
#[case::gzip_that_was_taken_off("content-encoding: gzip\r\n", b"{\"order_id\":\"900004\"}".to_vec())]
#[tokio::test]
async fn an_id_is_read_whatever_its_answer_went_through(#[case] headers: &str, #[case] body: Vec<u8>) {
    let url = answering(head(200, headers, &body), true).await;
    assert_eq!(send(&url, &order()).await, Outcome::Accepted { id: "900004".into() });
}

#[rstest]
#[case::gzip_that_broke_off(gzip(b"{\"order_id\":\"900004\"}")[..20].to_vec(), "bytes that are no text")]
#[case::another_name(br#"{"orderId":"900004"}"#.to_vec(), r#"the answer says: {"orderId":"900004"}"#)]
#[case::two_of_them(br#"{"order_id":["1","2"]}"#.to_vec(), r#"the answer says: {"order_id":["1","2"]}"#)]
#[case::a_page(b"<html><title>Wartung</title>".to_vec(), "the answer says: Wartung")]
#[case::a_quote(format!(r#"{{"echo":"{KEY}"}}"#).into_bytes(), r#"the answer says: {"echo":"<access_key>"}"#)]
#[tokio::test]
async fn p03_p21_an_answer_that_has_no_id_is_unknown_and_shown(#[case] body: Vec<u8>, #[case] shown: &str) {
    let url = answering(head(200, "", &body), true).await;
    let Outcome::Unknown { why } = send(&url, &order()).await else { panic!("it is known") };
    assert!(why.contains(shown), "{why}");
}

/// Each of these says `BAD_CREDENTIALS`, which is tried again by itself.
#[rstest]
#[case::fields_null(r#"{"error_code":"BAD_CREDENTIALS","error_message":"No.","fields":null}"#.into(), "No.", &[])]
#[case::fields_text(r#"{"error_code":"BAD_CREDENTIALS","error_message":"No.","fields":"zip, city"}"#.into(), "No.", &["zip", "city"])]
#[case::fields_object(r#"{"error_code":"BAD_CREDENTIALS","error_message":"No.","fields":{"zip":"bad"}}"#.into(), r#"No.: {"zip":"bad"}"#, &["zip"])]
#[case::fields_of_null(r#"{"error_code":"BAD_CREDENTIALS","error_message":"No.","fields":[null]}"#.into(), "No.", &[])]
#[case::fields_mixed(r#"{"error_code":"BAD_CREDENTIALS","error_message":"No.","fields":[{"name":"zip"},null,["city"],7]}"#.into(), "No.", &["zip", "city", "7"])]
#[case::message_number(r#"{"error_code":"BAD_CREDENTIALS","error_message":7}"#.into(), "7", &[])]
#[case::message_null(r#"{"error_code":"BAD_CREDENTIALS","error_message":null}"#.into(), "", &[])]
#[case::message_list(r#"{"error_code":"BAD_CREDENTIALS","error_message":["No.","Never."]}"#.into(), "No.; Never.", &[])]
#[case::message_object(r#"{"error_code":"BAD_CREDENTIALS","error_message":{"de":"Nein."}}"#.into(), r#"{"de":"Nein."}"#, &[])]
#[case::code_in_a_list(r#"{"error_code":["BAD_CREDENTIALS"],"error_message":"No."}"#.into(), "No.", &[])]
#[case::code_with_blanks("{\"error_code\":\" BAD_CREDENTIALS\\n\",\"error_message\":\"No.\"}".into(), "No.", &[])]
#[case::other_names(r#"{"errorCode":"BAD_CREDENTIALS","message":"No."}"#.into(), "No.", &[])]
#[case::nested(r#"{"error":{"code":"BAD_CREDENTIALS","message":"No."}}"#.into(), "No.", &[])]
#[case::listed(r#"{"errors":[{"code":"BAD_CREDENTIALS","message":"No.","field":"zip"}]}"#.into(), "No.", &["zip"])]
#[case::warnings_around(
    "<br /><b>Warning</b>: x in y\n{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"No.\"}\n<br />".into(),
    "No.",
    &[]
)]
#[case::byte_order_mark("\u{feff}{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"No.\"}".into(), "No.", &[])]
#[case::latin1(b"{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"Schl\xfcssel\"}".to_vec(), "Schlüssel", &[])]
#[case::gzip(gzip(br#"{"error_code":"BAD_CREDENTIALS","error_message":"No."}"#), "No.", &[])]
#[tokio::test]
async fn a_refusal_in_another_shape_keeps_its_code_message_and_fields(
    #[case] body: Vec<u8>,
    #[case] message: &str,
    #[case] fields: &[&str],
) {
    let url = answering(head(400, "", &body), true).await;
    let Outcome::Refused(refusal) = send(&url, &order()).await else { panic!("it was refused") };
    assert_eq!((refusal.code.as_str(), refusal.can_pass), ("BAD_CREDENTIALS", true), "{refusal:?}");
    assert_eq!(
        (refusal.message.as_str(), refusal.fields),
        (message, fields.iter().map(ToString::to_string).collect())
    );
}

#[rstest]
#[case::a_number(br#"{"error_code":4711,"error_message":"No."}"#.to_vec(), "4711", "No.")]
#[case::a_bool(br#"{"error_code":false}"#.to_vec(), "false", "")]
#[case::no_code(br#"{"error_code":"NO CODE","error_message":"No."}"#.to_vec(), "HTTP_400", "NO CODE: No.")]
#[case::a_page(b"<html><head><title>400 Bad Request</title></head><body>K\xf6ln".to_vec(), "HTTP_400", "400 Bad Request Köln")]
#[case::a_text(b"no such\nverification".to_vec(), "HTTP_400", "no such verification")]
#[case::other_json(br#"{"ok":false}"#.to_vec(), "HTTP_400", r#"{"ok":false}"#)]
#[case::no_text(b"\x00\x01\x02\x03".to_vec(), "HTTP_400", "4 bytes that are no text")]
#[case::nothing(Vec::new(), "HTTP_400", "")]
#[tokio::test]
async fn a_refusal_that_can_not_be_read_shows_what_arrived(
    #[case] body: Vec<u8>,
    #[case] code: &str,
    #[case] message: &str,
) {
    let url = answering(head(400, "", &body), true).await;
    let Outcome::Refused(refusal) = send(&url, &order()).await else { panic!("it was refused") };
    assert_eq!((refusal.code.as_str(), refusal.message.as_str(), refusal.can_pass), (code, message, false));
}

/// A server that says neither how long its answer is nor that it is at its end.
#[rstest]
#[case::whole(r#"{"order_id":"900004"}"#, Some("900004"))]
#[case::cut(r#"{"order_id":"9000"#, None)]
#[tokio::test]
async fn a_whole_answer_on_a_connection_that_stays_open_has_its_id(
    #[case] body: &str,
    #[case] id: Option<&str>,
) {
    let url = answering(format!("HTTP/1.1 200 OK\r\n\r\n{body}").into_bytes(), false).await;
    match (send(&url, &order()).await, id) {
        (Outcome::Accepted { id }, Some(expected)) => assert_eq!(id, expected),
        (Outcome::Unknown { .. }, None) => {}
        (outcome, _) => panic!("{outcome:?}"),
    }
}

/// More was promised than came: what is there may be the half of something else.
#[tokio::test]
async fn p03_an_answer_shorter_than_it_says_is_unknown_when_the_time_is_over() {
    let body = br#"{"order_id":"900004"}"#;
    let bytes = [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", &body[..]].concat();
    let outcome = send(&answering(bytes, false).await, &order()).await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
}

/// The process stands still, as in a virtual machine that is suspended, while the answer comes.
#[tokio::test]
async fn p10_an_answer_that_came_while_the_time_ran_out_is_read() {
    let listener = std::net::TcpListener::bind(local()).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (arrived, seen) = std::sync::mpsc::channel();
    let (go, told) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        arrived.send(()).unwrap();
        told.recv().unwrap();
        // Larger than what is read at once.
        let padding = " ".repeat(60_000);
        stream.write_all(&head(200, "", format!("{{\"order_id\":\"900004\"}}{padding}").as_bytes())).unwrap();
    });
    let sending = tokio::spawn(async move { send(&url, &order()).await });
    while seen.try_recv().is_err() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    // Nothing else runs on this thread meanwhile: the limit of this client is 700 ms.
    std::thread::sleep(Duration::from_millis(900));
    server.join().unwrap();
    assert_eq!(sending.await.unwrap(), Outcome::Accepted { id: "900004".into() });
}

/// TENIOS speaks nothing newer (`docs/provider-api.md`).
#[tokio::test]
async fn a_provider_that_speaks_tls_1_2_only_is_reached() {
    use rustls::pki_types::pem::PemObject;
    let scratch = crate::support::Scratch::new();
    scratch.certify();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let chain = vec![rustls::pki_types::CertificateDer::from_pem_file(scratch.path("tls.crt")).unwrap()];
    let key = rustls::pki_types::PrivateKeyDer::from_pem_file(scratch.path("tls.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS12])
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind(local()).await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            let mut piece = [0; 4096];
            let read = stream.read(&mut piece).await.unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(&head(200, "", br#"{"order_id":"900004"}"#)).await.unwrap();
        stream.shutdown().await.unwrap();
        stream.get_ref().1.protocol_version()
    });
    let roots = tenios_operator::net::Roots::from_file(&scratch.path("tls.crt")).unwrap();
    let client = Tenios::new(url.parse().unwrap(), Some(roots), SOON).unwrap();
    let outcome = client.send(&order(), &SecretString::from(KEY), SendBy::within(SOON)).await;
    assert_eq!(outcome, Outcome::Accepted { id: "900004".into() });
    assert_eq!(server.await.unwrap(), Some(rustls::ProtocolVersion::TLSv1_2));
}
