//! An apiserver that has nothing but ledger entries and answers at once, for the `KubernetesLedger` and the cache that
//! ship.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tenios_ledger::kubernetes::KubernetesLedger;
use tenios_ledger::{AppendError, Change, Entry, Event, Key, LedgerStore, ReadError, RemoveError};

use super::world::Fate;

/// Whoever writes more often in a row than this will never end.
const WRITES: u32 = 20;

/// See the module documentation.
#[derive(Clone)]
pub struct Apiserver(Arc<Mutex<Stored>>);

struct Stored {
    /// By name.
    objects: BTreeMap<String, Value>,
    /// What becomes of the next write that nothing speaks against.
    fate: Fate,
    /// It met it.
    failed: bool,
    /// The next read fails.
    mute: bool,
    /// Whether a write compares before it sets. It does; the model has to notice where it does not.
    compares: bool,
    writes: u32,
}

type Answer = Result<Value, (StatusCode, &'static str)>;

impl Apiserver {
    pub fn new(objects: impl IntoIterator<Item = Value>, fate: Fate, compares: bool) -> Self {
        let named = |object: Value| (object["metadata"]["name"].as_str().unwrap().to_owned(), object);
        let objects = objects.into_iter().map(named).collect();
        Self(Arc::new(Mutex::new(Stored { objects, fate, failed: false, mute: false, compares, writes: 0 })))
    }

    /// Whether a write failed as it was to.
    pub fn has_failed(&self) -> bool {
        self.0.lock().unwrap().failed
    }

    pub fn objects(&self) -> Vec<Value> {
        self.0.lock().unwrap().objects.values().cloned().collect()
    }

    /// The ledger that ships, on top of this.
    pub fn ledger(&self) -> KubernetesLedger {
        KubernetesLedger::new(&Client::new(self.clone(), "tenios"), "tenios")
    }
}

impl tower::Service<Request<Body>> for Apiserver {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let stored = self.0.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let name = head.uri.path().rsplit('/').next().unwrap().to_owned();
            let answer = stored.lock().unwrap().answer(&head.method, &name, body);
            let (status, body) = match answer {
                Ok(object) => (StatusCode::OK, object),
                Err((status, reason)) => (status, refusal(status, reason)),
            };
            let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
            *response.status_mut() = status;
            Ok(response)
        }
        .boxed()
    }
}

fn refusal(status: StatusCode, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": status.as_u16(),
    })
}

const NOT_FOUND: (StatusCode, &str) = (StatusCode::NOT_FOUND, "NotFound");
const EXISTS: (StatusCode, &str) = (StatusCode::CONFLICT, "AlreadyExists");
const CONFLICT: (StatusCode, &str) = (StatusCode::CONFLICT, "Conflict");
const INVALID: (StatusCode, &str) = (StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
const TIMEOUT: (StatusCode, &str) = (StatusCode::GATEWAY_TIMEOUT, "Timeout");

impl Stored {
    fn answer(&mut self, method: &Method, name: &str, body: Value) -> Answer {
        if self.fate == Fate::Late && matches!(*method, Method::POST | Method::PATCH) {
            self.fail();
            return Err(TIMEOUT);
        }
        match *method {
            Method::GET if std::mem::take(&mut self.mute) => Err(TIMEOUT),
            Method::GET => self.objects.get(name).cloned().ok_or(NOT_FOUND),
            Method::POST => self.create(body),
            Method::PATCH => self.patch(name, &body),
            Method::DELETE => self.delete(name, &body),
            _ => unreachable!("{method} {name}"),
        }
    }

    fn create(&mut self, object: Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if self.compares && self.objects.contains_key(&name) {
            return Err(EXISTS);
        }
        self.write(name, object)
    }

    fn patch(&mut self, name: &str, steps: &Value) -> Answer {
        let mut object = self.objects.get(name).ok_or(NOT_FOUND)?.clone();
        for step in steps.as_array().unwrap() {
            let old = object.pointer_mut(step["path"].as_str().unwrap()).ok_or(INVALID)?;
            let as_it_was = *old == step["value"];
            match step["op"].as_str().unwrap() {
                "test" if self.compares && !as_it_was => return Err(INVALID),
                "test" => {}
                "replace" => *old = step["value"].clone(),
                op => unreachable!("{op}"),
            }
        }
        let old = &self.objects[name];
        if self.compares && object["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"] {
            return Err(CONFLICT);
        }
        // The rule of the CRD.
        let of = |object: &Value| ["kind", "namespace", "name"].map(|field| object["spec"][field].clone());
        let revision = |object: &Value| object["spec"]["revision"].as_u64();
        if self.compares && (of(&object) != of(old) || revision(&object) < revision(old)) {
            return Err(INVALID);
        }
        self.write(name.to_owned(), object)
    }

    fn delete(&mut self, name: &str, options: &Value) -> Answer {
        let object = self.objects.get(name).ok_or(NOT_FOUND)?;
        let expected = &options["preconditions"]["resourceVersion"];
        if !expected.is_null() && *expected != object["metadata"]["resourceVersion"] {
            return Err(CONFLICT);
        }
        self.objects.remove(name).ok_or(NOT_FOUND)
    }

    /// Nothing speaks against it.
    fn write(&mut self, name: String, mut object: Value) -> Answer {
        self.writes += 1;
        assert!(self.writes < WRITES, "it writes {name} again and again");
        let fate = self.fate;
        if fate != Fate::Undone {
            object["metadata"]["resourceVersion"] = (NEW + self.writes).to_string().into();
            self.objects.insert(name, object.clone());
        }
        if fate == Fate::Answered {
            return Ok(object);
        }
        self.fail();
        Err(TIMEOUT)
    }

    fn fail(&mut self) {
        let fate = std::mem::take(&mut self.fate);
        (self.failed, self.mute) = (true, matches!(fate, Fate::Late | Fate::DoneUnread));
    }
}

/// Resource versions that no state of the model has.
const NEW: u32 = 1_000_000_000;

/// The ledger that ships, and what its watch tells.
pub struct Followed {
    pub ledger: Option<KubernetesLedger>,
    pub changes: Mutex<Vec<Change>>,
}

impl Followed {
    fn ledger(&self) -> &KubernetesLedger {
        self.ledger.as_ref().unwrap()
    }
}

impl LedgerStore for Followed {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.ledger().read(key)
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        self.ledger().append(base, events)
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        self.ledger().remove(entry)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.ledger().probe()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        futures::stream::iter(std::mem::take(&mut *self.changes.lock().unwrap())).boxed()
    }
}
