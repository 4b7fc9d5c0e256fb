//! Cancelling the number of an order, which only `spec.cancel` asks for (promise 16): a request of its own with a ledger
//! entry of its own. Once one may have left, that is what the order shows, whatever its spec says by then.
//!
//! `/number/cancel` is known from a customer's client only (`docs/provider-api.md`): what it answers to a number that is
//! cancelled already is not, so that nothing is sent again that may have arrived.

use super::decide::{stands, submit, told};
use super::order::{Next as OrderNext, View as OrderView};
use super::status::Evidence;
use super::{
    AccessKey, Asks, Decided, Decision, Intent, Need, Progress, Recorded, StatusSummary, Words,
    decide as decide_on, strays,
};
use tenios_api::digest::sha256_hex;
use tenios_api::order::{CancellationStatus, OrderState};
use tenios_api::pdf::Document;
use tenios_api::{
    ConditionStatus, ConditionType, Endpoint, PhoneNumber, PhoneNumberOrderSpec, PhoneNumberOrderStatus,
    Reason, RequestField, SecretKeyRef,
};
use tenios_ledger::{AttemptId, Claim, Event, Kind, Payer, Phase, State, Terms, terms};

/// Nobody orders a number in order to cancel it: such a spec was made for a number that this ledger does not know.
pub(super) const NOTHING_TO_CANCEL: &str = "spec.cancel is set, but no number was ordered under this name; nothing is \
    sent. Remove spec.cancel to order one, or name the existing number in spec.adopt.phoneNumber";

/// The name of the spec's generation in the terms.
const GENERATION: &str = "generation";

/// The cancellation of the number of an order.
#[derive(Debug)]
pub enum Cancellation {}

/// What a cancellation may ask for.
#[derive(Debug)]
pub enum CancellationNeed {
    /// [`Need::AccessKey`]
    AccessKey(Option<SecretKeyRef>),
    /// [`Need::Budget`]
    Budget(Payer),
}

impl From<CancellationNeed> for Need {
    fn from(need: CancellationNeed) -> Self {
        match need {
            CancellationNeed::AccessKey(reference) => Self::AccessKey(reference),
            CancellationNeed::Budget(payer) => Self::Budget(payer),
        }
    }
}

/// One number to be cancelled.
#[derive(Debug)]
pub struct CancellationIntent {
    spec: PhoneNumberOrderSpec,
    number: PhoneNumber,
    generation: i64,
    access_key: AccessKey,
}

impl Intent for CancellationIntent {
    fn endpoint(&self) -> Endpoint {
        Endpoint::CancelNumber
    }

    fn recorded(&self) -> Terms {
        let mut terms = Cancellation::terms(&self.spec);
        terms.insert(GENERATION.into(), self.generation.to_string());
        terms.insert(terms::ACCOUNT.into(), self.access_key.account().to_string());
        terms
    }

    fn fields(&self) -> Vec<(RequestField, String)> {
        vec![(RequestField::PhoneNumber, self.number.to_string())]
    }

    fn document(&self) -> Option<(RequestField, &Document)> {
        None
    }

    fn access_key(&self) -> &AccessKey {
        &self.access_key
    }
}

type View<'a> = super::View<'a, Cancellation>;
type Next = Decision<Cancellation>;

impl Asks for Cancellation {
    type Spec = PhoneNumberOrderSpec;
    type Status = PhoneNumberOrderStatus;
    type Step = OrderState;
    type Need = CancellationNeed;
    type Intent = CancellationIntent;
    type Valid<'a> = PhoneNumber;

    const KIND: Kind = Kind::Cancellation;
    const WORDS: Words<OrderState> = Words {
        request: "cancellation request",
        taken: "carried out",
        adopt: ("spec.cancel.done", "the date from which the number is cancelled"),
        short_name: "pno",
        edit: "the spec, such as by removing spec.cancel and setting it again (or set spec.cancel.done if the TENIOS \
               portal shows the number as cancelled)",
        edit_is_unseen: false,
        waiting: OrderState::Waiting,
        sending: OrderState::Cancelling,
        sending_reason: Reason::Cancelling,
        outcome_unknown: OrderState::OutcomeUnknown,
        refused: OrderState::Refused,
        suspended: OrderState::Suspended,
    };

