//! What a decision is given beside the spec, the ledger and the time.

use std::sync::LazyLock;

use tenios_api::PhoneNumber;
use tenios_ledger::{Account, Bid, Payer, Rival, State};
use tenios_lifecycle::{AccessKey, Answers, Budget, Found, LinkTarget, SeenVerification, Surroundings};

/// Who comes before this one with a claim.
pub type Rivals<'a> = &'a dyn Fn(&Bid, &Payer) -> Option<Rival>;

pub static KEY: LazyLock<AccessKey> = LazyLock::new(|| AccessKey::new("4cc3ss-key".to_owned().into()));

/// An order has everything that it asks for.
pub static READY: LazyLock<Answers> = LazyLock::new(|| Answers {
    access_key: Some(Found::Usable(KEY.clone())),
    document: None,
    budget: Some(Budget::Reserved),
});

/// Nothing is recorded.
pub static NOTHING: LazyLock<State> = LazyLock::new(State::default);

/// Nothing was asked for yet.
pub static UNASKED: Answers = Answers { access_key: None, document: None, budget: None };

pub fn account() -> Account {
    KEY.account().clone()
}

/// Other resources, as a decision sees them.
#[derive(Default)]
pub struct Others<'a> {
    /// The one verification that there is.
    pub verification: Option<SeenVerification>,
    /// Orders, with the names of those that they link to.
    pub orders: &'a [(&'a str, Option<&'a str>)],
    /// The number that each of them has.
    pub number: Option<PhoneNumber>,
    pub rival: Option<Rivals<'a>>,
    /// Whether an order with each verification was accepted.
    pub proven: bool,
}

/// There is nothing else.
pub const ALONE: &Others =
    &Others { verification: None, orders: &[], number: None, rival: None, proven: false };

impl Others<'_> {
    fn order(&self, name: &str) -> Option<&(&str, Option<&str>)> {
        self.orders.iter().find(|(order, _)| *order == name)
    }
}

impl Surroundings for Others<'_> {
    fn verification(&self, _: &str) -> SeenVerification {
        self.verification.clone().unwrap_or(SeenVerification::Missing)
    }

    fn link_target(&self, name: &str) -> LinkTarget {
        match (self.order(name), &self.number) {
            (None, _) => LinkTarget::Missing,
            (Some(_), Some(number)) => LinkTarget::Number(number.clone()),
            (Some(_), None) => LinkTarget::Waiting,
        }
    }

    fn links_to(&self, name: &str) -> Option<String> {
        self.order(name)?.1.map(ToOwned::to_owned)
    }

    fn rival(&self, bid: &Bid, payer: &Payer) -> Option<Rival> {
        self.rival?(bid, payer)
    }

    fn is_proven(&self, _: &str) -> bool {
        self.proven
    }
}
