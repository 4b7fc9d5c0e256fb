//! A ledger in memory, for what a real one does only after a restore or an outage.

#![allow(dead_code, reason = "two test binaries use a part of it each")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tenios_ledger::{
    AppendError, Change, Entry, Event, Key, LedgerStore, ReadError, RemoveError, Version, WriterId,
};
use tokio::sync::mpsc;

/// One entry in memory, which can be replaced by an older one.
pub struct InMemoryLedger {
    key: Key,
    reads: AtomicU64,
    writes: AtomicU64,
    stored: Mutex<Option<Entry>>,
    broken: AtomicBool,
    read_only: AtomicBool,
    told: mpsc::UnboundedSender<Change>,
    changes: Mutex<Option<mpsc::UnboundedReceiver<Change>>>,
}

impl InMemoryLedger {
    pub fn new(key: Key) -> Self {
        let stored = Mutex::default();
        let (told, changes) = mpsc::unbounded_channel();
        Self {
            key,
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            stored,
            broken: AtomicBool::new(false),
            read_only: AtomicBool::new(false),
            told,
            changes: Mutex::new(Some(changes)),
        }
    }

    /// From now on nothing can be read or written, or everything again.
    pub fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// From now on nothing can be written.
    pub fn set_read_only(&self) {
        self.read_only.store(true, Ordering::SeqCst);
    }

    /// Tells whoever follows it.
    pub fn say<const N: usize>(&self, changes: [Change; N]) {
        for change in changes {
            self.told.send(change).unwrap();
        }
    }

    pub fn put(&self, entry: Option<Entry>) {
        let version = self.writes.fetch_add(1, Ordering::SeqCst).to_string();
        *self.stored.lock().unwrap() =
            entry.map(|entry| Entry { version: Some(Version::new(version)), ..entry });
    }

    pub fn get(&self) -> Entry {
        self.stored.lock().unwrap().clone().unwrap_or_else(|| Entry::empty(self.key.clone()))
    }

    /// How often it was read.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// How often it was written.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }
}

impl LedgerStore for InMemoryLedger {
    fn read<'a>(&'a self, _: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let broken = self.broken.load(Ordering::SeqCst);
        let result = if broken { Err(ReadError("broken".into())) } else { Ok(self.get()) };
        std::future::ready(result).boxed()
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        let stored = self.get();
        let writable = ![&self.broken, &self.read_only].iter().any(|flag| flag.load(Ordering::SeqCst));
        let result = if !writable {
            Err(AppendError::Rejected("broken".into()))
        } else if stored.version == base.version {
            self.put(Some(base.with(events, WriterId::random())));
            Ok(self.get())
        } else {
            Err(AppendError::Conflict(Box::new(stored)))
        };
        std::future::ready(result).boxed()
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        let mut stored = self.stored.lock().unwrap();
        let same = stored.as_ref().is_none_or(|stored| stored.version == entry.version);
        if same {
            *stored = None;
        }
        std::future::ready(Ok(same)).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        std::future::ready(Ok(())).boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let Some(mut changes) = self.changes.lock().unwrap().take() else {
            return futures::stream::pending().boxed();
        };
        futures::stream::poll_fn(move |context| changes.poll_recv(context)).boxed()
    }
}
