//! Sending one request and recording what became of it.
//!
//! A call runs in a task of its own: a resource that is deleted, a watch that breaks, a reconcile
//! that is dropped do not abandon it. It ends when its outcome is recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tracing::Instrument;
use tracing::field::Empty;

use super::Context;
use super::namespaces::{NAMESPACE_LEASE, NamespaceOwner, served_by_another};
use super::pace::PacePermit;
use super::slots::SendPermit;
use crate::telemetry::{Metrics, ReconcileError, RequestOutcome, traced, traceparent};
use tenios_api::{Reason, causes};
use tenios_ledger::{Account, AttemptId, Entry, Event, Key, Payer, Purse, Terms};
use tenios_lifecycle::attempt::Intended;
use tenios_lifecycle::{RetryPolicy, StatusSummary};
use tenios_provider::{Outcome, Request, SendDeadline};

/// One call and its record: what is sent, once its intent is recorded.
pub(super) struct ProviderCall {
    pub(super) key: Key,
    pub(super) attempt: AttemptId,
    pub(super) terms: Terms,
    pub(super) request: Request,
    pub(super) access_key: SecretString,
}

/// Why a call did not start.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// Somebody else wrote the entry first: decide again.
    DecideAgain,
    /// This process is sending for this key already.
    Busy,
    /// As many requests are in flight as may be; this resource is woken when it is its turn.
    Full,
    /// TENIOS turned away another request with this access key; this resource is woken when it is its turn.
    Paced,
    /// The process was told to stop.
    Stopping,
    /// The requests of this namespace are in another ledger.
    ServedByAnother(String),
    /// The ledger can't be written.
    Ledger(String),
    /// It can't be told whether the resource is still what was decided on.
    Unseen(String),
}

impl NotStarted {
    /// Where the resource rests; none where it is to be decided anew.
    pub(super) fn summary<S>(
        &self,
        waiting: S,
        sending: S,
        sent: Reason,
        retry_policy: &RetryPolicy,
    ) -> Option<StatusSummary<S>> {
        Some(match self {
            Self::DecideAgain => return None,
            // Its ledger entry was deleted under it; the call wakes this resource when it ends.
            Self::Busy => StatusSummary::new(sending, sent, "an earlier request is still being sent"),
            Self::Full => awaits_its_turn(waiting),
            Self::Paced => awaits_the_pace(waiting),
            Self::Stopping => {
                StatusSummary::new(waiting, sent, "the operator is shutting down; nothing is sent")
            }
            // Not shown by this operator; it looks again in case the other one is gone.
            Self::ServedByAnother(why) => StatusSummary::new(waiting, Reason::Conflict, why.clone())
                .requeue_after(retry_policy.retry_max),
            Self::Ledger(why) => ledger_unavailable(waiting, why),
            Self::Unseen(why) => {
                let message = format!(
                    "nothing is sent: the resource could not be read once more right before the request ({why}); retrying"
                );
                StatusSummary::new(waiting, Reason::LedgerUnavailable, message)
            }
        })
    }
}

/// It is woken when it is.
fn awaits_its_turn<S>(waiting: S) -> StatusSummary<S> {
    let message =
        "waiting for its turn: as many requests to TENIOS are in flight as --provider-concurrency allows";
    StatusSummary::new(waiting, Reason::ProviderUnavailable, message)
}

/// The same.
fn awaits_the_pace<S>(waiting: S) -> StatusSummary<S> {
    let message = "waiting for its turn: TENIOS limits how often it is asked with this access key (HTTP 429), and takes \
                   one request after the other";
    StatusSummary::new(waiting, Reason::ProviderUnavailable, message)
}

/// Nothing is sent that was not recorded.
pub(super) fn ledger_unavailable<S>(waiting: S, why: &str) -> StatusSummary<S> {
    let message = format!("nothing is sent while the ledger can't be written ({why}); retrying");
    StatusSummary::new(waiting, Reason::LedgerUnavailable, message)
}

