//! What has to be known across entries, kept in memory and up to date with every change, so that no
//! reconcile looks at all of them: who owns an order id or number, what the budget has left, which
//! verification ids an accepted order has proven.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::claims::Claims;
use super::spending::Spending;
use super::{Bid, Entry, Key, Kind, Lineage, Payer, Purse, Rival, State};

/// An entry with its state already folded.
#[derive(Clone, Debug)]
pub struct Known {
    /// The entry.
    pub entry: Arc<Entry>,
    /// What its events fold into.
    pub state: Arc<State>,
}

/// What became of an entry that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It was news, which concerns the resources of these keys, too.
    News(Vec<Key>),
    /// It was known.
    Known,
    /// It is older than what is known.
    Older,
    /// It is of another line than what is known.
    Diverged,
}

/// The index over all entries that were seen.
#[derive(Debug, Default)]
pub struct Index {
    entries: HashMap<Key, Known>,
    claims: Claims,
    proven: BTreeMap<String, BTreeSet<Key>>,
    verifications: BTreeMap<String, BTreeSet<Key>>,
    spending: Spending,
    /// Whose entry was the last that was news.
    latest: Option<Key>,
    /// Seen since the current listing began.
    listing: Option<BTreeSet<Key>>,
}

impl Index {
    /// The entry of this key as last seen. It may be behind what is stored; the append will tell.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Known> {
        self.entries.get(key).cloned()
    }

    /// The entry that changed last, as far as is known.
    #[must_use]
    pub fn latest(&self) -> Option<Known> {
        self.get(self.latest.as_ref()?)
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.entries.values()
    }

    /// Takes over an entry that was appended to the one that is known, and any where none is known. Another
    /// one is only told of: it may be an old copy, or the store may have been set back.
    pub fn apply(&mut self, entry: Entry) -> Applied {
        if let Some(seen) = &mut self.listing {
            seen.insert(entry.key.clone());
        }
        let lineage =
            self.entries.get(&entry.key).map_or(Lineage::Later, |known| known.entry.lineage(&entry));
        match lineage {
            Lineage::Later => Applied::News(self.replace(entry)),
            Lineage::Same => {
                self.reversion(entry);
                Applied::Known
            }
            Lineage::Earlier => Applied::Older,
            Lineage::Diverged => Applied::Diverged,
        }
    }

    /// Others' labels on it change its version and nothing else.
    fn reversion(&mut self, entry: Entry) {
        if let Some(known) = self.entries.get_mut(&entry.key)
            && known.entry.version != entry.version
        {
            known.entry = Arc::new(entry);
        }
    }

    /// Takes over what is stored, whatever is known. Returns the keys whose resources it concerns, too: those
    /// that share a claim, and the verification that it proves.
    pub fn replace(&mut self, stored: Entry) -> Vec<Key> {
        let before = self.remove(&stored.key);
        let state = stored.state();
        let mut related = self.claim_all(&stored.key, &state);
        related.extend(before);
        self.latest = Some(stored.key.clone());
        self.entries.insert(stored.key.clone(), Known { entry: Arc::new(stored), state: Arc::new(state) });
        related
    }

    /// Forgets an entry; returns the keys that shared a claim with it.
    pub fn remove(&mut self, key: &Key) -> Vec<Key> {
        let Some(known) = self.entries.remove(key) else { return Vec::new() };
        let related = self.claims.remove(key, &known.state);
        if let Some(id) = proven_by(key, &known.state) {
            remove_from(&mut self.proven, id, key);
        }
        if let Some(id) = known.state.id().filter(|_| key.kind == Kind::Verification) {
            remove_from(&mut self.verifications, id, key);
        }
        self.spending.remove(key, &known.state);
        related
    }

    fn claim_all(&mut self, key: &Key, state: &State) -> Vec<Key> {
        let mut related = self.claims.insert(key, state);
        if let Some(id) = proven_by(key, state)
            && self.proven.entry(id.to_owned()).or_default().insert(key.clone())
        {
            related.extend(self.verifications.get(id).into_iter().flatten().cloned());
        }
        if let Some(id) = state.id().filter(|_| key.kind == Kind::Verification) {
            self.verifications.entry(id.to_owned()).or_default().insert(key.clone());
        }
        self.spending.insert(key, state);
        related
    }

    /// A full list begins.
    pub fn begin_listing(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// Whether a full list is being read.
    #[must_use]
    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// A full list is complete: what it did not name is gone, if the list is not an old one.
    pub fn end_listing(&mut self) -> Vec<Key> {
        let Some(seen) = self.listing.take() else { return Vec::new() };
        self.entries.keys().filter(|k| !seen.contains(k)).cloned().collect()
    }

    /// Another resource of the same account whose claim comes before this one.
    #[must_use]
    pub fn rival(&self, key: &Key, bid: &Bid, payer: &Payer) -> Option<Rival> {
        self.claims.rival(key, bid, payer)
    }

    /// Whether an order with this verification id was accepted, which proves its approval.
    #[must_use]
    pub fn is_proven(&self, verification_id: &str) -> bool {
        self.proven.get(verification_id).is_some_and(|keys| !keys.is_empty())
    }

    /// When one more request fits `limit` requests per `window`: none means now.
    #[must_use]
    pub fn budget_opens(
        &self,
        purse: &Purse,
        limit: u32,
        window: SignedDuration,
        now: Timestamp,
        reserved: usize,
    ) -> Option<Timestamp> {
        self.spending.opens(purse, limit, window, now, reserved)
    }

    /// Requests counted within the window, oldest first.
    #[must_use]
    pub fn spent(&self, purse: &Purse, window: SignedDuration, now: Timestamp) -> Vec<Timestamp> {
        self.spending.within(purse, window, now)
    }
}

/// Keeps no set that has become empty.
pub(super) fn remove_from<K, Q, V>(map: &mut BTreeMap<K, BTreeSet<V>>, id: &Q, member: &V)
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
    V: Ord,
{
    if let Some(members) = map.get_mut(id) {
        members.remove(member);
        if members.is_empty() {
            map.remove(id);
        }
    }
}

/// The verification id that this accepted order proves.
fn proven_by<'a>(key: &Key, state: &'a State) -> Option<&'a str> {
    let ours = key.kind == Kind::Order && state.accepted.as_ref().is_some_and(|a| a.attempt.is_some());
    if ours { state.terms.get(super::terms::VERIFICATION_ID).map(String::as_str) } else { None }
}
