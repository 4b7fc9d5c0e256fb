//! What has to be known across entries, kept in memory and up to date with every change, so that no
//! reconcile looks at all of them: who owns an order id or number, what the budget has left, which
//! verification ids an accepted order has proven.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::claims::Claims;
use super::packed::Packed;
use super::spending::Spending;
use super::{Bid, Entry, Key, Kind, Lineage, Payer, Purse, Rival, State};

/// An entry with its state already folded.
#[derive(Clone, Debug)]
pub struct CachedEntry {
    /// The entry.
    pub entry: Arc<Entry>,
    /// What its events fold into.
    pub state: Arc<State>,
}

/// An entry at rest.
#[derive(Debug)]
struct Kept {
    packed: Packed,
    worth: Worth,
}

/// What says whether an entry has to be kept once its resource is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    /// Whether a request may have placed something.
    pub may_have_placed: bool,
    /// Whether the outcome of the newest one is not known.
    pub is_undecided: bool,
    /// When the newest refusal came.
    pub refused: Option<Timestamp>,
    /// When something was submitted or taken last.
    pub submitted: Option<Timestamp>,
}

impl Worth {
    fn of(state: &State) -> Self {
        Self {
            may_have_placed: state.may_have_placed(),
            is_undecided: state.is_undecided(),
            refused: state.refused.iter().max().copied(),
            submitted: state.accepted.as_ref().map(|accepted| accepted.at).max(state.spent.last().copied()),
        }
    }
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
    entries: HashMap<Arc<Key>, Kept>,
    claims: Claims,
    /// Which verification ids are proven, and by how many accepted orders.
    proven: BTreeMap<String, usize>,
    /// Whose the verification ids are.
    verifications: BTreeSet<(String, Arc<Key>)>,
    /// With which verification ids something was, or may have been, ordered, and by how many.
    ordered_with: BTreeMap<String, usize>,
    spending: Spending,
    /// Of which entries others are to be told something, and since when.
    unannounced: BTreeSet<(Timestamp, Arc<Key>)>,
    /// Whose entry was the last that was news.
    latest: Option<Arc<Key>>,
    /// Seen since the current listing began.
    listing: Option<BTreeSet<Key>>,
}

