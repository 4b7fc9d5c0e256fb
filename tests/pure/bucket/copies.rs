//! The copies in a cluster, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tenios_ledger::{
    AppendError, Change, CopyTarget, Entry, Event, Key, LedgerStore, ReadError, RemoveError, Version,
    WriterId,
};
use tokio::sync::mpsc;

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Key, Entry>,
    writes: u64,
    /// The next writes fail, though they are done.
    unanswered: usize,
    followers: Vec<mpsc::UnboundedSender<Change>>,
}

/// See the module documentation.
#[derive(Clone, Default)]
pub struct Copies(Arc<Mutex<Inner>>);

impl Copies {
    pub fn get(&self, key: &Key) -> Entry {
        self.0.lock().unwrap().entries.get(key).cloned().unwrap_or_else(|| Entry::empty(key.clone()))
    }

    /// As a restore does, or a person.
    pub fn set(&self, key: &Key, entry: Option<Entry>) {
        let mut inner = self.0.lock().unwrap();
        match entry {
            Some(entry) => {
                inner.write(entry);
            }
            None => {
                inner.entries.remove(key);
            }
        }
    }

    /// Another's label.
    pub fn label(&self, key: &Key) {
        let entry = self.get(key);
        self.set(key, Some(entry));
    }

    /// So many writes are done and not answered.
    pub fn lose_answers(&self, writes: usize) {
        self.0.lock().unwrap().unanswered = writes;
    }

    fn write(&self, base: &Entry, next: &Entry) -> Result<Entry, AppendError> {
        let mut inner = self.0.lock().unwrap();
        let stored = inner.entries.get(&base.key).cloned().unwrap_or_else(|| Entry::empty(base.key.clone()));
        if stored.version != base.version {
            return Err(AppendError::Conflict(Box::new(stored)));
        }
        // The rule of the CRD.
        assert!(next.revision >= stored.revision.max(1), "{stored:?} {next:?}");
        assert_eq!(stored.key, next.key);
        let entry = inner.write(next.clone());
        if inner.unanswered > 0 {
            inner.unanswered -= 1;
            return Err(AppendError::Ambiguous("no answer".into()));
        }
        Ok(entry)
    }
}

impl Inner {
    fn write(&mut self, entry: Entry) -> Entry {
        self.writes += 1;
        let entry = Entry { version: Some(Version::new(self.writes.to_string())), ..entry };
        self.entries.insert(entry.key.clone(), entry.clone());
        let told = || Change::Entry(Box::new(entry.clone()));
        self.followers.retain(|follower| follower.send(told()).is_ok());
        entry
    }
}

impl LedgerStore for Copies {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        std::future::ready(Ok(self.get(key))).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        std::future::ready(self.write(base, &base.with(events, WriterId::random()))).boxed()
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        let mut inner = self.0.lock().unwrap();
        let same = inner.entries.get(&entry.key).is_none_or(|stored| stored.version == entry.version);
        if same {
            inner.entries.remove(&entry.key);
        }
        std::future::ready(Ok(same)).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let mut inner = self.0.lock().unwrap();
        let (follower, mut told) = mpsc::unbounded_channel();
        inner.followers.push(follower);
        let entries = inner.entries.values().cloned().map(|entry| Change::Entry(Box::new(entry)));
        let list: Vec<Change> =
            [Change::Listing].into_iter().chain(entries).chain([Change::Listed]).collect();
        let live = futures::stream::poll_fn(move |context| told.poll_recv(context));
        futures::stream::iter(list).chain(live).boxed()
    }
}

impl CopyTarget for Copies {
    fn put<'a>(&'a self, base: &'a Entry, next: &'a Entry) -> BoxFuture<'a, Result<Entry, AppendError>> {
        std::future::ready(self.write(base, next)).boxed()
    }
}
