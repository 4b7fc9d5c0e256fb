//! What a `PhoneVerification` does next.

use std::time::Duration;

use jiff::Timestamp;

use super::retry::Due;
use super::{
    Decision, Found, Memory, Pace, Pending, Sender, Standing, pending, refusal_message, shown, strays,
};
use crate::api::flaw;
use crate::api::verification::{Address, Approval, VerificationState};
use crate::api::{PhoneVerificationSpec, PhoneVerificationStatus, Reason};
use crate::ledger::{AttemptId, Event, Key, Phase, State, Terms, terms};

/// What the Secrets hold that the spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// The access key.
    pub access_key: Found<()>,
    /// The document, as its digest.
    pub document: Found<String>,
}

/// Everything that the decision depends on.
pub struct View<'a> {
    /// Whose it is.
    pub key: &'a Key,
    /// What is wanted.
    pub spec: &'a PhoneVerificationSpec,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What was last shown; read only where the ledger has no entry.
    pub status: Option<&'a PhoneVerificationStatus>,
    /// The value of the not-placed annotation.
    pub not_placed: Option<&'a str>,
    /// What the ledger knows.
    pub state: &'a State,
    /// Who may be sending.
    pub sender: Sender,
    /// How long this process has known where the newest request stands.
    pub known_for: Duration,
    /// The Secrets; none where they were not read yet.
    pub secrets: Option<Secrets>,
    /// Whether an order with this id was accepted.
    pub proven: bool,
    /// The bounds of the back-off.
    pub pace: &'a Pace,
    /// The time.
    pub now: Timestamp,
}

/// The name of the address in the terms.
const ADDRESS: &str = "spec.address";

type Next = Decision<VerificationState>;

/// What to do next. Steps that send nothing come before those that may.
#[must_use]
pub fn decide(view: &View) -> Next {
    let mut next = rebuild(view)
        .or_else(|| adopt(view))
        .or_else(|| settle(view))
        .or_else(|| submitted(view))
        .unwrap_or_else(|| submit(view));
    if let Decision::Rest(standing) = &mut next {
        standing.remark = super::stray_annotation(view.state, view.not_placed);
    }
    next
}

/// Whether what was submitted under this name is what the spec asks for.
#[must_use]
pub fn stands(spec: &PhoneVerificationSpec, state: &State) -> bool {
    changed(spec, state).is_none()
}

fn rest(state: VerificationState, reason: Reason, message: impl Into<String>) -> Next {
    Decision::Rest(Standing::new(state, reason, message))
}

fn rebuild(view: &View) -> Option<Next> {
    let status = view.status?;
    if !Memory::of_verification(status).exceeds(view.state) {
        return None;
    }
    let attempt = status.attempt.as_deref().and_then(AttemptId::parse);
    let id = status.verification_id.clone().filter(|id| !id.is_empty());
    let requests = status.requests;
    let mut terms = spec_terms(view.spec);
    terms.extend(status.document_digest.clone().map(|d| (terms::DOCUMENT_DIGEST.into(), d)));
    let rebuilt = Event::Rebuilt { at: view.now, attempt, id, number: None, terms, requests };
    Some(Decision::Record(vec![rebuilt]))
}

fn adopt(view: &View) -> Option<Next> {
    let adopt = view.spec.adopt.as_ref().filter(|_| flaw::of_verification(view.spec).is_none())?;
    let wanted = &adopt.verification_id;
    let known = view.state.id();
    if known == Some(wanted) {
        return None;
    }
    let submitted_by_us = view.state.accepted.as_ref().is_some_and(|a| a.attempt.is_some());
    if let Some(known) = known
        && submitted_by_us
    {
        return Some(rest(
            VerificationState::Conflict,
            Reason::Conflict,
            format!(
                "spec.adopt.verificationId is {wanted}, but this resource submitted verification {known}; remove spec.adopt, or adopt {wanted} under another name"
            ),
        ));
    }
    if let Some(Pending::InFlight { message, again }) = pending(view.state, view.sender, None, view.now) {
        let mut standing = Standing::new(VerificationState::Submitting, Reason::Submitting, message);
        standing.again = again;
        return Some(Decision::Rest(standing));
    }
    // Only orders are claimed.
    let (id, number) = (Some(wanted.clone()), None);
    Some(Decision::Record(vec![Event::Adopted { at: view.now, id, number, account: None, own: false }]))
}

