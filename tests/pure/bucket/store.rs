//! At the start: whether this is the ledger that the cluster remembers.

use jiff::SignedDuration;
use tenios_ledger::{Account, AppendError, AttemptId, Budget, Budgets, Entry, LedgerCache, LedgerStore};

use super::faulty::{Fate, Faulty};
use super::*;

/// A cluster that ordered and got a number.
async fn ordered(store: &Faulty) -> Cluster {
    let cluster = Cluster::opened(store).await;
    cluster.append("o", intended("a")).await.unwrap();
    cluster.append("o", accepted("a")).await.unwrap();
    cluster.append("o", assigned("a")).await.unwrap();
    cluster
}

#[tokio::test]
async fn p13_a_new_cluster_knows_what_the_old_one_ordered() {
    let store = Faulty::default();
    let old = ordered(&store).await;
    let new = Cluster::opened(&store).await;
    let (here, there) = (new.get("o"), old.get("o"));
    assert_eq!(here.state(), there.state());
    assert_eq!((here.revision, &here.position), (3, &there.position));
    // And what it does not know yet it finds before it sends.
    old.append("p", intended("b")).await.unwrap();
    let Err(AppendError::Conflict(known)) = new.append("p", intended("c")).await else {
        panic!("both may send")
    };
    assert_eq!(known.state().attempt(), Some(&attempt("b")));
    assert_eq!(new.get("p").state(), old.get("p").state());
}

#[tokio::test]
async fn p13_a_push_that_arrives_at_the_new_cluster_is_stored() {
    let store = Faulty::default();
    let old = Cluster::opened(&store).await;
    let new = Cluster::opened(&store).await;
    old.append("o", intended("a")).await.unwrap();
    // It knows nothing of it yet.
    let Err(AppendError::Conflict(_)) = new.append("o", assigned("a")).await else {
        panic!("it was not asked")
    };
    new.append("o", assigned("a")).await.unwrap();
    let read = old.ledger.read(&key("o")).await.unwrap();
    assert_eq!(read.state(), new.get("o").state());
    assert!(read.state().number.is_some());
}

#[tokio::test]
async fn p27_an_order_asks_the_store_so_often() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.store.asked();
    cluster.append("o", intended("a")).await.unwrap();
    let mut intent = cluster.store.asked();
    intent.sort();
    // The first one of a name also looks whether another cluster has it.
    assert_eq!(intent, ["GET", "GET", "LIST", "LIST", "PUT"]);
    cluster.append("o", accepted("a")).await.unwrap();
    cluster.append("o", assigned("a")).await.unwrap();
    assert_eq!(cluster.store.asked(), ["PUT", "PUT"]);
}

#[tokio::test]
async fn p26_what_was_only_adopted_leaves_nothing_in_the_store() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    let before = store.contents().await;
    let adopted = tenios_ledger::Event::Adopted {
        at: at(1),
        id: Some("300000".into()),
        number: None,
        account: None,
        own: true,
    };
    let entry = cluster.append("o", adopted).await.unwrap();
    assert_eq!(entry.position, None);
    assert!(cluster.ledger.remove(&entry).await.unwrap());
    assert_eq!(store.contents().await, before);
}

fn cancellation() -> tenios_ledger::Key {
    key("o").of(tenios_ledger::Kind::Cancellation)
}

#[tokio::test]
async fn p26_what_a_person_is_asked_about_a_number_that_nobody_paid_for_leaves_nothing_in_the_store() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    let before = store.contents().await;
    let asked = AttemptId::asked(&"0".repeat(32));
    let mut entry = Entry::empty(cancellation());
    for event in [
        tenios_ledger::Event::Unknown { attempt: asked, at: at(1), why: "it may have been sent".into() },
        said_to_be_cancelled(None),
        said_to_be_cancelled(None),
    ] {
        entry = cluster.ledger.append(&entry, &[event]).await.unwrap();
    }
    assert_eq!((entry.position.clone(), entry.state().may_have_placed()), (None, false));
    assert!(cluster.ledger.remove(&entry).await.unwrap());
    assert_eq!(store.contents().await, before);
}

/// Two clusters begin with the same manifests at the same time, and one of them is the first to order and to cancel.
#[tokio::test]
async fn p13_p27_who_finds_a_cancellation_finds_the_order_that_it_asked_about_too_early() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    let budgets = Budgets { operator: budget, namespace: budget, cancel: budget };
    let cache = LedgerCache::new(Arc::new(other.ledger), budgets).0;
    cache.ask_once(&key("o")).await;
    assert_eq!(cache.known(&key("o")).state.attempts, 0);
    for event in [intended("a"), accepted("a"), assigned("a")] {
        one.append("o", event).await.unwrap();
    }
    let cancelled =
        [intended("c"), Event::Accepted { attempt: attempt("c"), at: at(4), id: "2027-01-31".into() }];
    one.ledger.append(&Entry::empty(cancellation()), &cancelled).await.unwrap();
    cache.ask_both(&key("o"), &cancellation()).await;
    assert_eq!(cache.known(&cancellation()).state.id(), Some("2027-01-31"));
    assert_eq!(cache.known(&key("o")).state.id(), Some("300000"));
}

fn said_to_be_cancelled(account: Option<Account>) -> tenios_ledger::Event {
    tenios_ledger::Event::Adopted {
        at: at(2),
        id: Some("2027-01-31".into()),
        number: None,
        account,
        own: true,
    }
}

