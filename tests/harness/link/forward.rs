//! One request on its way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use http::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderValue, IF_MATCH, IF_NONE_MATCH, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::storm::{self, Storm};
use super::{End, Held, Inner, Passed, Point, Verdict};
use crate::Failure;
use crate::watchdog::lock;

type Answer = Response<UnsyncBoxBody<Bytes, Failure>>;
type Done = Option<oneshot::Sender<()>>;

/// Answers one request of the operator. An error closes its connection.
pub(super) async fn serve(inner: Arc<Inner>, request: Request<Incoming>) -> Result<Answer, Failure> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    // In a task of its own: what was forwarded stays so when the operator is gone.
    tokio::spawn(async move { pass(&inner, parts, body).await }).await?
}

/// Where the request is held, if it is.
struct Trap {
    point: Point,
    tell: mpsc::UnboundedSender<Held>,
}

impl Trap {
    /// Waits for the verdict. Nobody there to give one: it goes on.
    async fn spring(self) -> (Verdict, Done) {
        let (send, verdict) = oneshot::channel();
        if self.tell.send(Held(send)).is_err() {
            return (Verdict::GoOn, None);
        }
        verdict.await.map_or((Verdict::GoOn, None), |(verdict, done)| (verdict, Some(done)))
    }
}

async fn pass(inner: &Arc<Inner>, parts: Parts, body: Bytes) -> Result<Answer, Failure> {
    let (place, trap) = note(inner, &parts, &body);
    let mut stalled = inner.stalled.subscribe();
    let _ = stalled.wait_for(|namespace| !namespace.as_deref().is_some_and(|n| is_within(&parts, n))).await;
    let Some(trap) = trap else { return exchange(inner, place, &parts, body).await };
    match trap.point {
        Point::Before => {
            let (verdict, done) = trap.spring().await;
            let result = match verdict {
                Verdict::GoOn => exchange(inner, place, &parts, body).await,
                Verdict::DropAnswer => {
                    let late = send(inner, place, &parts, body.into()).await;
                    late.and_then(|_| Err("the answer is dropped".into()))
                }
                Verdict::Late(wait) => {
                    let inner = inner.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(wait).await;
                        let _ = send(&inner, place, &parts, body.into()).await;
                        drop(done);
                    });
                    return Err("the connection breaks here".into());
                }
                Verdict::Answer(status) => Ok(canned(status)),
                Verdict::Drop => Err("the request is dropped".into()),
            };
            drop(done);
            result
        }
        Point::HalfRequest => deliver(send(inner, place, &parts, halved(body, trap)).await?),
        Point::After => {
            // Also where there is no answer: the connection broke, and that may be met by a fault, too.
            let arrived = match send(inner, place, &parts, body.into()).await {
                Ok(arrived) => whole(arrived, is_watch(&parts)).await,
                Err(broken) => Err(broken),
            };
            let (verdict, done) = trap.spring().await;
            drop(done);
            match verdict {
                Verdict::GoOn => arrived,
                Verdict::Answer(status) => Ok(canned(status)),
                Verdict::Drop | Verdict::DropAnswer | Verdict::Late(_) => Err("the answer is dropped".into()),
            }
        }
        Point::HalfAnswer => match send(inner, place, &parts, body.into()).await {
            Ok(arrived) => half_delivered(arrived, is_watch(&parts), trap).await,
            Err(broken) => proceed(trap).await.and(Err(broken)),
        },
    }
}

/// Forwarded and answered, as the storm lets it.
async fn exchange(inner: &Inner, place: usize, parts: &Parts, body: Bytes) -> Result<Answer, Failure> {
    let storm = *inner.storm.borrow();
    let (write, list) = (parts.method != Method::GET, inner.end == End::Apiserver && is_list(parts));
    let path = parts.uri.to_string();
    match storm {
        Storm::Conflicts if write => return Ok(json(storm::conflict(&parts.method))),
        Storm::Unanswered if write => return Ok(json(storm::timed_out())),
        Storm::Busy if inner.end == End::Apiserver => return Ok(turned_away()),
        Storm::Away => return Err("nobody is there".into()),
        _ => {}
    }
    let first = lock(&inner.state).first_lists.of(&path).filter(|_| storm == Storm::OldLists && list);
    if let Some(first) = first {
        return Ok(json((StatusCode::OK, first)));
    }
    let arrived = send(inner, place, parts, body.into()).await?;
    match storm {
        Storm::FalseConflicts if write => return Ok(json(storm::conflict(&parts.method))),
        Storm::AnswersLost if write => return Ok(json(storm::timed_out())),
        _ => {}
    }
    let head = head_of(&arrived);
    if inner.end == End::Apiserver && is_watch(parts) && arrived.status().is_success() {
        let events = arrived.bytes_stream().map_err(Failure::from).boxed();
        return Ok(streamed(head, storm::through(events, inner.storm.subscribe())));
    }
    if list && arrived.status().is_success() {
        let answer = arrived.bytes().await?;
        lock(&inner.state).first_lists.keep(&path, &answer);
        return Ok(streamed(head, stream::iter([Ok(answer)]).boxed()));
    }
    deliver(arrived)
}

