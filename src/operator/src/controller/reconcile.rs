//! One reconcile of a resource, whatever its kind: it is decided on until it rests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};

use super::around::Around;
use super::awaiting::Telling;
use super::config_map;
use super::kind::Reconciled;
use super::look::{self, Ended, Rounds};
use super::provider_call::{self, NotStarted, ProviderCall};
use super::unreadable::{self, Unreadable};
use super::{Context, Failed, now, status};
use crate::telemetry::TrackedResource;
use tenios_api::{NOT_PLACED_ANNOTATION, Reason, causes};
use tenios_ledger::{AppendError, AttemptId, CachedEntry, Key, Kind, Payer, Reservation, Spent};
use tenios_lifecycle::attempt::LastLook;
use tenios_lifecycle::config_map::Told;
use tenios_lifecycle::{
    AccessKey, Answers, Budget, Decided, Intent, Need, Next, Progress, Recorded, Sender, StatusSummary, View,
    project, since,
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
    /// Nothing was sent, or the intent counts from now on: whoever finds a place in the budget can have it.
    fn give_back(&mut self, context: &Context) {
        let held = self.reservation.take().map(|held| held.purses().to_vec());
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
        if let Some(kind) = K::FOLLOW_UP.filter(|_| K::asks_more(resource.spec())) {
            context.ledger.ask_both(key, &key.of(kind)).await;
        }
        let summary = match run_to_rest(context, key, &object, resource, &mut rounds).await {
            Ended::Rests(summary) => summary,
            Ended::Changed(now) => {
                object = now;
                continue;
            }
            Ended::Gone => return Ok(None),
        };
        let shown = resource.status().and_then(|status| status::ready(K::conditions(status)));
        if let Some(soon) = context.not_worth_a_word(key, summary.reason, shown.map(|ready| ready.reason)) {
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
) -> Ended<K, K::Step> {
    let mut answered = Answered::default();
    let ended = loop {
        if !rounds.another() {
            break Ended::Rests(provider_call::never_rests(K::WORDS.waiting));
        }
        let known = Known::of::<K>(context, key);
        let Decided { of, next, sending } = decide(context, key, resource, &known, &answered.answers);
        match next {
            Next::Rest(summary) => break Ended::Rests(summary),
            Next::Need(need) => {
                let generation = resource.meta().generation.unwrap_or_default();
                let waits = || provider_call::still_waits(context, key, generation, K::WORDS.waiting);
                // Adopting sends nothing, and waits for no turn.
                let adopts = of == K::KIND && K::adopts(resource.spec());
                match (!adopts).then(waits).flatten() {
                    Some(waits) => break Ended::Rests(waits),
                    None => get(context, &key.of(of), need, &mut answered).await,
                }
            }
            Next::Record(events) => match context.ledger.append(&known.about(of).entry, &events).await {
                Ok(()) | Err(AppendError::Conflict(_)) => {}
                Err(error) => {
                    break Ended::Rests(provider_call::ledger_unavailable(K::WORDS.waiting, &causes(&error)));
                }
            },
            Next::Send(intent) => {
                let asked = Asked { of: key.of(of), intent, sending };
                if let Some(ended) = send(context, key, object, asked, &mut answered).await {
                    break ended;
                }
            }
        }
    };
    answered.give_back(context);
    ended
}

/// Gets what the decision asks for.
async fn get<'a>(context: &'a Context, key: &Key, need: Need, answered: &mut Answered<'a>) {
    let answers = &mut answered.answers;
    match need {
        Need::AccessKey(reference) => {
            let found = context.secrets.access_key(&key.namespace, reference.as_ref()).await;
            answers.access_key = Some(found.map(AccessKey::new));
        }
        Need::Document(reference) => {
            answers.document = Some(context.secrets.document(&key.namespace, &reference).await);
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
}

/// Who finds no place looks again when one is given back.
fn reserve<'a>(context: &'a Context, key: &Key, payer: &Payer) -> Result<Reservation<'a>, Spent> {
    let reserve = || context.ledger.reserve(key, payer, now());
    let spent = match reserve() {
        Err(spent) => spent,
        place => return place,
    };
    let waiter = key.of_resource();
    context.shortage.wait(&waiter, &spent.purse);
    // Again, because it may have been given back before this one was known to wait.
    let place = reserve();
    if place.is_ok() {
        context.shortage.reconcile_begins(&waiter);
    }
    place
}

/// A request that is to be made.
struct Asked<S> {
    /// Whose entry its intent goes to.
    of: Key,
    intent: Box<dyn Intent>,
    /// What is shown while it is in flight.
    sending: (S, Reason),
}

/// Begins to send. None means: decide again.
async fn send<K: Reconciled>(
    context: &Arc<Context>,
    key: &Key,
    object: &DeserializeGuard<K>,
    Asked { of, intent, sending: (sending, reason) }: Asked<K::Step>,
    answered: &mut Answered<'_>,
) -> Option<Ended<K, K::Step>> {
    let rests = |why: NotStarted| {
        why.summary(K::WORDS.waiting, sending, reason, &context.config.retry_policy).map(Ended::Rests)
    };
    let generation = object.meta().generation.unwrap_or_default();
    let account = intent.access_key().account();
    let permit = match provider_call::prepare(context, key, generation, account).await {
        Ok(permit) => permit,
        Err(why) => return rests(why),
    };
    let now = match look::once_more(&context.client, object).await {
        Ok(now) => now,
        Err(why) => return rests(NotStarted::Unseen(why.words())),
    };
    // What it refers to may be another by now as well.
    let known = Known::of::<K>(context, key);
    let is_sent = |resource: &K| match decide(context, key, resource, &known, &answered.answers) {
        Decided { of: again, next: Next::Send(same), .. } => {
            again == of.kind && same.recorded() == intent.recorded()
        }
        _ => false,
    };
    let is_still_sent = |now: &Arc<DeserializeGuard<K>>| now.0.as_ref().is_ok_and(is_sent);
    match LastLook::new(&object.uid(), now, |now| now.uid(), is_still_sent) {
        LastLook::Sends(_) => {}
        LastLook::Changed(now) => return Some(Ended::Changed(now)),
        LastLook::Gone => return Some(Ended::Gone),
    }
    let attempt = AttemptId::random();
    let request = request(context, key, &attempt, &*intent);
    let (terms, access_key) = (intent.recorded(), intent.access_key().secret().clone());
    let entry = known.about(of.kind).entry.clone();
    let provider_call = ProviderCall { key: of, attempt, terms, request, access_key };
    // The document is held by the call alone.
    answered.answers = Answers::default();
    drop(intent);
    let started = provider_call::start(context, &entry, provider_call, permit).await;
    // The watch may have told of the intent already, which counted twice until now.
    answered.give_back(context);
    started.map_or_else(rests, |()| None)
}

fn request(context: &Context, key: &Key, attempt: &AttemptId, intent: &dyn Intent) -> Request {
    let push = context.push.as_ref().filter(|_| intent.endpoint().is_pushed());
    Request {
        endpoint: intent.endpoint(),
        fields: intent.fields(),
        document: intent.document().map(|(field, document)| (field, document.clone())),
        push: push.map(|push| push.target(&key.namespace, &key.name, attempt)),
    }
}

/// What the ledger has of a resource, as last seen.
struct Known {
    own: CachedEntry,
    /// Of what else may be asked for.
    follow_up: Option<(Key, CachedEntry)>,
}

impl Known {
    fn of<K: Reconciled>(context: &Context, key: &Key) -> Self {
        let entry = |kind| (key.of(kind), context.ledger.known(&key.of(kind)));
        Self { own: context.ledger.known(key), follow_up: K::FOLLOW_UP.map(entry) }
    }

    fn about(&self, kind: Kind) -> &CachedEntry {
        match &self.follow_up {
            Some((key, follow_up)) if key.kind == kind => follow_up,
            _ => &self.own,
        }
    }

    fn recorded(&self) -> Recorded<'_> {
        let recorded = Recorded::from(&*self.own.state);
        match &self.follow_up {
            Some((_, follow_up)) => Recorded { follow_up: &follow_up.state, ..recorded },
            None => recorded,
        }
    }
}

