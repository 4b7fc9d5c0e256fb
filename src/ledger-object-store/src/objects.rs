//! The entries in the store: created, read and listed, never changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use tenios_api::ledger_entry::LedgerEntrySpec;
use tenios_ledger::{Entry, Key, spec};

use crate::layout::Layout;
use crate::request::{Failed, StoreError, timed};

/// An entry has some ten kilobytes at most.
const LARGEST: u64 = 256 * 1024;

/// Entries that are kept in mind while both sides are compared. Nothing is ever deleted, so that an entry may have any
/// number of objects.
const MOST_ENTRIES: usize = 1_000_000;

/// So many more names than there can be objects are read of a list, before it counts as one that repeats itself for ever.
const SPARE_NAMES: u64 = 100_000;

/// How often the same object is created again: after an answer that was lost, which makes sure that it does not
/// arrive later, and after a 409 for what is not there.
const TRIES: usize = 3;

/// How often what changes nothing is asked.
const READS: usize = 2;

/// What became of a create.
#[derive(Debug)]
pub enum Created {
    /// This very entry is stored under this number.
    Stored,
    /// Another one is.
    Taken(Box<Entry>),
}

/// Why nobody can tell that an entry was created.
#[derive(Debug, thiserror::Error)]
pub enum NotCreated {
    /// It was not.
    #[error("{0}")]
    Rejected(String),
    /// It may have been, or may be yet.
    #[error("{0}")]
    Ambiguous(String),
}

/// How far an entry is in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Far {
    /// Whether the object is there that was asked for.
    pub has_known: bool,
    /// The number of the newest; 0 where there is none.
    pub newest: u64,
}

/// One request that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// `create`, `get`, `list` or `delete`
    pub operation: &'static str,
    /// `done`, `exists`, `not_found`, `refused` or `unavailable`
    pub ended: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// One conditional create.
pub(crate) enum Put {
    Stored,
    Exists,
    Failed(StoreError),
}

type Observer = Arc<dyn Fn(&Request) + Send + Sync>;

/// See the module documentation.
#[derive(Clone)]
pub struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) layout: Layout,
    observer: Option<Observer>,
}

