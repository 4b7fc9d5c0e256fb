//! What the tests have in common.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use reqwest::Certificate;
use serde_json::{Value, json};
use tenios_http_server::{Server, Tls, read_body};
use tenios_simulator::{Options, Simulator};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const KEY: &str = "XXXXX-XXXX-XXXXXX";
/// The document of the provider's examples.
pub const DOCUMENT: &str = "5b7a8d2a-a09f-4dc5-9924-93829c13fe18";
/// The account's number in the provider's examples.
pub const NUMBER: &str = "+49888888";

pub fn local() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub fn options() -> Options {
    Options { assign_after: Duration::ZERO, plain_push: true, ..Options::new(KEY) }
}

/// A simulator with the document and the number of the provider's examples.
pub async fn simulator() -> Simulator {
    simulator_with(options()).await
}

pub async fn simulator_with(options: Options) -> Simulator {
    let simulator = Simulator::start(local(), options).await.unwrap();
    simulator.approve(DOCUMENT.parse().unwrap());
    simulator.add_number(NUMBER);
    simulator
}

pub fn client() -> reqwest::Client {
    client_builder().build().unwrap()
}

pub fn client_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(10))
}

pub fn trusting(certificate: &str) -> reqwest::ClientBuilder {
    client_builder().tls_certs_only([Certificate::from_pem(certificate.as_bytes()).unwrap()])
}

/// Status and body; the body is null where it is not JSON.
pub async fn post(simulator: &Simulator, path: &str, body: &Value) -> (u16, Value) {
    try_post(simulator, path, body).await.unwrap()
}

pub async fn try_post(
    simulator: &Simulator,
    path: &str,
    body: &Value,
) -> Result<(u16, Value), reqwest::Error> {
    send(simulator, reqwest::Method::POST, path, body.to_string()).await
}

pub async fn send(
    simulator: &Simulator,
    method: reqwest::Method,
    path: &str,
    body: String,
) -> Result<(u16, Value), reqwest::Error> {
    let url = format!("{}{}", simulator.url(), path.trim_start_matches('/'));
    let response = client().request(method, url).body(body).send().await?;
    let status = response.status().as_u16();
    let body = response.bytes().await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
}

/// The valid request of the page, with a PDF in place of its PNG.
pub fn verification() -> Value {
    json!({
        "access_key": KEY,
        "country": "Germany",
        "city": "Aarbergen",
        "zip": "50670",
        "street": "Musterstr.",
        "house_number": "11",
        "document_type": "ALLOCATION_NOTICE",
        "area_code": "221",
        "document_data": STANDARD.encode("%PDF-1.7 a document %%EOF"),
    })
}

/// The valid request of the page.
pub fn order() -> Value {
    json!({
        "access_key": KEY,
        "number_type": "GEOGRAPHICAL",
        "verification_id": DOCUMENT,
        "link_to_number": NUMBER,
        "push_url": "https://www.example.com/order-success",
        "push_secret": "iwillnottellyou",
    })
}

pub fn order_to(push_url: &str) -> Value {
    with(order(), "push_url", push_url)
}

pub fn with(mut body: Value, field: &str, value: impl Into<Value>) -> Value {
    body[field] = value.into();
    body
}

pub fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

/// Waits for a condition. The limit only decides how late a failure is seen.
pub async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A receiver of pushes. It answers with what it was told to, in turn, and then with 200.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Value>>>,
    _stop: DropGuard,
}

impl Receiver {
    pub async fn start(answers: &[u16]) -> Self {
        Self::serve(Server::bind(local()).await.unwrap(), "http", answers)
    }

    pub fn serve(server: Server, scheme: &str, answers: &[u16]) -> Self {
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.iter().copied().rev().collect::<Vec<_>>()));
        let stop = CancellationToken::new();
        let url = format!("{scheme}://localhost:{}/order-success", server.local_addr().port());
        let handler = {
            let received = received.clone();
            move |request: http::Request<_>| {
                let (received, answers) = (received.clone(), answers.clone());
                async move {
                    let body = read_body(request.into_body(), 4096).await.unwrap();
                    received.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    let status = answers.lock().unwrap().pop().unwrap_or(200);
                    let mut response = Response::new(Full::new(Bytes::from_static(b"noted")));
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    response
                }
            }
        };
        tokio::spawn(server.run(handler, stop.clone()));
        Self { url, received, _stop: stop.drop_guard() }
    }

    pub fn received(&self) -> Vec<Value> {
        self.received.lock().unwrap().clone()
    }

    pub async fn wait_for(&self, count: usize) -> Vec<Value> {
        until("a push", || Some(self.received()).filter(|received| received.len() >= count)).await
    }
}

/// A directory that goes away with the test.
pub struct Scratch(harness::Scratch);

impl Scratch {
    pub fn new() -> Self {
        Self(harness::Scratch::new())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a new certificate for this machine and its key; returns the certificate.
    pub fn certify(&self) -> String {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        std::fs::write(self.path("tls.crt"), pair.cert.pem()).unwrap();
        std::fs::write(self.path("tls.key"), pair.signing_key.serialize_pem()).unwrap();
        pair.cert.pem()
    }

    pub fn tls(&self) -> Tls {
        Tls::from_files(&self.path("tls.crt"), &self.path("tls.key")).unwrap()
    }
}
