//! The ledger in the cluster alone, which is not to go on with copies of one outside: the other one may know of
//! orders that these do not.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;

use tenios_ledger::{AppendError, Change, Entry, Event, Key, LedgerStore, ReadError, RemoveError};

/// See the module documentation.
pub struct ClusterOnly<L> {
    ledger: L,
    copies: Arc<Mutex<Copies>>,
}

/// Whose ledger each copy is of.
#[derive(Default)]
struct Copies {
    known: BTreeMap<Key, String>,
    /// As the list tells that is being read.
    listed: Option<BTreeMap<Key, String>>,
}

impl Copies {
    fn saw(&mut self, change: &Change) {
        match change {
            Change::Entry(entry) => self.learn(entry),
            Change::Gone(key) => {
                self.known.remove(key);
            }
            Change::Listing => self.listed = Some(BTreeMap::new()),
            Change::Listed => {
                if let Some(listed) = self.listed.take() {
                    self.known = listed;
                }
            }
            Change::Broken(_) => {}
        }
    }

    fn learn(&mut self, entry: &Entry) {
        let Some(position) = &entry.position else {
            self.known.remove(&entry.key);
            return;
        };
        self.known.insert(entry.key.clone(), position.store.clone());
        if let Some(listed) = &mut self.listed {
            listed.insert(entry.key.clone(), position.store.clone());
        }
    }
}

impl<L: LedgerStore> ClusterOnly<L> {
    /// This ledger, as long as it is a copy of none.
    #[must_use]
    pub fn new(ledger: L) -> Self {
        Self { ledger, copies: Arc::default() }
    }
}

impl<L: LedgerStore> LedgerStore for ClusterOnly<L> {
    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        self.ledger.read(key)
    }

    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        let trouble =
            self.trouble().filter(|_| events.iter().any(|event| matches!(event, Event::Intended { .. })));
        match trouble {
            Some(why) => std::future::ready(Err(AppendError::Rejected(why.into()))).boxed(),
            None => self.ledger.append(base, events),
        }
    }

    fn remove<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        match &entry.position {
            Some(_) => {
                std::future::ready(Err(RemoveError("it is a copy of one outside the cluster".into()))).boxed()
            }
            None => self.ledger.remove(entry),
        }
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        self.ledger.probe()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let copies = self.copies.clone();
        self.ledger.changes().inspect(move |change| copies.lock().saw(change)).boxed()
    }

    fn trouble(&self) -> Option<String> {
        let copies = self.copies.lock();
        let (key, id) = copies.known.first_key_value()?;
        Some(format!(
            "nothing is sent: --ledger is kubernetes, but {} entries in this cluster, such as that of {key}, are copies \
             of ledger {id} on object storage. Give --ledger its URL again or, to go on without it: `kubectl tenios \
             ledger copy --from URL --to kubernetes`",
            copies.known.len()
        ))
    }
}