#[tokio::test]
async fn p13_p27_what_a_person_says_of_a_number_that_was_paid_for_is_known_to_every_cluster() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    let word = said_to_be_cancelled(Some(Account::recorded("k1")));
    one.ledger.append(&Entry::empty(cancellation()), &[word]).await.unwrap();
    assert!(other.ledger.open().await);
    let known = other.ledger.read(&cancellation()).await.unwrap();
    assert_eq!(known.state().id(), Some("2027-01-31"));
}

/// Whether nothing is sent, what is said, and whether what happens is still recorded.
async fn is_barred(cluster: &Cluster, words: &[&str]) {
    assert!(cluster.ledger.open().await);
    let said = cluster.ledger.trouble().unwrap();
    for words in words {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    assert!(!said.contains('\n'));
    for name in ["o", "new"] {
        let Err(AppendError::Rejected(why)) = cluster.append(name, intended("z")).await else {
            panic!("it may send")
        };
        assert_eq!(format!("nothing is sent: {why}"), said);
    }
}

const COPY: &str = "`kubectl tenios ledger copy --from kubernetes --to s3://numbers/ledger`";

#[tokio::test]
async fn p27_an_emptied_store_stops_ordering() {
    let store = Faulty::default();
    let cluster = Cluster::with(ordered(&store).await.copies, &store);
    store.forget("ledger").await;
    is_barred(&cluster, &["the store was emptied", COPY]).await;
    // What happens is kept all the same.
    let kept = cluster.append("o", assigned("late")).await.unwrap();
    assert!(kept.contains(&[assigned("late")]));
}

#[tokio::test]
async fn p27_a_store_that_is_emptied_under_way_stops_ordering() {
    let store = Faulty::default();
    let cluster = ordered(&store).await;
    store.forget("ledger").await;
    for name in ["o", "new"] {
        let result = cluster.append(name, intended("z")).await;
        assert!(matches!(result, Err(AppendError::Ambiguous(_) | AppendError::Rejected(_))), "{result:?}");
    }
    assert!(cluster.ledger.trouble().unwrap().contains(COPY));
}

#[tokio::test]
async fn p27_a_store_whose_first_object_is_gone_stops_ordering() {
    let store = Faulty::default();
    let old = ordered(&store).await;
    store.forget("ledger/genesis.json").await;
    is_barred(&Cluster::at(&store), &["genesis.json is missing", "`kubectl tenios ledger verify", COPY])
        .await;
    let result = old.append("new", intended("z")).await;
    assert!(matches!(result, Err(AppendError::Rejected(_))), "{result:?}");
    is_barred(&old, &["the store was emptied", COPY]).await;
}

#[tokio::test]
async fn p27_a_store_of_others_stops_ordering() {
    let (store, other) = (Faulty::default(), Faulty::default());
    let cluster = Cluster::with(ordered(&store).await.copies, &other);
    Cluster::opened(&other).await;
    is_barred(&cluster, &["`kubectl tenios ledger verify s3://numbers/ledger`", COPY]).await;
}

#[tokio::test]
async fn p27_a_store_that_is_behind_stops_ordering() {
    let store = Faulty::default();
    let old = ordered(&store).await;
    store.forget("ledger/entries/pno/shop/o/00000003.json").await;
    // Also where it is found out only when something is to be sent.
    let refused =
        tenios_ledger::Event::Adopted { at: at(1), id: None, number: None, account: None, own: true };
    let result = old.ledger.append(&old.get("o"), &[refused, intended("z")]).await;
    assert!(matches!(result, Err(AppendError::Ambiguous(_))), "{result:?}");
    store.forget("ledger/entries/pno/shop/o/00000004.json").await;
    is_barred(&Cluster::with(old.copies.clone(), &store), &["has lost object 00000003", "shop/o", COPY])
        .await;
}

#[tokio::test]
async fn p27_requests_of_before_the_store_have_to_be_copied_first() {
    let store = Faulty::default();
    let cluster = Cluster::at(&store);
    cluster.copies.append(&Entry::empty(key("o")), &[intended("a")]).await.unwrap();
    is_barred(&cluster, &["recorded requests, such as those for", "not in the ledger", "shop/o", COPY]).await;
    assert_eq!(store.contents().await, [], "nothing begins before");
}

#[tokio::test]
async fn p27_a_store_that_ignores_conditions_stops_ordering() {
    let store = Faulty::default();
    let cluster = Cluster::at(&store);
    cluster.store.always(Some(Fate::Overwrites));
    is_barred(&cluster, &["can't hold a ledger", "Use another store"]).await;
}

#[tokio::test]
async fn p27_a_store_that_forgot_the_newest_object_of_a_line_does_not_order_again() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    one.append("o", intended("a")).await.unwrap();
    let Err(AppendError::Conflict(_)) = other.append("o", intended("b")).await else {
        panic!("both may send")
    };
    one.append("o", accepted("a")).await.unwrap();
    // A gap: the place is free again, but the line went on.
    one.append("o", assigned("a")).await.unwrap();
    store.forget("ledger/entries/pno/shop/o/00000002.json").await;
    let Err(AppendError::Conflict(known)) = other.append("o", intended("c")).await else {
        panic!("it may send")
    };
    assert!(known.state().number.is_some());
}
