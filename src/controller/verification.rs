//! One visit to a `PhoneVerification`.

use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};
use secrecy::SecretString;

use super::caches::Guarded;
use super::errand::{self, Errand};
use super::unreadable::{self, Unreadable};
use super::{Context, Failed, PATIENCE, now, status};
use crate::api::verification::VerificationState;
use crate::api::{NOT_PLACED_ANNOTATION, PhoneVerification, PhoneVerificationSpec, Reason};
use crate::ledger::{AppendError, AttemptId, Key, Kind, Known, State, Terms};
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
    object: &Guarded<PhoneVerification>,
) -> Result<Option<Duration>, Failed> {
    let key = Key {
        kind: Kind::Verification,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    let Ok(verification) = &object.0 else { return report_unreadable(context, &key, object).await };
    let standing = settle(context, &key, verification).await?;
    show(context, &key, object, verification, &standing).await
}

async fn settle(
    context: &Arc<Context>,
    key: &Key,
    verification: &PhoneVerification,
) -> Result<Standing<VerificationState>, Failed> {
    let mut secrets = None;
    loop {
        let known = context.book.known(key);
        match consider(context, key, verification, &known.state, secrets.as_ref()) {
            Decision::Rest(standing) => return Ok(standing),
            Decision::ReadSecrets => secrets = Some(read(context, key, &verification.spec).await?),
            // The budget counts orders.
            Decision::Reserve(_) => {}
            Decision::Record(events) => match context.book.append(&known.entry, &events).await {
                Ok(()) => context.wake.changed(key),
                Err(AppendError::Conflict(_)) => {}
                Err(error) => {
                    return Ok(errand::ledger_unavailable(VerificationState::Waiting, &error.to_string()));
                }
            },
            Decision::Send(terms) => {
                if let Some(standing) =
                    send(context, key, &verification.spec, &known, terms, secrets.take()).await
                {
                    return Ok(standing);
                }
            }
        }
    }
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
    spec: &PhoneVerificationSpec,
    known: &Known,
    terms: Terms,
    secrets: Option<SecretsRead>,
) -> Option<Standing<VerificationState>> {
    let Some(SecretsRead { access_key: Found::Usable(access_key), document: Found::Usable(document) }) =
        secrets
    else {
        return None;
    };
    let request = Request::Verification {
        address: spec.address.canonical(),
        area_code: spec.area_code.clone(),
        document_type: spec.document.type_,
        document,
    };
    let attempt = AttemptId::random();
    let errand = Errand { key: key.clone(), attempt, terms, request, access_key };
    match errand::start(context, &known.entry, errand).await {
        Ok(ended) => {
            let _ = tokio::time::timeout(PATIENCE, ended).await;
            None
        }
        Err(why) => why.standing(
            VerificationState::Waiting,
            VerificationState::Submitting,
            Reason::Submitting,
            &context.config.pace,
        ),
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
