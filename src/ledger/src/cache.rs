//! The ledger with its index: what every part of the operator reads and appends through.

mod forget;
mod news;
mod offer;
mod outbox;
mod set_back;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tenios_api::causes;
use tokio::sync::{Notify, mpsc, watch};

use super::{
    AppendError, Applied, Bid, CachedEntry, Change, Entry, Event, Index, Key, Kind, LedgerStore, Payer,
    Purse, ReadError, Recording, Rival, recording,
};
pub use forget::VERIFICATIONS_KEPT;
pub use news::{LedgerChange, Origin};
pub use offer::Offered;
use set_back::Suspects;

/// How often a ledger that could not be reached is asked whether it is back.
const PROBED_EVERY: Duration = Duration::from_secs(1);

/// Requests that may place an order, in a rolling window (promise 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many requests.
    pub requests: u32,
    /// Within this time.
    pub window: SignedDuration,
}

/// So many requests of a namespace may be refused for each order that it may place. A refusal costs nothing,
/// but who asks for the same again and again is not to look like an attack to the provider.
const REFUSALS_PER_ORDER: u32 = 10;

/// The budgets of the operator and of each namespace.
#[derive(Clone, Copy, Debug)]
pub struct Budgets {
    /// `--order-budget`: for the operator's own access key, and for each other one
    pub operator: Budget,
    /// `--order-budget-per-namespace`
    pub namespace: Budget,
    /// `--cancel-budget`: for the operator's own access key, and for each other one
    pub cancel: Budget,
}

/// See the module documentation.
pub struct LedgerCache {
    ledger: Arc<dyn LedgerStore>,
    index: Mutex<Index>,
    reserved: Mutex<Vec<Vec<Purse>>>,
    budgets: Budgets,
    listed: watch::Sender<bool>,
    reachable: AtomicBool,
    set_back: watch::Sender<u64>,
    suspects: Suspects,
    /// Resources that the ledger was asked about by name; no more than there are.
    asked: Mutex<HashSet<Key>>,
    changed: mpsc::UnboundedSender<LedgerChange>,
    /// None where nobody is told anything.
    listens: OnceLock<outbox::Listens>,
    outbox: Notify,
}

enum Next {
    Change(Change),
    SetBack,
}

/// A place in the budgets, held from the decision to send until the intent is recorded.
pub struct Reservation<'a> {
    cache: &'a LedgerCache,
    purses: Vec<Purse>,
}

impl Reservation<'_> {
    /// The budgets.
    #[must_use]
    pub fn purses(&self) -> &[Purse] {
        &self.purses
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut reserved = self.cache.reserved.lock();
        if let Some(at) = reserved.iter().position(|purses| *purses == self.purses) {
            reserved.swap_remove(at);
        }
    }
}

/// Whose budget is spent, and when a place gets free.
#[derive(Clone, Debug)]
pub struct Spent {
    /// Where no place is free.
    pub purse: Purse,
    /// For the message.
    pub whose: &'static str,
    /// When a place gets free.
    pub until: Timestamp,
}

impl LedgerCache {
    /// A cache over this ledger, and whatever changes in it.
    #[must_use]
    pub fn new(
        ledger: Arc<dyn LedgerStore>,
        budgets: Budgets,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<LedgerChange>) {
        let (changed, receiver) = mpsc::unbounded_channel();
        let (listed, _) = watch::channel(false);
        let cache = Self {
            ledger,
            index: Mutex::default(),
            reserved: Mutex::default(),
            budgets,
            listed,
            reachable: AtomicBool::new(true),
            set_back: watch::channel(0).0,
            suspects: Suspects::default(),
            asked: Mutex::default(),
            changed,
            listens: OnceLock::new(),
            outbox: Notify::new(),
        };
        (Arc::new(cache), receiver)
    }

    /// Follows the ledger for ever.
    pub async fn follow(&self) {
        let mut changes = self.ledger.changes();
        while let Some(next) = self.next(&mut changes).await {
            match next {
                Next::Change(change) => self.take_in(change),
                Next::SetBack => {
                    tracing::error!(
                        "the ledger went back in time, as after a restore: listing it again and writing back what it lost"
                    );
                    changes = self.ledger.changes();
                    self.set_back.send_modify(|times| *times += 1);
                }
            }
        }
    }

    fn take_in(&self, change: Change) {
        match change {
            Change::Listing => self.index.lock().begin_listing(),
            Change::Entry(entry) => self.learn(&entry, Origin::Elsewhere),
            Change::Listed => {
                let missing = self.index.lock().end_listing();
                for key in missing {
                    self.suspects.add(key);
                }
                self.reachable.store(true, Ordering::Relaxed);
                self.listed.send_replace(true);
            }
            Change::Gone(key) => self.lose(&key),
            Change::Broken(error) => {
                self.reachable.store(false, Ordering::Relaxed);
                tracing::warn!(error = causes(&*error), "the ledger's watch broke; restarting it");
            }
        }
    }

