//! What becomes of an event whose receiver is taken away while it is about to be sent.

#![allow(clippy::unwrap_used, reason = "a test")]

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{BoxStream, StreamExt};
use jiff::SignedDuration;
use tenios_ledger::{
    AppendError, Budget, Budgets, Change, Entry, Event, LedgerStore, ReadError, RemoveError, Version,
    WriterId,
};

use super::*;

/// A ledger that takes everything.
struct Taking;

impl LedgerStore for Taking {
    fn append<'a>(
        &'a self,
        base: &'a Entry,
        events: &'a [Event],
    ) -> BoxFuture<'a, Result<Entry, AppendError>> {
        let mut next = base.with(events, WriterId::random());
        next.version = Some(Version::new(next.revision.to_string()));
        async { Ok(next) }.boxed()
    }

    fn read<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Entry, ReadError>> {
        async { Ok(Entry::empty(key.clone())) }.boxed()
    }

    fn remove<'a>(&'a self, _: &'a Entry) -> BoxFuture<'a, Result<bool, RemoveError>> {
        async { Ok(true) }.boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), ReadError>> {
        async { Ok(()) }.boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        futures::stream::pending().boxed()
    }
}

#[tokio::test]
async fn p28_an_event_whose_receiver_is_taken_away_meanwhile_waits_and_is_not_ticked_off() {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let budget = Budget { requests: 1, window: SignedDuration::from_hours(1) };
    let budgets = Budgets { operator: budget, namespace: budget, cancel: budget };
    let (ledger, _changes) = LedgerCache::new(Arc::new(Taking), budgets);
    let receivers = Arc::new(Receivers::new(None, true, true));
    let directory = std::env::temp_dir().join(format!("relay-{}", uuid::Uuid::new_v4()));
    std::fs::write(&directory, "relay-key-for-tests").unwrap();
    let post = Post::new(SigningKeyFile::new(&directory).unwrap(), None, Duration::from_secs(1)).unwrap();
    std::fs::remove_file(&directory).unwrap();
    let metrics = Arc::new(Metrics::default());
    let relay = Relay::new(ledger.clone(), receivers.clone(), post, RetryPolicy::default(), metrics);

    let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "o".into() };
    let number = Some("+4922112345678".try_into().unwrap());
    let at = Timestamp::from_second(1_790_000_000).unwrap();
    let adopted = Event::Adopted { at, id: None, number, account: None, own: true };
    ledger.append(&Entry::empty(key.clone()), &[adopted]).await.unwrap();
    assert_eq!(ledger.unannounced().len(), 1);

    for data in [[("shop", "no url")].as_slice(), &[]] {
        let data = data.iter().map(|(namespace, url)| ((*namespace).to_owned(), (*url).to_owned()));
        receivers.take_in("relay", data.collect());
        let ended = relay.deliver(&key).await;
        assert!(matches!(ended, Ended::Unavailable), "{ended:?}");
        assert_eq!(ledger.unannounced().len(), 1, "it was told to nobody");
    }
}
