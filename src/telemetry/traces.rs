//! Traces over OTLP/HTTP, in its JSON form. Off unless an endpoint is given; then no layer is installed, no
//! task runs and no header is sent.
//!
//! Written here instead of taken from the `opentelemetry` crates: those bring some thirty further crates for one
//! message of the protocol (opentelemetry.io/docs/specs/otlp, 1.x). What is traced are the spans that the
//! logs have, too: a reconcile, a call to TENIOS, a push. They declare every field that is exported, and none of
//! them is a secret (promise 21).

use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// Spans that wait to be exported, at most; more are dropped and counted.
const WAITING: usize = 2048;
/// Spans in one export, at most.
const BATCH: usize = 512;
/// How long a span waits for others to come along.
const LINGER: Duration = Duration::from_secs(1);
/// How long one export may take.
const EXPORT: Duration = Duration::from_secs(5);
/// How long the last export may take when the process ends.
const FLUSH: Duration = Duration::from_secs(2);

/// A span's place in its trace, and what is known of it so far.
struct Place {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    name: &'static str,
    began: SystemTime,
    fields: Fields,
}

#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Random, and not zero, which the protocol keeps for "none".
fn random<const N: usize>() -> [u8; N] {
    let (random, mut id) = (uuid::Uuid::new_v4().into_bytes(), [0; N]);
    id.copy_from_slice(&random[16 - N..]);
    id[N - 1] |= 1;
    id
}

/// Where the current span stands, as the header `traceparent` has it (W3C Trace Context); none where nothing
/// is traced.
#[must_use]
pub fn traceparent() -> Option<String> {
    place(&Span::current(), |trace| format!("00-{}-{}-01", hex(&trace.trace), hex(&trace.span)))
}

/// The same span, with its field `trace_id` filled in where it is traced, so that its log lines have it.
#[must_use]
pub fn traced(span: Span) -> Span {
    if let Some(trace) = place(&span, |trace| hex(&trace.trace)) {
        span.record("trace_id", trace);
    }
    span
}

fn place<T>(span: &Span, read: impl Fn(&Place) -> T) -> Option<T> {
    tracing::dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(&span.id()?)?;
        let extensions = span.extensions();
        extensions.get::<Place>().map(&read)
    })
}

/// Hands closed spans to an [`Exporter`].
#[derive(Clone)]
pub struct Traces {
    spans: mpsc::Sender<Value>,
    dropped: Arc<AtomicU64>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span
            .parent()
            .and_then(|parent| parent.extensions().get::<Place>().map(|parent| (parent.trace, parent.span)));
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(Place {
            trace: parent.map_or_else(random, |(trace, _)| trace),
            span: random(),
            parent: parent.map(|(_, span)| span),
            name: span.name(),
            began: SystemTime::now(),
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(trace) = span.extensions_mut().get_mut::<Place>()
        {
            values.record(&mut trace.fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(trace) = context.span(&id).and_then(|span| span.extensions_mut().remove::<Place>()) else {
            return;
        };
        if self.spans.try_send(trace.exported()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Place {
    fn exported(self) -> Value {
        let nanos = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        let attributes: Vec<Value> = self
            .fields
            .0
            .into_iter()
            .filter(|(name, _)| *name != "trace_id")
            .map(|(name, value)| attribute(name, &value))
            .collect();
        let kind = match self.name {
            "push" => "SPAN_KIND_SERVER",
            "provider_call" => "SPAN_KIND_CLIENT",
            _ => "SPAN_KIND_INTERNAL",
        };
        let mut span = json!({
            "traceId": hex(&self.trace), "spanId": hex(&self.span), "name": self.name, "kind": kind,
            "startTimeUnixNano": nanos(self.began), "endTimeUnixNano": nanos(SystemTime::now()),
            "attributes": attributes,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = hex(&parent).into();
        }
        span
    }
}

fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}

/// Sends what [`Traces`] hands over.
pub struct Exporter {
    url: String,
    spans: mpsc::Receiver<Value>,
    dropped: Arc<AtomicU64>,
}

/// The two halves, for a collector at this base URL.
#[must_use]
pub fn traces(endpoint: &str) -> (Traces, Exporter) {
    let (sender, spans) = mpsc::channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    (Traces { spans: sender, dropped: dropped.clone() }, Exporter { url, spans, dropped })
}

impl Exporter {
    /// Exports until `stop`, then what is left, for two seconds at most, after five for an export that is under way.
    /// A collector that is away costs spans and nothing else.
    pub async fn run(mut self, stop: CancellationToken) {
        let Ok(http) = reqwest::Client::builder().build() else {
            return tracing::error!("traces can't be sent: no TLS roots");
        };
        let mut fails = false;
        while !stop.is_cancelled() {
            let first = stop.run_until_cancelled(self.spans.recv()).await.flatten();
            // Whatever waits at the end goes at once.
            let _ = stop.run_until_cancelled(tokio::time::sleep(LINGER)).await;
            let limit = if stop.is_cancelled() { FLUSH } else { EXPORT };
            let sent = tokio::time::timeout(limit, self.send(&http, first.into_iter().collect())).await;
            let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())));
            if let Err(why) = &sent
                && !fails
            {
                tracing::warn!(why, "traces can't be sent; they are dropped until they can");
            }
            fails = sent.is_err();
        }
    }

    async fn send(&mut self, http: &reqwest::Client, mut batch: Vec<Value>) -> Result<(), String> {
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "spans came faster than they could be exported");
        }
        let resource = [("service.name", "tenios-operator"), ("service.version", env!("CARGO_PKG_VERSION"))];
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": resource.map(|(name, value)| attribute(name, value))},
            "scopeSpans": [{"scope": {"name": "tenios_operator"}, "spans": batch}],
        }]});
        let request = http.post(&self.url).header(http::header::CONTENT_TYPE, "application/json");
        let answer = request.body(body.to_string()).send().await.map_err(|e| e.to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    }
}
