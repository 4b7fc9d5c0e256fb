//! The push receiver: it authenticates, appends to the ledger, and answers. The rest is the
//! controller's work, which a change of the ledger wakes, on whichever replica it runs.
//!
//! A push is checked by its own path and secret alone: no lookup is made, and no apiserver asked, on
//! behalf of somebody who can't know the secret (promise 19).

mod address;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use jiff::Timestamp;
use tracing::Instrument;
use tracing::field::Empty;

pub use address::{Address, PREFIX, PushKeys, PushKeysError};

use crate::api::PhoneNumber;
use crate::ledger::{AppendError, AttemptId, Book, Event, Key, State};
use crate::server::{Limits, RequestBody, Talk, read_body};
use crate::telemetry::{Metrics, traced};

/// Bodies above this are not read: a real push has about 150 bytes.
pub const BODY_LIMIT: usize = 16 * 1024;

/// How long storing a push may take before the provider is told to try again.
const STORE_WITHIN: Duration = Duration::from_secs(8);

/// How often a push yields to another writer of the same entry.
const TRIES: usize = 5;

/// See the module documentation.
#[derive(Clone)]
pub struct Receiver {
    book: Arc<Book>,
    keys: PushKeys,
    metrics: Arc<Metrics>,
}

/// What TENIOS sends (`docs/provider-api.md#the-push`).
#[derive(serde::Deserialize)]
struct Push {
    phonenumber: String,
    #[serde(deserialize_with = "text_or_number")]
    order_id: String,
    #[serde(rename = "push_secret")]
    secret: String,
}

/// What the sender learns.
enum Answer {
    Stored,
    TryAgain,
    /// One answer for everything that is not a genuine push.
    NotFound,
}

impl Receiver {
    /// A receiver that appends to this book.
    #[must_use]
    pub fn new(book: Arc<Book>, keys: PushKeys, metrics: Arc<Metrics>) -> Self {
        Self { book, keys, metrics }
    }

    /// How it is to be served: no answer is given but its own.
    #[must_use]
    pub fn limits() -> Limits {
        Limits { talk: Talk::HandlerOnly, ..Limits::default() }
    }

    /// Answers one request.
    pub async fn answer(self, request: Request<RequestBody>) -> Response<Full<Bytes>> {
        let (answer, result) = self.take(request).await;
        self.metrics.push(result);
        let (status, body) = match answer {
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

    async fn take(&self, request: Request<RequestBody>) -> (Answer, &'static str) {
        let path = request.uri().path().to_owned();
        // A prefix that an Ingress left in front is not part of what was signed.
        let signed = path.find(PREFIX).map_or(path.as_str(), |at| &path[at..]);
        let named = address::parse(signed).filter(|_| request.method() == Method::POST);
        // Whoever knows no address of a push is passing by; whoever knows one may be TENIOS.
        let unread = if named.is_some() { "malformed" } else { "stray" };
        let Ok(body) = read_body(request.into_body(), BODY_LIMIT).await else {
            return (Answer::NotFound, unread);
        };
        let push = serde_json::from_slice::<Push>(&body).ok();
        // Checked whether or not the rest makes sense, so that all refusals take about the same time.
        let secret = push.as_ref().map_or(&b""[..], |p| p.secret.as_bytes());
        let genuine = self.keys.verify(signed, secret);
        let (Some(push), Some((key, attempt))) = (push, named) else { return (Answer::NotFound, unread) };
        if !genuine {
            return (Answer::NotFound, "unauthenticated");
        }
        let Ok(number) = PhoneNumber::try_from(push.phonenumber) else {
            // The sender knew the secret, so the id is the provider's word: a person needs it to adopt.
            let order_id = printable(&push.order_id);
            tracing::error!(%key, %attempt, order_id, "a genuine push carries no E.164 number");
            return (Answer::NotFound, "unusable");
        };
        let span = traced(tracing::info_span!("push", kind = key.kind.as_str(), namespace = key.namespace,
            name = key.name, attempt = %attempt, outcome = Empty, trace_id = Empty));
        let stored = self.store(&key, &attempt, &push.order_id, number).instrument(span.clone());
        let (answer, outcome) = match tokio::time::timeout(STORE_WITHIN, stored).await {
            Ok(true) => (Answer::Stored, "stored"),
            Ok(false) | Err(_) => (Answer::TryAgain, "not_stored"),
        };
        span.record("outcome", outcome);
        (answer, outcome)
    }

    /// Appends the number unless it is there already. True once it is stored.
    async fn store(&self, key: &Key, attempt: &AttemptId, order_id: &str, number: PhoneNumber) -> bool {
        let order_id = printable(order_id);
        let mut known = self.book.known(key);
        for _ in 0..TRIES {
            let event = Event::Assigned {
                attempt: attempt.clone(),
                at: Timestamp::now(),
                order_id: order_id.clone(),
                number: number.clone(),
            };
            if is_in(&event, &known.state) {
                // Only what is stored counts, and memory may be ahead of a store that was restored.
                let Ok(stored) = self.book.read(key).await else { return false };
                if is_in(&event, &stored.state) {
                    return true;
                }
                known = stored;
            }
            match self.book.append(&known.entry, std::slice::from_ref(&event)).await {
                Ok(()) => {
                    tracing::info!(order_id, "the number was pushed and is stored");
                    self.book.tell(key);
                    return true;
                }
                Err(AppendError::Conflict(_)) => known = self.book.known(key),
                Err(error) => {
                    tracing::error!(%error, "a push can't be stored; the provider is told to try again");
                    return false;
                }
            }
        }
        false
    }
}

/// An order id as the ledger takes it.
fn printable(order_id: &str) -> String {
    order_id.chars().filter(char::is_ascii_graphic).take(128).collect()
}

/// Whether the number is known and this push changes nothing any more.
fn is_in(event: &Event, state: &State) -> bool {
    state.number.is_some() && state.clone().then(event) == *state
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Id {
        Text(String),
        Number(u64),
    }
    Ok(match serde::Deserialize::deserialize(from)? {
        Id::Text(text) => text,
        Id::Number(number) => number.to_string(),
    })
}
