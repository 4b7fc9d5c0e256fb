//! Whether the store does what everything else relies on, tried with objects of its own. Some stores and gateways
//! answer 200 to a create of what exists.

use futures::future::join_all;
use object_store::ObjectStoreExt;

use crate::StoreError;
use crate::objects::{Objects, Put};

/// So many try to create the same object at the same time.
const RIVALS: usize = 4;

/// A probe is a few bytes.
const LARGEST: u64 = 64;

impl Objects {
    /// Tries the store.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] where an answer was wrong.
    pub async fn try_out(&self) -> Result<(), StoreError> {
        let name = uuid::Uuid::new_v4().simple().to_string();
        let result = async {
            self.try_twice(&format!("{name}-twice")).await?;
            self.try_at_once(&format!("{name}-at-once")).await
        };
        let result = result.await;
        // As far as that is allowed: a key of the operator needs no right to delete.
        for name in [format!("{name}-twice"), format!("{name}-at-once")] {
            let _ = self.ask("delete", self.store.delete(&self.layout.probes().join(name))).await;
        }
        result
    }

    async fn try_twice(&self, name: &str) -> Result<(), StoreError> {
        let path = self.layout.probes().join(name);
        match self.put(&path, b"first".to_vec()).await {
            Put::Stored => {}
            Put::Exists => return Err(StoreError::Unavailable("a new name is said to exist".into())),
            Put::Failed(error) => return Err(error),
        }
        match self.put(&path, b"second".to_vec()).await {
            Put::Exists => {}
            Put::Stored => {
                return Err(unfit("it overwrites what was to be created only where there is nothing"));
            }
            Put::Failed(error) => return Err(error),
        }
        if self.probed(&path).await? != b"first" {
            return Err(unfit("a create that it refused changed what is stored"));
        }
        if !self.is_listed(&path).await? {
            return Err(unfit("it does not list what was just created"));
        }
        Ok(())
    }

    async fn try_at_once(&self, name: &str) -> Result<(), StoreError> {
        let path = self.layout.probes().join(name);
        let puts =
            join_all((0..RIVALS).map(|n| self.put(&path, vec![b'0' + u8::try_from(n).unwrap_or_default()])))
                .await;
        let winners: Vec<usize> = (0..RIVALS).filter(|n| matches!(puts[*n], Put::Stored)).collect();
        if let Some(error) =
            puts.into_iter().find_map(|put| if let Put::Failed(error) = put { Some(error) } else { None })
        {
            return Err(error);
        }
        let stored = self.probed(&path).await?;
        match winners.as_slice() {
            [winner] if stored == [b'0' + u8::try_from(*winner).unwrap_or_default()] => Ok(()),
            [] => Err(StoreError::Unavailable("nobody could create a new object".into())),
            _ => Err(unfit("several who create the same object at once are all told that they did")),
        }
    }

    async fn probed(&self, path: &object_store::path::Path) -> Result<Vec<u8>, StoreError> {
        self.fetch(path, LARGEST).await.map_err(|failed| match failed {
            crate::request::Failed::NotFound(_) => unfit("an object that was just created can't be read"),
            failed => failed.error(),
        })
    }
}

fn unfit(why: &str) -> StoreError {
    StoreError::Unfit(why.into())
}
