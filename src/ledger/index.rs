//! What has to be known across entries, kept in memory and up to date with every change, so that no
//! reconcile looks at all of them: who owns an order id or number, what the budget has left, which
//! verification ids an accepted order has proven.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Entry, Key, Kind, State};

/// Something that has one owner (promise 15).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// An order id.
    OrderId(String),
    /// A phone number.
    Number(String),
}

/// How somebody came to what he claims. What the provider gave comes before what a person says, so that
/// adopting what belongs to another, by mistake or on purpose, takes nothing from him.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Title {
    Placed,
    Adopted,
}

/// An entry with its state already folded.
#[derive(Clone, Debug)]
pub struct Known {
    /// The entry.
    pub entry: Arc<Entry>,
    /// What its events fold into.
    pub state: Arc<State>,
}

/// The index over all entries that were seen.
#[derive(Debug, Default)]
pub struct Index {
    entries: HashMap<Key, Known>,
    claims: BTreeMap<Claim, BTreeSet<(Title, Timestamp, Key)>>,
    proven: BTreeMap<String, BTreeSet<Key>>,
    verifications: BTreeMap<String, BTreeSet<Key>>,
    spent: BTreeSet<(Timestamp, Key)>,
    spent_by_namespace: HashMap<String, BTreeSet<(Timestamp, Key)>>,
    /// Seen since the current listing began.
    listing: Option<BTreeSet<Key>>,
}

impl Index {
    /// The entry of this key as last seen. It may be behind what is stored; the append will tell.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Known> {
        self.entries.get(key).cloned()
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Known> {
        self.entries.values()
    }

    /// Takes over an entry unless a newer one is known already. Where it was news, returns the keys whose
    /// resources it concerns, too: those that share a claim, and the verification that it proves.
    pub fn apply(&mut self, entry: Entry) -> Option<Vec<Key>> {
        if let Some(seen) = &mut self.listing {
            seen.insert(entry.key.clone());
        }
        let known = self.entries.get(&entry.key);
        if known.is_some_and(|k| k.entry.revision >= entry.revision) {
            return None;
        }
        let before = self.remove(&entry.key);
        let state = entry.state();
        let mut related = self.claim_all(&entry.key, &state);
        related.extend(before);
        self.entries.insert(entry.key.clone(), Known { entry: Arc::new(entry), state: Arc::new(state) });
        Some(related)
    }

    /// Takes over what is stored in place of `base`, which turned out to be outdated: also where its
    /// revision is not above the one that is known, as after a restore. Where the index knows something
    /// else by now, as [`Index::apply`].
    pub fn supersede(&mut self, base: &Entry, stored: Entry) -> Option<Vec<Key>> {
        let outdated = self.entries.get(&base.key).is_some_and(|k| k.entry.version == base.version);
        let before = if outdated { self.remove(&base.key) } else { Vec::new() };
        let mut related = self.apply(stored)?;
        related.extend(before);
        Some(related)
    }

    /// Forgets an entry; returns the keys that shared a claim with it.
    pub fn remove(&mut self, key: &Key) -> Vec<Key> {
        let Some(known) = self.entries.remove(key) else { return Vec::new() };
        let mut related = Vec::new();
        for (claim, title, at) in claims_of(key, &known.state) {
            if let Some(owners) = self.claims.get_mut(&claim) {
                owners.remove(&(title, at, key.clone()));
                related.extend(owners.iter().map(|(_, _, k)| k.clone()));
                if owners.is_empty() {
                    self.claims.remove(&claim);
                }
            }
        }
        if let Some(id) = proven_by(key, &known.state) {
            remove_from(&mut self.proven, id, key);
        }
        if let Some(id) = known.state.id().filter(|_| key.kind == Kind::Verification) {
            remove_from(&mut self.verifications, id, key);
        }
        for at in &known.state.spent {
            self.spent.remove(&(*at, key.clone()));
            if let Some(spent) = self.spent_by_namespace.get_mut(&key.namespace) {
                spent.remove(&(*at, key.clone()));
            }
        }
        related
    }

