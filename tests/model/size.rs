//! What is explored: who there is, what they may do, how often.

use serde_json::json;
use tenios_ledger::Kind;

use super::code_under_test;
use super::judge::Coverage;
use super::names;
use super::world::{KEYS, Left, Provider};

/// A person, as far as the not-placed annotation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Says that an attempt was not placed once the status asks, and then what the provider's account
    /// shows. Nothing of it is on its way any more: the status asks when its sender's time is over.
    Truthful,
    /// Says what the account shows, also before anybody asked.
    Early,
    /// Says anything at any time.
    Careless,
}

/// A spec that a resource may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spec {
    /// The first.
    Plain,
    /// Another verification, or another address.
    Different,
    /// The plain one, adopting what the provider gave to this attempt of this resource.
    AdoptsOwn(u8),
    /// The plain one, adopting what the provider gave to the first attempt of the other resource.
    AdoptsOthers,
    /// The plain one, adopting an id from before.
    AdoptsForeign,
    /// The plain one, held back.
    Suspended,
    /// The plain one, asking to cancel the number of the first attempt.
    Cancels,
    /// The same, held back.
    CancelsSuspended,
    /// The plain one, asking to cancel another number.
    CancelsAnother,
    /// An order that refers to the first resource.
    Refers,
    /// A verification that a person approved.
    Approved,
}

impl Spec {
    /// Whether this one asks for something else than that one: the fields that CEL freezes.
    pub fn orders_otherwise(self, other: Self) -> bool {
        (self == Self::Different) != (other == Self::Different)
    }

    pub fn real(self, kind: Kind, key: usize) -> code_under_test::Spec {
        let id = |key: usize, n: u8| names::id(u8::try_from(key).unwrap(), n);
        let adopted = match self {
            Self::AdoptsOwn(n) => Some(id(key, n)),
            Self::AdoptsOthers => Some(id(1 - key, 0)),
            Self::AdoptsForeign => Some(names::FOREIGN.to_owned()),
            _ => None,
        };
        let different = self == Self::Different;
        match kind {
            Kind::Order | Kind::Cancellation => {
                let mut spec = json!({"verificationId": if different { names::OTHER_VERIFICATION } else { names::VERIFICATION }});
                if self == Self::Refers {
                    spec = json!({"verificationRef": {"name": names::RESOURCES[0]}});
                }
                if let Some(id) = adopted {
                    spec["adopt"] = json!({"orderId": id});
                }
                spec["suspend"] = matches!(self, Self::Suspended | Self::CancelsSuspended).into();
                let cancelled = match self {
                    Self::Cancels | Self::CancelsSuspended => {
                        Some(names::number(u8::try_from(key).unwrap(), 0))
                    }
                    Self::CancelsAnother => Some(names::number(9, 9)),
                    _ => None,
                };
                if let Some(number) = cancelled {
                    spec["cancel"] = json!({"phoneNumber": number});
                }
                code_under_test::Spec::Order(serde_json::from_value(spec).unwrap())
            }
            Kind::Verification => {
                let city = if different { "Bonn" } else { "Köln" };
                let mut spec = json!({
                    "address": {"country": "Germany", "city": city, "zip": "50667", "street": "s", "houseNumber": "4"},
                    "areaCode": "221",
                    "document": {"type": "CONTRACT", "secretRef": {"name": "s", "key": "k"}},
                    "approval": if self == Self::Approved { "Approved" } else { "Pending" },
                });
                if let Some(id) = adopted {
                    spec["adopt"] = json!({"verificationId": id});
                }
                code_under_test::Spec::Verification(serde_json::from_value(spec).unwrap())
            }
        }
    }
}

/// How far behind what a replica sees may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The resources; else every replica sees them as they are.
    pub resources: bool,
    /// The ledger's watch may tell of one write after the other; else it jumps to the newest whenever it
    /// says anything. It is behind in any case.
    pub one_step: bool,
}

