//! Counts the appends to a ledger.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use super::Metrics;
use tenios_ledger::{AppendError, Change, Entry, Event, Key, LedgerStore, ReadError, RemoveError};

/// A ledger whose appends are counted by how they ended.
pub struct Counted<L> {
    ledger: L,
    metrics: Arc<Metrics>,
}

impl<L> Counted<L> {
    /// Counts in these metrics.
    pub fn new(ledger: L, metrics: Arc<Metrics>) -> Self {
        Self { ledger, metrics }
    }
}

impl<L: LedgerStore> LedgerStore for Counted<L> {
    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        let appended = self.ledger.append(base, events);
        appended.inspect(|result| self.metrics.append(result.into())).boxed()
    }

    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.ledger.read(key)
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        self.ledger.remove(entry)
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.ledger.probe()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.ledger.changes()
    }

    fn trouble(&self) -> Option<String> {
        self.ledger.trouble()
    }

    fn knows_more(&self) -> bool {
        self.ledger.knows_more()
    }
}
