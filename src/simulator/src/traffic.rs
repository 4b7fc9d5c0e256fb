//! A request from its arrival to its answer, with the faults that it meets on the way.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::sleep;

use super::connection::Reply;
use super::fault::{Action, Canned, Plan};
use super::journal::{Answered, Journal, JournalEntry, Position, redacted};
use super::provider::{Accepted, Method, Rules, process};
use super::settings::OrderIdType;
use super::shared::Shared;
use super::{admin, push, refusal};
use tenios_http_server::{BodyError, read_body};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Characters of a canned text that the journal keeps.
const JOURNAL_TEXT: usize = 4096;

/// Answers with JSON.
pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Reply {
    let stop = shared.stop.clone();
    let work = async {
        if request.uri().path().starts_with(admin::PREFIX) {
            return Reply::Whole(admin::handle(&shared, request).await);
        }
        receive(shared, request).await
    };
    tokio::select! {
        () = stop.cancelled() => Reply::Abort,
        reply = work => reply,
    }
}

/// A request in the journal. Its line is written before its answer leaves, or when nothing more
/// happens to it: its client left, or the simulator stops.
struct Arrival {
    shared: Arc<Shared>,
    position: Position,
    open: bool,
}

impl Arrival {
    fn of(shared: Arc<Shared>, request: &Request<Incoming>) -> Self {
        let entry = JournalEntry {
            time: Timestamp::now(),
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            complete: false,
            bytes: 0,
            body: None,
            processed: false,
            answer: None,
            faults: Vec::new(),
            traceparent: request
                .headers()
                .get("traceparent")
                .and_then(|v| v.to_str().ok())
                .map(str::to_owned),
        };
        let position = shared.state().journal.begin(entry);
        Self { shared, position, open: true }
    }

    fn finish(&mut self, journal: &mut Journal, processed: bool, answer: Option<&Response<Bytes>>) {
        journal.amend(self.position, |entry| {
            entry.processed = processed;
            entry.answer = answer.map(answered);
        });
        journal.finish(self.position);
        self.open = false;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if self.open {
            self.shared.state().journal.finish(self.position);
        }
    }
}

async fn receive(shared: Arc<Shared>, request: Request<Incoming>) -> Reply {
    let mut arrival = Arrival::of(shared.clone(), &request);
    let limit = shared.state().settings.max_body_bytes;
    let (head, body) = request.into_parts();
    let bytes = match read_body(body, limit).await {
        Ok(bytes) => bytes,
        Err(BodyError::Broken) => return Reply::Abort,
        Err(BodyError::TooLarge) => {
            let refusal = refusal::too_large();
            let response = json_response(refusal.status.into(), &refusal.body());
            arrival.finish(&mut shared.state().journal, false, Some(&response));
            return Reply::Whole(response);
        }
    };
    let method = Method::of(&head.method, head.uri.path());
    let path = head.uri.path().to_owned();
    // A task of its own: what has arrived is processed even if its client leaves.
    match shared.spawn(work(shared.clone(), arrival, method, path, bytes)).await {
        Ok(Some(Some(reply))) => reply,
        Ok(Some(None)) => std::future::pending().await,
        Ok(None) | Err(_) => Reply::Abort,
    }
}

/// None: it is never answered.
async fn work(
    shared: Arc<Shared>,
    mut arrival: Arrival,
    method: Option<Method>,
    path: String,
    bytes: Bytes,
) -> Option<Reply> {
    let body: Option<Value> = serde_json::from_slice(&bytes).ok();
    shared.state().journal.amend(arrival.position, |entry| {
        entry.complete = true;
        entry.bytes = bytes.len();
        entry.body = body.as_ref().map(redacted);
    });
    if shared.state().is_too_much() {
        let refusal = refusal::too_many();
        let mut response = json_response(refusal.status.into(), &refusal.body());
        insert(&mut response, RETRY_AFTER, "1");
        arrival.finish(&mut shared.state().journal, false, Some(&response));
        return Some(Reply::Whole(response));
    }
    let (plan, era) = meet_faults(&shared, arrival.position, &path, body.as_ref());
    sleep(plan.delay).await;
    if !plan.processes() {
        return Some(unprocessed(&shared, &mut arrival, plan.last));
    }
    let (response, order) = judge(&shared, era, &mut arrival, method, body.as_ref(), &plan);
    if let Some(id) = order {
        let settings = plan.push.clone().unwrap_or_else(|| shared.state().settings.push.clone());
        push::complete(&shared, era, id, settings).await;
    }
    match plan.last {
        Some(Action::Hang) => None,
        last => Some(processed(response, last)),
    }
}