impl Index {
    /// The entry of this key as last seen. It may be behind what is stored; the append will tell.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<CachedEntry> {
        self.entries.get(key).map(|kept| kept.packed.known(key))
    }

    /// Of how many keys an entry is known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What of each entry says whether it has to be kept, in no order.
    pub(super) fn worth(&self) -> impl Iterator<Item = (&Key, &Worth)> {
        self.entries.iter().map(|(key, kept)| (key.as_ref(), &kept.worth))
    }

    pub(super) fn worth_of(&self, key: &Key) -> Option<&Worth> {
        self.entries.get(key).map(|kept| &kept.worth)
    }

    /// The verifications that something was, or may have been, ordered with.
    pub(super) fn ordered_with(&self) -> BTreeSet<&Key> {
        self.ordered_with.keys().flat_map(|id| keys_of(&self.verifications, id)).collect()
    }

    /// The entry that changed last, as far as is known.
    #[must_use]
    pub fn latest(&self) -> Option<CachedEntry> {
        self.get(self.latest.as_ref()?)
    }

    /// Takes over an entry that was appended to the one that is known, and any where none is known. Another
    /// one is only told of: it may be an old copy, or the store may have been set back.
    pub fn apply(&mut self, entry: &Entry) -> Applied {
        if let Some(seen) = &mut self.listing {
            seen.insert(entry.key.clone());
        }
        let known = self.get(&entry.key);
        match known.as_ref().map_or(Lineage::Later, |known| known.entry.lineage(entry)) {
            Lineage::Later => Applied::News(self.exchange(known.as_ref(), entry)),
            Lineage::Same => {
                self.reversion(known, entry);
                Applied::Known
            }
            Lineage::Earlier => Applied::Older,
            Lineage::Diverged => Applied::Diverged,
        }
    }

    /// Others' labels on it change its version and nothing else.
    fn reversion(&mut self, known: Option<CachedEntry>, entry: &Entry) {
        if let Some(known) = known.filter(|known| known.entry.version != entry.version)
            && let Some(kept) = self.entries.get_mut(&entry.key)
        {
            kept.packed = Packed::new(entry, &known.state);
        }
    }

    /// Takes over what is stored, whatever is known. Returns the keys whose resources it concerns, too: those
    /// that share a claim, and the verification that it proves.
    pub fn replace(&mut self, stored: &Entry) -> Vec<Key> {
        let known = self.get(&stored.key);
        self.exchange(known.as_ref(), stored)
    }

    fn exchange(&mut self, known: Option<&CachedEntry>, stored: &Entry) -> Vec<Key> {
        let before = known.map(|known| self.drop_known(known)).unwrap_or_default();
        let state = stored.state();
        let key = Arc::new(stored.key.clone());
        let mut related = self.claim_all(&key, &state);
        related.extend(before);
        self.latest = Some(key.clone());
        let kept = Kept { packed: Packed::new(stored, &state), worth: Worth::of(&state) };
        self.entries.insert(key, kept);
        related
    }

    /// Forgets an entry; returns the keys that shared a claim with it.
    pub fn remove(&mut self, key: &Key) -> Vec<Key> {
        self.get(key).map(|known| self.drop_known(&known)).unwrap_or_default()
    }

    fn drop_known(&mut self, known: &CachedEntry) -> Vec<Key> {
        let Some((key, _)) = self.entries.remove_entry(&known.entry.key) else { return Vec::new() };
        let key = &key;
        if let Some(id) = ordered_with(key, &known.state) {
            count_down(&mut self.ordered_with, id);
        }
        let related = self.claims.remove(key, &known.state);
        if let Some(id) = proven_by(key, &known.state) {
            count_down(&mut self.proven, id);
        }
        if let Some(id) = known.state.id().filter(|_| key.kind == Kind::Verification) {
            self.verifications.remove(&(id.to_owned(), key.clone()));
        }
        self.spending.remove(key, &known.state);
        if let Some(since) = known.state.unannounced {
            self.unannounced.remove(&(since, key.clone()));
        }
        related
    }

    fn claim_all(&mut self, key: &Arc<Key>, state: &State) -> Vec<Key> {
        let mut related = self.claims.insert(key, state);
        if let Some(id) = proven_by(key, state) {
            *self.proven.entry(id.to_owned()).or_default() += 1;
            related.extend(keys_of(&self.verifications, id).cloned());
        }
        if let Some(id) = ordered_with(key, state) {
            *self.ordered_with.entry(id.to_owned()).or_default() += 1;
        }
        if let Some(id) = state.id().filter(|_| key.kind == Kind::Verification) {
            self.verifications.insert((id.to_owned(), key.clone()));
        }
        self.spending.insert(key, state);
        if let Some(since) = state.unannounced {
            self.unannounced.insert((since, key.clone()));
        }
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
        self.entries.keys().filter(|k| !seen.contains(k.as_ref())).map(|k| Key::clone(k)).collect()
    }

    /// Another resource of the same account whose claim comes before this one.
    #[must_use]
    pub fn rival(&self, key: &Key, bid: &Bid, payer: &Payer) -> Option<Rival> {
        self.claims.rival(key, bid, payer)
    }

    /// The entries of which others are to be told something, those that have waited longest first.
    pub(super) fn unannounced(&self) -> impl Iterator<Item = &(Timestamp, Arc<Key>)> {
        self.unannounced.iter()
    }

    /// Whether an order with this verification id was accepted, which proves its approval.
    #[must_use]
    pub fn is_proven(&self, verification_id: &str) -> bool {
        self.proven.contains_key(verification_id)
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

fn count_down(counts: &mut BTreeMap<String, usize>, id: &str) {
    if let Some(count) = counts.get_mut(id) {
        *count -= 1;
        if *count == 0 {
            counts.remove(id);
        }
    }
}

fn keys_of<'a>(set: &'a BTreeSet<(String, Arc<Key>)>, id: &str) -> impl Iterator<Item = &'a Key> + use<'a> {
    let id = id.to_owned();
    let from = set.range((id.clone(), Arc::new(Key::lowest()))..);
    from.take_while(move |(known, _)| *known == id).map(|(_, key)| key.as_ref())
}

/// The verification id that this accepted order proves.
fn proven_by<'a>(key: &Key, state: &'a State) -> Option<&'a str> {
    let ours = key.kind == Kind::Order && state.accepted.as_ref().is_some_and(|a| a.attempt.is_some());
    if ours { state.terms.get(super::terms::VERIFICATION_ID).map(String::as_str) } else { None }
}

/// The verification id of what was, or may have been, ordered.
fn ordered_with<'a>(key: &Key, state: &'a State) -> Option<&'a str> {
    let placed = key.kind == Kind::Order && state.may_have_placed();
    state.terms.get(super::terms::VERIFICATION_ID).filter(|_| placed).map(String::as_str)
}
