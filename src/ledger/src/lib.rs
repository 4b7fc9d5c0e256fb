//! The ledger: for each resource an append-only list of [`Event`]s, outside the resource. It is the
//! truth; `.status` is its projection.
//!
//! Why it is not the resource itself: resources get deleted, re-created, restored and rewritten by
//! tools that do not ask. Why appends compare before they set: whoever wins the append of
//! [`Event::Intended`] may send, once; so a stale cache, a second replica or a crash can't order twice,
//! with or without a lease.

#![forbid(unsafe_code)]

mod account;
mod announcement;
mod cache;
mod claims;
pub mod compact;
mod entry;
mod event;
mod facts;
mod fold;
mod index;
pub mod kubernetes;
mod packed;
pub mod past;
pub mod recording;
pub mod spec;
mod spending;
pub mod terms;

use std::fmt;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use tenios_api::Cause;

pub use account::{Account, Payer};
pub use announcement::{Announcement, Happening};
pub use cache::{
    Budget, Budgets, LedgerCache, LedgerChange, Offered, Origin, Reservation, Spent, VERIFICATIONS_KEPT,
};
pub use claims::{Bid, Claim, Rival, Title};
pub use entry::{Entry, Lineage, Position, Version, WriterId};
pub use event::{AttemptId, Event, Refusal, Terms};
pub use fold::{Accepted, Assigned, Phase, State, Stray};
pub use index::{Applied, CachedEntry, Index};
pub use recording::Recording;
pub use spending::Purse;

/// What has an entry: the kinds of resource, and what is asked for on their behalf later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `PhoneVerification`
    Verification,
    /// `PhoneNumberOrder`
    Order,
    /// The cancellation of the number of a `PhoneNumberOrder`. Its entry is none that an earlier version of the operator
    /// could take for the order's, or write to.
    Cancellation,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Verification, Self::Order, Self::Cancellation];

    /// Those of resources.
    pub const RESOURCES: [Self; 2] = [Self::Verification, Self::Order];

    /// As entries have it: the Kubernetes kind, where it is one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verification => "PhoneVerification",
            Self::Order => "PhoneNumberOrder",
            Self::Cancellation => "Cancellation",
        }
    }

    /// The one that entries name so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The kind of the resource that asks for it.
    #[must_use]
    pub fn of_resource(self) -> Self {
        match self {
            Self::Verification => Self::Verification,
            Self::Order | Self::Cancellation => Self::Order,
        }
    }

    /// As in the paths of the API.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::Verification => "phoneverifications",
            Self::Order | Self::Cancellation => "phonenumberorders",
        }
    }

    /// The short name that kubectl knows, where it is the kind of a resource.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Verification => "pver",
            Self::Order => "pno",
            Self::Cancellation => "cancel",
        }
    }
}

/// What an entry belongs to: kind, namespace and name, not the uid. So a deleted and re-created
/// resource finds its order again, as a `PersistentVolume` that was retained.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Kind of the resource.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of the resource that this entry is about.
    #[must_use]
    pub fn of_resource(&self) -> Self {
        self.of(self.kind.of_resource())
    }

    /// The key of another entry of the same resource.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Self {
        Self { kind, ..self.clone() }
    }

    /// Before every other one, for the begin of a range.
    fn lowest() -> Self {
        Self { kind: Kind::Verification, namespace: String::new(), name: String::new() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.as_str(), self.namespace, self.name)
    }
}

/// Why an append did not happen, as far as the store knows.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended first; this is what is stored now. Nothing of ours was written.
    #[error("somebody else wrote the ledger entry first")]
    Conflict(Box<Entry>),
    /// The store refused or could not be reached, and nothing of ours was written.
    #[error("the ledger can't be written")]
    Rejected(#[source] Cause),
    /// The store did not answer, and reading again failed too: it may or may not be written.
    #[error("it is unknown whether the ledger was written")]
    Ambiguous(#[source] Cause),
}

/// Why an entry could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the ledger can't be read")]
pub struct ReadError(#[source] pub Cause);

/// Why an entry could not be deleted.
#[derive(Debug, thiserror::Error)]
#[error("the ledger entry can't be deleted")]
pub struct RemoveError(#[source] pub Cause);

/// A change of the ledger, by whomever.
#[derive(Debug)]
pub enum Change {
    /// A full list begins: what it does not name is gone.
    Listing,
    /// An entry of the list, or a new or changed one.
    Entry(Box<Entry>),
    /// The list is complete.
    Listed,
    /// An entry was deleted.
    Gone(Key),
    /// The watch broke; it goes on by itself.
    Broken(Cause),
}

/// Where entries are kept. Appends to one key are totally ordered by compare-and-set on
/// [`Entry::version`]; there is no order across keys.
pub trait LedgerStore: Send + Sync + 'static {
    /// The stored entry; [`Entry::empty`] where there is none.
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>>;

    /// Appends after `base`, if `base` is still what is stored. An answer that was lost is settled by
    /// reading again: the revision there by the writer of this very write means that it was written.
    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>>;

    /// Deletes this entry, if it is still what is stored; true where it is gone then.
    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>>;

    /// Whether it can be read at all.
    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>>;

    /// All entries, then every change, for ever.
    fn changes(&self) -> BoxStream<'static, Change>;

    /// Why nothing is to be sent with this ledger now, and what to do about it; none where all is well. What can't
    /// be reached for a while is told by [`Change::Broken`] and errors instead.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Whether it may know of entries that [`LedgerStore::changes`] does not tell of yet.
    fn knows_more(&self) -> bool {
        false
    }
}

/// A ledger that another one is copied into.
pub trait CopyTarget: LedgerStore {
    /// Stores this entry as it is in the place of `base`, if `base` is still what is stored. A lost answer is settled
    /// as that of an append.
    fn put<'a>(&'a self, base: &'a Entry, next: &'a Entry) -> BoxFuture<'a, Result<Entry, AppendError>>;
}
