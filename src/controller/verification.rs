//! One visit to a `PhoneVerification`.

use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};
use secrecy::SecretString;

use super::caches::Guarded;
use super::errand::{self, Errand, NotStarted};
use super::look::{self, Ended, Rounds};
use super::unreadable::{self, Unreadable};
use super::{Context, Failed, PATIENCE, now, status};
use crate::api::verification::VerificationState;
use crate::api::{NOT_PLACED_ANNOTATION, PhoneVerification, PhoneVerificationSpec, Reason};
use crate::ledger::{AppendError, AttemptId, Key, Kind, State, Terms};
use crate::lifecycle::verification::{Secrets, View, decide};
use crate::lifecycle::{Decision, Found, Standing, project_verification, since};
use crate::tenios::{Document, Request};

/// What one visit has found out so far beyond the caches.
struct SecretsRead {
    access_key: Found<SecretString>,
    document: Found<Document>,
}

/// Visits a verification until it rests. Returns when to look again.
pub(super) async fn visit(
    context: &Arc<Context>,
    object: &Arc<Guarded<PhoneVerification>>,
) -> Result<Option<Duration>, Failed> {
    let key = Key {
        kind: Kind::Verification,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    let (mut object, mut rounds) = (object.clone(), Rounds::default());
    loop {
        let Ok(verification) = &object.0 else { return report_unreadable(context, &key, &object).await };
        let standing = match settle(context, &key, &object, verification, &mut rounds).await? {
            Ended::Rests(standing) => standing,
            Ended::Changed(now) => {
                object = now;
                continue;
            }
            Ended::Gone => return Ok(None),
        };
        if let Some(soon) = context.slots.not_worth_a_word(&key) {
            return Ok(Some(soon));
        }
        return show(context, &key, &object, verification, &standing).await;
    }
}

async fn settle(
    context: &Arc<Context>,
    key: &Key,
    object: &Guarded<PhoneVerification>,
    verification: &PhoneVerification,
    rounds: &mut Rounds,
) -> Result<Ended<PhoneVerification, VerificationState>, Failed> {
    let mut secrets = None;
    while rounds.another() {
        let known = context.book.known(key);
        match consider(context, key, verification, &known.state, secrets.as_ref()) {
            Decision::Rest(standing) => return Ok(Ended::Rests(standing)),
            Decision::ReadSecrets if context.slots.still_waits(key) => {
                return Ok(Ended::Rests(errand::awaits_its_turn(VerificationState::Waiting)));
            }
            Decision::ReadSecrets => secrets = Some(read(context, key, &verification.spec).await?),
            // The budget counts orders.
            Decision::Reserve(_) => {}
            Decision::Record(events) => match context.book.append(&known.entry, &events).await {
                Ok(()) => context.wake.changed(key),
                Err(AppendError::Conflict(_)) => {}
                Err(error) => {
                    let standing = errand::ledger_unavailable(VerificationState::Waiting, &error.to_string());
                    return Ok(Ended::Rests(standing));
                }
            },
            Decision::Send(terms) => {
                let sent = send(context, key, object, &terms, &mut secrets).await;
                if let Some(ended) = sent {
                    return Ok(ended);
                }
            }
        }
    }
    Ok(Ended::Rests(errand::never_rests(VerificationState::Waiting)))
}

async fn read(context: &Context, key: &Key, spec: &PhoneVerificationSpec) -> Result<SecretsRead, Failed> {
    Ok(SecretsRead {
        access_key: context.secrets.access_key(&key.namespace, spec.access_key_secret_ref.as_ref()).await?,
        document: context.secrets.document(&key.namespace, &spec.document.secret_ref).await?,
    })
}

/// Sends and waits a little for the end. None means: decide again.
async fn send(
    context: &Arc<Context>,
    key: &Key,
    object: &Guarded<PhoneVerification>,
    terms: &Terms,
    secrets: &mut Option<SecretsRead>,
) -> Option<Ended<PhoneVerification, VerificationState>> {
    let rests = |why: NotStarted| {
        let (waiting, sending) = (VerificationState::Waiting, VerificationState::Submitting);
        why.standing(waiting, sending, Reason::Submitting, &context.config.pace).map(Ended::Rests)
    };
    let slot = match errand::prepare(context, key).await {
        Ok(slot) => slot,
        Err(why) => return rests(why),
    };
    let now = match look::once_more(&context.client, object).await {
        Ok(Some(now)) => now,
        Ok(None) => return Some(Ended::Gone),
        Err(why) => return rests(NotStarted::Unseen(why.to_string())),
    };
    let known = context.book.known(key);
    let sends = |verification| {
        consider(context, key, verification, &known.state, secrets.as_ref()) == Decision::Send(terms.clone())
    };
    let verification = match &now.0 {
        Ok(verification) if now.uid() == object.uid() && sends(verification) => verification,
        _ => return Some(Ended::Changed(now)),
    };
    let Some(SecretsRead { access_key: Found::Usable(access_key), document: Found::Usable(document) }) =
        secrets.take()
    else {
        return None;
    };
    let spec = &verification.spec;
    let request = Request::Verification {
        address: spec.address.canonical(),
        area_code: spec.area_code.clone(),
        document_type: spec.document.type_,
        document,
    };
    let attempt = AttemptId::random();
    let errand = Errand { key: key.clone(), attempt, terms: terms.clone(), request, access_key };
    match errand::start(context, &known.entry, errand, slot).await {
        Ok(ended) => {
            let _ = tokio::time::timeout(PATIENCE, ended).await;
            None
        }
        Err(why) => rests(why),
    }
}

fn consider(
    context: &Context,
    key: &Key,
    verification: &PhoneVerification,
    state: &State,
    secrets: Option<&SecretsRead>,
) -> Decision<VerificationState> {
    decide(&View {
        key,
        spec: &verification.spec,
        deleting: verification.metadata.deletion_timestamp.is_some(),
        status: verification.status.as_ref(),
        not_placed: verification.annotations().get(NOT_PLACED_ANNOTATION).map(String::as_str),
        state,
        sender: context.flights.sender(key, state),
        known_for: context.flights.known_for(key, state),
        secrets: secrets.map(|read| Secrets {
            access_key: read.access_key.as_ref().map(|_| ()),
            document: read.document.as_ref().map(Document::digest),
        }),
        proven: state.id().is_some_and(|id| context.book.is_proven(id)),
        pace: &context.config.pace,
        now: now(),
    })
}

async fn show(
    context: &Context,
    key: &Key,
    object: &Guarded<PhoneVerification>,
    verification: &PhoneVerification,
    standing: &Standing<VerificationState>,
) -> Result<Option<Duration>, Failed> {
    let known = context.book.known(key);
    let previous = verification.status.clone().unwrap_or_default();
    let generation = verification.metadata.generation.unwrap_or_default();
    let next =
        project_verification(Some(&verification.spec), &known.state, standing, generation, &previous, now());
    if previous != next && context.is_anothers(key, object).await {
        return Ok(standing.again.or(Some(context.config.pace.retry_max)));
    }
    let since = since(&known.state, standing.reason, &next.conditions);
    context.stands(key, format!("{:?}", standing.state), standing.reason, since);
    if status::write(&context.client, object, &previous, &next).await? {
        context.wake.changed(key);
        status::announce(&context.client, object, &previous.conditions, &next.conditions).await;
    }
    context.remark(key, object, standing.remark.as_ref()).await;
    Ok(context.look_again(key, standing.reason, standing.again))
}

/// A resource that was stored by an older or looser schema is reported on it and otherwise left alone.
async fn report_unreadable(
    context: &Context,
    key: &Key,
    object: &Guarded<PhoneVerification>,
) -> Result<Option<Duration>, Failed> {
    let Some(Unreadable { why, status: previous }) = unreadable::look(&context.client, object).await? else {
        return Ok(None);
    };
    let message = format!("this version of the operator can't read the resource: {why}; nothing is sent");
    let standing = Standing::new(VerificationState::Waiting, Reason::InvalidSpec, message);
    let known = context.book.known(key);
    let generation = object.meta().generation.unwrap_or_default();
    let next = project_verification(None, &known.state, &standing, generation, &previous, now());
    // Since when it is so stands in no status.
    context.stands(key, "Unreadable".into(), standing.reason, None);
    // What it showed before can't be read either, so the only memory of having reported it is ours.
    let words = format!("{generation}: {}", standing.message);
    if context.is_news(key, &words) {
        status::replace(&context.client, object, &next).await?;
        context.was_told(key, &words);
        status::announce(&context.client, object, &[], &next.conditions).await;
    }
    Ok(None)
}
