//! One entry's copy and its newest object are brought together.

use tenios_api::causes;
use tenios_ledger::{AppendError, CopyTarget, Entry, Key, Kind, Lineage, Position};

use crate::ledger::Shared;
use crate::merge::{Merge, after, belongs_outside, forgets, is_ahead, may_be_forgotten, merge};
use crate::objects::{Created, NotCreated};
use crate::request::StoreError;
use crate::trouble::Trouble;

/// How often others may be faster.
const TRIES: usize = 5;

/// Why they are not together yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsynced {
    /// The copy can't be read or written.
    #[error("{0}")]
    Copy(String),
    /// The store can't.
    #[error("{0}")]
    Store(StoreError),
    /// A person has to decide.
    #[error("{0:?}")]
    Trouble(Trouble),
}

impl From<StoreError> for Unsynced {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unfit(why) => Self::Trouble(Trouble::Unfit(why)),
            error => Self::Store(error),
        }
    }
}

impl<C: CopyTarget> Shared<C> {
    /// The entry, the same on both sides.
    pub(crate) async fn sync(&self, key: &Key, id: &str) -> Result<Entry, Unsynced> {
        for _ in 0..TRIES {
            let copy = self.copy.read(key).await.map_err(|error| Unsynced::Copy(causes(&error)))?;
            let at = position(&copy, id)?;
            let far = self.objects.far(key, at.sequence).await?;
            let behind = || Unsynced::Trouble(Trouble::Behind { key: key.clone(), sequence: at.sequence });
            if !far.has_known {
                return Err(behind());
            }
            let step = if far.newest > at.sequence {
                // Listed and not there: deleted just now.
                let newest = self.objects.read(key, far.newest).await?.ok_or_else(behind)?;
                self.step(&copy, &newest, at.sequence, &Position { sequence: far.newest, ..at }).await?
            } else if is_ahead(&copy) {
                Merge::Store(after(&at, copy.clone()))
            } else {
                return Ok(copy);
            };
            if let Some(entry) = self.carry_out(&copy, step).await? {
                return Ok(entry);
            }
        }
        Err(Unsynced::Copy("somebody else keeps changing this entry".into()))
    }

    /// What to do with a copy that was made of the object `known`, where the newest one is at this position.
    pub(crate) async fn step(
        &self,
        copy: &Entry,
        newest: &Entry,
        known: u64,
        at: &Position,
    ) -> Result<Merge, StoreError> {
        let is_another_line = !matches!(copy.lineage(newest), Lineage::Same | Lineage::Later);
        if is_another_line && may_be_forgotten(copy) {
            // The name may have been forgotten and have ordered again since. Those are not two lines of one order.
            for sequence in known.saturating_add(1)..at.sequence {
                match self.objects.read(&copy.key, sequence).await {
                    Ok(Some(object)) if forgets(&object, copy) => return Ok(Merge::Forget),
                    // What can't be read forgets nothing.
                    Ok(_) | Err(StoreError::Unreadable(_)) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(merge(copy, newest, at))
    }

    async fn forget_copy(&self, copy: &Entry) -> Result<(), Unsynced> {
        let order = copy.key.of_resource();
        if let (Kind::Cancellation, Some(position)) = (copy.key.kind, &copy.position) {
            // First the order: a number without its cancellation looks like one that is to be cancelled yet.
            Box::pin(self.sync(&order, &position.store)).await?;
        }
        tracing::info!(key = %copy.key, "forgetting an entry that was forgotten through another cluster");
        self.copy.remove(copy).await.map(drop).map_err(|error| Unsynced::Copy(causes(&error)))
    }

    /// None where somebody else was faster, or there is more to do.
    pub(crate) async fn carry_out(&self, copy: &Entry, step: Merge) -> Result<Option<Entry>, Unsynced> {
        let next = match step {
            Merge::Nothing(entry) => return Ok(Some(entry)),
            Merge::Forget => return self.forget_copy(copy).await.map(|()| None),
            Merge::Import(next) => next,
            Merge::Store(next) => {
                let sequence = next.position.as_ref().map_or(0, |position| position.sequence);
                match self.objects.create(&next, sequence).await {
                    Ok(Created::Stored) => next,
                    Ok(Created::Taken(_)) => return Ok(None),
                    Err(NotCreated::Rejected(why)) => return Err(Unsynced::Store(StoreError::Denied(why))),
                    Err(NotCreated::Ambiguous(why)) => {
                        return Err(Unsynced::Store(StoreError::Unavailable(why)));
                    }
                }
            }
        };
        match self.copy.put(copy, &next).await {
            Ok(entry) => Ok(Some(entry)),
            Err(AppendError::Conflict(_)) => Ok(None),
            Err(AppendError::Rejected(why) | AppendError::Ambiguous(why)) => {
                Err(Unsynced::Copy(causes(why.as_ref())))
            }
        }
    }
}

/// Up to where the copy is known to be in the ledger with this id.
fn position(copy: &Entry, id: &str) -> Result<Position, Unsynced> {
    match &copy.position {
        Some(position) if position.store == id => Ok(position.clone()),
        Some(position) => Err(Unsynced::Trouble(Trouble::Anothers {
            remembered: position.store.clone(),
            found: id.to_owned(),
        })),
        None if copy.version.is_some() && belongs_outside(copy) => {
            Err(Unsynced::Trouble(Trouble::NotCopied { key: copy.key.clone() }))
        }
        None => Ok(Position { store: id.to_owned(), sequence: 0, revision: 0 }),
    }
}
