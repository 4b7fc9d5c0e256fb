//! What a `PhoneVerification` does next, and what it shows.

use jiff::Timestamp;

use super::status::{Evidence, accepted};
use super::{
    AccessKey, Asks, Decided, Decision, Found, Intent, Managed, Need, Progress, Recorded, StatusSummary,
    Words, strays,
};
use tenios_api::digest::sha256;
use tenios_api::pdf::Document;
use tenios_api::valid::ValidVerification;
use tenios_api::verification::{Address, Approval, VerificationState};
use tenios_api::{
    Condition, ConditionStatus, ConditionType, Endpoint, PhoneVerification, PhoneVerificationSpec,
    PhoneVerificationStatus, Reason, RequestField, SecretKeyRef,
};
use tenios_ledger::{AttemptId, Event, Kind, State, Terms, terms};

/// What a verification may ask for.
#[derive(Debug)]
pub enum VerificationNeed {
    /// [`Need::AccessKey`]
    AccessKey(Option<SecretKeyRef>),
    /// [`Need::Document`]
    Document(SecretKeyRef),
}

impl From<VerificationNeed> for Need {
    fn from(need: VerificationNeed) -> Self {
        match need {
            VerificationNeed::AccessKey(reference) => Self::AccessKey(reference),
            VerificationNeed::Document(reference) => Self::Document(reference),
        }
    }
}

/// One verification to be submitted.
#[derive(Debug)]
pub struct VerificationIntent {
    spec: PhoneVerificationSpec,
    document: Document,
    access_key: AccessKey,
}

impl Intent for VerificationIntent {
    fn endpoint(&self) -> Endpoint {
        Endpoint::CreateVerification
    }

    fn recorded(&self) -> Terms {
        let mut terms = PhoneVerification::terms(&self.spec);
        terms.insert(terms::DOCUMENT_DIGEST.into(), digest(&self.document));
        terms
    }

    fn fields(&self) -> Vec<(RequestField, String)> {
        let Address { country, city, zip, street, house_number } = self.spec.address.canonical();
        vec![
            (RequestField::Country, country),
            (RequestField::City, city),
            (RequestField::Zip, zip),
            (RequestField::Street, street),
            (RequestField::HouseNumber, house_number),
            (RequestField::DocumentType, self.spec.document.type_.as_str().to_owned()),
            (RequestField::AreaCode, self.spec.area_code.clone()),
        ]
    }

    fn document(&self) -> Option<(RequestField, &Document)> {
        Some((RequestField::DocumentData, &self.document))
    }

    fn access_key(&self) -> &AccessKey {
        &self.access_key
    }
}

fn digest(document: &Document) -> String {
    sha256(document.bytes())
}

type View<'a> = super::View<'a, PhoneVerification>;
type Next = Decision<PhoneVerification>;

impl Asks for PhoneVerification {
    type Spec = PhoneVerificationSpec;
    type Status = PhoneVerificationStatus;
    type Step = VerificationState;
    type Need = VerificationNeed;
    type Intent = VerificationIntent;
    type Valid<'a> = ValidVerification<'a>;

    const KIND: Kind = Kind::Verification;
    const WORDS: Words<VerificationState> = Words {
        request: "verification request",
        taken: "accepted",
        adopt: ("spec.adopt.verificationId", "its id"),
        short_name: "pver",
        edit: "the spec or the document",
        // The document's bytes are in a Secret, which may only be read, not watched.
        edit_is_unseen: true,
        waiting: VerificationState::Waiting,
        sending: VerificationState::Submitting,
        sending_reason: Reason::Submitting,
        outcome_unknown: VerificationState::OutcomeUnknown,
        refused: VerificationState::Refused,
        suspended: VerificationState::Suspended,
    };

