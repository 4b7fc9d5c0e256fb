//! The ledger on object storage, in memory and in a directory, with a store that fails and lies.

mod copies;
mod exhaustive;
mod faulty;
mod layer;
mod lost;
mod rivals;
mod spoilt;
mod store;

use std::sync::Arc;

use jiff::Timestamp;
use object_store::path::Path;
use tenios_ledger::{AttemptId, Entry, Event, Key, Kind, LedgerStore, Terms};
use tenios_ledger_object_store::{Layout, ObjectStoreLedger, Objects};

use copies::Copies;
use faulty::Faulty;

const URL: &str = "s3://numbers/ledger";

fn key(name: &str) -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() }
}

fn at(second: u32) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + i64::from(second)).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::parse(name).unwrap()
}

fn intended(name: &str) -> Event {
    let terms = Terms::from([("verificationId".to_owned(), "v".to_owned())]);
    Event::Intended { attempt: attempt(name), at: at(1), terms }
}

fn accepted(name: &str) -> Event {
    Event::Accepted { attempt: attempt(name), at: at(2), id: "300000".into() }
}

fn assigned(name: &str) -> Event {
    let number = tenios_api::PhoneNumber::try_from("+4922112345678").unwrap();
    Event::Assigned { attempt: attempt(name), at: at(3), order_id: "300000".into(), number }
}

fn objects(store: &Faulty) -> Objects {
    Objects::new(Arc::new(store.clone()), Layout::new(Path::from("ledger")))
}

/// One cluster with its copies and its way to the store.
struct Cluster {
    copies: Copies,
    store: Faulty,
    ledger: ObjectStoreLedger<Copies>,
}

impl Cluster {
    fn at(store: &Faulty) -> Self {
        Self::with(Copies::default(), store)
    }

    /// The operator begins anew on these copies.
    fn with(copies: Copies, store: &Faulty) -> Self {
        let store = store.for_another();
        let ledger = ObjectStoreLedger::new(copies.clone(), objects(&store), URL.into());
        Self { copies, store, ledger }
    }

    async fn opened(store: &Faulty) -> Self {
        let cluster = Self::at(store);
        assert!(cluster.ledger.open().await);
        assert_eq!(cluster.ledger.trouble(), None);
        cluster
    }

    fn get(&self, name: &str) -> Entry {
        self.copies.get(&key(name))
    }

    async fn append(&self, name: &str, event: Event) -> Result<Entry, tenios_ledger::AppendError> {
        self.ledger.append(&self.get(name), &[event]).await
    }
}
