//! What the client makes of answers in shapes that nobody documented, and of those that come late.

use std::time::Duration;

use rstest::rstest;
use secrecy::SecretString;
use tenios_provider::{Outcome, SendDeadline, Tenios};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::{SOON, order, send};
use crate::support::{KEY, local};

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
#[case::gzip_that_broke_off(gzip(b"{\"order_id\":\"900004\"}")[..20].to_vec(), "bytes that are not text")]
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

/// Each of these statuses alone says that nothing was placed.
#[rstest]
#[case::refused(400, "")]
#[case::not_found(404, "")]
#[case::too_many(429, "retry-after: 1\r\n")]
#[case::unavailable_for_a_while(503, "retry-after: 1\r\n")]
#[tokio::test]
async fn p03_an_id_under_a_status_that_denies_it_is_unknown_and_shown(
    #[case] status: u16,
    #[case] headers: &str,
) {
    let url = answering(head(status, headers, br#"{"order_id":"900004"}"#), true).await;
    let Outcome::Unknown { why } = send(&url, &order()).await else { panic!("it is known") };
    assert!(why.contains(r#"yet with order_id; the answer says: {"order_id":"900004"}"#), "{why}");
}

/// So is one that nobody can read as the documented answer: it must not be taken for a refusal, after which the same
/// would be ordered again.
#[rstest]
#[case::warnings_around("<br />Notice: x\n{\"order_id\":\"900004\"}".into())]
#[case::listed(r#"{"order_id":["900004"]}"#.into())]
#[case::with_a_blank(r#"{"order_id":"900 004"}"#.into())]
#[case::within(r#"{"data":{"order_id":"900004"}}"#.into())]
#[case::in_a_list(r#"[{"order_id":900004}]"#.into())]
#[case::in_other_letters(r#"{"orderId" : "900004"}"#.into())]
#[case::cut(r#"{"order_id":"9000"#.into())]
#[case::too_long(format!(r#"{{"order_id":"900004","more":"{}"}}"#, "x".repeat(70_000)).into())]
#[case::xml("<answer><order_id>900004</order_id></answer>".into())]
#[case::form("order_id=900004&x=1".into())]
#[case::printed_by_php("Array\n(\n    [order_id] => 900004\n)".into())]
#[case::cut_gzip(gzip(br#"{"order_id":"900004","rest":"0123456789"}"#)[..40].to_vec())]
#[tokio::test]
async fn p03_an_id_in_any_shape_under_a_status_that_denies_it_is_unknown(
    #[case] body: Vec<u8>,
    #[values((404, ""), (429, "retry-after: 1\r\n"), (503, "retry-after: 1\r\n"))] answer: (u16, &str),
) {
    let url = answering(head(answer.0, answer.1, &body), true).await;
    let Outcome::Unknown { why } = send(&url, &order()).await else { panic!("it is known") };
    assert!(why.contains("yet with order_id"), "{why}");
}

#[rstest]
#[case::null(r#"{"error_code":"BAD_CREDENTIALS","order_id":null}"#)]
#[case::empty(r#"{"error_code":"BAD_CREDENTIALS","order_id":""}"#)]
#[case::nothing_within(r#"{"error_code":"BAD_CREDENTIALS","order_id":{}}"#)]
#[case::named(r#"{"error_code":"BAD_CREDENTIALS","error_message":"no order_id","fields":["order_id"]}"#)]
#[case::another_id(r#"{"error_code":"BAD_CREDENTIALS","verification_id":"6a1f"}"#)]
#[tokio::test]
async fn a_refusal_that_has_no_id_is_one(#[case] body: &str) {
    let url = answering(head(400, "", body.as_bytes()), true).await;
    let outcome = send(&url, &order()).await;
    assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.can_pass), "{outcome:?}");
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
#[case::an_empty_envelope_within(r#"{"code":"BAD_CREDENTIALS","message":"No.","data":{}}"#.into(), "No.", &[])]
#[case::something_else_within(r#"{"errorCode":"BAD_CREDENTIALS","message":"No.","data":{"request_id":"x"}}"#.into(), "No.", &[])]
#[case::fields_within(r#"{"code":"BAD_CREDENTIALS","message":"No.","errors":[{"field":"zip"}]}"#.into(), "No.", &["zip"])]
#[case::less_within(r#"{"code":"BAD_CREDENTIALS","message":"No.","errors":[{"field":"zip","message":"x"}]}"#.into(), "No.", &["zip"])]
#[case::status_around(r#"{"code":400,"message":"Bad.","errors":[{"code":"BAD_CREDENTIALS","message":"No."}]}"#.into(), "No.", &[])]
#[case::in_capitals(r#"{"ErrorCode":"BAD_CREDENTIALS","Message":"No.","Fields":["zip"]}"#.into(), "No.", &["zip"])]
#[case::as_a_result(r#"{"result":{"error_code":"BAD_CREDENTIALS","error_message":"No."}}"#.into(), "No.", &[])]
#[case::json_in_json(r#""{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"No.\"}""#.into(), "No.", &[])]
#[case::a_stack_trace_before("#0 {main} thrown\n{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"No.\"}".into(), "No.", &[])]
#[case::taken_for_latin1("{\"error_code\":\"BAD_CREDENTIALS\",\"error_message\":\"isn\u{92}t\"}".into(), "isn t", &[])]
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
#[case::no_text(b"\x00\x01\x02\x03".to_vec(), "HTTP_400", "4 bytes that are not text")]
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

/// Nobody said how long it would be, and its end does not come as it should.
#[rstest]
#[case::whole(r#"{"order_id":"900004"}"#, true)]
#[case::cut(r#"{"order_id":"9000"#, false)]
#[tokio::test]
async fn p03_an_answer_in_chunks_without_the_last_one_has_an_id_if_it_is_whole(
    #[case] body: &str,
    #[case] whole: bool,
) {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let bytes = format!("{head}{:x}\r\n{body}\r\n", body.len()).into_bytes();
    let outcome = send(&answering(bytes, true).await, &order()).await;
    assert_eq!(outcome == Outcome::Accepted { id: "900004".into() }, whole, "{outcome:?}");
    assert_eq!(matches!(outcome, Outcome::Unknown { .. }), !whole, "{outcome:?}");
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
    let roots = tenios_net::Roots::from_file(&scratch.path("tls.crt")).unwrap();
    let client = Tenios::new(url.parse().unwrap(), Some(roots), SOON).unwrap();
    let outcome = client.send(&order(), &SecretString::from(KEY), SendDeadline::within(SOON)).await;
    assert_eq!(outcome, Outcome::Accepted { id: "900004".into() });
    assert_eq!(server.await.unwrap(), Some(rustls::ProtocolVersion::TLSv1_2));
}