fn decide<K: Reconciled>(
    context: &Context,
    key: &Key,
    resource: &K,
    known: &Known,
    answers: &Answers,
) -> Decided<K::Step> {
    let Recorded { own: state, follow_up: beside } = known.recorded();
    let (sender, known_for) = known.follow_up.as_ref().map_or_else(
        || (Sender::Here, Duration::ZERO),
        |(key, _)| (context.in_flight.sender(key, beside), context.in_flight.known_for(key, beside)),
    );
    let follow_up = Progress { state: beside, sender, known_for };
    let view = View {
        key,
        spec: resource.spec(),
        generation: resource.meta().generation.unwrap_or_default(),
        deleting: resource.meta().deletion_timestamp.is_some(),
        status: resource.status(),
        not_placed: resource.annotations().get(NOT_PLACED_ANNOTATION).map(String::as_str),
        state,
        beside,
        sender: context.in_flight.sender(key, state),
        known_for: context.in_flight.known_for(key, state),
        answers,
        around: &Around { context, key },
        retry_policy: &context.config.retry_policy,
        push: context.push.is_some(),
        now: now(),
    };
    K::decide(&view, &follow_up)
}

async fn update_status<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
    resource: &K,
    summary: &StatusSummary<K::Step>,
) -> Result<Option<Duration>, Failed> {
    let known = Known::of::<K>(context, key);
    let recorded = known.recorded();
    let previous = resource.status().cloned().unwrap_or_default();
    let generation = resource.meta().generation.unwrap_or_default();
    let mut next = project::<K>(Some(resource.spec()), recorded, summary, generation, &previous, now());
    let told = write_number(context, key, object, resource, &recorded, summary.state).await;
    if let Some(told) = &told {
        let shown = K::conditions(&next).iter().cloned();
        let condition = told.condition(generation, K::conditions(&previous), now());
        let conditions = shown.chain([condition]).collect();
        K::show(&mut next, generation, summary.state, conditions);
    }
    if previous != next && context.is_anothers(key, object).await {
        return Ok(summary.requeue_after.or(Some(context.config.retry_policy.retry_max)));
    }
    let since = since(recorded, summary.reason, K::conditions(&next));
    let expires = K::expires(resource.spec(), summary.state);
    let state = format!("{:?}", summary.state);
    let unwritten = told.as_ref().filter(|told| told.fails()).map(|told| told.reason);
    context.track(key, TrackedResource { state, reason: summary.reason, since, expires, unwritten });
    // What the apiserver drops, as under an older CRD, is no change: looked at again at once, it would be without end.
    let is_changed = |written: &DeserializeGuard<K>| {
        written.0.as_ref().map_or(true, |written| written.status().cloned().unwrap_or_default() != previous)
    };
    let written = status::write(&context.client, object, &previous, &next).await?;
    if let Some(written) = written.filter(is_changed) {
        let is_as_written = written.0.as_ref().is_ok_and(|written| written.status() == Some(&next));
        if context.stores.wrote(&key.namespace, object, &written) || !is_as_written {
            context.requeue.now(key);
        }
        context.requeue.notify_dependents(key);
        context.events.transition(object, K::conditions(&previous), K::conditions(&next));
    }
    let told_in = tell_wait(context, key, object, summary);
    let warning = summary.warning.clone().or_else(|| context.contested.of(key));
    context.publish_warning(key, object, warning.as_ref());
    if let Some(told) = told.as_ref().filter(|told| told.fails()) {
        context.warn(key, object, &told.reason.to_string(), &told.message);
    }
    let is_kept = told.as_ref().is_some_and(Told::is_kept);
    let requeue_after = summary.requeue_after.or(is_kept.then_some(WRITTEN_LOOKED_AT_EVERY));
    let requeue_after = context.requeue_after(key, unwritten.unwrap_or(summary.reason), requeue_after);
    Ok(requeue_after.into_iter().chain(told_in).min())
}

