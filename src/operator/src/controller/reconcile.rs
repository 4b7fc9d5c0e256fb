//! One reconcile of a resource, whatever its kind: it is decided on until it rests.

use std::sync::Arc;
use std::time::Duration;

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

use super::around::Around;
use super::config_map;
use super::kind::Reconciled;
use super::look::{self, Ended, Rounds};
use super::provider_call::{self, NotStarted, ProviderCall};
use super::unreadable::{self, Unreadable};
use super::{Context, Failed, now, status};
use crate::telemetry::TrackedResource;
use tenios_api::{NOT_PLACED_ANNOTATION, Reason, causes};
use tenios_ledger::{AppendError, AttemptId, Key, Payer, Reservation, Spent, State};
use tenios_lifecycle::attempt::LastLook;
use tenios_lifecycle::config_map::Told;
use tenios_lifecycle::{
    AccessKey, Answers, Budget, Decision, Intent, Need, StatusSummary, View, decide, project, since,
};
use tenios_provider::Request;

/// How often a `ConfigMap` with a number is looked at while nothing changes: somebody may have deleted or edited it.
const WRITTEN_LOOKED_AT_EVERY: Duration = Duration::from_secs(3600);

/// What one reconcile was answered so far.
#[derive(Default)]
struct Answered<'a> {
    answers: Answers,
    reservation: Option<Reservation<'a>>,
}

impl Answered<'_> {
    /// Nothing was sent: whoever waits for the place in the budget can have it.
    fn give_back(&mut self, context: &Context) {
        let held = self.reservation.take().map(|held| held.purses().clone());
        *self = Answered::default();
        if let Some(purses) = held {
            context.shortage.over(&purses, &context.requeue);
        }
    }
}

/// Decides on a resource until it rests. Returns when to look again.
pub(super) async fn reconcile<K: Reconciled>(
    context: &Arc<Context>,
    key: &Key,
    object: &Arc<DeserializeGuard<K>>,
) -> Result<Option<Duration>, Failed> {
    context.ledger.ask_once(key).await;
    let (mut object, mut rounds) = (object.clone(), Rounds::default());
    loop {
        let Ok(resource) = &object.0 else { return report_unreadable(context, key, &object).await };
        let summary = match run_to_rest(context, key, &object, resource, &mut rounds).await? {
            Ended::Rests(summary) => summary,
            Ended::Changed(now) => {
                object = now;
                continue;
            }
            Ended::Gone => return Ok(None),
        };
        if let Some(soon) = context.not_worth_a_word(key, summary.reason) {
            return Ok(Some(soon));
        }
        return update_status(context, key, &object, resource, &summary).await;
    }
}

async fn run_to_rest<K: Reconciled>(
    context: &Arc<Context>,
    key: &Key,
    object: &DeserializeGuard<K>,
    resource: &K,
    rounds: &mut Rounds,
) -> Result<Ended<K, K::Step>, Failed> {
    let mut answered = Answered::default();
    let ended = loop {
        if !rounds.another() {
            break Ended::Rests(provider_call::never_rests(K::WORDS.waiting));
        }
        let known = context.ledger.known(key);
        match build_view(context, key, resource, &known.state, &answered.answers) {
            Decision::Rest(summary) => break Ended::Rests(summary),
            // Adopting sends nothing, and waits for no slot.
            Decision::Need(_) if !K::adopts(resource.spec()) && context.slots.still_waits(key) => {
                break Ended::Rests(provider_call::awaits_its_turn(K::WORDS.waiting));
            }
            Decision::Need(need) => get(context, key, need.into(), &mut answered).await?,
            Decision::Record(events) => match context.ledger.append(&known.entry, &events).await {
                Ok(()) | Err(AppendError::Conflict(_)) => {}
                Err(error) => {
                    break Ended::Rests(provider_call::ledger_unavailable(K::WORDS.waiting, &causes(&error)));
                }
            },
            Decision::Send(intent) => {
                if let Some(ended) = send(context, key, object, intent, &mut answered).await {
                    break ended;
                }
            }
        }
    };
    answered.give_back(context);
    Ok(ended)
}

