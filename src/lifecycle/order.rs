//! What a `PhoneNumberOrder` does next.

use std::time::Duration;

use jiff::Timestamp;

use super::retry::Due;
use super::{
    Budget, Decision, Found, Memory, Pace, Pending, Remark, Rivals, Sender, Standing, pending,
    refusal_message, shown, strays,
};
use crate::api::flaw;
use crate::api::order::OrderState;
use crate::api::verification::Approval;
use crate::api::{PhoneNumber, PhoneNumberOrderSpec, PhoneNumberOrderStatus, PhoneVerificationSpec, Reason};
use crate::ledger::{Accepted, Account, AttemptId, Event, Key, Payer, Phase, State, Terms, terms};

/// The verification that the order names.
#[derive(Clone, Debug)]
pub enum Verification<'a> {
    /// `spec.verificationId`: the user answers for its approval.
    Given(&'a str),
    /// `spec.verificationRef` names nothing.
    Missing(&'a str),
    /// `spec.verificationRef` names this.
    Found {
        /// Its name.
        name: &'a str,
        /// Its spec; none where this version of the operator can't read it.
        spec: Option<&'a PhoneVerificationSpec>,
        /// What the ledger knows of it.
        state: &'a State,
        /// Whether an order with its id was accepted.
        proven: bool,
    },
}

/// What the order is linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Nothing.
    None,
    /// This number.
    Number(PhoneNumber),
    /// An order that is not there.
    Missing(String),
    /// An order that has no number yet.
    Waiting(String),
    /// Orders that link to each other: these names, the first one again at the end.
    Ring(Vec<String>),
}

/// Everything that the decision depends on.
pub struct View<'a> {
    /// Whose it is.
    pub key: &'a Key,
    /// What is wanted.
    pub spec: &'a PhoneNumberOrderSpec,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What was last shown; read only where the ledger has no entry.
    pub status: Option<&'a PhoneNumberOrderStatus>,
    /// The value of the not-placed annotation.
    pub not_placed: Option<&'a str>,
    /// What the ledger knows.
    pub state: &'a State,
    /// Who may be sending.
    pub sender: Sender,
    /// How long this process has known where the newest request stands.
    pub known_for: Duration,
    /// The verification.
    pub verification: Verification<'a>,
    /// The link target.
    pub link: Link,
    /// The access key; none where it was not read yet.
    pub access_key: Option<Found<Account>>,
    /// The budget.
    pub budget: Budget,
    /// Who comes before this one with a claim.
    pub rival: Rivals<'a>,
    /// The bounds of the back-off.
    pub pace: &'a Pace,
    /// Whether the provider is given a push URL.
    pub push: bool,
    /// The time.
    pub now: Timestamp,
}

pub(super) type Next = Decision<OrderState>;

/// What to do next. Steps that send nothing come before those that may.
#[must_use]
pub fn decide(view: &View) -> Next {
    let mut next = rebuild(view)
        .or_else(|| super::adoption::adopt(view))
        .or_else(|| settle(view))
        .or_else(|| placed(view))
        .unwrap_or_else(|| place(view));
    if let Decision::Rest(standing) = &mut next {
        standing.remark = super::stray_annotation(view.state, view.not_placed).or(standing.remark.take());
    }
    next
}

fn rest(state: OrderState, reason: Reason, message: impl Into<String>) -> Next {
    Decision::Rest(Standing::new(state, reason, message))
}

pub(super) fn conflict(message: impl Into<String>) -> Next {
    rest(OrderState::Conflict, Reason::Conflict, message)
}

/// The ledger has nothing, the status has: whoever emptied the ledger, ordering again is not the answer.
fn rebuild(view: &View) -> Option<Next> {
    let status = view.status?;
    if !Memory::of_order(status).exceeds(view.state) {
        return None;
    }
    let attempt = status.attempt.as_deref().and_then(AttemptId::parse);
    let id = status.order_id.clone().filter(|id| !id.is_empty());
    let number = status.phone_number.as_deref().and_then(|n| PhoneNumber::try_from(n).ok());
    let requests = status.requests;
    // Recorded also where another owns the id by now, which is a conflict then: it would vanish from the status
    // otherwise, and the order would look like a new one.
    let mut terms = spec_terms(view.spec);
    terms.extend(status.verification_id.clone().map(|id| (terms::VERIFICATION_ID.into(), id)));
    Some(Decision::Record(vec![Event::Rebuilt { at: view.now, attempt, id, number, terms, requests }]))
}

fn settle(view: &View) -> Option<Next> {
    let name = &view.key.name;
    match pending(view.state, view.sender, view.not_placed, view.now)? {
        // An id or number that is known already ends the wait, whatever became of the open attempt.
        Pending::InFlight { .. } | Pending::Unknown { .. } if view.state.accepted.is_some() => None,
        Pending::Settle(event) => Some(Decision::Record(vec![event])),
        Pending::InFlight { message, again } => {
            let mut standing = Standing::new(OrderState::Ordering, Reason::Ordering, message);
            standing.again = again;
            Some(Decision::Rest(standing))
        }
        Pending::Unknown { attempt, why } => Some(rest(
            OrderState::OutcomeUnknown,
            Reason::OutcomeUnknown,
            format!(
                "it is unknown whether order request {attempt} was placed ({why}); check the TENIOS portal. If it was: set spec.adopt.orderId. If it was not: kubectl annotate pno {name} --overwrite {}={attempt}",
                crate::api::NOT_PLACED_ANNOTATION
            ),
        )),
    }
}