    fn terms(spec: &PhoneNumberOrderSpec) -> Terms {
        let number =
            spec.cancel.as_ref().map(|cancel| (terms::CANCELLED_NUMBER, cancel.phone_number.to_string()));
        let access_key = spec.access_key_secret_ref.as_ref().map(|r| (terms::ACCESS_KEY, r.to_string()));
        number.into_iter().chain(access_key).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn is_suspended(spec: &PhoneNumberOrderSpec) -> bool {
        spec.suspend
    }

    fn adopts(spec: &PhoneNumberOrderSpec) -> bool {
        spec.cancel.as_ref().is_some_and(|cancel| cancel.done.is_some())
    }

    /// A person's word stands where TENIOS said nothing.
    fn adopt(view: &View) -> Option<Next> {
        let cancel = view.spec.cancel.as_ref()?;
        let date = cancel.done?.to_string();
        let is_meant = number(view).is_some_and(|number| number == cancel.phone_number.as_str());
        if !is_meant || view.state.is_placed() || view.state.id() == Some(&date) {
            return None;
        }
        let number = Some(cancel.phone_number.clone());
        let own = view.spec.access_key_secret_ref.is_none();
        // What a person says of a number that was paid for has to be known wherever that is.
        let account = view.beside.account.clone().filter(|_| view.beside.may_have_placed());
        let done = Event::Adopted { at: view.now, id: Some(date), number, account, own };
        Some(view.in_flight().unwrap_or(Decision::Record(vec![done])))
    }

    /// It can't be undone, whatever the spec says by now.
    fn accepted(view: &View) -> Option<Next> {
        let date = view.state.id()?;
        let number = number(view).unwrap_or("of this order");
        let strays = strays(view.state, "the cancellation date");
        Some(Decision::Rest(StatusSummary::new(
            OrderState::Cancelled,
            Reason::Cancelled,
            format!(
                "number {number} is cancelled as of {date}; nothing is sent under this name any more{strays}"
            ),
        )))
    }

    fn valid(view: &View) -> Result<PhoneNumber, String> {
        let (Some(cancel), Some(assigned)) = (&view.spec.cancel, &view.beside.number) else {
            return Err(NOTHING_TO_CANCEL.to_owned());
        };
        let (wanted, number) = (&cancel.phone_number, &assigned.number);
        if wanted != number {
            return Err(format!(
                "spec.cancel.phoneNumber is {wanted}, but the number of this order is {number}; nothing is cancelled. Correct it, or remove spec.cancel"
            ));
        }
        // Whoever may adopt could cancel any number of the operator's account otherwise (promise 22).
        if view.spec.access_key_secret_ref.is_none() && !assigned.is_providers() {
            let how = if assigned.rebuilt {
                "taken from the status when the ledger had lost it"
            } else {
                "adopted"
            };
            return Err(format!(
                "number {number} was {how}, and with the operator's own access key only numbers that TENIOS pushed for their orders can be cancelled; nothing is cancelled. Set spec.accessKeySecretRef, or cancel it in the TENIOS portal and set spec.cancel.done"
            ));
        }
        unrivalled(view).map(|()| number.clone())
    }

    /// There is nothing to be mended in a number that has to be what it is. So any edit counts, such as taking
    /// `spec.cancel` away and setting it again.
    fn edited(view: &View) -> Result<bool, CancellationNeed> {
        Ok(view.state.terms.get(GENERATION) != Some(&view.generation.to_string()))
    }

    fn submit(view: &View, number: &PhoneNumber) -> Next {
        match intent(view, number) {
            Ok(intent) => Decision::Send(intent),
            Err(next) => *next,
        }
    }

    fn evidence(status: &PhoneNumberOrderStatus) -> Evidence {
        let shown = status.cancellation.clone().unwrap_or_default();
        Evidence {
            attempt: shown.attempt.as_deref().and_then(AttemptId::parse),
            requests: shown.requests,
            id: status.cancellation_date.clone().filter(|date| !date.is_empty()),
            number: None,
            resolved: shown.phone_number.map(|number| (terms::CANCELLED_NUMBER, number)),
        }
    }
}

fn intent(view: &View, number: &PhoneNumber) -> Result<CancellationIntent, Box<Next>> {
    let spec = view.spec;
    let access_key =
        view.access_key(|| CancellationNeed::AccessKey(spec.access_key_secret_ref.clone()))?.clone();
    let own = spec.access_key_secret_ref.is_none();
    view.place_in_budget(
        "the cancel budget (--cancel-budget)",
        "this cancellation",
        &access_key,
        own,
        CancellationNeed::Budget,
    )?;
    let (spec, number, generation) = (spec.clone(), number.clone(), view.generation);
    Ok(CancellationIntent { spec, number, generation, access_key })
}

/// The number that it is about, as far as that is recorded.
fn number<'a>(view: &View<'a>) -> Option<&'a str> {
    cancelled_number(view.state).or(view.beside.number.as_ref().map(|assigned| assigned.number.as_str()))
}

fn cancelled_number(state: &State) -> Option<&str> {
    let asked = state.terms.get(terms::CANCELLED_NUMBER).map(String::as_str);
    asked.or(state.number.as_ref().map(|said| said.number.as_str()))
}

/// A number that another resource claims first may be that one's by now: TENIOS gives out again what was cancelled.
fn unrivalled(view: &View) -> Result<(), String> {
    let payer = view.beside.payer();
    let bids = view.beside.bids();
    let of_number = bids.iter().find(|bid| matches!(bid.claim, Claim::Number(_)));
    let Some(rival) = of_number.and_then(|bid| view.around.rival(bid, &payer)) else { return Ok(()) };
    let whose = if rival.key.namespace == view.key.namespace {
        format!("PhoneNumberOrder {}", rival.key.name)
    } else {
        "a resource in another namespace".into()
    };
    Err(format!(
        "the number in spec.cancel.phoneNumber is also claimed by {whose}, where it may be in use; nothing is cancelled. Check in the TENIOS portal who has it; if it really has to go, cancel it there"
    ))
}

