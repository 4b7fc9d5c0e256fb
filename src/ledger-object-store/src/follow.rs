//! What goes on beside the appends: the store is opened, and both sides are kept together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, future, stream};
use tenios_ledger::{Change, CopyTarget};

use crate::ledger::{Access, Shared};
use crate::sync::Unsynced;

/// How soon it is tried again what failed, at first.
const SOON: Duration = Duration::from_secs(1);

/// And later.
const LATE: Duration = Duration::from_secs(60);

/// How often both sides are compared as a whole. Lifecycle rules take the oldest objects first, and what other
/// clusters do shows here, too.
const COMPARED_EVERY: Duration = Duration::from_secs(600);

impl<C: CopyTarget> Shared<C> {
    /// Every change of the copies, after both sides were compared once. As long as this is followed, they are kept
    /// together.
    pub(crate) fn followed(self: Arc<Self>) -> impl Stream<Item = Change> + Send + 'static {
        let opened = self.clone();
        let first = stream::once(async move { opened.open().await });
        first.flat_map(move |_| {
            let (seen, kept) = (self.clone(), self.clone());
            let changes = self.copy.changes().inspect(move |change| {
                if seen.watched.lock().saw(change, Instant::now()) {
                    // What keeps both sides together may have gone to rest for longer.
                    seen.work.notify_one();
                }
                if let Change::Entry(entry) = change
                    && crate::merge::is_ahead(entry)
                {
                    seen.sync_later(&entry.key);
                }
            });
            let keeping =
                stream::once(async move { kept.keep_together().await }).filter_map(|()| future::ready(None));
            stream::select(changes, keeping)
        })
    }

    async fn keep_together(&self) {
        let (mut pause, mut compared) = (SOON, Instant::now());
        loop {
            let is_open = matches!(self.access(), Access::Open(_));
            let due = self.watched.lock().next().filter(|_| is_open);
            let rest = due.map_or(LATE, |due| due.saturating_duration_since(Instant::now()).min(LATE));
            // What can't be brought together for now does not hold up what is due.
            let wait = match (is_open, self.has_unsynced()) {
                (true, false) => rest,
                (true, true) => pause.min(rest),
                (false, _) => pause,
            };
            // However much there is to do.
            tokio::time::sleep(SOON).await;
            tokio::select! {
                () = tokio::time::sleep(wait.saturating_sub(SOON)) => {}
                () = self.work.notified(), if is_open => {}
            }
            let done = if !is_open || compared.elapsed() > COMPARED_EVERY {
                compared = Instant::now();
                self.open().await && matches!(self.access(), Access::Open(_))
            } else {
                self.sync_pending().await
            };
            pause = if done { SOON } else { (pause * 2).min(LATE) };
        }
    }

    /// Brings together what is known to differ and what may. False where something is left to do.
    pub(crate) async fn sync_pending(&self) -> bool {
        let Access::Open(id) = self.access() else { return false };
        let owed = self.take_unsynced();
        let due = self.watched.lock().due(Instant::now());
        let unread = std::mem::take(&mut *self.unread.lock());
        let synced = async {
            let placed = self.placed(unread.clone().into_iter().collect(), &id).await?;
            self.sync_all(owed.iter().cloned().chain(due).chain(placed), &id).await
        };
        match synced.await {
            Ok(all) => all && self.unread.lock().is_empty(),
            Err(error) => {
                for key in owed {
                    self.owe(key);
                }
                self.unread.lock().extend(unread);
                match error {
                    Unsynced::Trouble(trouble) => {
                        self.bar(trouble);
                    }
                    error => tracing::warn!(?error, "the ledger's store can't be kept up to date; retrying"),
                }
                false
            }
        }
    }
}
