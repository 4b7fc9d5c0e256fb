//! What is told from outside, and is recorded unless it is there already.

use super::{LedgerCache, Origin};
use crate::{AppendError, Event, Key, State};
use tenios_api::causes;

/// How often it yields to another writer of the same entry.
const TRIES: usize = 5;

/// What became of a fact that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It was appended.
    Appended,
    /// It is stored, and was before.
    Known,
    /// As many orders beside this one are recorded as can be.
    Full,
    /// It is not stored, or nobody knows whether it is.
    Failed(String),
}

impl LedgerCache {
    /// Records this unless it is there already. Only what is stored counts, and memory may be ahead of a store that was
    /// set back.
    pub async fn offer(&self, key: &Key, event: &Event) -> Offered {
        let mut known = self.known(key);
        for _ in 0..TRIES {
            let next = State::clone(&known.state).then(event);
            if !next.remembers(event) {
                return Offered::Full;
            }
            if next == *known.state {
                let stored = match self.read(key).await {
                    Ok(stored) => stored,
                    Err(error) => return Offered::Failed(causes(&error)),
                };
                if State::clone(&stored.state).then(event) == *stored.state {
                    return Offered::Known;
                }
                known = stored;
            }
            match self.append_as(Origin::Elsewhere, &known.entry, std::slice::from_ref(event)).await {
                Ok(()) => return Offered::Appended,
                Err(AppendError::Conflict(_)) => known = self.known(key),
                Err(error) => return Offered::Failed(causes(&error)),
            }
        }
        Offered::Failed("somebody else keeps changing this entry".into())
    }
}