fn meet_faults(shared: &Shared, position: Position, path: &str, body: Option<&Value>) -> (Plan, u64) {
    let mut state = shared.state();
    let (plan, taken) = state.faults.take(path, body);
    state.journal.amend(position, |entry| entry.faults = taken);
    (plan, state.era)
}

/// The provider's decision, and the id of an order that it accepted.
fn judge(
    shared: &Shared,
    era: u64,
    arrival: &mut Arrival,
    method: Option<Method>,
    body: Option<&Value>,
    plan: &Plan,
) -> (Response<Bytes>, Option<u64>) {
    let mut guard = shared.state();
    let state = &mut *guard;
    let rules =
        Rules { access_key: &shared.access_key, plain_push: shared.plain_push, settings: &state.settings };
    let outcome = process(method, body, &rules, &mut state.account);
    let response = match &outcome {
        Ok(accepted) => {
            let order_id = if plan.numeric_order_id { OrderIdType::Number } else { state.settings.order_id };
            let mut body = accepted.body(order_id);
            body.extend(state.settings.extra_fields.clone());
            if plan.extra_fields {
                body.extend(undocumented());
            }
            json_response(StatusCode::OK, &Value::Object(body))
        }
        Err(refusal) => json_response(refusal.status.into(), &refusal.body()),
    };
    arrival.finish(&mut state.journal, true, Some(&response));
    let order = match outcome {
        Ok(Accepted::Order(id)) if state.era == era => Some(id),
        _ => None,
    };
    (response, order)
}

fn undocumented() -> Map<String, Value> {
    Map::from_iter([
        ("status".to_owned(), json!("IN_PROGRESS")),
        ("details".to_owned(), json!({"priority": 1, "notes": [null, "none"]})),
    ])
}

fn unprocessed(shared: &Shared, arrival: &mut Arrival, last: Option<Action>) -> Reply {
    let response = match last {
        Some(Action::StatusBefore(canned)) => Some(canned_response(&canned)),
        Some(Action::Redirect { code, location }) => {
            let mut response = json_response(code.into(), &json!({}));
            insert(&mut response, LOCATION, &location);
            Some(response)
        }
        _ => None,
    };
    arrival.finish(&mut shared.state().journal, false, response.as_ref());
    response.map_or(Reply::Abort, Reply::Whole)
}

fn processed(mut response: Response<Bytes>, last: Option<Action>) -> Reply {
    match last {
        Some(Action::DropAfter) => Reply::Abort,
        Some(Action::StatusAfter(canned)) => Reply::Whole(canned_response(&canned)),
        Some(Action::Cut) => Reply::Half(response),
        Some(Action::Empty) => Reply::Whole(Response::new(Bytes::new())),
        Some(Action::BodyAfter { body, content_type }) => {
            let mut response = Response::new(Bytes::from(body));
            insert(&mut response, CONTENT_TYPE, content_type.as_deref().unwrap_or("application/json"));
            Reply::Whole(response)
        }
        Some(Action::Huge { bytes }) => {
            if let Ok(Value::Object(mut body)) = serde_json::from_slice(response.body()) {
                body.insert("padding".into(), Value::String("x".repeat(bytes)));
                *response.body_mut() = Bytes::from(Value::Object(body).to_string());
            }
            Reply::Whole(response)
        }
        _ => Reply::Whole(response),
    }
}

fn canned_response(canned: &Canned) -> Response<Bytes> {
    let status: StatusCode = canned.code.into();
    let mut response = match &canned.body {
        Some(Value::String(text)) => Response::new(Bytes::from(text.clone())),
        Some(body) => json_response(status, body),
        None => json_response(
            status,
            &json!({"error_code": "SIMULATED", "error_message": "A fault.", "fields": []}),
        ),
    };
    *response.status_mut() = status;
    for (name, value) in &canned.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            insert(&mut response, name, value);
        }
    }
    response
}

/// A value that is no header value is left out.
fn insert(response: &mut Response<Bytes>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

fn answered(response: &Response<Bytes>) -> Answered {
    let body = serde_json::from_slice(response.body()).unwrap_or_else(|_| {
        Value::String(String::from_utf8_lossy(response.body()).chars().take(JOURNAL_TEXT).collect())
    });
    Answered { status: response.status().as_u16(), body }
}
