//! What a `PhoneNumberOrder` does next, and what it shows.

use jiff::Timestamp;

use super::config_map::{Told, Wanted};
use super::links::{self, Link};
use super::status::{Evidence, accepted};
use super::{
    AccessKey, Asks, Decided, Decision, Intent, Managed, Need, Progress, Recorded, SeenVerification,
    StatusSummary, Warning, Words, cancel, strays,
};
use tenios_api::order::OrderState;
use tenios_api::pdf::Document;
use tenios_api::valid::{ValidOrder, VerificationSource};
use tenios_api::verification::Approval;
use tenios_api::{
    Condition, ConditionStatus, ConditionType, Endpoint, PhoneNumber, PhoneNumberOrder, PhoneNumberOrderSpec,
    PhoneNumberOrderStatus, Reason, RequestField, SecretKeyRef,
};
use tenios_ledger::{Accepted, AttemptId, Kind, Payer, State, Terms, terms};

/// What an order may ask for.
#[derive(Debug)]
pub enum OrderNeed {
    /// [`Need::AccessKey`]
    AccessKey(Option<SecretKeyRef>),
    /// [`Need::Budget`]
    Budget(Payer),
}

impl From<OrderNeed> for Need {
    fn from(need: OrderNeed) -> Self {
        match need {
            OrderNeed::AccessKey(reference) => Self::AccessKey(reference),
            OrderNeed::Budget(payer) => Self::Budget(payer),
        }
    }
}

/// One order to be placed.
#[derive(Debug)]
pub struct OrderIntent {
    spec: PhoneNumberOrderSpec,
    verification_id: String,
    link: Option<PhoneNumber>,
    access_key: AccessKey,
}

impl Intent for OrderIntent {
    fn endpoint(&self) -> Endpoint {
        Endpoint::OrderNumber
    }

    fn recorded(&self) -> Terms {
        let mut terms = PhoneNumberOrder::terms(&self.spec);
        terms.insert(terms::VERIFICATION_ID.into(), self.verification_id.clone());
        terms.insert(terms::ACCOUNT.into(), self.access_key.account().to_string());
        terms.extend(self.link.iter().map(|number| (terms::LINK_NUMBER.to_owned(), number.to_string())));
        terms
    }

    fn fields(&self) -> Vec<(RequestField, String)> {
        let mut fields = vec![
            (RequestField::NumberType, self.spec.number_type.as_str().to_owned()),
            (RequestField::VerificationId, self.verification_id.clone()),
        ];
        fields.extend(self.link.iter().map(|number| (RequestField::LinkToNumber, number.to_string())));
        fields
    }

    fn document(&self) -> Option<(RequestField, &Document)> {
        None
    }

    fn access_key(&self) -> &AccessKey {
        &self.access_key
    }
}

pub(super) type View<'a> = super::View<'a, PhoneNumberOrder>;
pub(super) type Next = Decision<PhoneNumberOrder>;

impl Asks for PhoneNumberOrder {
    type Spec = PhoneNumberOrderSpec;
    type Status = PhoneNumberOrderStatus;
    type Step = OrderState;
    type Need = OrderNeed;
    type Intent = OrderIntent;
    type Valid<'a> = (ValidOrder<'a>, Link);

    const KIND: Kind = Kind::Order;
    const WORDS: Words<OrderState> = Words {
        request: "order request",
        taken: "placed",
        adopt: ("spec.adopt.orderId", "its id"),
        short_name: "pno",
        edit: "the spec",
        edit_is_unseen: false,
        waiting: OrderState::Waiting,
        sending: OrderState::Ordering,
        sending_reason: Reason::Ordering,
        outcome_unknown: OrderState::OutcomeUnknown,
        refused: OrderState::Refused,
        suspended: OrderState::Suspended,
    };

    fn terms(spec: &PhoneNumberOrderSpec) -> Terms {
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

    fn is_suspended(spec: &PhoneNumberOrderSpec) -> bool {
        spec.suspend
    }

    fn adopts(spec: &PhoneNumberOrderSpec) -> bool {
        spec.adopt.is_some()
    }

    fn adopt(view: &View) -> Option<Next> {
        super::adoption::adopt(view)
    }

    /// What was ordered stands, whatever the spec says by now.
    fn accepted(view: &View) -> Option<Next> {
        let accepted = view.state.accepted.as_ref()?;
        if let Some(different) = changed_terms(view) {
            return Some(conflict(different));
        }
        let warning = match super::adoption::contested(view) {
            Some(Err(conflict)) => return Some(conflict),
            Some(Ok(warning)) => Some(warning),
            None => None,
        };
        Some(with_warning(accepted_status(view, accepted), warning))
    }

    fn valid<'a>(view: &View<'a>) -> Result<(ValidOrder<'a>, Link), String> {
        let valid = ValidOrder::new(view.spec).map_err(|flaw| format!("{flaw}; nothing is sent"))?;
        if view.spec.cancel.is_some() {
            return Err(cancel::NOTHING_TO_CANCEL.to_owned());
        }
        let link = links::resolve(&view.key.name, valid.link, view.around)?;
        Ok((valid, link))
    }

    fn edited(view: &View) -> Result<bool, OrderNeed> {
        Ok(terms::edited(&Self::terms(view.spec), &view.state.terms))
    }

    fn submit(view: &View, (valid, link): &(ValidOrder, Link)) -> Next {
        match intent(view, valid, link) {
            Ok(intent) => Decision::Send(intent),
            Err(next) => *next,
        }
    }

    fn evidence(status: &PhoneNumberOrderStatus) -> Evidence {
        Evidence {
            attempt: status.attempt.as_deref().and_then(AttemptId::parse),
            requests: status.requests,
            id: status.order_id.clone().filter(|id| !id.is_empty()),
            number: status.phone_number.as_deref().and_then(|n| PhoneNumber::try_from(n).ok()),
            resolved: status.verification_id.clone().map(|id| (terms::VERIFICATION_ID, id)),
        }
    }
}