/// What is taken for granted. Without it the model has to find that promises break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumes {
    /// The store compares before it sets.
    pub compare_and_set: bool,
    /// A request does not leave after its deadline, also when its sender was paused (`SendDeadline`).
    pub deadline: bool,
    /// The resource is looked at once more right before its intent is recorded.
    pub last_look: bool,
}

impl Assumes {
    pub const ALL: Self = Self { compare_and_set: true, deadline: true, last_look: true };
}

/// What the provider may do with a request.
pub const TAKES: &[Provider] = &[Provider::Placed];
pub const TAKES_OR_REFUSES: &[Provider] = &[Provider::Placed, Provider::Refused, Provider::RefusedForGood];
pub const TAKES_OR_NOT: &[Provider] = &[Provider::Placed, Provider::Refused, Provider::Lost];
pub const ANYTHING: &[Provider] =
    &[Provider::Placed, Provider::Refused, Provider::RefusedForGood, Provider::Busy, Provider::Lost];

/// What the second replica is beside the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Second {
    Alike,
    /// Its clock is an hour behind.
    HourBehind,
    /// It does not lead: it takes pushes, and nothing else.
    Standby,
}

/// One part of what is explored, completely.
#[derive(Clone, Debug)]
pub struct Size {
    pub name: &'static str,
    /// What has an entry, at most [`KEYS`]: the resources, and the cancellation of the number of the first.
    pub kinds: &'static [Kind],
    /// The first resource is an order that has its number.
    pub assigned_before: bool,
    /// The specs that each may have; it begins with the first.
    pub specs: [&'static [Spec]; KEYS],
    pub replicas: u8,
    /// Requests of each resource at most: the bound of everything. What would be sent after that is not
    /// explored.
    pub attempts: u8,
    /// How often the rarer things may happen.
    pub left: Left,
    pub answers: &'static [Provider],
    pub person: Person,
    pub lag: Lag,
    /// A lost ledger entry is there again as it was one write before; else it is not there.
    pub restores: bool,
    /// The names of both resources meant one ledger entry once, and what there is of the first was written then.
    pub names_collide: bool,
    pub second: Second,
    /// So many attempts were refused before, so that older events fold away meanwhile.
    pub refused_before: u8,
    pub assumes: Assumes,
    /// What has to come up, or else less is explored than it seems.
    pub comes_to: &'static [Coverage],
}

impl Size {
    /// The base of all: one order, one replica, whatever the provider does, nothing rare.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            kinds: &[Kind::Order],
            assigned_before: false,
            specs: [&[Spec::Plain], &[]],
            replicas: 1,
            attempts: 2,
            left: Left {
                crashes: 0,
                lost_writes: 0,
                failed_writes: 0,
                set_backs: 0,
                foreign_writes: 0,
                words: 0,
                edits: 0,
                recreations: 0,
                deletions: 0,
                wipes: 0,
                losses: 0,
                old_lists: 0,
            },
            answers: ANYTHING,
            person: Person::Truthful,
            lag: Lag { resources: false, one_step: false },
            restores: false,
            names_collide: false,
            second: Second::Alike,
            refused_before: 0,
            assumes: Assumes::ALL,
            comes_to: &[],
        }
    }

    /// Whether the replicas can change places without changing anything.
    pub fn symmetric(&self) -> bool {
        self.replicas == 2 && self.second == Second::Alike
    }

    /// Whether this replica believes that it leads.
    pub fn reconciles(&self, replica: u8) -> bool {
        replica == 0 || self.second != Second::Standby
    }

    /// The resource that this entry is about.
    pub fn resource(&self, key: u8) -> u8 {
        if self.kinds[usize::from(key)] == Kind::Cancellation { 0 } else { key }
    }

    /// The entry of what else is asked for on behalf of this resource.
    pub fn follow_up(&self, resource: u8) -> Option<u8> {
        let other = |key: &u8| *key != resource && self.resource(*key) == resource;
        (0..u8::try_from(self.kinds.len()).unwrap()).find(other)
    }

    /// Whether the provider pushes anything for this resource.
    pub fn pushes(&self, key: u8) -> bool {
        self.kinds[usize::from(key)] == Kind::Order
    }
}