/// What was ordered stands, whatever the spec says by now.
fn placed(view: &View) -> Option<Next> {
    let accepted = view.state.accepted.as_ref()?;
    if let Some(different) = changed_terms(view) {
        return Some(conflict(different));
    }
    let remark = match super::adoption::contested(view) {
        Some(Err(conflict)) => return Some(conflict),
        Some(Ok(remark)) => Some(remark),
        None => None,
    };
    Some(remarked(stands(view, accepted), remark))
}

fn remarked(mut next: Next, remark: Option<Remark>) -> Next {
    if let Decision::Rest(standing) = &mut next {
        standing.remark = remark;
    }
    next
}

/// Where what was ordered stands.
fn stands(view: &View, accepted: &Accepted) -> Next {
    let number = view.state.number.as_ref().map(|n| &n.number);
    let strays = strays(view.state, "order");
    if let Some(number) = number {
        let message = format!("number {number} is assigned{strays}");
        return rest(OrderState::Assigned, Reason::NumberAssigned, message);
    }
    let id = accepted.id.as_deref().unwrap_or("?");
    let how = if view.push {
        "TENIOS pushes the number when it is assigned".to_owned()
    } else {
        "the operator runs without --push-base-url: when the number is in the TENIOS portal, set spec.adopt.phoneNumber".into()
    };
    let message = format!("order {id} is placed; {how}{strays}");
    rest(OrderState::AwaitingNumber, Reason::AwaitingNumber, message)
}

/// A field of the spec that differs from what was ordered, with both values. A resource that names the
/// same verification or number in another way asks for the same thing.
fn changed_terms(view: &View) -> Option<String> {
    let ordered = &view.state.terms;
    if ordered.is_empty() {
        return None;
    }
    let wanted = spec_terms(view.spec);
    let resolved = |name: &str, resolved: &str| {
        wanted.get(name).is_some_and(|value| ordered.get(resolved) == Some(value))
    };
    let same_verification = resolved("spec.verificationId", terms::VERIFICATION_ID);
    let same_link = resolved("spec.linkTo.phoneNumber", terms::LINK_NUMBER);
    let names = wanted.keys().chain(ordered.keys()).filter(|n| n.starts_with(terms::SPEC));
    let differs = |name: &&String| {
        wanted.get(*name) != ordered.get(*name)
            && !(same_verification && name.starts_with("spec.verification"))
            && !(same_link && name.starts_with("spec.linkTo"))
    };
    let name = names.into_iter().find(differs)?;
    let value = |terms: &Terms| terms.get(name).map_or("nothing".to_owned(), |v| format!("{v:?}"));
    Some(format!(
        "{name} is {}, but what was ordered under this name had {}; nothing is sent. Revert it, or give the new order another name",
        value(&wanted),
        value(ordered)
    ))
}

fn spec_terms(spec: &PhoneNumberOrderSpec) -> Terms {
    let mut terms = Terms::new();
    let mut put = |name: &str, value: &str| terms.insert(name.to_owned(), value.to_owned());
    put("spec.numberType", spec.number_type.as_str());
    if let Some(reference) = &spec.verification_ref {
        put("spec.verificationRef.name", &reference.name);
    }
    if let Some(id) = &spec.verification_id {
        put("spec.verificationId", id);
    }
    if let Some(reference) = &spec.access_key_secret_ref {
        put(terms::ACCESS_KEY, &reference.to_string());
    }
    if let Some(link) = &spec.link_to {
        if let Some(number) = &link.phone_number {
            put("spec.linkTo.phoneNumber", number.as_str());
        }
        if let Some(reference) = &link.order_ref {
            put("spec.linkTo.orderRef.name", &reference.name);
        }
    }
    terms
}

