//! How a fact is recorded that must not be lost: as often as it takes. Pure steps, which [`super::LedgerCache::append_until_stored`] carries
//! out, and the model in the tests, too.

use super::{AppendError, Entry, Event};

/// After so many conflicts without a pause somebody else writes all the time.
const CONFLICTS_IN_A_ROW: u8 = 5;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recording {
    conflicts: u8,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// To append it to what is known by now.
    Append,
    /// To wait a little, and to read what is stored.
    PauseAndRead,
    /// Nothing: it is stored.
    Done,
}

impl Recording {
    /// An append of it has ended so.
    pub fn appended(&mut self, result: &Result<(), AppendError>) -> Next {
        match result {
            Ok(()) => Next::Done,
            Err(AppendError::Conflict(_)) if self.conflicts < CONFLICTS_IN_A_ROW => {
                self.conflicts += 1;
                Next::Append
            }
            Err(_) => Next::PauseAndRead,
        }
    }

    /// This was read after a pause, just now, so that what it holds is stored; none where nothing could be read.
    #[must_use]
    pub fn read(self, stored: Option<&Entry>, event: &Event) -> Next {
        let is_stored = stored.is_some_and(|entry| entry.contains(std::slice::from_ref(event)));
        if is_stored { Next::Done } else { Next::Append }
    }
}
