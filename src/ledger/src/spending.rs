//! What the budgets count (promise 14): for each namespace, for the operator's own access key, and for each
//! key of a tenant, who pays for himself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Account, Key, Kind, Payer, State};

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purse {
    /// Requests with the operator's own access key.
    Operator,
    /// Requests with this other one.
    Account(Account),
    /// Requests of this namespace, whoever pays.
    Namespace(String),
    /// Its requests that were refused: they cost nothing, and still TENIOS has them to deal with.
    Refused(String),
    /// Cancellations with the operator's own access key, or with this other one.
    Cancellations(Option<Account>),
}

impl Purse {
    /// Where a request for this entry counts. A cancellation costs nothing, and takes no order's place.
    #[must_use]
    pub fn all(key: &Key, payer: &Payer) -> Vec<Self> {
        let account = payer.account.clone().filter(|_| !payer.own);
        match key.kind {
            Kind::Verification => Vec::new(),
            Kind::Order => {
                vec![Self::Namespace(key.namespace.clone()), account.map_or(Self::Operator, Self::Account)]
            }
            Kind::Cancellation => vec![Self::Cancellations(account)],
        }
    }
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Spending(BTreeMap<Purse, BTreeSet<(Timestamp, Arc<Key>)>>);

impl Spending {
    pub(super) fn insert(&mut self, key: &Arc<Key>, state: &State) {
        for (purse, at) in spent_by(key, state) {
            self.0.entry(purse).or_default().insert((at, key.clone()));
        }
    }

    pub(super) fn remove(&mut self, key: &Arc<Key>, state: &State) {
        for (purse, at) in spent_by(key, state) {
            if let Some(spent) = self.0.get_mut(&purse) {
                spent.remove(&(at, key.clone()));
                if spent.is_empty() {
                    self.0.remove(&purse);
                }
            }
        }
    }

    /// When one more request fits `limit` requests per `window`: none means now.
    pub(super) fn opens(
        &self,
        purse: &Purse,
        limit: u32,
        window: SignedDuration,
        now: Timestamp,
        reserved: usize,
    ) -> Option<Timestamp> {
        let limit = limit as usize;
        let spent = self.within(purse, window, now);
        let used = spent.len() + reserved;
        if used < limit {
            return None;
        }
        let frees = spent.get(used - limit).or(spent.last()).copied();
        Some(frees.unwrap_or(now).saturating_add(window).unwrap_or(Timestamp::MAX))
    }

    /// Requests counted within the window, oldest first.
    pub(super) fn within(&self, purse: &Purse, window: SignedDuration, now: Timestamp) -> Vec<Timestamp> {
        let since = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        // From the newest backwards: bounded by the window, not by all that was ever ordered. What a
        // clock that runs ahead recorded counts too.
        let newest_first = self.0.get(purse).into_iter().flat_map(|spent| spent.iter().rev());
        let mut within: Vec<_> = newest_first.map(|(at, _)| *at).take_while(|at| *at > since).collect();
        within.reverse();
        within
    }
}

/// A verification costs nothing.
fn spent_by<'a>(key: &'a Key, state: &'a State) -> impl Iterator<Item = (Purse, Timestamp)> + use<'a> {
    let paid = state.spent.iter().flat_map(|at| {
        let account = state.payers.get(at).cloned();
        let payer = Payer { own: account.is_none(), account };
        Purse::all(key, &payer).into_iter().map(|purse| (purse, *at))
    });
    let refused = state.refused.iter().map(|at| (Purse::Refused(key.namespace.clone()), *at));
    paid.chain(refused).filter(|_| key.kind != Kind::Verification)
}