impl Managed for PhoneNumberOrder {
    const FOLLOW_UP: Option<Kind> = Some(Kind::Cancellation);

    fn asks_more(spec: &PhoneNumberOrderSpec) -> bool {
        spec.cancel.is_some()
    }

    fn decide(view: &View, follow_up: &Progress) -> Decided<OrderState> {
        cancel::decide(view, follow_up)
    }

    fn config_map(
        spec: &PhoneNumberOrderSpec,
        recorded: &Recorded,
        step: OrderState,
        now: Timestamp,
    ) -> Option<Result<Wanted, Told>> {
        super::config_map::wanted(spec, recorded, step != OrderState::Conflict, now)
    }

    fn is_ready(step: OrderState) -> bool {
        matches!(step, OrderState::Assigned | OrderState::Cancelled)
    }

    fn known(recorded: &Recorded, previous: &PhoneNumberOrderStatus) -> PhoneNumberOrderStatus {
        let state = recorded.own;
        let mut known =
            if Self::evidence(previous).knows_more_than(state) { previous.clone() } else { ordered(state) };
        cancel::show(&mut known, recorded.follow_up, previous);
        known
    }

    fn show(
        status: &mut PhoneNumberOrderStatus,
        generation: i64,
        step: OrderState,
        conditions: Vec<Condition>,
    ) {
        status.observed_generation = generation;
        status.state = Some(step);
        status.conditions = conditions;
    }

    fn conditions(status: &PhoneNumberOrderStatus) -> &[Condition] {
        &status.conditions
    }

    fn outcome(
        spec: Option<&PhoneNumberOrderSpec>,
        recorded: &Recorded,
        summary: &StatusSummary<OrderState>,
    ) -> Vec<(ConditionType, ConditionStatus, Reason)> {
        let state = recorded.own;
        let ordered = accepted(ConditionType::Ordered, Reason::Ordered, state, summary.reason);
        let (status, reason) = match (summary.state, &state.accepted) {
            (OrderState::Assigned, _) => (ConditionStatus::True, Reason::NumberAssigned),
            (_, Some(_)) if state.number.is_none() => (ConditionStatus::False, Reason::AwaitingNumber),
            (_, Some(_)) => (ConditionStatus::True, Reason::NumberAssigned),
            (_, None) => (ConditionStatus::False, Reason::NotOrdered),
        };
        let assigned = (ConditionType::Assigned, status, reason);
        [ordered, assigned].into_iter().chain(cancel::condition(spec, recorded, summary)).collect()
    }
}

/// The status by what the ledger knows of the order.
fn ordered(state: &State) -> PhoneNumberOrderStatus {
    PhoneNumberOrderStatus {
        requests: state.attempts,
        attempt: state.attempt().map(ToString::to_string),
        verification_id: state.terms.get(terms::VERIFICATION_ID).cloned(),
        link_to: state.terms.get(terms::LINK_NUMBER).cloned(),
        order_id: state.id().map(ToOwned::to_owned),
        phone_number: state.number.as_ref().map(|n| n.number.to_string()),
        ordered_time: state.accepted.as_ref().map(|a| a.at),
        assigned_time: state.number.as_ref().map(|n| n.at),
        ..PhoneNumberOrderStatus::default()
    }
}

