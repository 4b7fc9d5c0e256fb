//! What people see, and what they would do.

use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_ledger::AttemptId;

use super::Model;
use super::code_under_test::Shown;
use super::names;
use super::size::{Person, Spec};
use super::world::{Provider, World};

impl Model {
    /// Whether a person would say now that this attempt was not placed.
    pub fn would_say(&self, world: &World, key: u8, n: u8) -> bool {
        let resource = self.size.resource(key);
        let object = world.objects[usize::from(resource)];
        let absent = !matches!(world.get(key, n).provider, Provider::Placed | Provider::OnItsWay);
        object.word != names::word_for(resource != key, n)
            && match self.size.person {
                Person::Truthful => absent && self.asks_about(object.status, resource != key) == Some(n),
                Person::Early => absent,
                Person::Careless => true,
            }
    }

    /// The attempt that a status asks a person about.
    fn asks_about(&self, status: u16, follow_up: bool) -> Option<u8> {
        let attempt = match &*self.code.shown(status) {
            // Nothing is cancelled before there is a number, and then nothing is unknown of the order.
            Some(Shown::Order(s)) if s.state == Some(OrderState::OutcomeUnknown) => {
                match (follow_up, s.phone_number.is_some()) {
                    (true, true) => s.cancellation.as_ref().and_then(|c| c.attempt.clone()),
                    (false, false) => s.attempt.clone(),
                    _ => None,
                }
            }
            Some(Shown::Verification(s)) if s.state == Some(VerificationState::OutcomeUnknown) => {
                s.attempt.clone()
            }
            _ => None,
        };
        attempt.map(|text| text[1..].parse().unwrap())
    }

    /// The id that a status shows of this entry.
    pub fn shown_id(&self, key: u8, status: u16) -> Option<String> {
        match &*self.code.shown(status) {
            Some(Shown::Order(s)) if self.size.resource(key) != key => s.cancellation_date.clone(),
            Some(Shown::Order(s)) => s.order_id.clone(),
            Some(Shown::Verification(s)) => s.verification_id.clone(),
            None => None,
        }
    }

    /// The number that a status shows.
    pub fn shown_number(&self, status: u16) -> Option<String> {
        match &*self.code.shown(status) {
            Some(Shown::Order(s)) => s.phone_number.clone(),
            Some(Shown::Verification(_)) | None => None,
        }
    }

    /// Whether the status shows everything of what is stored that it can.
    pub fn shows_what_is_stored(&self, world: &World, key: u8) -> bool {
        let state = &self.code.interned(world.ledger[usize::from(key)].entry).state;
        let (status, is_follow_up) = self.status(world, key);
        let shown = self.code.shown(status);
        let attempt = match &*shown {
            Some(Shown::Order(s)) if is_follow_up => {
                s.cancellation.as_ref().and_then(|c| c.attempt.as_deref())
            }
            Some(Shown::Order(s)) => s.attempt.as_deref(),
            Some(Shown::Verification(s)) => s.attempt.as_deref(),
            None => return false,
        };
        attempt == state.attempt().map(AttemptId::as_str)
            && (is_follow_up
                || self.shown_number(status).as_deref() == state.number.as_ref().map(|n| n.number.as_str()))
            && self.shown_id(key, status).as_deref() == state.id()
    }

    /// The status that shows this entry, and whether that is about more than what its resource is for.
    pub fn status(&self, world: &World, key: u8) -> (u16, bool) {
        let resource = self.size.resource(key);
        (world.objects[usize::from(resource)].status, resource != key)
    }

    /// Whether a person could write this spec: nobody adopts an id that does not exist yet.
    pub fn could_write(&self, world: &World, key: u8, spec: u8) -> bool {
        let placed = |key: u8, n: u8| world.get(key, n).provider == Provider::Placed;
        match self.size.specs[usize::from(key)][usize::from(spec)] {
            Spec::AdoptsOwn(n) => placed(key, n),
            Spec::AdoptsOthers => placed(1 - key, 0),
            _ => true,
        }
    }

    /// Whether the apiserver would take it as an edit besides. The rule is that of the CRDs, which is CEL.
    pub fn could_edit(&self, world: &World, key: u8, spec: u8) -> bool {
        let object = world.objects[usize::from(key)];
        let specs = self.size.specs[usize::from(key)];
        let orders_otherwise = specs[usize::from(object.spec)].orders_otherwise(specs[usize::from(spec)]);
        self.could_write(world, key, spec) && !(orders_otherwise && self.is_frozen(object.status))
    }

    fn is_frozen(&self, status: u16) -> bool {
        match &*self.code.shown(status) {
            Some(Shown::Order(s)) => s.state.is_some_and(|state| {
                use OrderState::{Assigned, AwaitingNumber, Cancelled, Cancelling, Ordering, OutcomeUnknown};
                matches!(
                    state,
                    Ordering | AwaitingNumber | Assigned | OutcomeUnknown | Cancelling | Cancelled
                )
            }),
            Some(Shown::Verification(s)) => s.state.is_some_and(|state| {
                use VerificationState::{Approved, AwaitingApproval, OutcomeUnknown, Rejected, Submitting};
                matches!(state, Submitting | AwaitingApproval | Approved | Rejected | OutcomeUnknown)
            }),
            None => false,
        }
    }
}
