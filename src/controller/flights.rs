//! Which requests this process is sending, and how long others have had to send theirs.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::{AttemptId, Event, Key, Phase, State};
use crate::lifecycle::Sender;

#[derive(Clone, Debug)]
enum Flight {
    /// From the decision to send until the outcome is recorded.
    Here(AttemptId),
    /// Intended by this process, which then did not send it.
    NeverLeft(AttemptId),
    /// First seen at this time, intended by another process.
    Elsewhere(AttemptId, Instant),
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Flights {
    by_key: Mutex<HashMap<Key, Flight>>,
    unsaved: Mutex<HashMap<AttemptId, (Key, Event)>>,
    /// How long a foreign request may take, from its intent to its last byte.
    lifetime: Duration,
}

impl Flights {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { by_key: Mutex::default(), unsaved: Mutex::default(), lifetime }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unsaved(&self) -> MutexGuard<'_, HashMap<AttemptId, (Key, Event)>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who may be sending the open attempt of this state.
    pub(super) fn sender(&self, key: &Key, state: &State) -> Sender {
        let mut flights = self.flights();
        let Phase::Open { attempt, .. } = &state.phase else {
            if matches!(flights.get(key), Some(Flight::Elsewhere(..))) {
                flights.remove(key);
            }
            return Sender::Elsewhere { remaining: Duration::ZERO };
        };
        match flights.get(key) {
            Some(Flight::Here(here)) if here == attempt => Sender::Here,
            Some(Flight::NeverLeft(ours)) if ours == attempt => Sender::NeverLeft,
            Some(Flight::Elsewhere(seen, since)) if seen == attempt => {
                Sender::Elsewhere { remaining: self.lifetime.saturating_sub(since.elapsed()) }
            }
            Some(Flight::Here(_)) => Sender::Elsewhere { remaining: self.lifetime },
            _ => {
                flights.insert(key.clone(), Flight::Elsewhere(attempt.clone(), Instant::now()));
                Sender::Elsewhere { remaining: self.lifetime }
            }
        }
    }

    /// This process is about to intend and send this attempt. False where it is sending for this key
    /// already.
    pub(super) fn take_off(&self, key: &Key, attempt: &AttemptId) -> bool {
        let mut flights = self.flights();
        if matches!(flights.get(key), Some(Flight::Here(_))) {
            return false;
        }
        flights.insert(key.clone(), Flight::Here(attempt.clone()));
        true
    }

    /// The attempt was not sent and never will be.
    pub(super) fn never_left(&self, key: &Key, attempt: &AttemptId) {
        self.flights().insert(key.clone(), Flight::NeverLeft(attempt.clone()));
    }

    /// The outcome is known and has to be recorded.
    pub(super) fn answered(&self, key: &Key, attempt: &AttemptId, event: &Event) {
        self.unsaved().insert(attempt.clone(), (key.clone(), event.clone()));
    }

    /// The outcome is recorded.
    pub(super) fn landed(&self, key: &Key, attempt: &AttemptId) {
        self.unsaved().remove(attempt);
        let mut flights = self.flights();
        if matches!(flights.get(key), Some(Flight::Here(here)) if here == attempt) {
            flights.remove(key);
        }
    }

    /// Outcomes that are known and not recorded yet.
    pub(super) fn not_recorded(&self) -> Vec<(Key, Event)> {
        self.unsaved().values().cloned().collect()
    }
}
