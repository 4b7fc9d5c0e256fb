//! Which requests this process is sending, and how long others have had to send theirs.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use tenios_ledger::{AppendError, AttemptId, Event, Key, State};
use tenios_lifecycle::Sender;
use tenios_lifecycle::attempt::{Intended, Requests};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct InFlight {
    by_key: Mutex<HashMap<Key, Requests>>,
    began: Instant,
    /// How long a foreign request may take, from its intent to its last byte.
    lifetime: Duration,
}

impl InFlight {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { by_key: Mutex::default(), began: Instant::now(), lifetime }
    }

    /// Keeps nothing where there is nothing to know.
    fn with<T>(&self, key: &Key, step: impl FnOnce(&mut Requests, Duration) -> T) -> T {
        let mut by_key = self.by_key.lock();
        let mut requests = by_key.remove(key).unwrap_or_default();
        let result = step(&mut requests, self.began.elapsed());
        if !requests.is_empty() {
            by_key.insert(key.clone(), requests);
        }
        result
    }

    /// [`Requests::sender`]
    pub(super) fn sender(&self, key: &Key, state: &State) -> Sender {
        self.with(key, |requests, now| requests.sender(state, now, self.lifetime))
    }

    /// [`Requests::known_for`]
    pub(super) fn known_for(&self, key: &Key, state: &State) -> Duration {
        self.with(key, |requests, now| requests.known_for(state, now))
    }

    /// [`Requests::forget`]
    pub(super) fn forget(&self, key: &Key) {
        self.with(key, |requests, _| requests.forget());
    }

    /// [`Requests::begin`]
    pub(super) fn begin(&self, key: &Key, attempt: &AttemptId) -> bool {
        self.with(key, |requests, now| requests.begin(attempt, now))
    }

    /// Since when this process has been sending for this key.
    pub(super) fn since(&self, key: &Key) -> Option<Instant> {
        Some(self.began + self.with(key, |requests, _| requests.since())?)
    }

    /// [`Requests::intended`]
    pub(super) fn intended(
        &self,
        key: &Key,
        attempt: &AttemptId,
        appended: Result<(), AppendError>,
    ) -> Intended {
        self.with(key, |requests, _| requests.intended(attempt, appended))
    }

    /// [`Requests::answered`]
    pub(super) fn answered(&self, key: &Key, attempt: &AttemptId, event: &Event) {
        self.with(key, |requests, _| requests.answered(attempt, event));
    }

    /// [`Requests::finish`]
    pub(super) fn finish(&self, key: &Key, attempt: &AttemptId) {
        self.with(key, |requests, _| requests.finish(attempt));
    }

    /// Outcomes that are known and not recorded yet.
    pub(super) fn not_recorded(&self) -> Vec<(Key, Event)> {
        let by_key = self.by_key.lock();
        let known = by_key.iter().filter_map(|(key, requests)| Some((key, requests.not_recorded()?)));
        known.map(|(key, event)| (key.clone(), event.clone())).collect()
    }
}
