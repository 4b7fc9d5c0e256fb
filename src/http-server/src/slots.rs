//! Who may be connected, and who has to go when all slots are taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// What a connection keeps the server waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitingFor {
    /// The TLS handshake, the head of a request, or the next request.
    Head,
    /// The rest of a request's body.
    Body,
    /// Nothing: the request is complete, its answer is due.
    Answer,
}

struct Occupant {
    waiting_for: WaitingFor,
    evicted: CancellationToken,
}

#[derive(Default)]
struct Table {
    next: u64,
    // The key grows with each connection, so the first entry is the oldest.
    occupants: BTreeMap<u64, Occupant>,
}

impl Table {
    fn oldest(&self, waiting_for: WaitingFor) -> Option<u64> {
        self.occupants.iter().find(|(_, occupant)| occupant.waiting_for == waiting_for).map(|(id, _)| *id)
    }

    fn evict(&mut self, id: u64) {
        if let Some(occupant) = self.occupants.remove(&id) {
            occupant.evicted.cancel();
        }
    }

    /// Whoever keeps the server waiting goes first: for a head, then for a body.
    fn evict_one(&mut self) -> bool {
        let victim = self.oldest(WaitingFor::Head).or_else(|| self.oldest(WaitingFor::Body));
        if let Some(id) = victim {
            self.evict(id);
        }
        victim.is_some()
    }
}

#[derive(Clone)]
pub(super) struct ConnectionSlots {
    limit: usize,
    table: Arc<Mutex<Table>>,
}

impl ConnectionSlots {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit: limit.max(1), table: Arc::default() }
    }

    /// A slot, if need be somebody else's. None if every slot is taken by a complete request.
    pub(super) fn take(&self) -> Option<Slot> {
        let mut table = self.table.lock();
        if table.occupants.len() >= self.limit && !table.evict_one() {
            return None;
        }
        let id = table.next;
        table.next += 1;
        let evicted = CancellationToken::new();
        table.occupants.insert(id, Occupant { waiting_for: WaitingFor::Head, evicted: evicted.clone() });
        Some(Slot { id, evicted, unread: AtomicBool::new(false), slots: self.clone() })
    }

    pub(super) fn evict_one(&self) {
        self.table.lock().evict_one();
    }

    pub(super) fn evict_silent(&self) {
        let mut table = self.table.lock();
        while let Some(id) = table.oldest(WaitingFor::Head) {
            table.evict(id);
        }
    }

    pub(super) fn evict_all(&self) {
        let mut table = self.table.lock();
        while let Some((_, occupant)) = table.occupants.pop_first() {
            occupant.evicted.cancel();
        }
    }
}

/// One connection's slot; free again when this is dropped.
pub(super) struct Slot {
    id: u64,
    evicted: CancellationToken,
    unread: AtomicBool,
    slots: ConnectionSlots,
}

impl Slot {
    pub(super) fn set(&self, waiting_for: WaitingFor) {
        if let Some(occupant) = self.slots.table.lock().occupants.get_mut(&self.id) {
            occupant.waiting_for = waiting_for;
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

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.table.lock().occupants.remove(&self.id);
    }
}
