//! The server's bounds, against clients that keep it waiting.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use rstest::rstest;
use tenios_http_server::{BodyError, Limits, RequestBody, Server, Tls, TlsError, read_body};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::*;

const BODY_LIMIT: usize = 1024;
const GOOD: &str = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nping";

/// Answers with what it was sent; `/slow` takes 300 ms, `/never` for ever.
async fn echo(request: http::Request<RequestBody>) -> Response<Full<Bytes>> {
    let slow = request.uri().path() == "/slow";
    if request.uri().path() == "/never" {
        std::future::pending::<()>().await;
    }
    let (status, body) = match read_body(request.into_body(), BODY_LIMIT).await {
        Ok(body) => (StatusCode::OK, body),
        Err(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, Bytes::new()),
        Err(BodyError::Broken) => (StatusCode::BAD_REQUEST, Bytes::new()),
    };
    if slow {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

fn patient() -> Limits {
    let long = Duration::from_secs(60);
    Limits { connections: 32, header_timeout: long, request_timeout: long, ..Limits::default() }
}

fn hasty() -> Limits {
    let short = Duration::from_millis(200);
    Limits { header_timeout: short, request_timeout: short, ..Limits::default() }
}

async fn start(limits: Limits) -> (SocketAddr, DropGuard) {
    run(Server::bind(local()).await.unwrap().with_limits(limits))
}

fn run(server: Server) -> (SocketAddr, DropGuard) {
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.run(echo, stop.clone()));
    (address, stop.drop_guard())
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have closed already.
    let _ = stream.write_all(text.as_bytes()).await;
    stream
}

/// All that comes until the server closes; a reset is an end, too.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await.expect("the server must close");
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn assert_good_request_passes(address: SocketAddr) {
    let answer = rest(connect(address, GOOD).await).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ping"), "{answer}");
}

#[tokio::test]
async fn a_thousand_silent_connections_do_not_keep_a_request_out() {
    let (address, _stop) = start(patient()).await;
    let mut silent = VecDeque::new();
    for _ in 0..1000 {
        silent.push_back(TcpStream::connect(address).await.unwrap());
        // So many files may not be open at once everywhere.
        if silent.len() > 400 {
            silent.pop_front();
        }
    }
    assert_good_request_passes(address).await;
    assert_eq!(rest(silent.pop_front().unwrap()).await, "", "the oldest ones had to go");
}

#[tokio::test]
async fn slow_bodies_do_not_keep_a_request_out() {
    let (address, _stop) = start(patient()).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        slow.push(connect(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab").await);
    }
    assert_good_request_passes(address).await;
}

#[tokio::test]
async fn a_complete_request_keeps_its_seat() {
    let server = Server::bind(local()).await.unwrap().with_limits(Limits { connections: 1, ..patient() });
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (entered, release) = (entered.clone(), release.clone());
        move |request| {
            let (entered, release) = (entered.clone(), release.clone());
            async move {
                entered.notify_one();
                release.notified().await;
                echo(request).await
            }
        }
    };
    tokio::spawn(server.run(handler, stop.clone()));
    let _stop = stop.drop_guard();
    let first = connect(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    entered.notified().await;
    assert_eq!(rest(connect(address, GOOD).await).await, "");
    release.notify_one();
    assert!(rest(first).await.starts_with("HTTP/1.1 200 "));
    release.notify_one();
    assert_good_request_passes(address).await;
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let (address, _stop) = start(hasty()).await;
    assert_eq!(rest(connect(address, "").await).await, "");
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let (address, _stop) = start(hasty()).await;
    let mut stream = connect(address, "POST / HTTP/1.1\r\n").await;
    let start = Instant::now();
    while stream.write_all(b"x: y\r\n").await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_good_request_passes(address).await;
}

#[tokio::test]
async fn a_body_that_trickles_in_is_cut_off() {
    let (address, _stop) = start(hasty()).await;
    let stream = connect(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\nab").await;
    assert!(rest(stream).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (address, _stop) = start(patient()).await;
    let mut stream = connect(address, "GET / HTTP/1.1\r\nhost: x\r\nlong: ").await;
    let _ = stream.write_all(&vec![b'a'; 200 * 1024]).await;
    let answer = rest(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "a".repeat(17 * 1024);
    let stream = connect(address, &format!("GET / HTTP/1.1\r\nlong: {long}\r\n\r\n")).await;
    assert!(rest(stream).await.starts_with("HTTP/1.1 431 "));
}

/// What the server answers by itself, unless only the handler may speak: then it closes.
#[rstest]
#[case::no_http("hello\r\n\r\n", "400")]
#[case::http_0_9("GET /\r\n\r\n", "400")]
#[case::http_3("GET / HTTP/3.0\r\n\r\n", "400")]
#[case::tls("\u{16}\u{3}\u{1}\r\n\r\n", "400")]
#[case::two_lengths("POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "400")]
#[case::minus_one("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "400")]
#[case::gzip("POST / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", "400")]
#[case::large(&format!("GET / HTTP/1.1\r\nlong: {}\r\n\r\n", "a".repeat(17 * 1024)), "431")]
#[case::many(&format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)), "431")]
#[case::slow_body("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\nab", "408")]
#[case::slow_handler("GET /never HTTP/1.1\r\nhost: x\r\n\r\n", "408")]
#[tokio::test]
async fn p19_where_only_the_handler_may_answer_the_server_closes(
    #[case] request: &str,
    #[case] otherwise: &str,
) {
    let (address, _stop) = start(hasty()).await;
    let answer = rest(connect(address, request).await).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {otherwise} ")), "{answer}");
    let (address, _stop) = start(Limits { library_responses: false, ..hasty() }).await;
    assert_eq!(rest(connect(address, request).await).await, "");
    assert_good_request_passes(address).await;
}

#[tokio::test]
async fn a_body_that_declares_too_much_is_refused_unread() {
    let (address, _stop) = start(patient()).await;
    let stream = connect(address, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\nab").await;
    assert!(rest(stream).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn an_endless_chunked_body_is_refused_and_the_answer_is_not_lost() {
    let (address, _stop) = start(patient()).await;
    let stream = connect(address, "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let (mut read, mut write) = stream.into_split();
    let endless = tokio::spawn(async move {
        let chunk = format!("400\r\n{}\r\n", "a".repeat(0x400));
        while write.write_all(chunk.as_bytes()).await.is_ok() {}
    });
    let mut answer = vec![0; 13];
    read.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413 ");
    tokio::time::timeout(Duration::from_secs(10), endless).await.expect("the server must close").unwrap();
}

#[tokio::test]
async fn pipelined_requests_are_bounded() {
    let many = GOOD.repeat(300);
    for (library_responses, max_requests_per_connection) in [(true, 1), (false, 1), (true, 100)] {
        let (address, _stop) =
            start(Limits { max_requests_per_connection, library_responses, ..patient() }).await;
        let answers = rest(connect(address, &many).await).await;
        assert_eq!(answers.matches("HTTP/1.1 200 ").count(), max_requests_per_connection);
        assert_eq!(answers.matches("connection: close").count(), 1);
    }
}

#[tokio::test]
async fn a_kept_connection_does_not_idle_for_long() {
    let (address, _stop) = start(Limits { max_requests_per_connection: 100, ..hasty() }).await;
    let answers = rest(connect(address, GOOD).await).await;
    assert!(answers.starts_with("HTTP/1.1 200 ") && !answers.contains("connection: close"), "{answers}");
}

#[tokio::test]
async fn a_stop_lets_a_request_end_and_takes_no_other() {
    let server = Server::bind(local()).await.unwrap().with_limits(patient());
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let run = tokio::spawn(server.run(echo, stop.clone()));
    let silent = connect(address, "").await;
    let slow = connect(address, "GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let other = tokio::spawn(rest(slow));
    assert_good_request_passes(address).await;
    stop.cancel();
    assert!(other.await.unwrap().starts_with("HTTP/1.1 200 "));
    tokio::time::timeout(Duration::from_secs(5), run).await.unwrap().unwrap();
    assert_eq!(rest(silent).await, "");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut_off() {
    let scratch = Scratch::new();
    let certificate = scratch.certify();
    let (address, _stop) =
        run(Server::bind(local()).await.unwrap().with_limits(hasty()).with_tls(scratch.tls()));
    assert_eq!(rest(connect(address, "").await).await, "");
    let client = trusting(&certificate).build().unwrap();
    let answer = client.post(format!("https://{address}/")).body("ping").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "ping");
}

#[tokio::test]
async fn a_new_certificate_is_used_and_a_broken_one_is_not() {
    let scratch = Scratch::new();
    let old = scratch.certify();
    let (address, _stop) = run(Server::bind(local()).await.unwrap().with_tls(scratch.tls()));
    let trusted = |certificate: String| async move {
        let client = trusting(&certificate).build().unwrap();
        client.post(format!("https://{address}/")).body("ping").send().await.is_ok()
    };
    assert!(trusted(old.clone()).await);
    std::fs::write(scratch.path("tls.key"), "half a key").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(trusted(old).await, "the former pair stays");
    let new = scratch.certify();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !trusted(new.clone()).await {
        assert!(Instant::now() < deadline, "the new pair is never used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[test]
fn an_unusable_certificate_is_named() {
    let scratch = Scratch::new();
    let (certificate, key) = (scratch.path("tls.crt"), scratch.path("tls.key"));
    let error = || Tls::from_files(&certificate, &key).unwrap_err();
    assert!(matches!(error(), TlsError::Unreadable { .. }));
    scratch.certify();
    std::fs::write(&key, "nothing").unwrap();
    assert!(matches!(error(), TlsError::NotPem { what: "private key", .. }));
    std::fs::write(&key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(error(), TlsError::Unusable { .. }));
}