/// Whether a request to cancel may have left, or was carried out.
#[must_use]
pub fn may_be_cancelled(state: &State) -> bool {
    state.is_undecided() || state.accepted.is_some()
}

/// Decides on an order and on its cancellation: what may have been cancelled comes first, and nothing is asked for
/// before the number is there.
pub(super) fn decide(order: &OrderView, progress: &Progress) -> Decided<OrderState> {
    let view = View {
        key: order.key,
        spec: order.spec,
        generation: order.generation,
        deleting: order.deleting,
        status: order.status,
        not_placed: order.not_placed,
        state: progress.state,
        beside: order.state,
        sender: progress.sender,
        known_for: progress.known_for,
        answers: order.answers,
        around: order.around,
        retry_policy: order.retry_policy,
        push: order.push,
        now: order.now,
    };
    // A cancellation that says of no number, which was brought along, waits for the number that is about to be recorded.
    let comes_first = order.state.accepted.is_none()
        || (progress.state.accepted.is_none() && cancelled_number(progress.state).is_none());
    if let Some(next) = told(order) {
        if let Some(event) = brought_along(&view, &next) {
            return Decision::<Cancellation>::Record(vec![event]).into();
        }
        if comes_first && !matches!(next, Decision::Rest(_)) {
            return next.into();
        }
        // Nothing can be said of a cancellation before there is a number that it may be about.
        if number(&view).is_none() && matches!(next, Decision::Rest(_)) {
            return decide_on(order).into();
        }
    }
    if let Some(next) = stands(&view) {
        return next.into();
    }
    let next = decide_on(order);
    match &next {
        Decision::Rest(summary) if summary.state == OrderState::Assigned && order.spec.cancel.is_some() => {
            submit(&view).into()
        }
        _ => next.into(),
    }
}

/// Where this ledger is about to hear of a number by a manifest or a status that ask for its cancellation as well, as
/// after a move or a loss of the ledger, that may have been carried out before: a person has to tell. An order that was
/// placed from here, or may have been, has had its number in no other ledger.
fn brought_along(view: &View, told: &OrderNext) -> Option<Event> {
    let (Some(cancel), Decision::Record(told)) = (&view.spec.cancel, told) else { return None };
    let order = view.beside;
    let number = |state: &State| state.number.as_ref().map(|assigned| assigned.number.clone());
    let after = told.iter().fold(order.clone(), State::then);
    let is_news = number(&after).is_some() && number(&after) != number(order);
    let placed =
        order.accepted.as_ref().is_some_and(|accepted| accepted.attempt.is_some() || accepted.resolves);
    if !is_news || placed || order.is_undecided() || view.state.phase != Phase::Idle {
        return None;
    }
    // No manifest can name it before it was shown.
    let id = sha256_hex(format!("{}\n{}\n{}", view.key, cancel.phone_number, view.now));
    Some(Event::Unknown {
        attempt: AttemptId::asked(&id[..32]),
        at: view.now,
        why: "spec.cancel was there before this ledger knew the number, so it may have been sent elsewhere"
            .into(),
    })
}

/// What the status shows of it.
pub(super) fn show(status: &mut PhoneNumberOrderStatus, state: &State, previous: &PhoneNumberOrderStatus) {
    if Cancellation::evidence(previous).knows_more_than(state) {
        status.cancellation_date.clone_from(&previous.cancellation_date);
        status.cancellation.clone_from(&previous.cancellation);
        return;
    }
    status.cancellation_date = state.id().map(ToOwned::to_owned);
    status.cancellation = (state.phase != Phase::Idle).then(|| CancellationStatus {
        phone_number: cancelled_number(state).map(ToOwned::to_owned),
        requests: state.attempts,
        attempt: state.attempt().map(ToString::to_string),
        requested_time: state.accepted.as_ref().map(|accepted| accepted.at),
    });
}

/// The condition `Cancelled`, once that was asked for.
pub(super) fn condition(
    spec: Option<&PhoneNumberOrderSpec>,
    recorded: &Recorded,
    summary: &StatusSummary<OrderState>,
) -> Option<(ConditionType, ConditionStatus, Reason)> {
    let state = recorded.follow_up;
    let is_asked = spec.is_some_and(|spec| spec.cancel.is_some());
    if !is_asked && !may_be_cancelled(state) {
        return None;
    }
    let (status, reason) = match &state.phase {
        _ if state.accepted.is_some() => (ConditionStatus::True, Reason::Cancelled),
        Phase::Unknown { .. } => (ConditionStatus::Unknown, Reason::OutcomeUnknown),
        Phase::Open { .. } => (ConditionStatus::False, Reason::Cancelling),
        _ => (ConditionStatus::False, summary.reason),
    };
    Some((ConditionType::Cancelled, status, reason))
}
