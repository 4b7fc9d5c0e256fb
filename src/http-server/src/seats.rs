//! Who may be connected, and who has to go when all seats are taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// What a connection keeps the server waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The TLS handshake, the head of a request, or the next request.
    Head,
    /// The rest of a request's body.
    Body,
    /// Nothing: the request is complete, its answer is due.
    Answer,
}

struct Place {
    stage: Stage,
    evicted: CancellationToken,
}

#[derive(Default)]
struct Table {
    next: u64,
    // The key grows with each connection, so the first entry is the oldest.
    places: BTreeMap<u64, Place>,
}

impl Table {
    fn oldest(&self, stage: Stage) -> Option<u64> {
        self.places.iter().find(|(_, place)| place.stage == stage).map(|(id, _)| *id)
    }

    fn evict(&mut self, id: u64) {
        if let Some(place) = self.places.remove(&id) {
            place.evicted.cancel();
        }
    }

    /// Whoever keeps the server waiting goes first: for a head, then for a body.
    fn evict_one(&mut self) -> bool {
        let victim = self.oldest(Stage::Head).or_else(|| self.oldest(Stage::Body));
        if let Some(id) = victim {
            self.evict(id);
        }
        victim.is_some()
    }
}

#[derive(Clone)]
pub(super) struct Seats {
    limit: usize,
    table: Arc<Mutex<Table>>,
}

impl Seats {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), table: Arc::default() }
    }

    /// A seat, if need be somebody else's. None if every seat is taken by a complete request.
    pub(super) fn take(&self) -> Option<Seat> {
        let mut table = self.table.lock();
        if table.places.len() >= self.limit && !table.evict_one() {
            return None;
        }
        let id = table.next;
        table.next += 1;
        let evicted = CancellationToken::new();
        table.places.insert(id, Place { stage: Stage::Head, evicted: evicted.clone() });
        Some(Seat { id, evicted, unread: AtomicBool::new(false), seats: self.clone() })
    }

    pub(super) fn evict_one(&self) {
        self.table.lock().evict_one();
    }

    pub(super) fn evict_silent(&self) {
        let mut table = self.table.lock();
        while let Some(id) = table.oldest(Stage::Head) {
            table.evict(id);
        }
    }

    pub(super) fn evict_all(&self) {
        let mut table = self.table.lock();
        while let Some((_, place)) = table.places.pop_first() {
            place.evicted.cancel();
        }
    }
}

/// One connection's seat; free again when this is dropped.
pub(super) struct Seat {
    id: u64,
    evicted: CancellationToken,
    unread: AtomicBool,
    seats: Seats,
}

impl Seat {
    pub(super) fn set(&self, stage: Stage) {
        if let Some(place) = self.seats.table.lock().places.get_mut(&self.id) {
            place.stage = stage;
        }
    }

    pub(super) fn evicted(&self) -> &CancellationToken {
        &self.evicted
    }

    /// The handler did not want the rest of a body.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn left_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table.lock().places.remove(&self.id);
    }
}
