//! Traces, as a collector gets them.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_simulator::{Action, Millis};
use tokio::net::TcpListener;

use crate::testbed::{ORDER, PATIENCE, PDF, Testbed};
use harness::{Scratch, wait};

/// The reconcile that sent it has ended by then.
const LATE: Millis = Millis(1000);

/// What arrived at `/v1/traces`, one span each.
#[derive(Clone, Default)]
pub struct Collector {
    spans: Arc<Mutex<Vec<Value>>>,
    /// The header `api-key` of each export.
    keys: Arc<Mutex<Vec<Option<String>>>>,
}

impl Collector {
    /// Listens; the endpoint.
    pub async fn listen(&self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let collector = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = collector.clone();
                let service = service_fn(move |request| collector.clone().take(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        endpoint
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.uri().path(), "/v1/traces");
        let key = request.headers().get("api-key").map(|key| key.to_str().unwrap().to_owned());
        self.keys.lock().unwrap().push(key);
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let resource = body["resourceSpans"][0]["resource"]["attributes"].as_array().unwrap();
        assert!(resource.iter().any(|attribute| attribute["key"] == "service.instance.id"), "{resource:?}");
        let scope = &body["resourceSpans"][0]["scopeSpans"][0];
        self.spans.lock().unwrap().extend(scope["spans"].as_array().unwrap().clone());
        Ok(Response::new(Full::default()))
    }

    /// All of it, as text.
    pub fn text(&self) -> String {
        serde_json::to_string(&*self.spans.lock().unwrap()).unwrap()
    }

    fn named(&self, name: &str) -> Vec<Value> {
        self.spans.lock().unwrap().iter().filter(|span| span["name"] == name).cloned().collect()
    }
}

fn has(span: &Value, key: &str, value: &str) -> bool {
    let attribute = json!({"key": key, "value": {"stringValue": value}});
    span["attributes"].as_array().unwrap().contains(&attribute)
}

/// A span in a line of the log. A field that is there twice is an error to serde, as it is to some that read logs.
#[derive(serde::Deserialize)]
struct Logged {
    name: String,
    resource: Option<String>,
    attempt: Option<String>,
}

/// The span of each line that has one.
fn logged(log: &str) -> Vec<Logged> {
    #[derive(serde::Deserialize)]
    struct Line {
        span: Option<Logged>,
    }
    let lines = log.lines().filter(|line| line.starts_with('{'));
    let read =
        |line: &str| serde_json::from_str::<Line>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.filter_map(|line| read(line).span).collect()
}

#[tokio::test]
async fn a_line_of_the_log_names_its_span_and_its_resource() {
    let w =
        Testbed::with("log-spans", |o| o.args(["--log-format=json", "--log=info"].map(String::from))).await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    for name in ["provider_call", "push"] {
        wait::until(name, PATIENCE, async || {
            logged(&w.operator.log()).into_iter().find(|span| {
                span.name == name && span.resource.as_deref() == Some("o") && span.attempt.is_some()
            })
        })
        .await;
    }
}

#[tokio::test]
async fn p21_an_order_is_one_trace_from_the_reconcile_to_the_provider_and_its_log_lines_name_it() {
    let collector = Collector::default();
    let endpoint = collector.listen().await;
    let w = Testbed::with("traces", |o| {
        o.args([format!("--otlp-endpoint={endpoint}"), "--log-format=json".into()])
    })
    .await;
    w.approved().await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_at("o", OrderState::Assigned).await;
    let call = wait::until("the call", PATIENCE, async || {
        collector.named("provider_call").into_iter().find(|span| has(span, "endpoint", "number/order"))
    })
    .await;
    for (key, value) in [("resource", "o"), ("kind", "PhoneNumberOrder"), ("outcome", "accepted")] {
        assert!(has(&call, key, value), "{key}: {call}");
    }
    let push = wait::until("the push", PATIENCE, async || collector.named("push").pop()).await;
    assert!(has(&push, "resource", "o") && has(&push, "outcome", "stored"), "{push}");
    assert!(has(&push, "kind", "PhoneNumberOrder"), "{push}");

    let (trace, span) = (call["traceId"].as_str().unwrap(), call["spanId"].as_str().unwrap());
    let sent = w.simulator.journal().into_iter().find(|entry| entry.path == ORDER).unwrap();
    assert_eq!(sent.traceparent, Some(format!("00-{trace}-{span}-01")));
    let called = |line: &&str| line.contains("the provider was called") && line.contains(trace);
    assert_eq!(w.operator.log().lines().filter(called).count(), 1, "{}", w.operator.log());

    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let parent = collector.named("reconcile").into_iter().find(|span| span["spanId"] == call["parentSpanId"]);
    let parent = parent.expect("the reconcile is the parent of its call");
    assert_eq!((&parent["traceId"], parent.get("parentSpanId")), (&call["traceId"], None), "{parent}");
    assert!(has(&parent, "resource", "o"), "{parent}");
    // The numbers of `Span.SpanKind`: internal, server, client.
    assert_eq!([&parent["kind"], &push["kind"], &call["kind"]], [1_i64, 2, 3]);
    let ours = ["reconcile", "provider_call", "push"].map(|name| collector.named(name).len());
    assert_eq!(ours.iter().sum::<usize>(), collector.spans.lock().unwrap().len(), "spans of other crates");
    let all = collector.text();
    let document = String::from_utf8_lossy(PDF);
    for secret in ["test-key", "Domkloster", "push-key-for-tests", &document[..8]] {
        assert!(!all.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn p21_a_collector_gets_the_key_of_the_file_as_it_is_now_and_nobody_else_does() {
    let collector = Collector::default();
    let endpoint = collector.listen().await;
    let files = Scratch::new();
    files.write("headers", "api-key: first-key-of-the-collector\n");
    let headers = format!("--otlp-headers-file={}", files.path().join("headers").display());
    let w = Testbed::with("traces-key", |o| o.args([format!("--otlp-endpoint={endpoint}"), headers])).await;
    let arrived = async |key: &str| {
        let sent = || collector.keys.lock().unwrap().iter().any(|sent| sent.as_deref() == Some(key));
        wait::until(key, PATIENCE, async || sent().then_some(())).await;
    };
    w.plain_order("o").await;
    arrived("first-key-of-the-collector").await;
    files.write("headers", "api-key: second-key-of-the-collector\n");
    w.plain_order("other").await;
    arrived("second-key-of-the-collector").await;
    files.write("headers", "a-key-alone-of-the-collector\n");
    w.plain_order("last").await;
    let told = async || w.operator.log().contains("line 1 is not a header").then_some(());
    wait::until("the word that traces are lost", PATIENCE, told).await;
    assert!(!w.operator.log().contains("-of-the-collector"), "{}", w.operator.log());
}

#[tokio::test]
async fn a_reconcile_does_not_last_as_long_as_the_call_that_it_began() {
    let collector = Collector::default();
    let endpoint = collector.listen().await;
    let w = Testbed::with("traces-late", |o| o.args([format!("--otlp-endpoint={endpoint}")])).await;
    w.faults(ORDER, Action::Delay { ms: LATE });
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.operator.terminate();
    w.operator.exit_status(PATIENCE).await;
    let call = collector.named("provider_call").pop().unwrap();
    let parent = collector.named("reconcile").into_iter().find(|span| span["spanId"] == call["parentSpanId"]);
    let end = |span: &Value| span["endTimeUnixNano"].as_str().unwrap().parse::<u128>().unwrap();
    let parent = parent.unwrap();
    assert!(end(&parent) < end(&call), "{parent}\n{call}");
}

#[tokio::test]
async fn a_collector_that_takes_connections_and_never_answers_does_not_hold_up_the_end() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let w = Testbed::with("mute-collector", |o| o.args([format!("--otlp-endpoint={endpoint}")])).await;
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.operator.terminate();
    assert!(w.operator.exit_status(PATIENCE).await.success());
    assert!(w.operator.log().contains("not all traces were sent"), "{}", w.operator.log());
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nothing_up_and_without_one_nothing_is_traced() {
    let away = Testbed::with("no-collector", |o| o.args(["--otlp-endpoint=http://127.0.0.1:9"])).await;
    let off = Testbed::new("no-traces").await;
    away.plain_order("first").await;
    let told = async || away.operator.log().contains("traces can't be sent").then_some(());
    wait::until("the word that traces are lost", PATIENCE, told).await;
    for w in [&away, &off] {
        // For the collector that is away these are further exports, of which nothing more is said.
        w.plain_order("o").await;
        w.order_at("o", OrderState::Assigned).await;
        w.operator.terminate();
        assert!(w.operator.exit_status(PATIENCE).await.success());
    }
    let log = away.operator.log();
    assert_eq!(log.matches("traces can't be sent").count(), 1, "{log}");
    assert!(log.contains("not all traces were sent"), "{log}");
    let sent = off.simulator.journal().into_iter().find(|entry| entry.path == ORDER).unwrap();
    assert_eq!(sent.traceparent, None);
    assert!(!off.operator.log().contains("trace_id"), "{}", off.operator.log());
}