fn settle(view: &View) -> Option<Next> {
    let name = &view.key.name;
    match pending(view.state, view.sender, view.not_placed, view.now)? {
        Pending::InFlight { .. } | Pending::Unknown { .. } if view.state.accepted.is_some() => None,
        Pending::Settle(event) => Some(Decision::Record(vec![event])),
        Pending::InFlight { message, again } => {
            let mut standing = Standing::new(VerificationState::Submitting, Reason::Submitting, message);
            standing.again = again;
            Some(Decision::Rest(standing))
        }
        Pending::Unknown { attempt, why } => Some(rest(
            VerificationState::OutcomeUnknown,
            Reason::OutcomeUnknown,
            format!(
                "it is unknown whether verification request {attempt} was accepted ({why}); check the TENIOS portal. If it was: set spec.adopt.verificationId. If it was not: kubectl annotate pver {name} --overwrite {}={attempt}",
                crate::api::NOT_PLACED_ANNOTATION
            ),
        )),
    }
}

fn submitted(view: &View) -> Option<Next> {
    let id = view.state.id()?;
    if let Some(name) = changed(view.spec, view.state) {
        let difference = difference(name, &spec_terms(view.spec), &view.state.terms);
        return Some(rest(
            VerificationState::Conflict,
            Reason::Conflict,
            format!("{difference}; nothing is sent. Revert it, or give the new verification another name"),
        ));
    }
    let strays = strays(view.state, "verification");
    let (state, reason, message) = match (view.spec.approval, view.proven) {
        (Approval::Rejected, _) => (
            VerificationState::Rejected,
            Reason::Rejected,
            "was rejected by TENIOS, as spec.approval says; submit another document as another PhoneVerification"
                .to_owned(),
        ),
        (Approval::Approved, _) => (VerificationState::Approved, Reason::Approved, "is approved".to_owned()),
        (_, true) => (
            VerificationState::Approved,
            Reason::Approved,
            "is approved: an order with it was accepted".to_owned(),
        ),
        (Approval::Probe, false) => (
            VerificationState::AwaitingApproval,
            Reason::Probing,
            "is submitted; orders with it are tried until TENIOS accepts one".to_owned(),
        ),
        (Approval::Pending, false) => (
            VerificationState::AwaitingApproval,
            Reason::AwaitingApproval,
            format!(
                "is submitted; once the TENIOS portal shows that it is approved: kubectl tenios approve {}, or spec.approval: Approved in its manifest",
                view.key.name
            ),
        ),
    };
    Some(rest(state, reason, format!("verification {id} {message}{strays}")))
}

/// The first field of the spec that differs from what was submitted. An adopted verification has no
/// recorded terms to differ from.
fn changed<'a>(spec: &PhoneVerificationSpec, state: &'a State) -> Option<&'a str> {
    let wanted = spec_terms_beside(spec, &state.terms);
    terms::of_spec(&state.terms)
        .find(|(name, value)| wanted.get(*name) != Some(value))
        .map(|(name, _)| name.as_str())
}

/// Messages do not carry the address, and its digest tells nobody anything: it is named by its parts.
fn difference(name: &str, wanted: &Terms, submitted: &Terms) -> String {
    if name == ADDRESS {
        let parts = different_parts(wanted, submitted);
        let (fields, differ) = match parts.as_slice() {
            [] => (name.to_owned(), "differs"),
            [part] => (part.clone(), "differs"),
            parts => (parts.join(", "), "differ"),
        };
        return format!("{fields} {differ} from what was submitted under this name");
    }
    let value = |terms: &Terms| terms.get(name).map_or("nothing".into(), |value| format!("{value:?}"));
    format!("{name} is {}, but what was submitted under this name had {}", value(wanted), value(submitted))
}

/// None where an earlier version submitted it, which recorded no hints.
fn different_parts(wanted: &Terms, submitted: &Terms) -> Vec<String> {
    let hints = |terms: &Terms| terms.get(terms::ADDRESS_HINTS).cloned().unwrap_or_default();
    let (wanted, submitted) = (hints(wanted), hints(submitted));
    let pairs = ADDRESS_PARTS.iter().zip(wanted.chars().zip(submitted.chars()));
    let different = pairs.filter(|(_, (wanted, submitted))| wanted != submitted);
    different.map(|(part, _)| format!("spec.address.{part}")).collect()
}

const ADDRESS_PARTS: [&str; 5] = ["country", "city", "zip", "street", "houseNumber"];

/// In the order of `ADDRESS_PARTS`.
fn address_hints(address: &Address) -> String {
    let Address { country, city, zip, street, house_number } = address;
    [country, city, zip, street, house_number].map(|part| terms::hint(part)).into_iter().collect()
}

