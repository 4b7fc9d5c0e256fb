//! A ledger with one operation at a time, for the book that ships: what `KubernetesLedger` is to an
//! apiserver, without one.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tenios_operator::ledger::{
    AppendError, Change, Entry, Event, Key, Ledger, ReadError, RemoveError, Version, WriterId,
};

/// Whoever appends more often in a row than this will never end.
const APPENDS: u32 = 20;

/// See the module documentation.
pub struct Store {
    stored: Mutex<Entry>,
    changes: Mutex<Vec<Change>>,
    /// The answer to the next write and to reading again is lost.
    lost: bool,
    /// Whether a write compares before it sets. It does; the model has to notice where it does not.
    compares: bool,
    /// How many writes were tried.
    writes: AtomicU32,
}

impl Store {
    pub fn new(stored: Entry, changes: Vec<Change>, lost: bool, compares: bool) -> Self {
        Self {
            stored: Mutex::new(stored),
            changes: Mutex::new(changes),
            lost,
            compares,
            writes: AtomicU32::new(0),
        }
    }

    pub fn stored(&self) -> Entry {
        self.stored.lock().unwrap().clone()
    }

    /// Create where `base` is not stored, else replace: the apiserver's rules. Where something else is
    /// stored by now, that comes back.
    pub fn put(&self, base: &Entry, events: &[Event]) -> Result<Entry, Box<Entry>> {
        let write = self.writes.fetch_add(1, Ordering::Relaxed);
        assert!(write < APPENDS, "it appends {events:?} to {base:?} again and again");
        let mut stored = self.stored.lock().unwrap();
        if self.compares && stored.version != base.version {
            return Err(Box::new(stored.clone()));
        }
        *stored = Entry { version: Some(Version::new(format!("new {write}"))), ..appended(base, events) };
        Ok(stored.clone())
    }
}

/// What is stored after these events. Writers are random where it ships; here the same write has the same
/// one, because otherwise no two paths would ever lead to the same state.
pub fn appended(base: &Entry, events: &[Event]) -> Entry {
    let mut hasher = DefaultHasher::new();
    format!("{:?} {events:?}", base.writers.last()).hash(&mut hasher);
    base.with(events, WriterId::from_bits(hasher.finish()))
}

impl Ledger for Store {
    fn read<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        ready(Ok(self.stored())).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        let result = if self.lost {
            Err(AppendError::Ambiguous("no answer".into()))
        } else {
            self.put(base, events).map_err(AppendError::Conflict)
        };
        ready(result).boxed()
    }

    fn remove<'a>(&'a self, _: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        ready(Err(RemoveError("what the model looks at is never deleted by the operator".into()))).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        ready(Ok(())).boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        futures::stream::iter(std::mem::take(&mut *self.changes.lock().unwrap())).boxed()
    }
}
