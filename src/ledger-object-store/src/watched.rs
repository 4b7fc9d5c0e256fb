//! Entries that another cluster may go on with: those without an outcome, and orders without a number. They are
//! looked at in the store, soon after they changed and then less and less often; all others when they are needed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tenios_ledger::{Change, Entry, Key, Kind};

/// After a change.
const FIRST: Duration = Duration::from_secs(5);

/// Later.
const LAST: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Watch {
    revision: u64,
    due: Instant,
    pause: Duration,
}

/// At most one for each entry.
#[derive(Debug, Default)]
pub(crate) struct Watched(HashMap<Key, Watch>);

impl Watched {
    /// The cluster's copy changed. True where there is something new to look at.
    pub(crate) fn saw(&mut self, change: &Change, now: Instant) -> bool {
        match change {
            Change::Entry(entry) if is_awaited(entry) => {
                let known = self.0.get(&entry.key).map(|watch| watch.revision);
                if known != Some(entry.revision) {
                    let watch = Watch { revision: entry.revision, due: now + FIRST, pause: FIRST };
                    self.0.insert(entry.key.clone(), watch);
                    return true;
                }
            }
            Change::Entry(entry) => {
                self.0.remove(&entry.key);
            }
            Change::Gone(key) => {
                self.0.remove(key);
            }
            Change::Listing | Change::Listed | Change::Broken(_) => {}
        }
        false
    }

    /// Those to look at now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<Key> {
        let due = self.0.iter_mut().filter(|(_, watch)| watch.due <= now);
        let due = due.map(|(key, watch)| {
            watch.pause = (watch.pause * 2).min(LAST);
            watch.due = now + watch.pause;
            key.clone()
        });
        due.collect()
    }

    /// When the next one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.values().map(|watch| watch.due).min()
    }
}

fn is_awaited(entry: &Entry) -> bool {
    let state = entry.state();
    let placed = state.accepted.as_ref().is_some_and(|accepted| accepted.attempt.is_some());
    let awaits_number = entry.key.kind == Kind::Order && placed && state.number.is_none();
    entry.position.is_some() && (state.is_undecided() || awaits_number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use tenios_ledger::{AttemptId, Event, Position, WriterId};

    use super::*;

    #[test]
    fn what_is_awaited_is_looked_at_less_and_less_often_until_it_came() {
        let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "o".into() };
        let attempt = AttemptId::random();
        let at = "2026-11-26T18:00:00Z".parse().unwrap();
        let intended = Event::Intended { attempt: attempt.clone(), at, terms: tenios_ledger::Terms::new() };
        let position = Some(Position { store: "s".into(), sequence: 1, revision: 1 });
        let open = Entry { position, ..Entry::empty(key.clone()).with(&[intended], WriterId::random()) };
        let (mut watched, begin) = (Watched::default(), Instant::now());
        let told = |entry: &Entry| Change::Entry(Box::new(entry.clone()));
        assert!(watched.saw(&told(&open), begin));
        let mut times = Vec::new();
        while let Some(due) = watched.next().filter(|due| *due < begin + Duration::from_secs(3000)) {
            assert_eq!(watched.due(due), std::slice::from_ref(&key));
            assert!(!watched.saw(&told(&open), due));
            times.push((due - begin).as_secs());
        }
        assert_eq!(times, [5, 15, 35, 75, 155, 315, 635, 1235, 1835, 2435]);
        let refused = Event::NotProcessed { attempt, at, why: String::new(), retry_after: None };
        watched.saw(&told(&open.with(&[refused], WriterId::random())), begin);
        assert_eq!(watched.next(), None);
    }
}
