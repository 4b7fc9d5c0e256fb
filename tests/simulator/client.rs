//! The operator's own client against the simulator: every outcome, and one arrival for each call.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rstest::rstest;
use secrecy::SecretString;
use serde_json::{Value, json};
use tenios_api::digest::sha256;
use tenios_api::pdf::Document;
use tenios_api::{Endpoint, RequestField};
use tenios_provider::{Outcome, PushTarget, Request, SendDeadline, Tenios};
use tenios_simulator::{Action, Fault, Simulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{DOCUMENT, KEY, NUMBER, local, simulator};

const ORDER: &str = "/number/order";
const VERIFICATION: &str = "/verification/create";
pub const SOON: Duration = Duration::from_secs(5);

fn client(url: &str) -> Tenios {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Tenios::new(url.parse().unwrap(), None, Duration::from_millis(700)).unwrap()
}

fn fields<const N: usize>(fields: [(RequestField, &str); N]) -> Vec<(RequestField, String)> {
    fields.map(|(field, value)| (field, value.to_owned())).into()
}

pub fn order() -> Request {
    Request {
        endpoint: Endpoint::OrderNumber,
        fields: fields([
            (RequestField::NumberType, "GEOGRAPHICAL"),
            (RequestField::VerificationId, DOCUMENT),
            (RequestField::LinkToNumber, NUMBER),
        ]),
        document: None,
        push: Some(PushTarget {
            url: "https://push.example.com/push/v1/a/b/c".into(),
            secret: "s".repeat(64).into(),
        }),
    }
}

fn verification(document: &[u8]) -> Request {
    Request {
        endpoint: Endpoint::CreateVerification,
        fields: fields([
            (RequestField::Country, "Germany"),
            (RequestField::City, "Aarbergen"),
            (RequestField::Zip, "50670"),
            (RequestField::Street, "Musterstraße"),
            (RequestField::HouseNumber, "11"),
            (RequestField::AreaCode, "221"),
            (RequestField::DocumentType, "ALLOCATION_NOTICE"),
        ]),
        document: Some((RequestField::DocumentData, Document::new(document.to_vec()).unwrap())),
        push: None,
    }
}

pub async fn send(url: &str, request: &Request) -> Outcome {
    client(url).send(request, &SecretString::from(KEY), SendDeadline::within(SOON)).await
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

#[tokio::test]
async fn every_field_of_an_order_arrives_as_documented() {
    let simulator = simulator().await;
    let outcome = send(simulator.url(), &order()).await;
    assert_eq!(outcome, Outcome::Accepted { id: "300000".into() });
    let expected = json!({
        "access_key": sha256(KEY),
        "number_type": "GEOGRAPHICAL",
        "verification_id": DOCUMENT,
        "link_to_number": NUMBER,
        "push_url": "https://push.example.com/push/v1/a/b/c",
        "push_secret": sha256("s".repeat(64)),
    });
    assert_eq!(body(&simulator), expected);
}

fn body(simulator: &Simulator) -> Value {
    serde_json::to_value(simulator.journal().last().unwrap()).unwrap()["body"].clone()
}

/// Around the size of the pieces that the document is encoded in.
#[rstest]
#[case(10)]
#[case(11)]
#[case(12)]
#[case(24 * 1024 - 1)]
#[case(24 * 1024)]
#[case(24 * 1024 + 1)]
#[case(Document::LIMIT)]
#[tokio::test]
async fn a_document_arrives_in_base64_whatever_its_length(#[case] length: usize) {
    let mut document = b"%PDF-".to_vec();
    document.extend((document.len()..length - 5).map(|n| u8::try_from(n % 251).unwrap()));
    document.extend(b"%%EOF");
    let simulator = simulator().await;
    let outcome = send(simulator.url(), &verification(&document)).await;
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    let expected = json!({
        "access_key": sha256(KEY),
        "country": "Germany",
        "city": "Aarbergen",
        "zip": "50670",
        "street": "Musterstraße",
        "house_number": "11",
        "document_type": "ALLOCATION_NOTICE",
        "area_code": "221",
        "document_data": sha256(STANDARD.encode(&document)),
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
#[case::too_many(429, None, Some(0))]
#[case::too_many_for_a_while(429, Some("7"), Some(7))]
#[case::unavailable_for_a_while(503, Some("3"), Some(3))]
#[case::unavailable_for_who_knows(503, Some("soon"), Some(0))]
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
    for request in [order(), verification(b"%PDF-1.7 %%EOF")] {
        let client = client(simulator.url());
        let outcome =
            client.send(&request, &SecretString::from(KEY), SendDeadline::within(Duration::ZERO)).await;
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
    let outcome = send(&url, &verification(b"%PDF-1.7 %%EOF")).await;
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
