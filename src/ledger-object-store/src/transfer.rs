//! A ledger moves: from the cluster to a store, from a store to the cluster, or to a store that lost it. Entry by
//! entry, so that what was interrupted can be run again.

use std::collections::HashMap;

use tenios_api::causes;
use tenios_ledger::{CopyTarget, Entry, Key, Lineage, Position};

use crate::StoreError;
use crate::ledger::ObjectStoreLedger;
use crate::merge::{Merge, after, belongs_outside, is_ahead, is_forgotten, merge};

/// How often others may be faster.
const TRIES: usize = 5;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nothing: it was there.
    Already,
    /// It was written.
    Written,
}

/// How an entry's copy and the store differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// They do not.
    None,
    /// It is in the cluster only.
    NotStored,
    /// It is in the store only.
    NotCopied,
    /// The cluster knows more.
    CopyIsLater,
    /// The store knows more.
    StoreIsLater,
    /// Either knows what the other does not.
    Diverged,
}

impl<C: CopyTarget> ObjectStoreLedger<C> {
    /// The id of the ledger in the store, which begins where there is none.
    ///
    /// # Errors
    /// Where it can't be reached, or is not fit to hold one.
    pub async fn prepare(&self) -> Result<String, StoreError> {
        self.0.objects.try_out().await?;
        match self.0.objects.genesis().await? {
            Some(id) => Ok(id),
            None => self.0.objects.begin().await,
        }
    }

    /// The id of the ledger in the store; none where there is none.
    ///
    /// # Errors
    /// Where it can't be read.
    pub async fn genesis(&self) -> Result<Option<String>, StoreError> {
        self.0.objects.genesis().await
    }

    /// The newest number of every entry in the store.
    ///
    /// # Errors
    /// Where they can't be listed.
    pub async fn stored(&self) -> Result<HashMap<Key, u64>, StoreError> {
        self.0.objects.newest().await
    }

    /// Brings both sides of an entry together, whatever the copy remembers of this store or another.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn reconcile(&self, key: &Key, id: &str) -> Result<Moved, String> {
        let said = |error: &dyn std::fmt::Display| format!("{key}: {error}");
        for _ in 0..TRIES {
            let copy = self.0.copy.read(key).await.map_err(|error| said(&causes(&error)))?;
            let remembered = copy.position.as_ref().filter(|position| position.store == id);
            let remembered = remembered.map_or(0, |position| position.sequence);
            let newest = self.0.objects.far(key, 0).await.map_err(|error| said(&error))?.newest;
            let is_here = copy.position.as_ref().is_some_and(|position| position.store == id);
            if is_here && newest == remembered && !is_ahead(&copy) {
                return Ok(Moved::Already);
            }
            // A number that was used is not used again, even if it was lost: others may remember it.
            let last = Position { store: id.to_owned(), sequence: newest.max(remembered), revision: 0 };
            let step = if newest > 0 {
                let at = Position { sequence: newest, ..last.clone() };
                let stored = self.0.objects.read(key, newest).await.map_err(|error| said(&error))?;
                let stored = stored.ok_or_else(|| said(&"was deleted just now"))?;
                let step = if is_here {
                    self.0.step(&copy, &stored, remembered, &at).await.map_err(|error| said(&error))?
                } else {
                    merge(&copy, &stored, &at)
                };
                match step {
                    Merge::Store(next) => Merge::Store(after(&last, next)),
                    // What was forgotten there may be known here for a reason: it is no copy of that one.
                    Merge::Forget if !is_here => Merge::Store(after(&last, copy.clone())),
                    step => step,
                }
            } else if copy.version.is_some() && belongs_outside(&copy) {
                Merge::Store(after(&last, copy.clone()))
            } else if copy.position.is_some() {
                Merge::Import(Entry { position: None, ..copy.clone() })
            } else {
                return Ok(Moved::Already);
            };
            if let Merge::Nothing(_) = step {
                return Ok(Moved::Already);
            }
            match self.0.carry_out(&copy, step).await {
                Ok(Some(_)) => return Ok(Moved::Written),
                Ok(None) => {}
                Err(error) => return Err(said(&error)),
            }
        }
        Err(said(&"somebody else keeps changing it"))
    }

    /// The copy becomes the entry itself, which remembers no store.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn release(&self, key: &Key) -> Result<Moved, String> {
        for _ in 0..TRIES {
            let copy = self.0.copy.read(key).await.map_err(|error| format!("{key}: {}", causes(&error)))?;
            if copy.position.is_none() {
                return Ok(Moved::Already);
            }
            match self.0.copy.put(&copy, &Entry { position: None, ..copy.clone() }).await {
                Ok(_) => return Ok(Moved::Written),
                Err(tenios_ledger::AppendError::Conflict(_)) => {}
                Err(error) => return Err(format!("{key}: {}", causes(&error))),
            }
        }
        Err(format!("{key}: somebody else keeps changing it"))
    }

    /// How the copy and the newest object, under this number, differ.
    ///
    /// # Errors
    /// Where the object can't be read.
    pub async fn difference(&self, copy: &Entry, newest: u64) -> Result<Difference, StoreError> {
        let stored = if newest > 0 { self.0.objects.read(&copy.key, newest).await? } else { None };
        let is_copied = copy.version.is_some();
        Ok(match stored.filter(|stored| !is_forgotten(stored)) {
            None if is_copied && belongs_outside(copy) => Difference::NotStored,
            None => Difference::None,
            Some(_) if !is_copied => Difference::NotCopied,
            Some(stored) => match copy.lineage(&stored) {
                Lineage::Same => Difference::None,
                Lineage::Later => Difference::StoreIsLater,
                Lineage::Earlier => Difference::CopyIsLater,
                Lineage::Diverged => Difference::Diverged,
            },
        })
    }

    /// Forgets an entry whose resource is gone: the store never deletes, so that a later object says so.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn forget(&self, entry: &Entry) -> Result<bool, String> {
        let id = self.genesis().await.map_err(|error| error.to_string())?;
        let remembered = entry.position.as_ref().map(|position| position.store.clone());
        if id.is_none() || id != remembered {
            return Err("the ledger there is not the one that this entry is a copy of".into());
        }
        self.0.set_access(crate::ledger::Access::Open(id.unwrap_or_default()));
        tenios_ledger::LedgerStore::remove(self, entry).await.map_err(|error| causes(&error))
    }
}
