//! What the relay tells others of an entry. That there is something to tell is recorded in the write which brings it
//! ([`State::unannounced`](super::State::unannounced)), so that it costs no write of its own, and neither a restart nor
//! another leader forgets it. It is a mark and no event: an earlier version of the operator can't read an entry with an
//! event that it does not know, and passes over a field.

use jiff::Timestamp;
use tenios_api::PhoneNumber;

use super::past::Line;
use super::{AttemptId, Entry, Event, Kind, State, terms};

/// What happened to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// TENIOS assigned it.
    Assigned,
    /// A person says that it is the number of the order, or only its status still told it.
    Adopted,
    /// It was cancelled.
    Cancelled,
}

/// What others are to be told of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What happened.
    pub happening: Happening,
    /// When that was recorded, or asked for.
    pub at: Timestamp,
    /// The request that led to it.
    pub attempt: Option<AttemptId>,
    /// The order id; of a cancellation, its date.
    pub id: Option<String>,
    /// The number.
    pub number: PhoneNumber,
}

impl Announcement {
    /// What there is to tell of an entry of this kind.
    #[must_use]
    pub fn of(kind: Kind, state: &State) -> Option<Self> {
        let accepted = state.accepted.as_ref();
        let attempt = accepted.and_then(|accepted| accepted.attempt.clone());
        let id = state.id().map(ToOwned::to_owned);
        match kind {
            Kind::Verification => None,
            Kind::Order => {
                let assigned = state.number.as_ref()?;
                let happening =
                    if assigned.is_providers() { Happening::Assigned } else { Happening::Adopted };
                Some(Self { happening, at: assigned.at, attempt, id, number: assigned.number.clone() })
            }
            Kind::Cancellation => {
                let asked = state.terms.get(terms::CANCELLED_NUMBER);
                let asked = asked.and_then(|text| PhoneNumber::try_from(text.as_str()).ok());
                let number = asked.or(state.number.as_ref().map(|said| said.number.clone()))?;
                Some(Self { happening: Happening::Cancelled, at: accepted?.at, attempt, id, number })
            }
        }
    }
}

impl Entry {
    /// The entry to append these events to, so that it says by itself what is to be told of it afterwards.
    #[must_use]
    pub fn announcing(&self, events: &[Event]) -> Self {
        let before = self.state();
        let after = events.iter().fold(before.clone(), State::then);
        let told = Announcement::of(self.key.kind, &after);
        let mut base = self.clone();
        if told.is_some() && told != Announcement::of(self.key.kind, &before) {
            let since = events.iter().map(|event| Line::of(event).at).max();
            base.snapshot.unannounced = base.snapshot.unannounced.or(since);
        }
        base
    }

    /// The same entry, of which others know everything.
    #[must_use]
    pub(super) fn announced(&self) -> Self {
        let mut entry = self.clone();
        entry.snapshot.unannounced = None;
        entry
    }
}
