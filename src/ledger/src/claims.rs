//! Who claims which order id or number, and whose claim counts (promise 15).
//!
//! A claim holds within one account: another account has other ids, and says nothing about this one's. What
//! the provider said about a request of ours counts for more than what a person says, whoever came first;
//! so nobody takes anything from another by adopting what is or will be his.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Account, Key, Kind, Payer, State};
use tenios_api::digest::sha256_hex;

/// Something that has one owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// An order id.
    OrderId(String),
    /// A phone number.
    Number(String),
}

/// How somebody came to what he claims, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Title {
    /// The provider gave it for a request of this resource.
    Placed,
    /// A person says that it is what such a request brought.
    Resolved,
    /// A person says so, and no request was made that could have brought it.
    Adopted,
}

/// What one resource claims, or wants to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bid {
    /// The order id or number.
    pub claim: Claim,
    /// By what.
    pub title: Title,
    /// Since when; none where it is not recorded yet.
    pub since: Option<Timestamp>,
}

/// Another resource of the same account whose claim comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// Whose it is.
    pub key: Key,
    /// By what.
    pub title: Title,
}

/// Where a claim is found. Two resources share an account where both their keys are known and the same. Of a
/// key that is not known only this is believed: that the operator's own is the operator's own, and that a
/// tenant's is in his own namespace. So nobody gets at another's claims by a reference to nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Account(Account),
    Own { known: bool },
    Namespace { name: String, known: bool },
}

fn found_under(payer: &Payer, namespace: &str) -> Vec<Scope> {
    let known = payer.account.is_some();
    let account = payer.account.clone().map(Scope::Account);
    let own = payer.own.then_some(Scope::Own { known });
    account.into_iter().chain(own).chain([Scope::Namespace { name: namespace.into(), known }]).collect()
}

/// Symmetrical to [`found_under`]: who finds another is found by him.
fn looks_under(payer: &Payer, namespace: &str) -> Vec<Scope> {
    let vague: &[bool] = if payer.account.is_some() { &[false] } else { &[false, true] };
    let own = vague.iter().filter(|_| payer.own).map(|known| Scope::Own { known: *known });
    let here = vague.iter().map(|known| Scope::Namespace { name: namespace.into(), known: *known });
    payer.account.clone().map(Scope::Account).into_iter().chain(own).chain(here).collect()
}

/// Orders claims: the first one counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    title: Title,
    order: i64,
    key: Arc<Key>,
}

impl Rank {
    /// Before or at every other one.
    fn first() -> Self {
        Self { title: Title::Placed, order: i64::MIN, key: Arc::new(Key::lowest()) }
    }

    fn of(bid: &Bid, key: &Arc<Key>) -> Self {
        let order = match (&bid.claim, bid.title, bid.since) {
            (_, _, None) => i64::MAX,
            // A number that was cancelled may be given out again: then it is the newer order's.
            (Claim::Number(_), Title::Placed, Some(since)) => -since.as_microsecond(),
            (_, _, Some(since)) => since.as_microsecond(),
        };
        Self { title: bid.title, order, key: key.clone() }
    }
}

/// A claim in a scope, as a digest: an order claims two things in three scopes, and the texts took half of the memory
/// that is kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place([u8; 16]);

impl Place {
    fn new(claim: &Claim, scope: &Scope) -> Self {
        // Escaped as it is, no text can be another pair's.
        let digest = sha256_hex(format!("{claim:?} {scope:?}"));
        let half = digest.get(..32).and_then(|half| u128::from_str_radix(half, 16).ok());
        Self(half.unwrap_or_default().to_be_bytes())
    }
}

/// Every claim that is recorded. One set, not a set for each claim, which nearly always would have one member: a node of
/// a tree has room for eleven.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeSet<(Place, Rank)>);

