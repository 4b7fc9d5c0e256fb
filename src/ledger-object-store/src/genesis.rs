//! The first object of a ledger: a random id, which tells one store from another, and one that was emptied from
//! one that is new.

use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::objects::{Objects, Put};
use crate::request::Failed;

/// Larger is no genesis.
const LARGEST: u64 = 4 * 1024;

#[derive(Serialize, Deserialize)]
struct Genesis {
    /// What reads it has to know this number.
    format: u32,
    id: String,
}

const FORMAT: u32 = 1;

impl Objects {
    /// The id of this ledger; none where there is no ledger yet.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn genesis(&self) -> Result<Option<String>, StoreError> {
        let bytes = match self.fetch(&self.layout.genesis(), LARGEST).await {
            Ok(bytes) => bytes,
            Err(Failed::NotFound(_)) => return Ok(None),
            Err(failed) => return Err(failed.error()),
        };
        let unreadable =
            || StoreError::Unreadable(format!("{} is not that of a ledger", self.layout.genesis()));
        let genesis: Genesis = serde_json::from_slice(&bytes).map_err(|_| unreadable())?;
        if genesis.format != FORMAT {
            let why = format!("{} was written by a later version of the operator", self.layout.genesis());
            return Err(StoreError::Unreadable(why));
        }
        let is_id =
            (1..=64).contains(&genesis.id.len()) && genesis.id.bytes().all(|b| b.is_ascii_alphanumeric());
        if is_id { Ok(Some(genesis.id)) } else { Err(unreadable()) }
    }

    /// Begins a ledger here, unless somebody else just did; returns its id.
    ///
    /// # Errors
    /// When it can't be told that there is one now.
    pub async fn begin(&self) -> Result<String, StoreError> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let bytes = serde_json::to_vec(&Genesis { format: FORMAT, id })
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        // Whatever became of it, what is read counts.
        let put = self.put(&self.layout.genesis(), bytes).await;
        match (self.genesis().await?, put) {
            (Some(id), _) => Ok(id),
            (None, Put::Failed(error)) => Err(error),
            (None, Put::Stored | Put::Exists) => {
                Err(StoreError::Unfit("an object that was just created can't be read".into()))
            }
        }
    }
}