    fn terms(spec: &PhoneVerificationSpec) -> Terms {
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

    fn is_suspended(spec: &PhoneVerificationSpec) -> bool {
        spec.suspend
    }

    fn adopts(spec: &PhoneVerificationSpec) -> bool {
        spec.adopt.is_some()
    }

    fn adopt(view: &View) -> Option<Next> {
        let adopt = ValidVerification::new(view.spec).ok()?.spec().adopt.as_ref()?;
        let wanted = &adopt.verification_id;
        let known = view.state.id();
        if known == Some(wanted) {
            return None;
        }
        let submitted_by_us = view.state.accepted.as_ref().is_some_and(|a| a.attempt.is_some());
        if let Some(known) = known
            && submitted_by_us
        {
            return Some(conflict(format!(
                "spec.adopt.verificationId is {wanted}, but this resource submitted verification {known}; remove spec.adopt, or adopt {wanted} in a resource with another name"
            )));
        }
        // Only orders are claimed.
        let (id, number) = (Some(wanted.clone()), None);
        let adopted = Event::Adopted { at: view.now, id, number, account: None, own: false };
        Some(view.in_flight().unwrap_or(Decision::Record(vec![adopted])))
    }

    fn accepted(view: &View) -> Option<Next> {
        let id = view.state.id()?;
        if let Some(name) = changed(view.spec, view.state) {
            let difference = difference(name, &Self::terms(view.spec), &view.state.terms);
            return Some(conflict(format!(
                "{difference}; nothing is sent. Restore the old value, or use another name for a new verification"
            )));
        }
        let (state, reason, message) = submitted(view);
        let strays = strays(view.state, "verification");
        Some(Decision::Rest(StatusSummary::new(
            state,
            reason,
            format!("verification {id} {message}{strays}"),
        )))
    }

    fn valid<'a>(view: &View<'a>) -> Result<ValidVerification<'a>, String> {
        ValidVerification::new(view.spec).map_err(|flaw| format!("{flaw}; nothing is sent"))
    }

    fn edited(view: &View) -> Result<bool, VerificationNeed> {
        let refused = &view.state.terms;
        let another = match &view.answers.document {
            None => return Err(VerificationNeed::Document(view.spec.document.secret_ref.clone())),
            Some(Found::Usable(document)) => refused.get(terms::DOCUMENT_DIGEST) != Some(&digest(document)),
            Some(Found::Missing(_) | Found::Invalid(_) | Found::Unread(_)) => false,
        };
        Ok(another || terms::edited(&terms_beside(view.spec, refused), refused))
    }

    fn submit(view: &View, valid: &ValidVerification) -> Next {
        let spec = valid.spec();
        let access_key =
            match view.access_key(|| VerificationNeed::AccessKey(spec.access_key_secret_ref.clone())) {
                Ok(access_key) => access_key.clone(),
                Err(next) => return *next,
            };
        match &view.answers.document {
            None => Decision::Need(VerificationNeed::Document(spec.document.secret_ref.clone())),
            Some(Found::Missing(why) | Found::Unread(why)) => {
                view.waits_for_secret(Reason::DocumentNotFound, format!("waiting for the document: {why}"))
            }
            Some(Found::Invalid(why)) => view.waits_for_secret(
                Reason::DocumentInvalid,
                format!(
                    "the document can't be sent: {why}; store the complete, unmodified PDF in the Secret"
                ),
            ),
            Some(Found::Usable(document)) => Decision::Send(VerificationIntent {
                spec: spec.clone(),
                document: document.clone(),
                access_key,
            }),
        }
    }

    fn evidence(status: &PhoneVerificationStatus) -> Evidence {
        Evidence {
            attempt: status.attempt.as_deref().and_then(AttemptId::parse),
            requests: status.requests,
            id: status.verification_id.clone().filter(|id| !id.is_empty()),
            number: None,
            resolved: status.document_digest.clone().map(|digest| (terms::DOCUMENT_DIGEST, digest)),
        }
    }
}

impl Managed for PhoneVerification {
    const FOLLOW_UP: Option<Kind> = None;

    fn decide(view: &View, _: &Progress) -> Decided<VerificationState> {
        super::decide(view).into()
    }

    fn expires(spec: &PhoneVerificationSpec, step: VerificationState) -> Option<Timestamp> {
        spec.document.ends().filter(|_| step != VerificationState::Rejected)
    }

    fn is_ready(step: VerificationState) -> bool {
        step == VerificationState::Approved
    }

    fn known(recorded: &Recorded, previous: &PhoneVerificationStatus) -> PhoneVerificationStatus {
        let state = recorded.own;
        if Self::evidence(previous).knows_more_than(state) {
            return previous.clone();
        }
        PhoneVerificationStatus {
            verification_id: state.id().map(ToOwned::to_owned),
            requests: state.attempts,
            attempt: state.attempt().map(ToString::to_string),
            submitted_time: state.accepted.as_ref().map(|a| a.at),
            document_digest: state.terms.get(terms::DOCUMENT_DIGEST).cloned(),
            ..PhoneVerificationStatus::default()
        }
    }

