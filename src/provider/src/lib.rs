//! The provider's client. It knows the wire (`docs/provider-api.md`) and sorts whatever happens into one
//! [`Outcome`]; it never tries again.
//!
//! One call is at most one arrival (promise 5): HTTP/1.1 only, a new connection for each request, no
//! redirects, no retries. A request is provably not processed while its last byte was not handed over,
//! so that is what is tracked, rather than which kind of error came back.

#![forbid(unsafe_code)]

mod access_key;
mod body;
pub mod decode;
mod outcome;
mod redact;
mod refusal;
mod transport;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

pub use access_key::access_key;
pub use body::SendDeadline;
use body::{Departure, RequestBody};
pub use outcome::Outcome;
use outcome::{Answer, Body, End, classify};
use redact::redact;
pub use transport::Transport;

use tenios_api::pdf::Document;
use tenios_api::{Endpoint, RequestField, causes};
use tenios_net::{BaseUrl, Roots};

/// Answers above this many bytes are not read further: a real one has about 60.
const ANSWER_LIMIT: usize = 64 * 1024;

/// One request, without the access key.
#[derive(Clone)]
pub struct Request {
    /// Where it is sent to.
    pub endpoint: Endpoint,
    /// Its fields.
    pub fields: Vec<(RequestField, String)>,
    /// The field with a document, which is sent in base64.
    pub document: Option<(RequestField, Document)>,
    /// Where the number is pushed to.
    pub push: Option<PushTarget>,
}

// What is in the fields may be personal data (promise 21).
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.fields.iter().map(|(field, _)| field.name()).collect();
        f.debug_struct("Request")
            .field("endpoint", &self.endpoint.path())
            .field("fields", &names)
            .field("document", &self.document)
            .field("push", &self.push)
            .finish_non_exhaustive()
    }
}

/// Where the provider pushes the number to.
#[derive(Clone, Debug)]
pub struct PushTarget {
    /// HTTPS URL.
    pub url: String,
    /// At most 64 characters.
    pub secret: SecretString,
}

impl Request {
    fn with_secrets(&self, access_key: &SecretString) -> Vec<(RequestField, String)> {
        let mut fields = vec![(RequestField::AccessKey, access_key.expose_secret().to_owned())];
        fields.extend(self.fields.iter().cloned());
        if let Some(push) = &self.push {
            fields.push((RequestField::PushUrl, push.url.clone()));
            fields.push((RequestField::PushSecret, push.secret.expose_secret().to_owned()));
        }
        fields
    }
}

/// The provider's client.
#[derive(Clone, Debug)]
pub struct Tenios {
    transport: Arc<Transport>,
    base: BaseUrl,
    timeout: Duration,
    /// The header `traceparent` of what is sent.
    trace: Option<String>,
}

impl Tenios {
    /// A client for this base URL, which trusts these certificates, too.
    ///
    /// # Errors
    /// When no TLS roots can be loaded.
    pub fn new(
        base: BaseUrl,
        roots: Option<(Roots, Vec<CertificateDer<'static>>)>,
        timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let transport = Arc::new(Transport::new(roots, timeout, "--tenios-ca-file")?);
        Ok(Self { transport, base, timeout, trace: None })
    }

    /// The same client for a request that is a part of this trace, where there is one: W3C's `traceparent`, which
    /// holds random ids and nothing else.
    #[must_use]
    pub fn within(self, trace: Option<String>) -> Self {
        Self { trace, ..self }
    }

    /// The longest that one call takes, from dialling to the last byte.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Sends one request, once.
    pub async fn send(&self, request: &Request, access_key: &SecretString, send_by: SendDeadline) -> Outcome {
        let departure = Departure::default();
        let fields = request.with_secrets(access_key);
        match self.exchange(request, &fields, send_by, departure.clone()).await {
            Ok(answer) => {
                let id_field = request.endpoint.id_field();
                classify(&answer, id_field, Timestamp::now(), |text| redact(text, request, &fields))
            }
            Err(why) if departure.revoke() => Outcome::NotProcessed { why, retry_after: None },
            Err(why) => Outcome::Unknown { why },
        }
    }

    async fn exchange(
        &self,
        request: &Request,
        fields: &[(RequestField, String)],
        send_by: SendDeadline,
        departure: Departure,
    ) -> Result<Answer, String> {
        let json: Map<String, Value> =
            fields.iter().map(|(field, value)| (field.name().to_owned(), value.clone().into())).collect();
        let json = serde_json::to_vec(&json).map_err(|e| e.to_string())?;
        let document =
            request.document.as_ref().map(|(field, document)| (field.name(), document.bytes().clone()));
        let body = RequestBody::new(json, document, send_by, departure.clone());
        let mut post = self
            .transport
            .client()
            .post(self.base.join(&format!("/{}", request.endpoint.path())))
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json")
            .header(http::header::CONNECTION, "close")
            .body(reqwest::Body::wrap(body));
        if let Some(trace) = &self.trace {
            post = post.header("traceparent", trace);
        }
        let mut patience = Patience::new(self.timeout);
        // Nothing may leave any more, but what left may be answered already.
        let sent = patience.wait(post.send(), || !departure.revoke()).await;
        let sent = sent.ok_or_else(|| format!("no answer within {} s", self.timeout.as_secs_f32()))?;
        let mut response = sent.map_err(|e| causes(&e))?;
        let retry_after = response.headers().get(http::header::RETRY_AFTER);
        let retry_after = retry_after.map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        let status = response.status().as_u16();
        Ok(Answer { status, retry_after, body: read(&mut response, &mut patience).await })
    }
}

async fn read(response: &mut reqwest::Response, patience: &mut Patience) -> Body {
    let declared = response.content_length();
    let mut bytes = Vec::new();
    let end = loop {
        match patience.wait(response.chunk(), || true).await {
            Some(Ok(None)) => break End::Whole,
            Some(Ok(Some(chunk))) => {
                let left = ANSWER_LIMIT - bytes.len();
                bytes.extend_from_slice(&chunk[..left.min(chunk.len())]);
                if chunk.len() > left {
                    break End::TooLarge;
                }
            }
            // Some servers end TLS, or a body in chunks, without a word.
            Some(Err(_)) if declared.is_none() && is_whole(&bytes) => break End::LeftOpen,
            Some(Err(error)) => break End::Broken(causes(&error)),
            None if declared.is_none() => break End::LeftOpen,
            None => break End::Broken("it timed out".into()),
        }
    };
    Body { bytes, end }
}

fn is_whole(bytes: &[u8]) -> bool {
    decode::text(bytes, ANSWER_LIMIT)
        .is_some_and(|text| serde_json::from_str::<Map<String, Value>>(&text).is_ok())
}

/// How long an answer may take. When that is over, whoever waits looks once more: while this process stood still,
/// an answer may have come that nobody has read yet.
struct Patience {
    until: Instant,
    looked: bool,
}

/// Long enough for what is in the socket to get through TLS and HTTP, on a machine that has much else to do.
const LAST_LOOK: Duration = Duration::from_millis(500);

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { until: Instant::now() + limit, looked: false }
    }

    /// What comes of this; none where nothing does in time. The last look is asked for first.
    async fn wait<F: Future>(&mut self, future: F, look: impl FnOnce() -> bool) -> Option<F::Output> {
        let mut future = pin!(future);
        if let Ok(output) = timeout_at(self.until, &mut future).await {
            return Some(output);
        }
        if self.looked || !look() {
            return None;
        }
        self.looked = true;
        self.until = Instant::now() + LAST_LOOK;
        timeout_at(self.until, future).await.ok()
    }
}
