//! What becomes of an entry whose copy in the cluster and newest object in the store differ.

use tenios_ledger::{Entry, Kind, Lineage, Phase, Position, State, WriterId};

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Merge {
    /// Nothing: both say that nothing is known.
    Nothing(Entry),
    /// The copy becomes this.
    Import(Entry),
    /// This becomes the next object, and then the copy.
    Store(Entry),
    /// The copy goes: a person forgot what it knows.
    Forget,
}

/// Whether an entry goes to the store. What was only adopted cost nothing, and could be made and deleted without
/// end, but the store keeps everything.
#[must_use]
pub fn belongs_outside(entry: &Entry) -> bool {
    let state = entry.state();
    state.attempts > 0 || is_about_money(entry.key.kind, &state)
}

/// A person's word that a number is cancelled has an account where the number was paid for.
fn is_about_money(kind: Kind, state: &State) -> bool {
    state.may_have_placed() || (kind == Kind::Cancellation && state.account.is_some())
}

/// Whether the copy knows what the store does not.
#[must_use]
pub fn is_ahead(copy: &Entry) -> bool {
    let stored = copy.position.as_ref().map_or(0, |position| position.revision);
    copy.version.is_some() && copy.revision > stored && belongs_outside(copy)
}

/// Whether the operator has forgotten what was here.
#[must_use]
pub fn is_forgotten(entry: &Entry) -> bool {
    entry.state() == State::default()
}

/// Whether a person could forget what the copy knows. A sweep takes only what may have placed nothing, and
/// verifications, and there may be a resource here that it knew nothing of. Who forgets a request in flight has only its
/// intent to go by; its sender may be here.
#[must_use]
pub fn may_be_forgotten(copy: &Entry) -> bool {
    let state = copy.state();
    copy.version.is_some()
        && copy.key.kind != Kind::Verification
        && is_about_money(copy.key.kind, &state)
        && !matches!(state.phase, Phase::Open { .. })
}

/// Whether this object says that all which the copy knows was forgotten. What the copy knows beyond that stays.
#[must_use]
pub fn forgets(object: &Entry, copy: &Entry) -> bool {
    let knew_all = || matches!(copy.lineage(object), Lineage::Same | Lineage::Later);
    may_be_forgotten(copy) && is_forgotten(object) && knew_all()
}

/// The entry as the object after this position.
#[must_use]
pub fn after(position: &Position, entry: Entry) -> Entry {
    let (sequence, revision) = (position.sequence.saturating_add(1), entry.revision);
    Entry { position: Some(Position { store: position.store.clone(), sequence, revision }), ..entry }
}

/// Brings both together, where the newest object, at this position, is not the one that the copy was made of.
#[must_use]
pub fn merge(copy: &Entry, newest: &Entry, at: &Position) -> Merge {
    let here = Position { revision: newest.revision, ..at.clone() };
    let imported = Entry { version: None, position: Some(here.clone()), ..newest.clone() };
    if forgets(newest, copy) {
        return Merge::Forget;
    }
    if is_forgotten(newest) {
        let nothing_yet = Position { revision: 0, ..here };
        return match &copy.version {
            None => Merge::Nothing(Entry { position: Some(nothing_yet), ..Entry::empty(copy.key.clone()) }),
            // Another cluster's resource is gone, but not this one's.
            Some(_) if belongs_outside(copy) => Merge::Store(after(&nothing_yet, copy.clone())),
            Some(_) => Merge::Import(Entry { position: Some(nothing_yet), ..copy.clone() }),
        };
    }
    if copy.version.is_none() {
        return Merge::Import(imported);
    }
    match copy.lineage(newest) {
        Lineage::Same => Merge::Import(Entry { position: Some(here), ..copy.clone() }),
        Lineage::Later => Merge::Import(imported),
        Lineage::Earlier => Merge::Store(after(&here, copy.clone())),
        // The revision of an object in the cluster never decreases.
        Lineage::Diverged if newest.revision > copy.revision && newest.state().covers(&copy.state()) => {
            let mut imported = imported;
            // That others are to be told is this cluster's own word: another one may have no relay.
            let unannounced = imported.snapshot.unannounced.or(copy.snapshot.unannounced);
            imported.snapshot.unannounced = unannounced;
            Merge::Import(imported)
        }
        Lineage::Diverged => {
            let (base, events) = copy.reunited(newest);
            Merge::Store(after(&here, base.with(&events, WriterId::random())))
        }
    }
}