    fn show(
        status: &mut PhoneVerificationStatus,
        generation: i64,
        step: VerificationState,
        conditions: Vec<Condition>,
    ) {
        status.observed_generation = generation;
        status.state = Some(step);
        status.conditions = conditions;
    }

    fn conditions(status: &PhoneVerificationStatus) -> &[Condition] {
        &status.conditions
    }

    fn outcome(
        spec: Option<&PhoneVerificationSpec>,
        recorded: &Recorded,
        summary: &StatusSummary<VerificationState>,
    ) -> Vec<(ConditionType, ConditionStatus, Reason)> {
        let submitted = accepted(ConditionType::Submitted, Reason::Submitted, recorded.own, summary.reason);
        let approval = spec.map_or(Approval::Pending, |s| s.approval);
        let (status, reason) = match (summary.state, approval) {
            (VerificationState::Approved, Approval::Approved) => (ConditionStatus::True, Reason::Declared),
            (VerificationState::Approved, _) => (ConditionStatus::True, Reason::ProvenByOrder),
            (_, _) if recorded.own.accepted.is_none() => (ConditionStatus::False, Reason::NotSubmitted),
            (VerificationState::Rejected, _) => (ConditionStatus::False, Reason::Rejected),
            (_, Approval::Probe) => (ConditionStatus::False, Reason::Probing),
            (_, _) => (ConditionStatus::False, Reason::AwaitingApproval),
        };
        vec![submitted, (ConditionType::Approved, status, reason)]
    }
}

/// The name of the address in the terms.
const ADDRESS: &str = "spec.address";

/// Whether what was submitted under this name is what the spec asks for.
#[must_use]
pub fn matches_submitted(spec: &PhoneVerificationSpec, state: &State) -> bool {
    changed(spec, state).is_none()
}

fn conflict(message: String) -> Next {
    Decision::Rest(StatusSummary::new(VerificationState::Conflict, Reason::Conflict, message))
}

/// What became of a verification that was submitted.
fn submitted(view: &View) -> (VerificationState, Reason, String) {
    let proven = view.state.id().is_some_and(|id| view.around.is_proven(id));
    match (view.spec.approval, proven) {
        (Approval::Rejected, _) => (
            VerificationState::Rejected,
            Reason::Rejected,
            "was rejected by TENIOS, according to spec.approval; submit another document in a new PhoneVerification"
                .to_owned(),
        ),
        (Approval::Approved, _) => (VerificationState::Approved, Reason::Approved, approved(view, "")),
        (_, true) => {
            let message = approved(view, ": an order with it was accepted");
            (VerificationState::Approved, Reason::Approved, message)
        }
        (Approval::Probe, false) => (
            VerificationState::AwaitingApproval,
            Reason::Probing,
            "is submitted; orders with it are tried until TENIOS accepts one".to_owned(),
        ),
        (Approval::Pending, false) => (
            VerificationState::AwaitingApproval,
            Reason::AwaitingApproval,
            format!(
                "is submitted; once the TENIOS portal shows the approval, run: kubectl tenios approve {} -n {}, or set spec.approval: Approved in its manifest",
                view.key.name, view.key.namespace
            ),
        ),
    }
}

/// The document may be a copy of somebody's identity card, which need not lie in a cluster for ever.
fn approved(view: &View, why: &str) -> String {
    let secret = &view.spec.document.secret_ref;
    format!(
        "is approved{why}; the document in {secret} is not needed for it any more and can be deleted, unless another resource uses it"
    )
}

/// The first field of the spec that differs from what was submitted. An adopted verification has no
/// recorded terms to differ from.
fn changed<'a>(spec: &PhoneVerificationSpec, state: &'a State) -> Option<&'a str> {
    let wanted = terms_beside(spec, &state.terms);
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
    let value = |terms: &Terms| terms.get(name).map_or("not set".into(), |value| format!("{value:?}"));
    format!("{name} is {}, but it was {} in the submission under this name", value(wanted), value(submitted))
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

/// What the spec asks for, with the digest that is recorded of the address where both are of the same address: earlier
/// versions recorded it as it was written.
fn terms_beside(spec: &PhoneVerificationSpec, recorded: &Terms) -> Terms {
    let mut terms = PhoneVerification::terms(spec);
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
    sha256(serde_json::json!(parts).to_string())
}