fn spec_terms(spec: &PhoneVerificationSpec) -> Terms {
    let address = spec.address.canonical();
    let document = &spec.document;
    let reference = format!("{}/{}", document.secret_ref.name, document.secret_ref.key);
    let access_key = spec.access_key_secret_ref.as_ref().map(|r| (terms::ACCESS_KEY, r.to_string()));
    [
        (ADDRESS, address_digest(&address)),
        ("spec.areaCode", spec.area_code.clone()),
        ("spec.document.secretRef", reference),
        ("spec.document.type", document.type_.as_str().to_owned()),
    ]
    .into_iter()
    .chain(access_key)
    .chain([(terms::ADDRESS_HINTS, address_hints(&address))])
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The same, with the digest that is recorded of the address where both are of the same address: earlier
/// versions recorded it as it was written.
fn spec_terms_beside(spec: &PhoneVerificationSpec, recorded: &Terms) -> Terms {
    let mut terms = spec_terms(spec);
    if let (Some(wanted), Some(recorded)) = (terms.get_mut(ADDRESS), recorded.get(ADDRESS))
        && wanted != recorded
        && spec.address.spellings().any(|address| address_digest(&address) == *recorded)
    {
        wanted.clone_from(recorded);
    }
    terms
}

fn address_digest(address: &Address) -> String {
    let parts = [&address.country, &address.city, &address.zip, &address.street, &address.house_number];
    // As a JSON array, so that no two addresses run into the same text.
    terms::digest(serde_json::json!(parts).to_string().as_bytes())
}

fn submit(view: &View) -> Next {
    if view.deleting {
        return rest(VerificationState::Waiting, Reason::Deleting, super::DELETING);
    }
    if let Some(flaw) = flaw::of_verification(view.spec) {
        return rest(VerificationState::Waiting, Reason::InvalidSpec, format!("{flaw}; nothing is sent"));
    }
    if view.spec.suspend {
        return rest(
            VerificationState::Suspended,
            Reason::Suspended,
            "spec.suspend is true: nothing is sent",
        );
    }
    if matches!(view.state.phase, Phase::Refused { .. }) && view.secrets.is_none() {
        return Decision::ReadSecrets;
    }
    if let Some(wait) = back_off(view) {
        return wait;
    }
    let Some(secrets) = &view.secrets else { return Decision::ReadSecrets };
    // A Secret may only be read, not watched, so it is looked at again after a while.
    let look_again = |reason, message| {
        Decision::Rest(
            Standing::new(VerificationState::Waiting, reason, message).again_in(view.pace.retry_min),
        )
    };
    if let Found::Missing(why) | Found::Invalid(why) = &secrets.access_key {
        return look_again(Reason::AccessKeyNotFound, format!("waits for the access key: {why}"));
    }
    match &secrets.document {
        Found::Missing(why) => look_again(Reason::DocumentNotFound, format!("waits for the document: {why}")),
        Found::Invalid(why) => look_again(
            Reason::DocumentInvalid,
            format!("the document can't be sent: {why}; store the complete PDF in the Secret, as it is"),
        ),
        Found::Usable(digest) => {
            let mut terms = spec_terms(view.spec);
            terms.insert(terms::DOCUMENT_DIGEST.into(), digest.clone());
            Decision::Send(terms)
        }
    }
}

/// Whether anything was mended since the last request. The document's bytes are in a Secret, which may
/// only be read, not watched.
fn edited(view: &View) -> bool {
    let refused = &view.state.terms;
    let document = view.secrets.as_ref().map(|read| &read.document);
    let another =
        matches!(document, Some(Found::Usable(now)) if refused.get(terms::DOCUMENT_DIGEST) != Some(now));
    another || terms::edited(&spec_terms_beside(view.spec, refused), refused)
}

fn back_off(view: &View) -> Option<Next> {
    let (next, again) = match view.pace.due(view.state, edited(view), view.known_for, view.now) {
        Due::Now => return None,
        Due::At(at, left) => (Some(at), left.min(view.pace.retry_max)),
        Due::Never => (None, view.pace.retry_max),
    };
    Some(Decision::Rest(match &view.state.phase {
        Phase::Refused { refusal, .. } => {
            // Looked at again before it is due: the document may have been mended meanwhile.
            let message = refusal_message(refusal, "the spec or the document", next);
            Standing::new(VerificationState::Refused, Reason::Refused, message).again_in(again)
        }
        Phase::NotProcessed { why, .. } => {
            let next = next.map(shown).unwrap_or_default();
            let message = format!("the last request was not processed ({why}); tried again at {next}");
            Standing::new(VerificationState::Waiting, Reason::ProviderUnavailable, message).again_in(again)
        }
        _ => return None,
    }))
}
