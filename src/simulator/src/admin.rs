//! `/_simulator/`: the account, the switches, the faults and what was recorded.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::DocumentState;
use super::fault::Fault;
use super::push::{PushOverrides, command};
use super::shared::Shared;
use super::traffic::json_response;
use tenios_http_server::read_body;

pub(super) const PREFIX: &str = "/_simulator/";

/// Bytes of a command.
const LIMIT: usize = 8 * 1024 * 1024;

/// Why a command was not carried out.
enum Wrong {
    NotFound,
    Body(String),
}

type Done = Result<Value, Wrong>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewDocument {
    verification_id: Option<Uuid>,
    #[serde(default = "approved")]
    state: DocumentState,
    area_code: Option<String>,
}

fn approved() -> DocumentState {
    DocumentState::Approved
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewState {
    state: DocumentState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNumber {
    phone_number: String,
}

pub(super) async fn handle(shared: &Shared, request: Request<Incoming>) -> Response<Bytes> {
    let (head, body) = request.into_parts();
    let done = match read_body(body, LIMIT).await {
        Ok(body) => route(shared, &head.method, head.uri.path(), &body).await,
        Err(error) => Err(Wrong::Body(error.to_string())),
    };
    match done {
        Ok(body) => json_response(StatusCode::OK, &body),
        Err(Wrong::NotFound) => json_response(StatusCode::NOT_FOUND, &json!({"error": "not found"})),
        Err(Wrong::Body(error)) => json_response(StatusCode::BAD_REQUEST, &json!({"error": error})),
    }
}

async fn route(shared: &Shared, method: &Method, path: &str, body: &Bytes) -> Done {
    let parts: Vec<&str> = path.strip_prefix(PREFIX).unwrap_or_default().split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", [what]) => show(shared, what),
        ("POST", ["documents"]) => Ok(add_document(shared, &parse(body)?)),
        ("POST", ["documents", id]) => set_document(shared, id, &parse(body)?),
        ("POST", ["numbers"]) => {
            let NewNumber { phone_number } = parse(body)?;
            shared.state().account.add_number(&phone_number);
            Ok(json!({"phone_number": phone_number}))
        }
        ("POST", ["orders", id, "push"]) => {
            let id = id.parse().map_err(|_| Wrong::NotFound)?;
            let overrides: PushOverrides = parse(if body.is_empty() { b"{}" } else { body })?;
            let answer = command(shared, id, &overrides).await.ok_or(Wrong::NotFound)?;
            to_json(&answer)
        }
        ("POST", ["faults"]) => {
            let faults = faults(body)?;
            let mut state = shared.state();
            for fault in faults {
                state.faults.push(fault);
            }
            to_json(&state.faults.list())
        }
        ("DELETE", ["faults"]) => {
            shared.state().faults.clear();
            Ok(json!([]))
        }
        ("PUT", ["settings"]) => {
            let mut state = shared.state();
            state.settings = state.settings.merged(parse(body)?).map_err(Wrong::Body)?;
            to_json(&state.settings)
        }
        ("POST", ["reset"]) => {
            shared.reset();
            Ok(json!({}))
        }
        _ => Err(Wrong::NotFound),
    }
}

fn show(shared: &Shared, what: &str) -> Done {
    let state = shared.state();
    match what {
        "documents" => to_json(&state.account.documents()),
        "orders" => to_json(&state.account.orders()),
        "numbers" => to_json(state.account.numbers()),
        "journal" => to_json(&state.journal.entries()),
        "pushes" => to_json(&state.pushes),
        "faults" => to_json(&state.faults.list()),
        "settings" => to_json(&state.settings),
        _ => Err(Wrong::NotFound),
    }
}

fn add_document(shared: &Shared, new: &NewDocument) -> Value {
    let id = new.verification_id.unwrap_or_else(Uuid::new_v4);
    shared.state().account.set_document(id, new.state, new.area_code.as_deref());
    json!({"verification_id": id})
}

fn set_document(shared: &Shared, id: &str, new: &NewState) -> Done {
    let id = Uuid::try_parse(id).map_err(|_| Wrong::NotFound)?;
    let mut state = shared.state();
    if state.account.document(id).is_none() {
        return Err(Wrong::NotFound);
    }
    state.account.set_document(id, new.state, None);
    Ok(json!({"verification_id": id, "state": new.state}))
}

/// One, or a list.
fn faults(body: &[u8]) -> Result<Vec<Fault>, Wrong> {
    match parse(body)? {
        Value::Array(_) => parse(body),
        _ => parse(body).map(|fault| vec![fault]),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|error| Wrong::Body(error.to_string()))
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Done {
    serde_json::to_value(value).map_err(|error| Wrong::Body(error.to_string()))
}
