//! A store that fails and lies as real ones do, over one in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What becomes of one PUT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is answered as it should.
    Fair,
    /// It is stored, and the answer gets lost.
    AnswerLost,
    /// It is stored, and a layer below sends it again: "already exists".
    Repeated,
    /// It is not stored, and nobody answers.
    Lost,
    /// It is not stored now, nobody answers, and it arrives later: see [`Faulty::arrive`].
    Late,
    /// 409, as where a delete races: nothing is stored.
    Conflict,
    /// The key has no right to do it.
    Denied,
    /// Conditions are ignored.
    Overwrites,
}

#[derive(Debug, Default)]
struct Plan {
    next: VecDeque<Fate>,
    always: Option<Fate>,
    away: bool,
    late: Vec<(Path, PutPayload, PutOptions)>,
    asked: Vec<String>,
}

/// See the module documentation.
#[derive(Clone, Debug, Default)]
pub struct Faulty {
    inner: Arc<InMemory>,
    plan: Arc<Mutex<Plan>>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store with faults")
    }
}

impl Faulty {
    /// What the same store is to somebody else, whose requests have fates of their own.
    pub fn for_another(&self) -> Self {
        Self { inner: self.inner.clone(), plan: Arc::default() }
    }

    /// The next PUTs end so.
    pub fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.plan.lock().unwrap().next.extend(fates);
    }

    /// What was planned and did not happen yet will not happen.
    pub fn forgive(&self) {
        self.plan.lock().unwrap().next.clear();
    }

    /// All PUTs that have no other fate end so.
    pub fn always(&self, fate: Option<Fate>) {
        self.plan.lock().unwrap().always = fate;
    }

    /// From now on nothing reaches it, or everything.
    pub fn set_away(&self, away: bool) {
        self.plan.lock().unwrap().away = away;
    }

    /// What is late arrives. True where it was stored.
    pub async fn arrive(&self) -> Vec<bool> {
        let late = std::mem::take(&mut self.plan.lock().unwrap().late);
        let mut stored = Vec::new();
        for (path, payload, options) in late {
            stored.push(self.inner.put_opts(&path, payload, options).await.is_ok());
        }
        stored
    }

    /// Deletes everything below this, as a lifecycle rule does.
    pub async fn forget(&self, below: &str) {
        let prefix = Path::from(below);
        let names: Vec<Path> = self.inner.list(None).map_ok(|o| o.location).try_collect().await.unwrap();
        for name in names.iter().filter(|name| **name == prefix || name.prefix_matches(&prefix)) {
            self.inner.delete(name).await.unwrap();
        }
    }

    /// Every object's name and content.
    pub async fn contents(&self) -> Vec<(String, String)> {
        let names: Vec<Path> = self.inner.list(None).map_ok(|o| o.location).try_collect().await.unwrap();
        let mut contents = Vec::new();
        for name in names {
            let bytes = self.inner.get(&name).await.unwrap().bytes().await.unwrap();
            contents.push((name.to_string(), String::from_utf8_lossy(&bytes).into_owned()));
        }
        contents
    }

    /// The requests since this was called last, such as `PUT`.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.plan.lock().unwrap().asked)
    }

    fn arrives(&self, method: &str) -> Result<()> {
        let mut plan = self.plan.lock().unwrap();
        plan.asked.push(method.to_owned());
        if plan.away { Err(away()) } else { Ok(()) }
    }

    fn fate(&self) -> Fate {
        let mut plan = self.plan.lock().unwrap();
        plan.next.pop_front().or(plan.always).unwrap_or(Fate::Fair)
    }
}

fn away() -> Error {
    Error::Generic { store: "faulty", source: "no answer".into() }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.arrives("PUT")?;
        // Let others in between.
        tokio::task::yield_now().await;
        match self.fate() {
            Fate::Fair => self.inner.put_opts(path, payload, options).await,
            Fate::AnswerLost => self.inner.put_opts(path, payload, options).await.and_then(|_| Err(away())),
            Fate::Repeated => {
                self.inner.put_opts(path, payload, options).await.and_then(|_| Err(exists(path)))
            }
            Fate::Lost => Err(away()),
            Fate::Late => {
                self.plan.lock().unwrap().late.push((path.clone(), payload, options));
                Err(away())
            }
            Fate::Conflict => Err(exists(path)),
            Fate::Denied => Err(Error::PermissionDenied { path: path.to_string(), source: "403".into() }),
            Fate::Overwrites => {
                self.inner.put_opts(path, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
            }
        }
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("entries are small")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.arrives("GET")?;
        self.inner.get_opts(path, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.arrives("LIST") {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.arrives("LIST") {
            Ok(()) => self.inner.list_with_offset(prefix, offset),
            Err(error) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.arrives("LIST")?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("nothing is copied")
    }
}