impl Objects {
    /// The ledger in this store. It has to be one that does not send a write again by itself: its own success would
    /// come back as "already exists".
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, layout: Layout) -> Self {
        Self { store, layout, observer: None }
    }

    /// The same, and every request is told here.
    #[must_use]
    pub fn observed(self, observer: impl Fn(&Request) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Waits for an answer, but not for ever.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        asked: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failed> {
        let began = Instant::now();
        let answer = timed(asked).await;
        if let Some(observer) = &self.observer {
            let ended = answer.as_ref().map_or_else(Failed::label, |_| "done");
            observer(&Request { operation, ended, took: began.elapsed() });
        }
        answer
    }

    /// Stores the entry under this number, if nothing is there.
    ///
    /// # Errors
    /// [`NotCreated`]
    pub async fn create(&self, entry: &Entry, sequence: u64) -> Result<Created, NotCreated> {
        let rejected = |error: StoreError| NotCreated::Rejected(error.to_string());
        let path = self.layout.object(&entry.key, sequence).map_err(rejected)?;
        let bytes =
            spec::to_spec(entry).and_then(|spec| serde_json::to_vec(&spec).map_err(|e| e.to_string()));
        let bytes = bytes.map_err(NotCreated::Rejected)?;
        if bytes.len() as u64 > LARGEST {
            return Err(NotCreated::Rejected(format!("the entry has {} bytes", bytes.len())));
        }
        let mut doubt = None;
        for _ in 0..TRIES {
            match self.put(&path, bytes.clone()).await {
                Put::Stored => return Ok(Created::Stored),
                Put::Exists => match self.read(&entry.key, sequence).await {
                    Ok(Some(stored)) if is_ours(entry, &stored) => return Ok(Created::Stored),
                    Ok(Some(stored)) => return Ok(Created::Taken(Box::new(stored))),
                    Ok(None) => doubt = Some("it says that an object exists which is not there".to_owned()),
                    Err(StoreError::Unreadable(why)) => return Err(NotCreated::Rejected(why)),
                    Err(error) => doubt = Some(error.to_string()),
                },
                Put::Failed(error @ StoreError::Unavailable(_)) => doubt = Some(error.to_string()),
                // Not this time; one before it may have arrived.
                Put::Failed(error) if doubt.is_none() => return Err(rejected(error)),
                Put::Failed(error) => doubt = Some(error.to_string()),
            }
        }
        Err(NotCreated::Ambiguous(doubt.unwrap_or_default()))
    }

    /// The entry under this number; none where there is none.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn read(&self, key: &Key, sequence: u64) -> Result<Option<Entry>, StoreError> {
        let path = self.layout.object(key, sequence)?;
        let bytes = match self.fetch(&path, LARGEST).await {
            Ok(bytes) => bytes,
            Err(Failed::NotFound(_)) => return Ok(None),
            Err(failed) => return Err(failed.error()),
        };
        let unreadable = |why: &str| StoreError::Unreadable(format!("{path}: {why}"));
        // Its own words may quote what it found.
        let spec: LedgerEntrySpec =
            serde_json::from_slice(&bytes).map_err(|_| unreadable("it is no ledger entry"))?;
        let entry = spec::from_spec(&spec).map_err(|why| unreadable(&why))?;
        let is_here = entry.position.as_ref().is_some_and(|position| position.sequence == sequence);
        if entry.key != *key || !is_here {
            return Err(unreadable("it belongs elsewhere"));
        }
        Ok(Some(entry))
    }

    /// How far this entry is, seen from the number `known`; 0 to see all of it.
    ///
    /// # Errors
    /// When it can't be listed.
    pub async fn far(&self, key: &Key, known: u64) -> Result<Far, StoreError> {
        let (place, after) = (self.layout.of(key)?, self.layout.object(key, known.saturating_sub(1))?);
        let mut tries = READS;
        loop {
            let mut far = Far { has_known: known == 0, newest: 0 };
            let listed = self.each_name(self.store.list_with_offset(Some(&place), &after), |name| {
                if let Some((_, sequence)) = self.layout.parse(name) {
                    far.has_known |= sequence == known;
                    far.newest = far.newest.max(sequence);
                }
                Ok(far.newest)
            });
            let listed = listed.await;
            tries -= 1;
            match listed {
                Err(StoreError::Unavailable(_)) if tries > 0 => {}
                listed => return listed.map(|()| far),
            }
        }
    }

    /// The newest number of every entry.
    ///
    /// # Errors
    /// When they can't be listed.
    pub async fn newest(&self) -> Result<HashMap<Key, u64>, StoreError> {
        let (mut newest, mut others, mut possible) = (HashMap::<Key, u64>::new(), 0_usize, 0);
        let names = self.store.list(Some(&self.layout.entries()));
        self.each_name(names, |name| {
            let Some((key, sequence)) = self.layout.parse(name) else {
                others += 1;
                return Ok(possible);
            };
            let known = newest.entry(key).or_default();
            possible += sequence.saturating_sub(*known);
            *known = sequence.max(*known);
            if newest.len() > MOST_ENTRIES {
                return Err(StoreError::Unreadable(format!("there are more than {MOST_ENTRIES} entries")));
            }
            Ok(possible)
        })
        .await?;
        if others > 0 {
            tracing::warn!(
                objects = others,
                "there are objects among the entries of the ledger that are none of it"
            );
        }
        Ok(newest)
    }

    pub(crate) async fn is_listed(&self, path: &Path) -> Result<bool, StoreError> {
        let mut found = false;
        self.each_name(self.store.list(path.parent().as_ref()), |name| {
            found |= name == path;
            Ok(0)
        })
        .await?;
        Ok(found)
    }

    /// Tells every name. The answer is how many objects there can be by what was told so far.
    async fn each_name(
        &self,
        mut names: BoxStream<'static, object_store::Result<ObjectMeta>>,
        mut take: impl FnMut(&Path) -> Result<u64, StoreError>,
    ) -> Result<(), StoreError> {
        // A page has a thousand names; the first one is a request.
        let mut next = self.ask("list", names.try_next()).await.map_err(Failed::error)?;
        let mut count = 0_u64;
        while let Some(object) = next {
            count += 1;
            if count > take(&object.location)?.saturating_add(SPARE_NAMES) {
                return Err(StoreError::Unreadable("the list of its objects does not end".into()));
            }
            next = timed(names.try_next()).await.map_err(Failed::error)?;
        }
        Ok(())
    }

    /// Creates an object, where there is none. Sent once.
    pub(crate) async fn put(&self, path: &Path, bytes: Vec<u8>) -> Put {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.ask("create", self.store.put_opts(path, bytes.into(), options)).await {
            Ok(_) => Put::Stored,
            Err(Failed::Exists) => Put::Exists,
            Err(failed) => Put::Failed(failed.error()),
        }
    }

    /// The object's content, where it is not larger than this.
    pub(crate) async fn fetch(&self, path: &Path, largest: u64) -> Result<Vec<u8>, Failed> {
        let mut last = None;
        for _ in 0..READS {
            match self.fetch_once(path, largest).await {
                Err(failed @ Failed::Other(StoreError::Unavailable(_))) => last = Some(failed),
                settled => return settled,
            }
        }
        Err(last.unwrap_or(Failed::Other(StoreError::Unavailable(String::new()))))
    }

    async fn fetch_once(&self, path: &Path, largest: u64) -> Result<Vec<u8>, Failed> {
        let found = self.ask("get", self.store.get(path)).await?;
        // Before it is read into memory.
        if found.meta.size > largest {
            let why = format!("{path} has {} bytes", found.meta.size);
            return Err(Failed::Other(StoreError::Unreadable(why)));
        }
        Ok(timed(found.bytes()).await?.to_vec())
    }
}

/// Whether this very write is what is stored.
fn is_ours(entry: &Entry, stored: &Entry) -> bool {
    let writer = entry.writer_of(entry.revision);
    writer.is_some() && stored.revision == entry.revision && stored.writer_of(stored.revision) == writer
}
