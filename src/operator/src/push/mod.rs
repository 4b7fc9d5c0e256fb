//! The push receiver: it authenticates, appends to the ledger, and answers. The rest is the
//! controller's work, which a change of the ledger wakes, on whichever replica it runs.
//!
//! A push is checked by its own path and secret alone: no lookup is made, and no apiserver asked, on
//! behalf of somebody who can't know the secret (promise 19).

mod address;
mod payload;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use jiff::Timestamp;
use tracing::Instrument;
use tracing::field::Empty;

pub use address::{PREFIX, PushKeys, PushKeysError, PushSigner};

use payload::{Content, Push};

use crate::telemetry::{Metrics, PushResult, traced};
use tenios_http_server::{Limits, RequestBody, read_body};
use tenios_ledger::{AttemptId, Event, Key, LedgerCache, Offered};

/// Bodies above this are not read: a real push has about 150 bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// How long storing a push may take before the provider is told to try again.
const STORE_WITHIN: Duration = Duration::from_secs(8);

/// See the module documentation.
#[derive(Clone)]
pub struct Receiver {
    ledger: Arc<LedgerCache>,
    keys: PushKeys,
    metrics: Arc<Metrics>,
}

/// What the sender learns.
enum Answer {
    /// To a load balancer that asks whether anybody is there.
    Alive,
    Stored,
    TryAgain,
    /// One answer for everything that is not a genuine push.
    NotFound,
}

impl Receiver {
    /// A receiver that appends to this ledger.
    #[must_use]
    pub fn new(ledger: Arc<LedgerCache>, keys: PushKeys, metrics: Arc<Metrics>) -> Self {
        Self { ledger, keys, metrics }
    }

    /// How it is to be served: no answer is given but its own.
    #[must_use]
    pub fn limits() -> Limits {
        Limits { library_responses: false, ..Limits::default() }
    }

    /// Answers one request.
    pub async fn answer(self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let answer = if is_health_check(&request) { Answer::Alive } else { self.counted(request).await };
        let (status, body) = match answer {
            Answer::Alive => return Response::new(Full::default()),
            Answer::Stored => (StatusCode::OK, "{}"),
            Answer::TryAgain => (StatusCode::SERVICE_UNAVAILABLE, "{\"error\":\"try again\"}"),
            Answer::NotFound => (StatusCode::NOT_FOUND, "{\"error\":\"not found\"}"),
        };
        let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
        *response.status_mut() = status;
        let json = header::HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    async fn counted(&self, request: Request<RequestBody>) -> Answer {
        let (answer, result) = self.take(request).await;
        self.metrics.push(result);
        answer
    }

    async fn take(&self, request: Request<RequestBody>) -> (Answer, PushResult) {
        let path = address::canonical(request.uri().path());
        // A prefix that an Ingress left in front is not part of what was signed.
        let below = path.find(PREFIX).or_else(|| path.ends_with(PREFIX.trim_end_matches('/')).then_some(0));
        let signed = below.map_or(path.as_str(), |at| &path[at..]);
        let named = address::parse(signed).filter(|_| request.method() == Method::POST);
        // Whoever knows no address of a push is passing by; whoever knows one may be TENIOS.
        let unread = match (&named, below) {
            (Some(_), _) => PushResult::Malformed,
            (None, Some(_)) => PushResult::Misdirected,
            (None, None) => PushResult::Unrelated,
        };
        let Ok(body) = read_body(request.into_body(), BODY_LIMIT).await else {
            return (Answer::NotFound, unread);
        };
        let push = Push::read(&body);
        // Checked whether or not the rest makes sense, so that all refusals take about the same time.
        let genuine = self.keys.verify(signed, push.as_ref().map_or(b"", Push::secret));
        let (push, key, attempt) = match (push, named) {
            (Some(push), Some((key, attempt))) => (push, key, attempt),
            // Something in between may have changed the path of a genuine one.
            (Some(push), None) if push.has_secret() => return (Answer::NotFound, PushResult::Misdirected),
            _ => return (Answer::NotFound, unread),
        };
        if !genuine {
            return (Answer::NotFound, PushResult::Unauthenticated);
        }
        let span = traced(tracing::info_span!("push", kind = key.kind.as_str(), namespace = key.namespace,
            resource = key.name, attempt = %attempt, outcome = Empty, trace_id = Empty));
        let (answer, outcome) = self.take_genuine(&key, attempt, &push).instrument(span.clone()).await;
        span.record("outcome", outcome.as_str());
        (answer, outcome)
    }

    /// Stores what is usable. It is acknowledged only where that is the number: a later one may have it.
    async fn take_genuine(&self, key: &Key, attempt: AttemptId, push: &Push) -> (Answer, PushResult) {
        let content = push.content();
        let order_id = content.order_id.as_deref().unwrap_or("(none)");
        if content.number.is_none() {
            // The sender knew the secret, so the id is the provider's word: a person needs it to adopt.
            tracing::error!(%key, %attempt, order_id, phonenumber = push.number_as_it_came(),
                "a genuine push carries no E.164 number; look the number up in the TENIOS portal, and record it in spec.adopt.phoneNumber");
        }
        if content.order_id.is_none() && content.number.is_some() {
            tracing::warn!(%key, %attempt, "a genuine push carries no order id; its number is stored under the order of its path");
        }
        let usable = content.number.is_some();
        let storing = self.store(key, attempt, content);
        let stored = tokio::time::timeout(STORE_WITHIN, storing).await.unwrap_or(false);
        match (usable, stored) {
            (false, _) => (Answer::TryAgain, PushResult::Unusable),
            (true, true) => (Answer::Stored, PushResult::Stored),
            (true, false) => (Answer::TryAgain, PushResult::NotStored),
        }
    }

    /// Appends what was pushed unless it is there already. True once it is stored.
    async fn store(&self, key: &Key, attempt: AttemptId, content: Content) -> bool {
        let Some(event) = event(attempt, content) else { return false };
        match self.ledger.offer(key, &event).await {
            Offered::Known => true,
            Offered::Appended => {
                tracing::info!(?event, "a push is stored");
                true
            }
            Offered::Full => {
                tracing::error!(
                    ?event,
                    "no more additional orders can be recorded for this resource, so a push about another one is \
                    not accepted: check the TENIOS portal, where each of them costs money"
                );
                false
            }
            Offered::Failed(error) => {
                tracing::error!(error, "a push can't be stored; TENIOS is asked to send it again");
                false
            }
        }
    }
}

/// What load balancers ask where nobody told them otherwise. It says nothing that an open port does not.
fn is_health_check(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == "/"
}

/// What was pushed, as a fact; none where nothing is usable.
fn event(attempt: AttemptId, content: Content) -> Option<Event> {
    let at = Timestamp::now();
    match (content.order_id, content.number) {
        (Some(order_id), Some(number)) => Some(Event::Assigned { attempt, at, order_id, number }),
        (None, None) => None,
        (order_id, number) => Some(Event::Pushed { attempt, at, order_id, number }),
    }
}
