//! Objects that the store has and does not give: only what they belong to waits.

use tenios_ledger::{AppendError, Event, LedgerStore};

use super::faulty::Faulty;
use super::*;

/// More than are brought together at a time.
fn names() -> Vec<String> {
    (0..20).map(|number| format!("o{number:02}")).collect()
}

#[tokio::test]
async fn p23_p27_an_object_that_the_store_does_not_give_holds_up_its_resource_alone() {
    let store = Faulty::default();
    let old = Cluster::opened(&store).await;
    for name in names() {
        old.append(&name, intended("a")).await.unwrap();
    }
    let new = Cluster::at(&store);
    new.store.spoil(&["ledger/entries/pno/shop/o00/00000001.json"]);
    assert!(new.ledger.open().await);
    assert_eq!(new.ledger.trouble(), None);
    for name in &names()[1..] {
        assert_eq!(new.get(name).state(), old.get(name).state(), "{name}");
    }
    new.append("z", intended("z")).await.unwrap();
    let result = new.append("o00", intended("z")).await;
    assert!(matches!(result, Err(AppendError::Rejected(_))), "{result:?}");
    assert!(!new.ledger.sync_now().await, "it is still to be looked at");
    new.store.spoil(&[]);
    assert!(new.ledger.sync_now().await);
    assert_eq!(new.get("o00").state(), old.get("o00").state());
}

#[tokio::test]
async fn p23_p27_what_happened_gets_to_the_store_though_it_does_not_give_an_object_of_another_entry() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    for name in names() {
        one.append(&name, intended("a")).await.unwrap();
    }
    other.ledger.read(&key("o00")).await.unwrap();
    let unknown = Event::Unknown { attempt: attempt("a"), at: at(2), why: "no answer".into() };
    other.append("o00", unknown).await.unwrap();
    one.store.set_away(true);
    for name in names() {
        one.append(&name, accepted("a")).await.unwrap();
    }
    one.store.set_away(false);
    one.store.spoil(&["ledger/entries/pno/shop/o00/00000002.json"]);
    assert!(!one.ledger.sync_now().await, "something is left");
    for name in &names()[1..] {
        let stored = other.ledger.read(&key(name)).await.unwrap();
        assert_eq!(stored.state().id(), Some("300000"), "{name}");
    }
    one.store.spoil(&[]);
    assert!(one.ledger.sync_now().await);
    assert_eq!(other.ledger.read(&key("o00")).await.unwrap().state().id(), Some("300000"));
}
