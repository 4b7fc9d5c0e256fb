//! The ledger's objects over the protocol of S3.

use std::sync::Arc;

use harness::s3::{BUCKET, S3};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, RetryConfig};
use tenios_ledger::{AttemptId, Entry, Event, Key, Kind, Position, WriterId};
use tenios_ledger_object_store::{Created, Far, Layout, Objects};

fn objects(server: &S3) -> Objects {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = AmazonS3Builder::new()
        .with_bucket_name(BUCKET)
        .with_endpoint(server.endpoint())
        .with_allow_http(true)
        .with_access_key_id("id")
        .with_secret_access_key("secret")
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
        .build()
        .unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Objects::new(store, Layout::new(Path::from("prod/ledger")))
}

fn entry(name: &str, sequence: u64) -> Entry {
    let key = Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() };
    let (attempt, at) = (AttemptId::random(), "2026-11-26T18:00:00Z".parse().unwrap());
    let terms = tenios_ledger::Terms::new();
    let entry = Entry::empty(key).with(&[Event::Intended { attempt, at, terms }], WriterId::random());
    let position = Position { store: "s".into(), sequence, revision: entry.revision };
    Entry { position: Some(position), ..entry }
}

#[tokio::test]
async fn p27_an_object_is_created_once_over_s3() {
    let server = S3::start().await;
    let objects = objects(&server);
    objects.try_out().await.unwrap();
    assert_eq!(objects.genesis().await.unwrap(), None);
    let (one, other) = tokio::join!(objects.begin(), objects.begin());
    assert_eq!(one.unwrap(), other.unwrap());
    for n in 1..=20 {
        let (ours, theirs) = (entry("o", n), entry("o", n));
        let created = tokio::join!(objects.create(&ours, n), objects.create(&theirs, n));
        let won = match created {
            (Ok(Created::Stored), Ok(Created::Taken(stored))) => (ours, *stored),
            (Ok(Created::Taken(stored)), Ok(Created::Stored)) => (theirs, *stored),
            both => panic!("{both:?}"),
        };
        assert_eq!(won.0, won.1);
    }
    objects.create(&entry("o.x", 3), 3).await.unwrap();
    let key = entry("o", 1).key;
    assert_eq!(objects.far(&key, 0).await.unwrap(), Far { has_known: true, newest: 20 });
    assert_eq!(objects.far(&key, 20).await.unwrap(), Far { has_known: true, newest: 20 });
    assert_eq!(objects.far(&key, 21).await.unwrap(), Far { has_known: false, newest: 0 });
    let other = entry("o.x", 1).key;
    assert_eq!(objects.newest().await.unwrap(), [(key.clone(), 20), (other, 3)].into());
    assert_eq!(objects.read(&key, 21).await.unwrap(), None);
}