/// A reconcile has an end also where somebody else changes the resource or its entry all the time.
pub(super) fn never_rests<S>(waiting: S) -> StatusSummary<S> {
    let message = "nothing is sent: somebody else keeps changing the resource or its ledger entry, such as two tools \
                   that undo each other's changes; retrying";
    StatusSummary::new(waiting, Reason::LedgerUnavailable, message)
}

/// Where a resource rests that asked before, as it is, and whose turn it is not yet. It need not be read for what to
/// send.
pub(super) fn still_waits<S>(
    context: &Context,
    key: &Key,
    generation: i64,
    waiting: S,
) -> Option<StatusSummary<S>> {
    if context.slots.still_waits(key) {
        return Some(awaits_its_turn(waiting));
    }
    context.pacer.still_waits(key, generation).then(|| awaits_the_pace(waiting))
}

/// The right to send one request.
pub(super) struct Permit {
    slot: SendPermit,
    pace: PacePermit,
}

/// The right to send one request of this resource, which is of this generation, with this access key. To wait for it
/// may take long, and does not happen here. Who waits for the pace of its account has no slot meanwhile.
pub(super) async fn prepare(
    context: &Context,
    key: &Key,
    generation: i64,
    account: &Account,
) -> Result<Permit, NotStarted> {
    let Some(pace) = context.pacer.take(account, key, generation) else { return Err(NotStarted::Paced) };
    let Some(slot) = context.slots.take(key) else { return Err(NotStarted::Full) };
    acquire_namespace(context, &key.namespace).await?;
    Ok(Permit { slot, pace })
}

/// A request from the decision to send it until its outcome is recorded, or until a panic, so that its resource
/// does not wait for it in vain.
pub(super) struct Begun {
    context: Arc<Context>,
    key: Key,
    attempt: AttemptId,
}

impl Begun {
    /// None where this process is sending for this key already.
    fn new(context: &Arc<Context>, key: &Key, attempt: &AttemptId) -> Option<Self> {
        let begun = || Self { context: context.clone(), key: key.clone(), attempt: attempt.clone() };
        context.in_flight.begin(key, attempt).then(begun)
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.context.in_flight.finish(&self.key, &self.attempt);
    }
}

/// Records the intent and, where that was won, sends in a task, whose outcome wakes the resource.
pub(super) async fn start(
    context: &Arc<Context>,
    base: &Entry,
    provider_call: ProviderCall,
    mut permit: Permit,
) -> Result<(), NotStarted> {
    let ProviderCall { key, attempt, terms, .. } = &provider_call;
    // Held before asking: from here on, who drains waits for this call.
    let drained = context.tasks.token();
    if context.draining.is_cancelled() {
        return Err(NotStarted::Stopping);
    }
    if !permit.pace.holds() {
        return Err(NotStarted::Paced);
    }
    let Some(begun) = Begun::new(context, key, attempt) else { return Err(NotStarted::Busy) };
    // The clock starts before the append: whoever reads the intent later has seen less time pass.
    let send_by = SendDeadline::within(context.config.send_within);
    let intended = Event::Intended { attempt: attempt.clone(), at: Timestamp::now(), terms: terms.clone() };
    let appended = context.ledger.append(base, &[intended]).await;
    match context.in_flight.intended(key, attempt, appended) {
        Intended::Leaves => {}
        Intended::DecideAgain => return Err(NotStarted::DecideAgain),
        Intended::NotRecorded(why) => return Err(NotStarted::Ledger(why)),
    }
    let context = context.clone();
    let span = traced(
        tracing::info_span!("provider_call", kind = key.kind.as_str(), namespace = key.namespace,
        resource = key.name, attempt = %attempt, endpoint = provider_call.request.endpoint.path(), outcome = Empty, trace_id = Empty),
    );
    tokio::spawn(
        async move {
            let (key, attempt) = (provider_call.key.clone(), provider_call.attempt.clone());
            let purses = Purse::all(&key, &Payer::of_terms(&provider_call.terms));
            let call = tokio::spawn(call(context.clone(), provider_call, send_by, permit).in_current_span());
            let event = outcome(&context.metrics, &key, &attempt, call).await;
            record(begun, &event).await;
            if matches!(event, Event::Refused { .. } | Event::NotProcessed { .. }) {
                context.shortage.over(&purses, &context.requeue);
            }
            drop(drained);
        }
        .instrument(span),
    );
    Ok(())
}