fn rest(state: OrderState, reason: Reason, message: impl Into<String>) -> Next {
    Decision::Rest(super::StatusSummary::new(state, reason, message))
}

pub(super) fn conflict(message: impl Into<String>) -> Next {
    rest(OrderState::Conflict, Reason::Conflict, message)
}

fn with_warning(mut next: Next, warning: Option<Warning>) -> Next {
    if let Decision::Rest(summary) = &mut next {
        summary.warning = warning;
    }
    next
}

/// Where what was ordered stands.
fn accepted_status(view: &View, accepted: &Accepted) -> Next {
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
        "the operator runs without --push-base-url, so TENIOS does not report the number: once the TENIOS portal shows it, set spec.adopt.phoneNumber".into()
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
    let wanted = PhoneNumberOrder::terms(view.spec);
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
    let value = |terms: &Terms| terms.get(name).map_or("not set".to_owned(), |v| format!("{v:?}"));
    Some(format!(
        "{name} is {}, but it was {} in the order placed under this name; nothing is sent. Restore the old value, or use another name for a new order",
        value(&wanted),
        value(ordered)
    ))
}

/// What is to be sent, or what has to come first.
fn intent(view: &View, valid: &ValidOrder, link: &Link) -> Result<OrderIntent, Box<Next>> {
    let spec = valid.spec();
    let verification_id = approved(view, valid.verification)?;
    let waits = |message: String| {
        Err(Box::new(Decision::Rest(PhoneNumberOrder::waits(Reason::AwaitingLinkTarget, message))))
    };
    let link = match link {
        Link::None => None,
        Link::Number(number) => Some(number.clone()),
        Link::Missing(name) => {
            return waits(format!("waiting for PhoneNumberOrder {name}, which does not exist"));
        }
        Link::Cancelled(name) => {
            return waits(format!(
                "waiting for PhoneNumberOrder {name}, whose number is cancelled or may be; point spec.linkTo to another one"
            ));
        }
        Link::Waiting(name) => return waits(format!("waiting for the number of PhoneNumberOrder {name}")),
    };
    let access_key = view.access_key(|| OrderNeed::AccessKey(spec.access_key_secret_ref.clone()))?;
    let own = spec.access_key_secret_ref.is_none();
    view.place_in_budget("the order budget", "this order", access_key, own, OrderNeed::Budget)?;
    Ok(OrderIntent { spec: spec.clone(), verification_id, link, access_key: access_key.clone() })
}

/// The verification id to order with, or what has to come first.
fn approved(view: &View, source: VerificationSource) -> Result<String, Box<Next>> {
    let name = match source {
        VerificationSource::Id(id) => return Ok(id.to_owned()),
        VerificationSource::Resource(name) => name,
    };
    let (reason, message) = match view.around.verification(name) {
        SeenVerification::Submitted { id, approval: Approval::Approved | Approval::Probe, .. }
        | SeenVerification::Submitted { id, approval: Approval::Pending, proven: true } => return Ok(id),
        SeenVerification::Submitted { approval: Approval::Pending, proven: false, .. } => (
            Reason::AwaitingApproval,
            format!(
                "waiting for PhoneVerification {name} to be approved; once the TENIOS portal shows the approval, run: kubectl tenios approve {name} -n {}, or set spec.approval: Approved in its manifest",
                view.key.namespace
            ),
        ),
        SeenVerification::Submitted { approval: Approval::Rejected, .. } => (
            Reason::VerificationRejected,
            format!("PhoneVerification {name} was rejected; point spec.verificationRef to another one"),
        ),
        SeenVerification::Missing => (
            Reason::AwaitingVerification,
            format!("waiting for PhoneVerification {name}, which does not exist"),
        ),
        SeenVerification::Unreadable => (
            Reason::AwaitingVerification,
            format!("waiting for PhoneVerification {name}, which this version of the operator can't read"),
        ),
        SeenVerification::InConflict => (
            Reason::AwaitingVerification,
            format!(
                "waiting for PhoneVerification {name}, which is in conflict with what was submitted under its name"
            ),
        ),
        SeenVerification::NotSubmitted => (
            Reason::AwaitingVerification,
            format!(
                "waiting for PhoneVerification {name} to be submitted; to see what holds it back, run: kubectl describe pver {name} -n {}",
                view.key.namespace
            ),
        ),
    };
    Err(Box::new(Decision::Rest(PhoneNumberOrder::waits(reason, message))))
}
