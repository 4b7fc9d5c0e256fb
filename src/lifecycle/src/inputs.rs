//! What a decision is made from beside the spec, the ledger and the time: what was read for it, and what is known
//! of other resources.

use secrecy::{ExposeSecret, SecretString};

use jiff::Timestamp;

use super::verification::matches_submitted;
use tenios_api::pdf::Document;
use tenios_api::verification::Approval;
use tenios_api::{PhoneNumber, PhoneVerificationSpec, SecretKeyRef};
use tenios_ledger::{Account, Bid, Payer, Rival, State};

/// What reading a Secret brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// It is there and usable.
    Usable(T),
    /// The Secret or the key is not there, or may not be read.
    Missing(String),
    /// It is there and can't be used.
    Invalid(String),
    /// Nobody can tell now: the apiserver fails, such as one whose keys for Secrets are away.
    Unread(String),
}

impl<T> Found<T> {
    /// The same about what is made from it.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Found<U> {
        self.and_then(|value| Found::Usable(f(value)))
    }

    /// What is made from it, which may turn out not to be usable.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Found<U>) -> Found<U> {
        match self {
            Self::Usable(value) => f(value),
            Self::Missing(why) => Found::Missing(why),
            Self::Invalid(why) => Found::Invalid(why),
            Self::Unread(why) => Found::Unread(why),
        }
    }
}

/// An access key, and the account that it is of.
#[derive(Clone, Debug)]
pub struct AccessKey {
    secret: SecretString,
    account: Account,
}

impl AccessKey {
    /// The key with this text.
    #[must_use]
    pub fn new(secret: SecretString) -> Self {
        Self { account: Account::of_key(secret.expose_secret()), secret }
    }

    /// Its text.
    #[must_use]
    pub fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// Whose it is.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }
}

/// What a decision may ask for. Each kind has a type of its own for what *it* may ask for, which becomes this one.
#[derive(Debug)]
pub enum Need {
    /// The access key in this Secret, or the operator's own.
    AccessKey(Option<SecretKeyRef>),
    /// The document in this Secret.
    Document(SecretKeyRef),
    /// A place in the budgets of the namespace and of who pays.
    Budget(Payer),
}

/// What was asked for and answered so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// To [`Need::AccessKey`].
    pub access_key: Option<Found<AccessKey>>,
    /// To [`Need::Document`].
    pub document: Option<Found<Document>>,
    /// To [`Need::Budget`].
    pub budget: Option<Budget>,
}

/// The answer to [`Need::Budget`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Budget {
    /// A place is reserved.
    Reserved,
    /// None is free.
    Exceeded {
        /// Whose budget: `this namespace` or `the operator`.
        whose: &'static str,
        /// When one gets free.
        until: Timestamp,
    },
}

/// What is known of other resources. Whoever answers looks again at the resource that asked, when the answer changes.
pub trait Surroundings {
    /// The verification of this name, in the same namespace.
    fn verification(&self, name: &str) -> SeenVerification;
    /// The number of the order of this name, in the same namespace.
    fn link_target(&self, name: &str) -> LinkTarget;
    /// The order that the order of this name links to by name. A change of it need not be told.
    fn links_to(&self, name: &str) -> Option<String>;
    /// Who comes before this resource with a claim.
    fn rival(&self, bid: &Bid, payer: &Payer) -> Option<Rival>;
    /// Whether an order with this verification was accepted.
    fn is_proven(&self, verification_id: &str) -> bool;
}

/// A verification, as an order sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenVerification {
    /// There is none.
    Missing,
    /// This version of the operator can't read it.
    Unreadable,
    /// It was not submitted yet.
    NotSubmitted,
    /// It says something other than what was submitted under its name.
    InConflict,
    /// It was submitted.
    Submitted {
        /// Its id.
        id: String,
        /// What a person says of it.
        approval: Approval,
        /// Whether an order with its id was accepted.
        proven: bool,
    },
}

impl SeenVerification {
    /// A verification that is there, by its spec, where that can be read, and what the ledger knows of it.
    pub fn of(
        spec: Option<&PhoneVerificationSpec>,
        state: &State,
        is_proven: impl FnOnce(&str) -> bool,
    ) -> Self {
        let Some(spec) = spec else { return Self::Unreadable };
        match state.id() {
            None => Self::NotSubmitted,
            Some(_) if !matches_submitted(spec, state) => Self::InConflict,
            Some(id) => Self::Submitted { id: id.to_owned(), approval: spec.approval, proven: is_proven(id) },
        }
    }
}

/// An order, as one that links to it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// It has this number.
    Number(PhoneNumber),
    /// It has none yet.
    Waiting,
    /// Its number is cancelled, or may be.
    Cancelled,
    /// It does not exist.
    Missing,
}
