//! Which requests this process is sending, and how long others have had to send theirs.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ledger::{AttemptId, Event, Key, Phase, State};
use crate::lifecycle::Sender;

/// Attempts of one resource that were intended and not sent: a write is not on its way for longer than
/// so many later ones take.
const GROUNDED_KEPT: usize = 16;

#[derive(Clone, Debug)]
enum Flight {
    /// From the decision to send, at this time, until the outcome is recorded.
    Here(AttemptId, Instant),
    /// First seen at this time, intended by another process.
    Elsewhere(AttemptId, Instant),
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Flights {
    by_key: Mutex<HashMap<Key, Flight>>,
    /// Intended by this process, which does not know whether that was stored, and did not send. The
    /// write may come through at any later time, also after the next attempt was tried.
    grounded: Mutex<HashMap<Key, VecDeque<AttemptId>>>,
    unsaved: Mutex<HashMap<AttemptId, (Key, Event)>>,
    /// Refused or not processed, and since when this process knows: the recording clock may be another's.
    closed: Mutex<HashMap<Key, (AttemptId, Instant)>>,
    /// How long a foreign request may take, from its intent to its last byte.
    lifetime: Duration,
}

impl Flights {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self {
            by_key: Mutex::default(),
            grounded: Mutex::default(),
            unsaved: Mutex::default(),
            closed: Mutex::default(),
            lifetime,
        }
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grounded(&self) -> MutexGuard<'_, HashMap<Key, VecDeque<AttemptId>>> {
        self.grounded.lock().unwrap_or_else(PoisonError::into_inner)
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
        if self.grounded().get(key).is_some_and(|ours| ours.contains(attempt)) {
            return Sender::NeverLeft;
        }
        match flights.get(key) {
            Some(Flight::Here(here, _)) if here == attempt => Sender::Here,
            Some(Flight::Elsewhere(seen, since)) if seen == attempt => {
                Sender::Elsewhere { remaining: self.lifetime.saturating_sub(since.elapsed()) }
            }
            Some(Flight::Here(..)) => Sender::Elsewhere { remaining: self.lifetime },
            _ => {
                flights.insert(key.clone(), Flight::Elsewhere(attempt.clone(), Instant::now()));
                Sender::Elsewhere { remaining: self.lifetime }
            }
        }
    }

    /// How long this process has known that the newest request was refused or not processed.
    pub(super) fn known_for(&self, key: &Key, state: &State) -> Duration {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let (Phase::Refused { attempt, .. } | Phase::NotProcessed { attempt, .. }) = &state.phase else {
            closed.remove(key);
            return Duration::ZERO;
        };
        match closed.get(key) {
            Some((known, since)) if known == attempt => since.elapsed(),
            _ => {
                closed.insert(key.clone(), (attempt.clone(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Forgets since when this process knows what others did for a resource that is gone, and what it did not
    /// send. Whoever looks at it again waits longer than needed, not shorter, and then for a person.
    pub(super) fn forget(&self, key: &Key) {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.grounded().remove(key);
        let mut flights = self.flights();
        if matches!(flights.get(key), Some(Flight::Elsewhere(..))) {
            flights.remove(key);
        }
    }

    /// This process is about to intend and send this attempt. False where it is sending for this key
    /// already.
    pub(super) fn take_off(&self, key: &Key, attempt: &AttemptId) -> bool {
        let mut flights = self.flights();
        if matches!(flights.get(key), Some(Flight::Here(..))) {
            return false;
        }
        flights.insert(key.clone(), Flight::Here(attempt.clone(), Instant::now()));
        true
    }

    /// Since when this process has been sending for this key.
    pub(super) fn since(&self, key: &Key) -> Option<Instant> {
        match self.flights().get(key) {
            Some(Flight::Here(_, since)) => Some(*since),
            _ => None,
        }
    }

    /// The attempt was not sent and never will be.
    pub(super) fn never_left(&self, key: &Key, attempt: &AttemptId) {
        let mut grounded = self.grounded();
        let ours = grounded.entry(key.clone()).or_default();
        ours.push_back(attempt.clone());
        if ours.len() > GROUNDED_KEPT {
            ours.pop_front();
        }
        drop(grounded);
        self.landed(key, attempt);
    }

    /// The outcome is known and has to be recorded.
    pub(super) fn answered(&self, key: &Key, attempt: &AttemptId, event: &Event) {
        self.unsaved().insert(attempt.clone(), (key.clone(), event.clone()));
    }

    /// The outcome is recorded.
    pub(super) fn landed(&self, key: &Key, attempt: &AttemptId) {
        self.unsaved().remove(attempt);
        let mut flights = self.flights();
        if matches!(flights.get(key), Some(Flight::Here(here, _)) if here == attempt) {
            flights.remove(key);
        }
    }

    /// Outcomes that are known and not recorded yet.
    pub(super) fn not_recorded(&self) -> Vec<(Key, Event)> {
        self.unsaved().values().cloned().collect()
    }
}