impl Claims {
    /// Takes in what this entry claims. Returns the others that claim the same.
    pub(super) fn insert(&mut self, key: &Arc<Key>, state: &State) -> Vec<Key> {
        let payer = state.payer();
        let mut related = Vec::new();
        for bid in bids(key, state) {
            related.extend(self.others(&bid.claim, &payer, key).map(|rank| Key::clone(&rank.key)));
            for scope in found_under(&payer, &key.namespace) {
                self.0.insert((Place::new(&bid.claim, &scope), Rank::of(&bid, key)));
            }
        }
        related
    }

    /// Lets go of what this entry claimed. Returns the others that claim the same.
    pub(super) fn remove(&mut self, key: &Arc<Key>, state: &State) -> Vec<Key> {
        let payer = state.payer();
        let mut related = Vec::new();
        for bid in bids(key, state) {
            for scope in found_under(&payer, &key.namespace) {
                self.0.remove(&(Place::new(&bid.claim, &scope), Rank::of(&bid, key)));
            }
            related.extend(self.others(&bid.claim, &payer, key).map(|rank| Key::clone(&rank.key)));
        }
        related
    }

    /// Whose claim comes before this one.
    pub(super) fn rival(&self, key: &Key, bid: &Bid, payer: &Payer) -> Option<Rival> {
        let best = self.firsts(&bid.claim, payer, key).min()?;
        let ours = Rank::of(bid, &Arc::new(key.clone()));
        (*best < ours).then(|| Rival { key: Key::clone(&best.key), title: best.title })
    }

    /// For each scope, those who claim it, the first one first.
    fn under<'a>(
        &'a self,
        claim: &Claim,
        payer: &Payer,
        key: &Key,
    ) -> impl Iterator<Item = impl Iterator<Item = &'a Rank> + use<'a>> + use<'a> {
        let (claim, scopes) = (claim.clone(), looks_under(payer, &key.namespace));
        scopes.into_iter().map(move |scope| {
            let place = Place::new(&claim, &scope);
            let claimants = self.0.range((place, Rank::first())..);
            claimants.take_while(move |(known, _)| *known == place).map(|(_, rank)| rank)
        })
    }

    fn others<'a>(
        &'a self,
        claim: &Claim,
        payer: &Payer,
        key: &'a Key,
    ) -> impl Iterator<Item = &'a Rank> + use<'a> {
        self.under(claim, payer, key).flatten().filter(move |rank| *rank.key != *key)
    }

    /// The first of each scope, so that it costs nothing how many claim the same.
    fn firsts<'a>(
        &'a self,
        claim: &Claim,
        payer: &Payer,
        key: &'a Key,
    ) -> impl Iterator<Item = &'a Rank> + use<'a> {
        self.under(claim, payer, key).filter_map(move |mut ranks| ranks.find(|rank| *rank.key != *key))
    }
}

/// What an entry claims.
fn bids(key: &Key, state: &State) -> Vec<Bid> {
    if key.kind == Kind::Order { state.bids() } else { Vec::new() }
}

impl State {
    /// Whether the provider said itself that it took the request that this order came from.
    #[must_use]
    pub fn is_placed(&self) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.attempt.is_some() && !accepted.resolves)
    }

    /// What this order claims.
    #[must_use]
    pub fn bids(&self) -> Vec<Bid> {
        let resolves = self.accepted.as_ref().is_some_and(|accepted| accepted.resolves);
        let placed = self.is_placed();
        let said = if placed || resolves { Title::Resolved } else { Title::Adopted };
        let id = self.accepted.as_ref().and_then(|accepted| {
            let id = accepted.id.clone()?;
            let title = if placed || self.strays.iter().any(|s| s.id == id) { Title::Placed } else { said };
            Some(Bid { claim: Claim::OrderId(id), title, since: Some(accepted.at) })
        });
        let number = self.number.as_ref().map(|known| {
            let number = &known.number;
            let pushed =
                known.is_providers() || self.strays.iter().any(|stray| stray.number.as_ref() == Some(number));
            let title = if pushed { Title::Placed } else { said };
            Bid { claim: Claim::Number(number.to_string()), title, since: Some(known.at) }
        });
        id.into_iter().chain(number).collect()
    }
}