    fn claim_all(&mut self, key: &Key, state: &State) -> Vec<Key> {
        let mut related = Vec::new();
        for (claim, title, at) in claims_of(key, state) {
            let owners = self.claims.entry(claim).or_default();
            related.extend(owners.iter().map(|(_, _, k)| k.clone()));
            owners.insert((title, at, key.clone()));
        }
        if let Some(id) = proven_by(key, state)
            && self.proven.entry(id.to_owned()).or_default().insert(key.clone())
        {
            related.extend(self.verifications.get(id).into_iter().flatten().cloned());
        }
        if let Some(id) = state.id().filter(|_| key.kind == Kind::Verification) {
            self.verifications.entry(id.to_owned()).or_default().insert(key.clone());
        }
        if key.kind == Kind::Order {
            for at in &state.spent {
                self.spent.insert((*at, key.clone()));
                self.spent_by_namespace.entry(key.namespace.clone()).or_default().insert((*at, key.clone()));
            }
        }
        related
    }

    /// A full list begins.
    pub fn begin_listing(&mut self) {
        self.listing = Some(BTreeSet::new());
    }

    /// A full list is complete: what it did not name is gone.
    pub fn end_listing(&mut self) -> Vec<Key> {
        let Some(seen) = self.listing.take() else { return Vec::new() };
        let gone: Vec<Key> = self.entries.keys().filter(|k| !seen.contains(k)).cloned().collect();
        for key in &gone {
            self.remove(key);
        }
        gone
    }

    /// Who owns this: the first whose order it is by the provider's word, else the first to adopt it.
    #[must_use]
    pub fn owner(&self, claim: &Claim) -> Option<Key> {
        self.claims.get(claim)?.first().map(|(_, _, key)| key.clone())
    }

    /// Whether an order with this verification id was accepted, which proves its approval.
    #[must_use]
    pub fn is_proven(&self, verification_id: &str) -> bool {
        self.proven.get(verification_id).is_some_and(|keys| !keys.is_empty())
    }

    /// When one more request fits `limit` requests per `window`: none means now. With `namespace` only
    /// that namespace's count.
    #[must_use]
    pub fn budget_opens(
        &self,
        namespace: Option<&str>,
        limit: u32,
        window: SignedDuration,
        now: Timestamp,
        reserved: usize,
    ) -> Option<Timestamp> {
        let limit = limit as usize;
        let spent = self.spent(namespace, window, now);
        let used = spent.len() + reserved;
        if used < limit {
            return None;
        }
        let frees = spent.get(used - limit).or(spent.last()).copied();
        Some(frees.unwrap_or(now).saturating_add(window).unwrap_or(Timestamp::MAX))
    }

    /// Requests counted within the window, oldest first.
    #[must_use]
    pub fn spent(&self, namespace: Option<&str>, window: SignedDuration, now: Timestamp) -> Vec<Timestamp> {
        let set = match namespace {
            None => Some(&self.spent),
            Some(namespace) => self.spent_by_namespace.get(namespace),
        };
        let since = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        // From the newest backwards: bounded by the window, not by all that was ever ordered. What a
        // clock that runs ahead recorded counts too.
        let mut within: Vec<_> = set
            .into_iter()
            .flat_map(|s| s.iter().rev())
            .map(|(at, _)| *at)
            .take_while(|at| *at > since)
            .collect();
        within.reverse();
        within
    }
}

fn claims_of(key: &Key, state: &State) -> Vec<(Claim, Title, Timestamp)> {
    let mut claims = Vec::new();
    if key.kind != Kind::Order {
        return claims;
    }
    let title = |placed| if placed { Title::Placed } else { Title::Adopted };
    if let Some(accepted) = &state.accepted
        && let Some(id) = &accepted.id
    {
        claims.push((Claim::OrderId(id.clone()), title(accepted.attempt.is_some()), accepted.at));
    }
    if let Some(assigned) = &state.number {
        claims.push((Claim::Number(assigned.number.to_string()), title(assigned.pushed), assigned.at));
    }
    claims
}

fn remove_from(map: &mut BTreeMap<String, BTreeSet<Key>>, id: &str, key: &Key) {
    if let Some(keys) = map.get_mut(id) {
        keys.remove(key);
        if keys.is_empty() {
            map.remove(id);
        }
    }
}

/// The verification id that this accepted order proves.
fn proven_by<'a>(key: &Key, state: &'a State) -> Option<&'a str> {
    let ours = key.kind == Kind::Order && state.accepted.as_ref().is_some_and(|a| a.attempt.is_some());
    if ours { state.terms.get(super::terms::VERIFICATION_ID).map(String::as_str) } else { None }
}
