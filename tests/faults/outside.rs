//! A ledger on object storage, what of it has to be true, and the link to it, on which faults happen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use tenios_ledger::kubernetes::KubernetesLedger;
use tenios_ledger::{Key, LedgerStore, spec};
use tenios_ledger_object_store::{Difference, Layout, ObjectStoreLedger, Objects};

use crate::judge::Wrong;
use crate::testbed::Testbed;
use harness::link::Passed;
use harness::s3::{BUCKET, S3};
use harness::{Link, OperatorOptions, wait};

/// Below it, the ledger is in the bucket.
const PREFIX: &str = "ledger";

/// What happened while the store was away goes there later: after a second, and after longer pauses.
const UNTIL_TOGETHER: Duration = Duration::from_secs(20);

/// See the module documentation.
pub struct Store {
    server: S3,
    pub link: Link,
}

impl Store {
    /// An empty one.
    pub async fn start() -> Self {
        let server = S3::start().await;
        let link = Link::to_store(&server.endpoint()).await;
        Self { server, link }
    }

    /// Another way to the same store, on which no fault happens.
    pub async fn another_link(&self) -> Link {
        Link::to_store(&self.server.endpoint()).await
    }

    /// What is in it, whatever happens on the link.
    pub fn objects(&self) -> Objects {
        let store = AmazonS3Builder::new()
            .with_endpoint(self.server.endpoint())
            .with_bucket_name(BUCKET)
            .with_region("us-east-1")
            .with_access_key_id("id")
            .with_secret_access_key("secret")
            .with_allow_http(true)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .build()
            .expect("a client of the store");
        Objects::new(Arc::new(store), Layout::new(Path::from(PREFIX)))
    }
}

/// Options of an operator that reaches the store by this link.
pub fn options(link: &Link, options: OperatorOptions) -> OperatorOptions {
    let options = options.args([format!("--ledger=s3://{BUCKET}/{PREFIX}")]);
    let environment = S3::environment_at(link.url());
    environment.into_iter().fold(options, |options, (name, value)| options.env(name, &value))
}

/// Judges what is peculiar to a ledger outside the cluster; nothing where there is none.
pub async fn judge(testbed: &Testbed, wrong: &mut Vec<Wrong>) {
    let Some(store) = &testbed.store else { return };
    let by_another = testbed.twin.as_ref().map(|twin| twin.store.passed()).unwrap_or_default();
    unrecorded(testbed, &[store.link.passed(), by_another].concat(), wrong);
    if let Err(differences) = together(testbed, store).await {
        wrong.push(Wrong::NotConverged(format!("the store and the cluster differ: {differences}")));
    }
}

/// An order's intent is stored before its request leaves, even if the answer to that is lost.
fn unrecorded(testbed: &Testbed, passed: &[Passed], wrong: &mut Vec<Wrong>) {
    let mut stored = BTreeMap::<&str, Instant>::new();
    for passed in passed.iter().filter(|passed| passed.status == Some(200)) {
        if let (Some(attempt), Some(took)) = (&passed.attempt, passed.took) {
            let at = passed.at + took;
            stored.entry(attempt).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    for sent in testbed.sent() {
        let Some(attempt) = &sent.attempt else { continue };
        if stored.get(attempt.as_str()).is_none_or(|at| *at > sent.at) {
            wrong.push(Wrong::NoIntent(format!("attempt {attempt} was not in the store when it left")));
        }
    }
}

/// Waits until each entry is the same in the store and in the cluster. Where another cluster writes, too, what it knows of
/// an entry that is done is looked up when it is needed.
async fn together(testbed: &Testbed, store: &Store) -> Result<(), String> {
    let copies = KubernetesLedger::new(&testbed.namespaces.client(), &testbed.namespaces.operator_namespace);
    let ledger = ObjectStoreLedger::new(copies.clone(), store.objects(), "the store".into());
    let mut differences = String::new();
    let same = wait::poll(UNTIL_TOGETHER, async || {
        differences.clear();
        let newest = match ledger.stored().await {
            Ok(newest) => newest,
            Err(error) => {
                differences = error.to_string();
                return None;
            }
        };
        let entries = testbed.ledger().await;
        let here = entries.iter().filter_map(|entry| Some(spec::from_spec(&entry.spec).ok()?.key));
        let keys: BTreeSet<Key> = here.chain(newest.keys().cloned()).collect();
        for key in keys {
            let difference = match copies.read(&key).await {
                Ok(copy) => ledger.difference(&copy, newest.get(&key).copied().unwrap_or_default()).await,
                Err(error) => {
                    let _ = write!(differences, "{key}: {error}; ");
                    continue;
                }
            };
            match difference {
                Ok(Difference::None) => {}
                Ok(Difference::StoreIsLater | Difference::Diverged) if testbed.twin.is_some() => {}
                other => drop(write!(differences, "{key}: {other:?}; ")),
            }
        }
        differences.is_empty().then_some(())
    });
    same.await.ok_or(differences)
}
