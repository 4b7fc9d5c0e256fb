//! What can be wrong with everything that comes from the apiserver or a store, for as long as it lasts.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::Failure;

/// See the module documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Storm {
    /// None.
    #[default]
    Calm,
    /// Watches tell nothing; what they held back comes afterwards.
    Frozen,
    /// Watches leave everything out; afterwards they say that they are too old.
    Dropping,
    /// Watches tell each thing twice.
    Doubled,
    /// Events of different objects change places.
    Reordered,
    /// Every watch is too old for what is still stored.
    Compacted,
    /// Watches are too old, and lists are answered as they were the first time.
    OldLists,
    /// Everything but a watch that goes on is turned away, as by priority and fairness.
    Busy,
    /// Every write is refused as conflicting.
    Conflicts,
    /// Every write is done, and answered as conflicting.
    FalseConflicts,
    /// No write is done, and each is answered with 504.
    Unanswered,
    /// Every write is done, and answered with 504.
    AnswersLost,
    /// Nobody is there.
    Away,
    /// Writes are done whatever their conditions say.
    Unconditional,
}

/// The answer to a write of which nobody knows whether it was done.
pub(super) fn timed_out() -> (StatusCode, String) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the server was unable to return a response in the time allotted, but may still be processing the request",
        "reason": "Timeout", "code": 504,
    });
    (StatusCode::GATEWAY_TIMEOUT, status.to_string())
}

/// What an apiserver says after its compaction.
fn too_old() -> Bytes {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
    });
    Bytes::from(format!("{}\n", json!({"type": "ERROR", "object": status})))
}

/// As kube-apiserver says it: its own filter answers, not in the words of the API.
pub(super) fn busy() -> (StatusCode, &'static str) {
    (StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n")
}

/// The answer to a write that conflicts.
pub(super) fn conflict(method: &Method) -> (StatusCode, String) {
    let reason = if method == Method::POST { "AlreadyExists" } else { "Conflict" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the object has been modified; please apply your changes to the latest version and try again",
        "reason": reason, "code": 409,
    });
    (StatusCode::CONFLICT, status.to_string())
}

/// The first answer to each list.
#[derive(Default)]
pub(super) struct FirstLists(BTreeMap<String, Bytes>);

impl FirstLists {
    /// Keeps it, if it is the first.
    pub(super) fn keep(&mut self, path: &str, answer: &Bytes) {
        self.0.entry(path.to_owned()).or_insert_with(|| answer.clone());
    }

    pub(super) fn of(&self, path: &str) -> Option<Bytes> {
        self.0.get(path).cloned()
    }
}

type Lines = BoxStream<'static, Result<Bytes, Failure>>;

/// A watch, as the storm lets it through.
pub(super) fn through(chunks: Lines, mut storm: watch::Receiver<Storm>) -> Lines {
    let (to, mut from) = mpsc::channel(1);
    let now = *storm.borrow_and_update();
    tokio::spawn(async move { Watch { to, now, held: Vec::new() }.follow(lines(chunks), storm).await });
    futures::stream::poll_fn(move |context| from.poll_recv(context)).boxed()
}

struct Watch {
    to: mpsc::Sender<Result<Bytes, Failure>>,
    now: Storm,
    held: Vec<Bytes>,
}

/// The watch has ended, or nobody listens any more.
struct Ended;

impl Watch {
    async fn follow(mut self, mut lines: Lines, mut storm: watch::Receiver<Storm>) -> Option<()> {
        if self.now == Storm::Compacted {
            return self.tell(too_old()).await.ok();
        }
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some(Ok(line)) => self.event(line).await.ok()?,
                    Some(Err(broken)) => return self.to.send(Err(broken)).await.ok(),
                    None => return self.release().await.ok(),
                },
                Ok(()) = storm.changed() => {
                    let before = std::mem::replace(&mut self.now, *storm.borrow_and_update());
                    self.turn(before).await.ok()?;
                }
                () = self.to.closed() => return None,
            }
        }
    }

    async fn tell(&mut self, line: Bytes) -> Result<(), Ended> {
        self.to.send(Ok(line)).await.map_err(|_| Ended)
    }

    async fn release(&mut self) -> Result<(), Ended> {
        for line in std::mem::take(&mut self.held) {
            self.tell(line).await?;
        }
        Ok(())
    }

    /// The storm has changed.
    async fn turn(&mut self, before: Storm) -> Result<(), Ended> {
        if before == Storm::Dropping || matches!(self.now, Storm::Compacted | Storm::OldLists) {
            self.tell(too_old()).await?;
            return Err(Ended);
        }
        self.release().await
    }

    async fn event(&mut self, line: Bytes) -> Result<(), Ended> {
        match self.now {
            Storm::Frozen => self.held.push(line),
            Storm::Dropping => {}
            Storm::Doubled => {
                self.tell(line.clone()).await?;
                self.tell(line).await?;
            }
            Storm::Reordered => match (self.held.pop(), object(&line)) {
                (None, Some(_)) => self.held.push(line),
                (Some(earlier), Some(of)) if object(&earlier).is_some_and(|other| other != of) => {
                    self.tell(line).await?;
                    self.tell(earlier).await?;
                }
                (earlier, of) => {
                    if let Some(earlier) = earlier {
                        self.tell(earlier).await?;
                    }
                    if of.is_some() { self.held.push(line) } else { self.tell(line).await? }
                }
            },
            _ => self.tell(line).await?,
        }
        Ok(())
    }
}

/// Namespace and name of what an event is about, of which no apiserver tells a later thing first; none of a
/// bookmark, which nothing may overtake.
fn object(line: &Bytes) -> Option<String> {
    let event: Value = serde_json::from_slice(line).ok()?;
    let metadata = &event["object"]["metadata"];
    (event["type"] != "BOOKMARK").then(|| format!("{}/{}", metadata["namespace"], metadata["name"]))
}

/// One event each.
fn lines(chunks: Lines) -> Lines {
    let rest = (chunks, Vec::new());
    futures::stream::try_unfold(rest, |(mut chunks, mut rest): (Lines, Vec<u8>)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let after = rest.split_off(end + 1);
                return Ok(Some((Bytes::from(rest), (chunks, after))));
            }
            match chunks.next().await {
                Some(chunk) => rest.extend_from_slice(&chunk?),
                None => return Ok(None),
            }
        }
    })
    .boxed()
}
