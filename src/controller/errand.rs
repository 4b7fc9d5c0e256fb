//! Sending one request and recording what became of it.
//!
//! An errand runs in a task of its own: a resource that is deleted, a watch that breaks, a reconcile
//! that is dropped do not abandon it. It ends when its outcome is recorded.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::Context;
use crate::ledger::{AppendError, AttemptId, Entry, Event, Key, Terms};
use crate::telemetry::ProviderLabels;
use crate::tenios::{Outcome, Request, SendBy};

/// What is sent, once its intent is recorded.
pub(super) struct Errand {
    pub(super) key: Key,
    pub(super) attempt: AttemptId,
    pub(super) terms: Terms,
    pub(super) request: Request,
    pub(super) access_key: SecretString,
    /// Bounds the requests in flight.
    pub(super) permit: OwnedSemaphorePermit,
}

/// Why an errand did not start.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// Somebody else wrote the entry first: decide again.
    DecideAgain,
    /// This process is sending for this key already.
    Busy,
    /// The ledger can't be written.
    Ledger(String),
}

/// Records the intent and, where that was won, sends in a task. Returns a receiver that is closed when
/// the errand has ended.
pub(super) async fn start(
    context: &Arc<Context>,
    base: &Entry,
    errand: Errand,
) -> Result<tokio::sync::oneshot::Receiver<()>, NotStarted> {
    let Errand { key, attempt, terms, .. } = &errand;
    if !context.flights.take_off(key, attempt) {
        return Err(NotStarted::Busy);
    }
    // The clock starts before the append: whoever reads the intent later has seen less time pass.
    let send_by = SendBy::within(context.config.send_within);
    let intended = Event::Intended { attempt: attempt.clone(), at: Timestamp::now(), terms: terms.clone() };
    match context.book.append(base, &[intended]).await {
        Ok(()) => {}
        Err(AppendError::Conflict(_)) => {
            context.flights.landed(key, attempt);
            return Err(NotStarted::DecideAgain);
        }
        Err(AppendError::Rejected(why)) => {
            context.flights.landed(key, attempt);
            return Err(NotStarted::Ledger(why));
        }
        Err(AppendError::Ambiguous(why)) => {
            // It may be stored, and then it must not look like a request that may have left.
            context.flights.never_left(key, attempt);
            return Err(NotStarted::Ledger(why));
        }
    }
    let (done, ended) = tokio::sync::oneshot::channel();
    let context = context.clone();
    let span = tracing::info_span!("provider_call", kind = key.kind.as_str(), namespace = key.namespace,
        name = key.name, attempt = %attempt, endpoint = errand.request.endpoint());
    context.tasks.clone().spawn(
        async move {
            run(&context, errand, send_by).await;
            drop(done);
        }
        .instrument(span),
    );
    Ok(ended)
}

async fn run(context: &Context, errand: Errand, send_by: SendBy) {
    let Errand { key, attempt, request, access_key, permit, .. } = errand;
    let began = Instant::now();
    let outcome = context.tenios.send(&request, &access_key, send_by).await;
    drop((request, access_key, permit));
    let labels = ProviderLabels { endpoint: endpoint(&key), outcome: outcome.label() };
    let took = began.elapsed();
    context.metrics.provider_request(labels, took.as_secs_f64());
    tracing::info!(?outcome, ?took, "the provider was called");
    let event = event(&attempt, outcome);
    context.flights.answered(&key, &attempt, &event);
    context.book.insist(&key, &event).await;
    context.flights.landed(&key, &attempt);
    context.wake.now(&key);
    context.wake.changed(&key);
}

fn endpoint(key: &Key) -> &'static str {
    match key.kind {
        crate::ledger::Kind::Verification => "verification/create",
        crate::ledger::Kind::Order => "number/order",
    }
}

fn event(attempt: &AttemptId, outcome: Outcome) -> Event {
    let attempt = attempt.clone();
    let at = Timestamp::now();
    match outcome {
        Outcome::Accepted { id } => Event::Accepted { attempt, at, id },
        Outcome::Refused(refusal) => Event::Refused { attempt, at, refusal },
        Outcome::NotProcessed { why, retry_after } => Event::NotProcessed { attempt, at, why, retry_after },
        Outcome::Unknown { why } => Event::Unknown { attempt, at, why },
    }
}
