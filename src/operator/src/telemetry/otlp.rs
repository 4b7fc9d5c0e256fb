//! Sends spans to a collector: `POST …/v1/traces`, in the JSON form of OTLP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::otlp_headers::OtlpHeadersFile;
use tenios_api::causes;
use tenios_net::BaseUrl;

/// Spans in one export, at most.
const BATCH: usize = 512;
/// How long a span waits for others to come along.
const LINGER: Duration = Duration::from_secs(1);
/// How long one export may take.
const EXPORT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for what is left.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends what [`super::Traces`] hands over.
pub struct Exporter {
    url: String,
    headers: Option<OtlpHeadersFile>,
    /// Tells the spans of one process from those of another.
    instance: Uuid,
    spans: mpsc::Receiver<Value>,
    dropped: Arc<AtomicU64>,
    /// Spans that were lost since the log was told that some are.
    lost: u64,
    /// Spans in the export that is under way.
    under_way: u64,
}

impl Exporter {
    pub(super) fn new(
        endpoint: &BaseUrl,
        headers: Option<OtlpHeadersFile>,
        spans: mpsc::Receiver<Value>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        let (url, instance) = (endpoint.join("/v1/traces"), Uuid::new_v4());
        Self { url, headers, instance, spans, dropped, lost: 0, under_way: 0 }
    }

    /// Exports until `stop`, then what is left, for two seconds at most. A collector that is away costs spans and
    /// nothing else.
    pub async fn run(mut self, stop: CancellationToken) {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
        let http = match http {
            Ok(http) => http,
            Err(error) => return tracing::error!(why = causes(&error), "traces can't be sent"),
        };
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH).await;
        };
        tokio::select! {
            () = self.export(&http, &stop) => {}
            () = late => {}
        }
        let left = self.under_way + self.spans.len() as u64 + self.dropped.load(Ordering::Relaxed);
        if self.lost + left > 0 {
            tracing::warn!(lost = self.lost + left, "not all traces were sent before the process exits");
        }
    }

    async fn export(&mut self, http: &reqwest::Client, stop: &CancellationToken) {
        loop {
            let first = stop.run_until_cancelled(self.spans.recv()).await.flatten();
            let _ = stop.run_until_cancelled(tokio::time::sleep(LINGER)).await;
            let mut batch = first.into_iter().collect::<Vec<_>>();
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.under_way = batch.len() as u64;
            let sent = tokio::time::timeout(EXPORT, self.send(http, batch)).await;
            let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {} s", EXPORT.as_secs())));
            self.tell(&sent);
        }
    }

    async fn send(&self, http: &reqwest::Client, spans: Vec<Value>) -> Result<(), String> {
        let instance = self.instance.to_string();
        let resource = [
            ("service.name", "tenios-operator"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", instance.as_str()),
        ];
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": resource.map(|(name, value)| attribute(name, value))},
            "scopeSpans": [{"scope": {"name": env!("CARGO_CRATE_NAME")}, "spans": spans}],
        }]});
        let headers = self.headers.as_ref().map(OtlpHeadersFile::read).transpose();
        let headers = headers.map_err(|e| causes(&e))?.unwrap_or_default();
        let request = http.post(&self.url).headers(headers);
        let request = request.header(http::header::CONTENT_TYPE, "application/json");
        let answer = request.body(body.to_string()).send().await.map_err(|e| causes(&e))?;
        if answer.status().is_success() { Ok(()) } else { Err(answer.status().to_string()) }
    }

    /// Says once that spans are lost, and how many it were once none is any more.
    fn tell(&mut self, sent: &Result<(), String>) {
        let tried = std::mem::take(&mut self.under_way);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        let lost = dropped + if sent.is_err() { tried } else { 0 };
        match (lost, self.lost) {
            (0, 0) => {}
            (0, lost) => {
                tracing::info!(lost, "traces are sent again");
                self.lost = 0;
            }
            (_, 0) => {
                let why =
                    sent.as_ref().err().map_or("there are more than can be sent in time", String::as_str);
                tracing::warn!(why, "traces can't be sent; dropping them until they can");
            }
            _ => {}
        }
        self.lost += lost;
    }
}

pub(super) fn attribute(name: &str, value: &str) -> Value {
    json!({"key": name, "value": {"stringValue": value}})
}