/// Nothing is open or placed: what stands between here and a request.
fn place(view: &View) -> Next {
    if view.deleting {
        return rest(OrderState::Waiting, Reason::Deleting, super::DELETING);
    }
    if let Some(flaw) = flaw::of_order(view.spec) {
        return rest(OrderState::Waiting, Reason::InvalidSpec, format!("{flaw}; nothing is sent"));
    }
    if let Link::Ring(names) = &view.link {
        let message = match names.as_slice() {
            [one, again] if one == again => {
                format!("spec.linkTo.orderRef names {one}, the order itself")
            }
            names => format!("spec.linkTo.orderRef forms a cycle: {}", names.join(" -> ")),
        };
        return rest(OrderState::Waiting, Reason::InvalidSpec, message);
    }
    if view.spec.suspend {
        return rest(OrderState::Suspended, Reason::Suspended, "spec.suspend is true: nothing is sent");
    }
    let edited = terms::edited(&spec_terms(view.spec), &view.state.terms);
    if let Some(wait) = back_off(view, edited) {
        return wait;
    }
    let verification_id = match approved(view) {
        Ok(id) => id,
        Err(next) => return *next,
    };
    let link = match &view.link {
        Link::None | Link::Ring(_) => None,
        Link::Number(number) => Some(number),
        Link::Missing(name) => {
            return rest(
                OrderState::Waiting,
                Reason::AwaitingLinkTarget,
                format!("waits for PhoneNumberOrder {name}, which does not exist"),
            );
        }
        Link::Waiting(name) => {
            return rest(
                OrderState::Waiting,
                Reason::AwaitingLinkTarget,
                format!("waits for the number of PhoneNumberOrder {name}"),
            );
        }
    };
    let account = match &view.access_key {
        None => return Decision::ReadSecrets,
        Some(Found::Usable(account)) => account,
        Some(Found::Missing(why) | Found::Invalid(why)) => {
            return Decision::Rest(
                Standing::new(
                    OrderState::Waiting,
                    Reason::AccessKeyNotFound,
                    format!("waits for the access key: {why}"),
                )
                .again_in(view.pace.retry_min),
            );
        }
    };
    match &view.budget {
        Budget::NotAsked => Decision::Reserve(Payer {
            account: Some(account.clone()),
            own: view.spec.access_key_secret_ref.is_none(),
        }),
        Budget::Exceeded { whose, until } => {
            let wait = Duration::try_from(until.duration_since(view.now)).unwrap_or_default();
            let message = format!(
                "the order budget of {whose} is used up; the order is placed from {} on",
                shown(*until)
            );
            // Bounded, because another order may give its place back when it turns out not to have left.
            let wait = wait.clamp(Duration::from_millis(50), view.pace.retry_max);
            Decision::Rest(Standing::new(OrderState::Waiting, Reason::BudgetExceeded, message).again_in(wait))
        }
        Budget::Reserved => {
            let mut terms = spec_terms(view.spec);
            terms.insert(terms::VERIFICATION_ID.into(), verification_id.to_owned());
            terms.insert(terms::ACCOUNT.into(), account.to_string());
            terms.extend(link.map(|number| (terms::LINK_NUMBER.to_owned(), number.to_string())));
            Decision::Send(terms)
        }
    }
}

fn back_off(view: &View, edited: bool) -> Option<Next> {
    let due = view.pace.due(view.state, edited, view.known_for, view.now);
    let (next, again) = match due {
        Due::Now => return None,
        Due::At(at, left) => (Some(at), Some(left)),
        Due::Never => (None, None),
    };
    let mut standing = match &view.state.phase {
        Phase::Refused { refusal, .. } => {
            Standing::new(OrderState::Refused, Reason::Refused, refusal_message(refusal, "the spec", next))
        }
        Phase::NotProcessed { why, .. } => Standing::new(
            OrderState::Waiting,
            Reason::ProviderUnavailable,
            format!(
                "the last request was not processed ({why}); tried again at {}",
                next.map(shown).unwrap_or_default()
            ),
        ),
        _ => return None,
    };
    standing.again = again;
    Some(Decision::Rest(standing))
}

/// The verification id to order with, or what has to come first.
fn approved<'a>(view: &'a View) -> Result<&'a str, Box<Next>> {
    let wait = |reason, message: String| Err(Box::new(rest(OrderState::Waiting, reason, message)));
    let (name, spec, state, proven) = match &view.verification {
        Verification::Given(id) => return Ok(id),
        Verification::Missing(name) => {
            return wait(
                Reason::AwaitingVerification,
                format!("waits for PhoneVerification {name}, which does not exist"),
            );
        }
        Verification::Found { name, spec, state, proven } => (name, spec, state, proven),
    };
    let Some(spec) = spec else {
        return wait(
            Reason::AwaitingVerification,
            format!("waits for PhoneVerification {name}, which this version of the operator can't read"),
        );
    };
    let id = match state.id() {
        Some(id) if super::verification::stands(spec, state) => id,
        Some(_) => {
            return wait(
                Reason::AwaitingVerification,
                format!(
                    "waits for PhoneVerification {name}, which is in conflict with what was submitted under its name"
                ),
            );
        }
        None => {
            return wait(
                Reason::AwaitingVerification,
                format!(
                    "waits for PhoneVerification {name} to be submitted; kubectl describe pver {name} shows what holds it back"
                ),
            );
        }
    };
    match spec.approval {
        Approval::Approved | Approval::Probe => Ok(id),
        Approval::Pending if *proven => Ok(id),
        Approval::Pending => wait(
            Reason::AwaitingApproval,
            format!(
                "waits for PhoneVerification {name} to be approved: once the TENIOS portal shows that it is: kubectl tenios approve {name}, or spec.approval: Approved in its manifest"
            ),
        ),
        Approval::Rejected => wait(
            Reason::AwaitingApproval,
            format!("PhoneVerification {name} was rejected; set spec.verificationRef to another one"),
        ),
    }
}
