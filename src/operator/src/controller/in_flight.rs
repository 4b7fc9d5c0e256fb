//! Which requests this process is sending, and how long others have had to send theirs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::requeue::Requeue;
use tenios_ledger::{AppendError, AttemptId, Event, Key, State};
use tenios_lifecycle::Sender;
use tenios_lifecycle::attempt::{Intended, Requests};

/// See the module documentation.
#[derive(Debug)]
pub(super) struct InFlight {
    by_key: Mutex<HashMap<Key, Requests>>,
    /// Those that wanted to send while this process was sending for them.
    found_busy: Mutex<HashSet<Key>>,
    requeue: Arc<Requeue>,
    began: Instant,
    /// How long a foreign request may take, from its intent to its last byte.
    lifetime: Duration,
}

impl InFlight {
    pub(super) fn new(lifetime: Duration, requeue: Arc<Requeue>) -> Self {
        let (by_key, found_busy) = (Mutex::default(), Mutex::default());
        Self { by_key, found_busy, requeue, began: Instant::now(), lifetime }
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

    /// [`Requests::begin`]. A resource that finds an earlier request of its own is woken when that has ended.
    pub(super) fn begin(&self, key: &Key, attempt: &AttemptId) -> bool {
        // Held meanwhile, so that it can't end in between.
        let mut found_busy = self.found_busy.lock();
        let begun = self.with(key, |requests, now| requests.begin(attempt, now));
        if !begun {
            found_busy.insert(key.clone());
        }
        begun
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

    /// [`Requests::finish`]; [`super::provider_call::Begun`] does it.
    pub(super) fn finish(&self, key: &Key, attempt: &AttemptId) {
        self.with(key, |requests, _| requests.finish(attempt));
        if self.found_busy.lock().remove(key) {
            self.requeue.now(key);
        }
    }

    /// Resources of which anything is known.
    pub(super) fn resources(&self) -> Vec<Key> {
        self.by_key.lock().keys().map(Key::of_resource).collect()
    }

    /// Outcomes that are known and not recorded yet.
    pub(super) fn not_recorded(&self) -> Vec<(Key, Event)> {
        let by_key = self.by_key.lock();
        let known = by_key.iter().filter_map(|(key, requests)| Some((key, requests.not_recorded()?)));
        known.map(|(key, event)| (key.clone(), event.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::requeue::{Requeue, Scope};
    use super::{Arc, AttemptId, Duration, InFlight, Key};
    use tenios_ledger::Kind;

    #[test]
    fn who_finds_its_own_request_still_in_flight_is_woken_when_that_has_ended() {
        let requeue = Arc::new(Requeue::default());
        let mut woken = requeue.stream(Scope { kind: Kind::Order, namespace: None });
        let in_flight = InFlight::new(Duration::from_secs(1), requeue.clone());
        let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() };
        let [first, second] = [AttemptId::random(), AttemptId::random()];
        assert!(in_flight.begin(&key, &first));
        in_flight.finish(&key, &first);
        assert!(woken.try_recv().is_err(), "nobody found it busy");
        assert!(in_flight.begin(&key, &first));
        assert!(!in_flight.begin(&key, &second));
        in_flight.finish(&key, &first);
        assert_eq!(woken.try_recv(), Ok(key.clone()));
        assert!(in_flight.begin(&key, &second));
        in_flight.finish(&key, &second);
        assert!(woken.try_recv().is_err(), "once");
    }
}
