//! A store that fails and lies as real ones do, over one in memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
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
    /// Objects that are there and not given.
    spoilt: Vec<Path>,
    /// So many names are told when the entries are listed, again and again where they have no end.
    names: Option<(u64, bool)>,
    late: Vec<(Path, PutPayload, PutOptions)>,
    asked: Vec<String>,
    /// What each of them was told.
    told: Vec<String>,
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

    /// From now on these objects are not given, as after a disk fault.
    pub fn spoil(&self, paths: &[&str]) {
        self.plan.lock().unwrap().spoilt = paths.iter().map(|path| Path::from(*path)).collect();
    }

    /// From now on so many objects of the order `o` are listed, once or without an end.
    pub fn lists(&self, names: u64, has_an_end: bool) {
        self.plan.lock().unwrap().names = Some((names, has_an_end));
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

    /// Whether what was asked last and is not done yet is a PUT.
    pub fn awaits_put(&self) -> bool {
        self.plan.lock().unwrap().asked.last().is_some_and(|method| method == "PUT")
    }

    pub fn is_away(&self) -> bool {
        self.plan.lock().unwrap().away
    }

    /// Where what is late will be stored.
    pub fn late(&self) -> Vec<String> {
        self.plan.lock().unwrap().late.iter().map(|(path, ..)| path.to_string()).collect()
    }

    /// What was learned here since this was called last.
    pub fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.plan.lock().unwrap().told)
    }

    fn tells(&self, what: String) {
        self.plan.lock().unwrap().told.push(what);
    }

    fn arrives(&self, method: &str) -> Result<()> {
        let mut plan = self.plan.lock().unwrap();
        plan.asked.push(method.to_owned());
        plan.told.push(method.to_owned());
        if plan.away {
            plan.told.push("nothing".into());
            return Err(away());
        }
        Ok(())
    }

    fn fate(&self) -> Fate {
        let mut plan = self.plan.lock().unwrap();
        plan.next.pop_front().or(plan.always).unwrap_or(Fate::Fair)
    }
}

impl Faulty {
    fn listed(&self, prefix: Option<Path>, offset: Option<Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, told) = (self.clone(), self.clone());
        let listed = async move {
            tokio::task::yield_now().await;
            match offset {
                Some(offset) => store.inner.list_with_offset(prefix.as_ref(), &offset),
                None => store.inner.list(prefix.as_ref()),
            }
        };
        let listed = futures::stream::once(listed).flatten();
        listed.inspect_ok(move |object| told.tells(format!("LIST {}", object.location))).boxed()
    }

    async fn put(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
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
}

/// In the words of the real ones: no two answers are alike.
fn spoilt() -> Error {
    static REQUESTS: AtomicU64 = AtomicU64::new(1);
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    let body = format!(
        "<Error><Code>InternalError</Code><Message>We encountered an internal error.\nTime:{number}</Message>\
         <RequestId>{number:016X}</RequestId><HostId>{number}==</HostId></Error>"
    );
    let answer = Answer(format!("Server returned non-2xx status code: 500 Internal Server Error: {body}"));
    Error::Generic { store: "faulty", source: Box::new(Retried { millis: number, answer }) }
}

#[derive(Debug)]
struct Retried {
    millis: u64,
    answer: Answer,
}

impl fmt::Display for Retried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { millis, answer } = self;
        write!(f, "Error performing GET http://10.0.0.7/numbers in {millis}.25ms - {answer}")
    }
}

impl std::error::Error for Retried {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.answer)
    }
}

#[derive(Debug)]
struct Answer(String);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Answer {}

fn away() -> Error {
    Error::Generic { store: "faulty", source: "no answer".into() }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "409".into() }
}

fn is_entries(prefix: &Path) -> bool {
    prefix.filename() == Some("entries")
}

fn many(names: u64, has_an_end: bool) -> BoxStream<'static, Result<ObjectMeta>> {
    let rounds = if has_an_end { 1 } else { u64::MAX };
    let numbers = (0..rounds).flat_map(move |_| 1..=names);
    let listed = numbers.map(|number| {
        Ok(ObjectMeta {
            location: Path::from(format!("ledger/entries/pno/shop/o/{number:08}.json")),
            last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
            size: 1,
            e_tag: None,
            version: None,
        })
    });
    futures::stream::iter(listed).boxed()
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.arrives("PUT")?;
        // Let others in between.
        tokio::task::yield_now().await;
        let result = self.put(path, payload, options).await;
        self.tells(format!(
            "PUT {path} {}",
            result.as_ref().err().map(ToString::to_string).unwrap_or_default()
        ));
        result
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("entries are small")
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.arrives("GET")?;
        tokio::task::yield_now().await;
        if self.plan.lock().unwrap().spoilt.contains(path) {
            self.tells(format!("GET {path} not given"));
            return Err(spoilt());
        }
        let result = self.inner.get_opts(path, options).await;
        self.tells(format!("GET {path} {}", result.is_ok()));
        result
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let names = self.plan.lock().unwrap().names;
        match (self.arrives("LIST"), names) {
            (Ok(()), Some((names, has_an_end))) if prefix.is_some_and(is_entries) => many(names, has_an_end),
            (Ok(()), _) => self.listed(prefix.cloned(), None),
            (Err(error), _) => futures::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.arrives("LIST") {
            Ok(()) => self.listed(prefix.cloned(), Some(offset.clone())),
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