/// Gets what the decision asks for.
async fn get<'a>(
    context: &'a Context,
    key: &Key,
    need: Need,
    answered: &mut Answered<'a>,
) -> Result<(), Failed> {
    let answers = &mut answered.answers;
    match need {
        Need::AccessKey(reference) => {
            let found = context.secrets.access_key(&key.namespace, reference.as_ref()).await?;
            answers.access_key = Some(found.map(AccessKey::new));
        }
        Need::Document(reference) => {
            answers.document = Some(context.secrets.document(&key.namespace, &reference).await?);
        }
        Need::Budget(payer) => {
            answers.budget = Some(match reserve(context, key, &payer) {
                Ok(place) => {
                    answered.reservation = Some(place);
                    Budget::Reserved
                }
                Err(Spent { whose, until, .. }) => Budget::Exceeded { whose, until },
            });
        }
    }
    Ok(())
}

/// Who finds no place looks again when one is given back.
fn reserve<'a>(context: &'a Context, key: &Key, payer: &Payer) -> Result<Reservation<'a>, Spent> {
    let reserve = || context.ledger.reserve(&key.namespace, payer, now());
    let spent = match reserve() {
        Err(spent) => spent,
        place => return place,
    };
    context.shortage.wait(key, &spent.purse);
    // Again, because it may have been given back before this one was known to wait.
    let place = reserve();
    if place.is_ok() {
        context.shortage.reconcile_begins(key);
    }
    place
}

/// Begins to send. None means: decide again.
async fn send<K: Reconciled>(
    context: &Arc<Context>,
    key: &Key,
    object: &DeserializeGuard<K>,
    intent: K::Intent,
    answered: &mut Answered<'_>,
) -> Option<Ended<K, K::Step>> {
    let rests = |why: NotStarted| {
        let (waiting, sending) = (K::WORDS.waiting, K::WORDS.sending);
        why.summary(waiting, sending, K::WORDS.sending_reason, &context.config.retry_policy).map(Ended::Rests)
    };
    let permit = match provider_call::prepare(context, key).await {
        Ok(permit) => permit,
        Err(why) => return rests(why),
    };
    let now = match look::once_more(&context.client, object).await {
        Ok(now) => now,
        Err(why) => return rests(NotStarted::Unseen(why.to_string())),
    };
    // What it refers to may be another by now as well.
    let known = context.ledger.known(key);
    let is_sent = |resource: &K| match build_view(context, key, resource, &known.state, &answered.answers) {
        Decision::Send(again) => again.recorded() == intent.recorded(),
        _ => false,
    };
    let is_still_sent = |now: &Arc<DeserializeGuard<K>>| now.0.as_ref().is_ok_and(is_sent);
    match LastLook::new(&object.uid(), now, |now| now.uid(), is_still_sent) {
        LastLook::Sends(_) => {}
        LastLook::Changed(now) => return Some(Ended::Changed(now)),
        LastLook::Gone => return Some(Ended::Gone),
    }
    let attempt = AttemptId::random();
    let request = request(context, key, &attempt, &intent);
    let (terms, access_key) = (intent.recorded(), intent.access_key().secret().clone());
    let provider_call = ProviderCall { key: key.clone(), attempt, terms, request, access_key };
    // The document is held by the call alone.
    answered.answers = Answers::default();
    drop(intent);
    match provider_call::start(context, &known.entry, provider_call, permit).await {
        Ok(()) => {
            answered.reservation = None;
            None
        }
        Err(why) => {
            answered.give_back(context);
            rests(why)
        }
    }
}

fn request<I: Intent>(context: &Context, key: &Key, attempt: &AttemptId, intent: &I) -> Request {
    let push = context.push.as_ref().filter(|_| I::ENDPOINT.is_pushed());
    Request {
        endpoint: I::ENDPOINT,
        fields: intent.fields(),
        document: intent.document().map(|(field, document)| (field, document.clone())),
        push: push.map(|push| push.target(&key.namespace, &key.name, attempt)),
    }
}