/// Nothing is sent from a namespace that this ledger was not the first to claim.
async fn acquire_namespace(context: &Context, namespace: &str) -> Result<(), NotStarted> {
    let is_confirmed = || {
        context.stores.would_hear_of_another_owner(namespace) && context.namespaces.is_confirmed(namespace)
    };
    if is_confirmed() {
        return Ok(());
    }
    // In a burst one of them reads it for all.
    let _turn = context.namespaces.turn_to_ask(namespace).await;
    if is_confirmed() {
        return Ok(());
    }
    let why = match context.namespaces.acquire(namespace).await {
        Ok(NamespaceOwner::Us) => return Ok(()),
        Ok(NamespaceOwner::Other(ledger)) => {
            return Err(NotStarted::ServedByAnother(served_by_another(namespace, &ledger)));
        }
        Ok(NamespaceOwner::Unclaimed) => "was just deleted".into(),
        Err(error) => format!("can't be read or created: {}", causes(&error)),
    };
    Err(NotStarted::Ledger(format!("Lease {NAMESPACE_LEASE} in namespace {namespace} {why}")))
}

/// What became of the request, also where the call ended in the middle: then nobody knows whether it left.
async fn outcome(metrics: &Metrics, key: &Key, attempt: &AttemptId, call: JoinHandle<Event>) -> Event {
    let Ok(event) = call.await else {
        metrics.reconcile_error(key.kind.of_resource(), ReconcileError::Panic);
        tracing::error!("the call to TENIOS panicked, so its outcome is unknown; please report this");
        let why = "the operator failed while it was sending".into();
        return Event::Unknown { attempt: attempt.clone(), at: Timestamp::now(), why };
    };
    event
}

async fn call(
    context: Arc<Context>,
    provider_call: ProviderCall,
    send_by: SendDeadline,
    permit: Permit,
) -> Event {
    let ProviderCall { attempt, request, access_key, .. } = provider_call;
    let Permit { slot, mut pace } = permit;
    if let Err(left) = pace.depart().await {
        return event(&attempt, not_sent(left));
    }
    let (began, endpoint) = (Instant::now(), request.endpoint);
    let tenios = context.tenios.clone().within(traceparent());
    let outcome = tenios.send(&request, &access_key, send_by).await;
    pace.answered(&outcome);
    drop((request, access_key, slot));
    let label = RequestOutcome::from(&outcome);
    tracing::Span::current().record("outcome", label.as_str());
    let took = began.elapsed();
    context.metrics.provider_request(endpoint, label, took.as_secs_f64());
    tracing::info!(?outcome, ?took, "the provider was called");
    event(&attempt, outcome)
}

/// TENIOS asked for silence between the intent and the request.
fn not_sent(left: Duration) -> Outcome {
    let why =
        "it was not sent: TENIOS turned away another request with this access key and asks to retry later";
    let seconds = u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Outcome::NotProcessed { why: why.into(), retry_after: Some(seconds) }
}

async fn record(begun: Begun, event: &Event) {
    let Begun { context, key, attempt } = &begun;
    context.in_flight.answered(key, attempt, event);
    context.ledger.append_until_stored(key, event).await;
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

#[cfg(test)]
mod tests {
    use super::{AttemptId, Event, Key, Metrics, outcome};
    use tenios_ledger::Kind;

    #[tokio::test]
    async fn p24_a_panic_while_a_request_is_sent_ends_in_an_unknown_outcome() {
        let metrics = Metrics::default();
        let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() };
        let attempt = AttemptId::random();
        let call = tokio::spawn(async { panic!("in the middle") });
        let event = outcome(&metrics, &key, &attempt, call).await;
        assert!(
            matches!(&event, Event::Unknown { attempt: unknown, .. } if *unknown == attempt),
            "{event:?}"
        );
        assert!(metrics.encode().contains(r#"kind="PhoneNumberOrder",reason="panic"} 1"#));
    }
}