/// Tells of a wait for a number, once it has lasted. Returns when to look whether it has.
fn tell_wait<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
    summary: &StatusSummary<K::Step>,
) -> Option<Duration> {
    if summary.reason != Reason::AwaitingNumber {
        return None;
    }
    match context.awaiting.tell(key, Instant::now()) {
        Telling::Already => None,
        Telling::In(left) => Some(left),
        Telling::Now => {
            context.events.normal(object, &summary.reason.to_string(), &summary.message);
            None
        }
    }
}

/// What there is to tell of the `ConfigMap` that the spec names, if it names one.
async fn write_number<K: Reconciled>(
    context: &Context,
    key: &Key,
    object: &DeserializeGuard<K>,
    resource: &K,
    recorded: &Recorded<'_>,
    step: K::Step,
) -> Option<Told> {
    if resource.meta().deletion_timestamp.is_some() {
        return None;
    }
    Some(match K::config_map(resource.spec(), recorded, step, now())? {
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
    let known = Known::of::<K>(context, key);
    let generation = object.meta().generation.unwrap_or_default();
    let next = project::<K>(None, known.recorded(), &summary, generation, &previous, now());
    // Since when it is so stands in no status.
    let (state, reason) = ("Unreadable".into(), summary.reason);
    context.track(key, TrackedResource { state, reason, since: None, expires: None, unwritten: None });
    // What it showed before can't be read either, so the only memory of having reported it is ours.
    let (reason, words) = (Reason::InvalidSpec.to_string(), format!("{generation}: {}", summary.message));
    if context.warned.is_new(key, &reason, &words) {
        status::replace(&context.client, object, &next).await?;
        context.warned.record(key, &reason, &words);
        context.events.transition(object, &[], K::conditions(&next));
    }
    Ok(None)
}