fn build_view<K: Reconciled>(
    context: &Context,
    key: &Key,
    resource: &K,
    state: &State,
    answers: &Answers,
) -> Decision<K> {
    decide(&View {
        key,
        spec: resource.spec(),
        deleting: resource.meta().deletion_timestamp.is_some(),
        status: resource.status(),
        not_placed: resource.annotations().get(NOT_PLACED_ANNOTATION).map(String::as_str),
        state,
        sender: context.in_flight.sender(key, state),
        known_for: context.in_flight.known_for(key, state),
        answers,
        around: &Around { context, key },
        retry_policy: &context.config.retry_policy,
        push: context.push.is_some(),
        now: now(),
    })
}

async fn update_status<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
    resource: &K,
    summary: &StatusSummary<K::Step>,
) -> Result<Option<Duration>, Failed> {
    let known = context.ledger.known(key);
    let previous = resource.status().cloned().unwrap_or_default();
    let generation = resource.meta().generation.unwrap_or_default();
    let mut next = project::<K>(Some(resource.spec()), &known.state, summary, generation, &previous, now());
    let told = write_number(context, key, object, resource, &known.state, summary.state).await;
    if let Some(told) = &told {
        let shown = K::conditions(&next).iter().cloned();
        let condition = told.condition(generation, K::conditions(&previous), now());
        let conditions = shown.chain([condition]).collect();
        K::show(&mut next, generation, summary.state, conditions);
    }
    if previous != next && context.is_anothers(key, object).await {
        return Ok(summary.requeue_after.or(Some(context.config.retry_policy.retry_max)));
    }
    let since = since(&known.state, summary.reason, K::conditions(&next));
    let expires = K::expires(resource.spec(), summary.state);
    let state = format!("{:?}", summary.state);
    let unwritten = told.as_ref().filter(|told| told.fails()).map(|told| told.reason);
    context.track(key, TrackedResource { state, reason: summary.reason, since, expires, unwritten });
    if status::write(&context.client, object, &previous, &next).await? {
        context.requeue.notify_dependents(key);
        status::publish_transition(&context.client, object, K::conditions(&previous), K::conditions(&next))
            .await;
    }
    let warning = summary.warning.clone().or_else(|| context.contested.of(key));
    context.publish_warning(key, object, warning.as_ref()).await;
    if let Some(told) = told.as_ref().filter(|told| told.fails()) {
        context.warn(key, object, &told.reason.to_string(), &told.message).await;
    }
    // Nobody watches what is written: it is looked at again.
    let is_written = told.as_ref().is_some_and(|told| told.reason == Reason::NumberWritten);
    let requeue_after = summary.requeue_after.or(is_written.then_some(WRITTEN_LOOKED_AT_EVERY));
    Ok(context.requeue_after(key, unwritten.unwrap_or(summary.reason), requeue_after))
}

/// What there is to tell of the `ConfigMap` that the spec names, if it names one.
async fn write_number<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
    resource: &K,
    state: &State,
    step: K::Step,
) -> Option<Told> {
    if resource.meta().deletion_timestamp.is_some() {
        return None;
    }
    Some(match K::config_map(resource.spec(), state, step)? {
        Ok(wanted) => config_map::keep(context, key, object, &wanted).await,
        Err(told) => told,
    })
}

/// A resource that was stored by an older or looser schema is reported on it and otherwise left alone.
async fn report_unreadable<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
) -> Result<Option<Duration>, Failed> {
    let Some(Unreadable { why, status: previous }) = unreadable::look(&context.client, object).await? else {
        return Ok(None);
    };
    let message = format!("nothing is sent: this version of the operator can't read the resource: {why}");
    let summary = StatusSummary::new(K::WORDS.waiting, Reason::InvalidSpec, message);
    let known = context.ledger.known(key);
    let generation = object.meta().generation.unwrap_or_default();
    let next = project::<K>(None, &known.state, &summary, generation, &previous, now());
    // Since when it is so stands in no status.
    let (state, reason) = ("Unreadable".into(), summary.reason);
    context.track(key, TrackedResource { state, reason, since: None, expires: None, unwritten: None });
    // What it showed before can't be read either, so the only memory of having reported it is ours.
    let words = format!("{generation}: {}", summary.message);
    if context.warned.is_new(key, &words) {
        status::replace(&context.client, object, &next).await?;
        context.warned.record(key, &words);
        status::publish_transition(&context.client, object, &[], K::conditions(&next)).await;
    }
    Ok(None)
}