    /// The next change. A watch that was set up again says nothing until something changes, so that the
    /// ledger has to be asked whether it is back; and a watch goes on for ever to ask a store that was set
    /// back for what comes after its future.
    async fn next(&self, changes: &mut BoxStream<'static, Change>) -> Option<Next> {
        while !self.reachable.load(Ordering::Relaxed) {
            tokio::select! {
                change = changes.next() => return change.map(Next::Change),
                () = tokio::time::sleep(PROBED_EVERY) => {}
            }
            let probe = self.was_set_back().await;
            self.reachable.store(probe.is_ok(), Ordering::Relaxed);
            if matches!(probe, Ok(true)) {
                return Some(Next::SetBack);
            }
        }
        changes.next().await.map(Next::Change)
    }

    /// Changes whenever the store was found set back: watches of the same store have to begin anew.
    #[must_use]
    pub fn set_backs(&self) -> watch::Receiver<u64> {
        self.set_back.subscribe()
    }

    /// Waits until all entries were listed once. Before that, nobody may decide anything.
    pub async fn listed(&self) {
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// What keeps this replica from being ready, as far as the ledger goes.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        if let Some(trouble) = self.ledger.trouble() {
            Some(trouble)
        } else if !*self.listed.borrow() {
            Some("the ledger has not been read yet".into())
        } else if !self.reachable.load(Ordering::Relaxed) {
            Some("the ledger can't be reached".into())
        } else {
            None
        }
    }

    /// Asks the ledger once about a resource that it has told nothing of, if it may know more than it tells: what
    /// another cluster did with a resource of this name is then shown before anything else is decided.
    pub async fn ask_once(&self, key: &Key) {
        if !self.ledger.knows_more()
            || self.index.lock().get(key).is_some()
            || self.asked.lock().contains(key)
        {
            return;
        }
        if self.read(key).await.is_ok() {
            self.asked.lock().insert(key.clone());
        }
    }

    /// The same about what follows up on this resource. What another cluster has followed up on, it has recorded before,
    /// though perhaps after this one had asked.
    pub async fn ask_both(&self, key: &Key, follow_up: &Key) {
        self.ask_once(follow_up).await;
        let is_known = |key: &Key| self.index.lock().get(key).is_some();
        if is_known(follow_up) && !is_known(key) {
            self.forget_asked(key);
            self.ask_once(key).await;
        }
    }

    /// Those that it was asked about.
    #[must_use]
    pub fn asked(&self) -> Vec<Key> {
        self.asked.lock().iter().cloned().collect()
    }

    /// The resource is gone.
    pub fn forget_asked(&self, key: &Key) {
        self.asked.lock().remove(key);
    }

    fn learn(&self, entry: &Entry, origin: Origin) {
        let key = entry.key.clone();
        let mut index = self.index.lock();
        let applied = index.apply(entry);
        let listing = index.is_listing();
        drop(index);
        match applied {
            Applied::News(related) => self.tell(key, origin, related),
            // The watch is always a little behind our own writes; a list is not.
            Applied::Older if listing => self.suspects.add(key),
            Applied::Diverged => self.suspects.add(key),
            Applied::Known | Applied::Older => {}
        }
    }

    fn lose(&self, key: &Key) {
        let related = self.index.lock().remove(key);
        self.tell(key.clone(), Origin::Elsewhere, related);
    }

    /// The entry as last seen, which may be behind what is stored.
    #[must_use]
    pub fn known(&self, key: &Key) -> CachedEntry {
        self.index.lock().get(key).unwrap_or_else(|| CachedEntry {
            entry: Arc::new(Entry::empty(key.clone())),
            state: Arc::default(),
        })
    }

    /// Another resource of the same account whose claim comes before this one.
    #[must_use]
    pub fn rival(&self, key: &Key, bid: &Bid, payer: &Payer) -> Option<Rival> {
        self.index.lock().rival(key, bid, payer)
    }

    /// Whether an order with this verification id was accepted.
    #[must_use]
    pub fn is_proven(&self, verification_id: &str) -> bool {
        self.index.lock().is_proven(verification_id)
    }

    /// The stored entry, asked for now. Where it has lost what this process knows, as after a restore, it
    /// gets that back first.
    ///
    /// # Errors
    /// When the store can't be read, or what it lost can't be written back.
    pub async fn read(&self, key: &Key) -> Result<CachedEntry, ReadError> {
        let stored = self.ledger.read(key).await?;
        self.settle(stored).await.map_err(|error| ReadError(error.into()))
    }

    /// Appends what was decided on `base`, for who decides again after it.
    ///
    /// # Errors
    /// [`AppendError`]; after a conflict the index has what is stored. A store that was set back gets back
    /// what it lost, but not the new events: somebody else may have written meanwhile, so that it has to be
    /// decided anew.
    pub async fn append(&self, base: &Entry, events: &[Event]) -> Result<(), AppendError> {
        self.append_as(Origin::Reconcile, base, events).await
    }

    async fn append_as(&self, origin: Origin, base: &Entry, events: &[Event]) -> Result<(), AppendError> {
        let base = &*self.to_announce(base, events);
        let result = match self.ledger.append(base, events).await {
            Err(AppendError::Conflict(stored)) => match self.settle(*stored).await {
                Ok(known) => Err(AppendError::Conflict(Box::new((*known.entry).clone()))),
                Err(error) => Err(error),
            },
            result => result,
        };
        self.learn(&result?, origin);
        Ok(())
    }

    /// Appends a fact that must not be lost, whatever is stored by now, as often as it takes. Only an
    /// entry that can't be read or written at all holds it up.
    pub async fn append_until_stored(&self, key: &Key, event: &Event) {
        let paces = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(5));
        let mut pace = paces.without_max_times().build();
        let (mut recording, mut next) = (Recording::default(), recording::Next::Append);
        let mut base = self.known(key).entry;
        loop {
            next = match next {
                recording::Next::Append => {
                    let events = std::slice::from_ref(event);
                    let result = self.append_as(Origin::Elsewhere, &base, events).await;
                    let next = recording.appended(&result);
                    if let (recording::Next::PauseAndRead, Err(error)) = (next, &result) {
                        tracing::error!(
                            error = causes(error),
                            kind = key.kind.as_str(),
                            namespace = key.namespace,
                            resource = key.name,
                            "an outcome can't be recorded yet; retrying"
                        );
                    }
                    if next == recording::Next::Append {
                        base = self.known(key).entry;
                    }
                    next
                }
                recording::Next::PauseAndRead => {
                    tokio::time::sleep(pace.next().unwrap_or(Duration::from_secs(5))).await;
                    let now = self.read(key).await.ok().map(|now| now.entry);
                    let next = recording.read(now.as_deref(), event);
                    base = now.unwrap_or(base);
                    next
                }
                recording::Next::Done => return,
            }
        }
    }

    /// Of the budgets in which requests of this kind count.
    fn longest_window(&self, kind: Kind) -> SignedDuration {
        let Budgets { operator, namespace, cancel } = self.budgets;
        let own = if kind == Kind::Cancellation { cancel.window } else { operator.window };
        // Refusals of each kind count for the namespace.
        own.max(namespace.window)
    }

    /// A place in the budgets in which a request for this entry counts, or whose is spent.
    ///
    /// # Errors
    /// [`Spent`] when there is none.
    pub fn reserve(&self, key: &Key, payer: &Payer, now: Timestamp) -> Result<Reservation<'_>, Spent> {
        let index = self.index.lock();
        let mut reserved = self.reserved.lock();
        let purses = Purse::all(key, payer);
        let refused = Purse::Refused(key.namespace.clone());
        for purse in purses.iter().chain([&refused]) {
            let (Budget { requests, window }, whose) = self.limit(purse);
            let held = reserved.iter().filter(|held| held.contains(purse)).count();
            if let Some(until) = index.budget_opens(purse, requests, window, now, held) {
                return Err(Spent { purse: purse.clone(), whose, until });
            }
        }
        reserved.push(purses.clone());
        Ok(Reservation { cache: self, purses })
    }

    /// What a purse holds, and whose it is.
    fn limit(&self, purse: &Purse) -> (Budget, &'static str) {
        let Budgets { operator, namespace, cancel } = self.budgets;
        let refusals = namespace.requests.saturating_mul(REFUSALS_PER_ORDER);
        match purse {
            Purse::Operator => (operator, "the operator"),
            Purse::Account(_) => (operator, "this access key"),
            Purse::Namespace(_) => (namespace, "this namespace"),
            Purse::Refused(_) => {
                (Budget { requests: refusals, ..namespace }, "this namespace for refused requests")
            }
            Purse::Cancellations(None) => (cancel, "the operator"),
            Purse::Cancellations(Some(_)) => (cancel, "this access key"),
        }
    }

    /// What is left in the operator's budget for orders.
    #[must_use]
    pub fn budget_remaining(&self, now: Timestamp) -> i64 {
        self.remaining(&Purse::Operator, now)
    }

    /// What the operator's budget for orders allows.
    #[must_use]
    pub fn budget_limit(&self) -> i64 {
        i64::from(self.budgets.operator.requests)
    }

    /// The same of cancellations.
    #[must_use]
    pub fn cancel_budget_remaining(&self, now: Timestamp) -> i64 {
        self.remaining(&Purse::Cancellations(None), now)
    }

    /// The same of cancellations.
    #[must_use]
    pub fn cancel_budget_limit(&self) -> i64 {
        i64::from(self.budgets.cancel.requests)
    }

    fn remaining(&self, purse: &Purse, now: Timestamp) -> i64 {
        let (Budget { requests, window }, _) = self.limit(purse);
        let spent = self.index.lock().spent(purse, window, now).len();
        i64::from(requests) - i64::try_from(spent).unwrap_or(i64::MAX)
    }
}