/// Names and counts the request.
fn note(inner: &Inner, parts: &Parts, body: &Bytes) -> (usize, Option<Trap>) {
    let name = inner.end.name(parts);
    let mut state = lock(&inner.state);
    let count = state.counts.entry(name.clone()).or_default();
    *count += 1;
    let name = format!("{name} #{count}");
    let trap = state.armed.take_if(|armed| (armed.meets)(&name));
    let attempt = match inner.end {
        End::Apiserver => None,
        End::Provider => attempt(body),
        End::Store => intended(body),
    };
    state.passed.push(Passed {
        name,
        at: Instant::now(),
        attempt,
        status: None,
        took: None,
        held: trap.is_some(),
    });
    (state.passed.len() - 1, trap.map(|armed| Trap { point: armed.point, tell: armed.tell }))
}

/// The last part of the push URL.
fn attempt(body: &Bytes) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["push_url"].as_str()?.rsplit('/').next().map(ToOwned::to_owned)
}

/// The attempt whose intent is the newest event of an entry.
fn intended(body: &Bytes) -> Option<String> {
    let entry: Value = serde_json::from_slice(body).ok()?;
    let newest = entry["events"].as_array()?.last()?;
    (newest["type"] == "Intended").then(|| newest["attempt"].as_str().map(ToOwned::to_owned))?
}

/// Whether it asks the apiserver for all objects of a kind.
fn is_list(parts: &Parts) -> bool {
    End::Apiserver.name(parts).starts_with("apiserver LIST")
}

fn is_within(parts: &Parts, namespace: &str) -> bool {
    let mut path = parts.uri.path().split('/');
    path.any(|part| part == "namespaces") && path.next() == Some(namespace)
}

fn is_watch(parts: &Parts) -> bool {
    parts
        .uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| matches!(pair, "watch=1" | "watch=true")))
}

async fn send(
    inner: &Inner,
    place: usize,
    parts: &Parts,
    body: reqwest::Body,
) -> Result<reqwest::Response, Failure> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    for name in [HOST, CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if *inner.storm.borrow() == Storm::Unconditional {
        headers.remove(IF_NONE_MATCH);
        headers.remove(IF_MATCH);
    }
    let request = inner.client.request(parts.method.clone(), format!("{}{path}", inner.upstream));
    let arrived = request.headers(headers).body(body).send().await?;
    if let Some(passed) = lock(&inner.state).passed.get_mut(place) {
        passed.status = Some(arrived.status().as_u16());
        passed.took = Some(passed.at.elapsed());
    }
    Ok(arrived)
}

fn head_of(arrived: &reqwest::Response) -> Response<()> {
    let mut response = Response::new(());
    *response.status_mut() = arrived.status();
    *response.headers_mut() = arrived.headers().clone();
    for name in [CONNECTION, TRANSFER_ENCODING] {
        response.headers_mut().remove(name);
    }
    response
}

type Chunks = BoxStream<'static, Result<Bytes, Failure>>;

fn streamed(head: Response<()>, chunks: Chunks) -> Answer {
    head.map(|()| BodyExt::boxed_unsync(StreamBody::new(chunks.map_ok(Frame::data))))
}

#[allow(clippy::unnecessary_wraps, reason = "one of several ends that a request can come to")]
fn deliver(arrived: reqwest::Response) -> Result<Answer, Failure> {
    Ok(streamed(head_of(&arrived), arrived.bytes_stream().map_err(Failure::from).boxed()))
}

/// The answer once all of it is here; a watch has no end, and its head must do.
async fn whole(arrived: reqwest::Response, watch: bool) -> Result<Answer, Failure> {
    if watch {
        return deliver(arrived);
    }
    let head = head_of(&arrived);
    let body = arrived.bytes().await?;
    Ok(streamed(head, stream::iter([Ok(body)]).boxed()))
}

fn canned(status: StatusCode) -> Answer {
    let body = Full::new(Bytes::from_static(b"upstream request timeout"));
    let mut response = Response::new(body.map_err(|never: Infallible| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn turned_away() -> Answer {
    let (status, text) = storm::busy();
    let mut response = json((status, text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn json((status, body): (StatusCode, impl Into<Bytes>)) -> Answer {
    let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The first half of a body; the rest, or a break, as the verdict says. The declared length shows a break.
fn halved(body: Bytes, trap: Trap) -> reqwest::Body {
    let half = body.len() / 2;
    let first = stream::iter([Ok::<_, Failure>(body.slice(..half))]);
    let rest = stream::once(async move { proceed(trap).await.map(|()| body.slice(half..)) });
    reqwest::Body::wrap_stream(first.chain(rest))
}

async fn half_delivered(arrived: reqwest::Response, watch: bool, trap: Trap) -> Result<Answer, Failure> {
    let head = head_of(&arrived);
    let (first, rest): (Bytes, Chunks) = if watch {
        (Bytes::new(), arrived.bytes_stream().map_err(Failure::from).boxed())
    } else {
        let body = arrived.bytes().await?;
        let half = body.len() / 2;
        (body.slice(..half), stream::iter([Ok(body.slice(half..))]).boxed())
    };
    let rest = stream::once(async move { proceed(trap).await.map(|()| rest) }).try_flatten();
    Ok(streamed(head, stream::iter([Ok(first)]).chain(rest).boxed()))
}

async fn proceed(trap: Trap) -> Result<(), Failure> {
    match trap.spring().await {
        (Verdict::GoOn, _) => Ok(()),
        _ => Err("the connection breaks here".into()),
    }
}
