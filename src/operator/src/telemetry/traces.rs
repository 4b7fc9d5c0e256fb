//! Traces over OTLP/HTTP, in its JSON form. Off unless an endpoint is given; then no layer is installed, no
//! task runs and no header is sent.
//!
//! Written here instead of taken from the `opentelemetry` crates: those bring thirteen further crates (0.33, with
//! `http-proto`) for one message of the protocol (opentelemetry.io/docs/specs/otlp, 1.x). What is traced are this
//! program's own spans, which the logs have, too: a reconcile, a call to TENIOS, a push. They declare every field that
//! is exported, and none of them is a secret (promise 21); nobody knows what spans of other crates declare.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Span, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::OWN;
use super::otlp::{Exporter, attribute};
use super::otlp_headers::OtlpHeadersFile;
use tenios_api::digest::hex;
use tenios_net::BaseUrl;

/// Spans that wait to be exported, at most; more are dropped and counted.
const WAITING: usize = 2048;

// `Span.SpanKind`. The JSON form of the protocol takes numbers only, and not the names that protobuf's has.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;

/// A span's place in its trace, and what is known of it so far.
struct SpanRecord {
    trace: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    name: &'static str,
    began: SystemTime,
    /// When it was left last. It closes later, where a span below it goes on: a call to TENIOS outlives its reconcile.
    left: Option<SystemTime>,
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
    record(&Span::current(), |record| format!("00-{}-{}-01", hex(&record.trace), hex(&record.span)))
}

/// The same span, with its field `trace_id` filled in where it is traced, so that its log lines have it.
#[must_use]
pub fn traced(span: Span) -> Span {
    if let Some(trace) = record(&span, |record| hex(&record.trace)) {
        span.record("trace_id", trace);
    }
    span
}

fn record<T>(span: &Span, read: impl Fn(&SpanRecord) -> T) -> Option<T> {
    tracing::dispatcher::get_default(|dispatch| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(&span.id()?)?;
        let extensions = span.extensions();
        extensions.get::<SpanRecord>().map(&read)
    })
}

/// Hands spans that are over to an [`Exporter`].
#[derive(Clone)]
pub struct Traces {
    spans: mpsc::Sender<Value>,
    dropped: Arc<AtomicU64>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let own = attributes.metadata().target().starts_with(OWN);
        let Some(span) = context.span(id).filter(|_| own) else { return };
        // Above it there may be one of another crate, such as kube's around each reconcile.
        let parent = span.scope().skip(1).find_map(|above| {
            above.extensions().get::<SpanRecord>().map(|parent| (parent.trace, parent.span))
        });
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(SpanRecord {
            trace: parent.map_or_else(random, |(trace, _)| trace),
            span: random(),
            parent: parent.map(|(_, span)| span),
            name: span.name(),
            began: SystemTime::now(),
            left: None,
            fields,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(record) = span.extensions_mut().get_mut::<SpanRecord>()
        {
            values.record(&mut record.fields);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(record) = span.extensions_mut().get_mut::<SpanRecord>()
        {
            record.left = Some(SystemTime::now());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(record) = context.span(&id).and_then(|span| span.extensions_mut().remove::<SpanRecord>())
        else {
            return;
        };
        if self.spans.try_send(record.exported()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl SpanRecord {
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
            "push" => SERVER,
            "provider_call" => CLIENT,
            _ => INTERNAL,
        };
        let mut span = json!({
            "traceId": hex(&self.trace), "spanId": hex(&self.span), "name": self.name, "kind": kind,
            "startTimeUnixNano": nanos(self.began), "endTimeUnixNano": nanos(self.left.unwrap_or(self.began)),
            "attributes": attributes,
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = hex(&parent).into();
        }
        span
    }
}

/// The two halves, for a collector at this base URL, and what it wants to see besides.
#[must_use]
pub fn traces(endpoint: &BaseUrl, headers: Option<OtlpHeadersFile>) -> (Traces, Exporter) {
    let (sender, spans) = mpsc::channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    (Traces { spans: sender, dropped: dropped.clone() }, Exporter::new(endpoint, headers, spans, dropped))
}
