//! What a decision asks of other resources, from the caches. Whoever asked looks again when the answer changes.

use super::Context;
use tenios_api::{PhoneNumberOrder, PhoneVerification};
use tenios_ledger::{Bid, Key, Kind, Payer, Rival, Title};
use tenios_lifecycle::cancel::may_be_cancelled;
use tenios_lifecycle::{LinkTarget, SeenVerification, Surroundings, also_claimed};

/// What this resource sees of others.
pub(super) struct Around<'a> {
    pub(super) context: &'a Context,
    pub(super) key: &'a Key,
}

impl Around<'_> {
    /// Registered before the cache is read: a change in between wakes.
    fn follow(&self, kind: Kind, name: &str) -> Key {
        let target = Key { kind, namespace: self.key.namespace.clone(), name: name.to_owned() };
        self.context.requeue.on_change_of(&target, self.key);
        target
    }
}

impl Surroundings for Around<'_> {
    fn verification(&self, name: &str) -> SeenVerification {
        let target = self.follow(Kind::Verification, name);
        let Some(found) = self.context.stores.get::<PhoneVerification>(&target.namespace, name) else {
            return SeenVerification::Missing;
        };
        let spec = found.0.as_ref().ok().map(|verification| &verification.spec);
        SeenVerification::of(spec, &self.context.ledger.known(&target).state, |id| self.is_proven(id))
    }

    fn link_target(&self, name: &str) -> LinkTarget {
        let target = self.follow(Kind::Order, name);
        if may_be_cancelled(&self.context.ledger.known(&target.of(Kind::Cancellation)).state) {
            return LinkTarget::Cancelled;
        }
        match &self.context.ledger.known(&target).state.number {
            Some(assigned) => LinkTarget::Number(assigned.number.clone()),
            None if self.context.stores.holds(&target) => LinkTarget::Waiting,
            None => LinkTarget::Missing,
        }
    }

    fn links_to(&self, name: &str) -> Option<String> {
        let order = self.context.stores.get::<PhoneNumberOrder>(&self.key.namespace, name)?;
        Some(order.0.as_ref().ok()?.spec.link_to.as_ref()?.order_ref.as_ref()?.name.clone())
    }

    /// What waits in conflict looks again when that one's entry changes or goes, and that one is told.
    fn rival(&self, bid: &Bid, payer: &Payer) -> Option<Rival> {
        let Self { context, key } = *self;
        let before = context.ledger.rival(key, bid, payer)?;
        context.requeue.on_change_of(&before.key, key);
        // Again, because it may have gone before the wake was registered.
        let rival = context.ledger.rival(key, bid, payer)?;
        let anothers = &rival.key;
        if bid.title != Title::Placed && context.stores.holds(anothers) {
            let by = (anothers.namespace == key.namespace).then_some(key.name.as_str());
            context.contested.tell(anothers, || also_claimed(&bid.claim, by), &context.requeue);
        }
        Some(rival)
    }

    fn is_proven(&self, verification_id: &str) -> bool {
        self.context.ledger.is_proven(verification_id)
    }
}
