//! The store is away, or its answers get lost: what is new waits, and nothing else.

use std::time::Duration;

use futures::StreamExt;
use tenios_ledger::{AppendError, Event, LedgerStore};

use super::faulty::{Fate, Faulty};
use super::*;

/// Half of the time until everything else is looked at.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn p27_without_the_store_nothing_is_ordered_and_everything_is_recorded() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.append("o", intended("a")).await.unwrap();
    cluster.store.set_away(true);
    let result = cluster.append("p", intended("b")).await;
    assert!(matches!(result, Err(AppendError::Rejected(_) | AppendError::Ambiguous(_))), "{result:?}");
    cluster.append("o", accepted("a")).await.unwrap();
    cluster.append("o", assigned("a")).await.unwrap();
    assert_eq!(cluster.ledger.trouble(), None, "pushes have to reach it");
    // It is read, too, and a restart changes nothing.
    assert!(cluster.ledger.read(&key("o")).await.unwrap().state().number.is_some());
    let restarted = Cluster::with(cluster.copies.clone(), &store);
    restarted.store.set_away(true);
    assert!(!restarted.ledger.open().await);
    assert_eq!(restarted.ledger.trouble(), None);
    restarted.append("o", assigned("a")).await.unwrap();
    // Once it is back, it gets everything.
    restarted.store.set_away(false);
    assert!(restarted.ledger.open().await);
    let new = Cluster::opened(&store).await;
    assert_eq!(new.get("o").state(), restarted.get("o").state());
}

#[tokio::test]
async fn p27_a_store_that_was_never_reached_is_not_ready() {
    let store = Faulty::default();
    let cluster = Cluster::at(&store);
    cluster.store.set_away(true);
    assert!(!cluster.ledger.open().await);
    assert!(cluster.ledger.trouble().unwrap().contains("can't be reached"));
    assert!(matches!(cluster.append("o", intended("a")).await, Err(AppendError::Rejected(_))));
    // What the status tells is not to hide what the store may know.
    let rebuilt = Event::Rebuilt {
        at: at(1),
        attempt: Some(attempt("a")),
        id: None,
        number: None,
        terms: tenios_ledger::Terms::new(),
        requests: 1,
    };
    assert!(matches!(cluster.append("o", rebuilt).await, Err(AppendError::Rejected(_))));
}

#[tokio::test]
async fn p27_an_intent_that_nobody_knows_of_sends_nothing_and_stays_grounded() {
    for fates in [[Fate::Late; 3], [Fate::Lost; 3]] {
        let store = Faulty::default();
        let cluster = Cluster::opened(&store).await;
        cluster.store.next(fates);
        assert!(matches!(cluster.append("o", intended("a")).await, Err(AppendError::Ambiguous(_))));
        // The next one takes its place; what is late by then does not arrive.
        cluster.append("o", intended("b")).await.unwrap();
        assert!(!cluster.store.arrive().await.contains(&true));
        assert_eq!(cluster.ledger.read(&key("o")).await.unwrap().state().attempt(), Some(&attempt("b")));
    }
}

#[tokio::test]
async fn p27_a_late_intent_is_found_and_not_overtaken() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.store.next([Fate::Late; 3]);
    assert!(matches!(cluster.append("o", intended("a")).await, Err(AppendError::Ambiguous(_))));
    assert!(cluster.store.arrive().await.contains(&true));
    let Err(AppendError::Conflict(known)) = cluster.append("o", intended("b")).await else {
        panic!("it may send")
    };
    assert_eq!(known.state().attempt(), Some(&attempt("a")));
}

#[tokio::test]
async fn p27_an_intent_whose_copy_is_not_written_sends_nothing() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.copies.lose_answers(1);
    assert!(matches!(cluster.append("o", intended("a")).await, Err(AppendError::Ambiguous(_))));
    let read = cluster.ledger.read(&key("o")).await.unwrap();
    assert_eq!(read.state().attempt(), Some(&attempt("a")));
}

#[tokio::test]
async fn p27_what_either_cluster_recorded_while_they_could_not_meet_is_known_to_both() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    one.append("o", intended("a")).await.unwrap();
    other.ledger.read(&key("o")).await.unwrap();
    one.store.set_away(true);
    one.append("o", accepted("a")).await.unwrap();
    // The other one goes on meanwhile, further than this one.
    for why in ["no answer", "still none"] {
        other
            .append("o", Event::Unknown { attempt: attempt("a"), at: at(2), why: why.into() })
            .await
            .unwrap();
    }
    one.store.set_away(false);
    let here = one.ledger.read(&key("o")).await.unwrap();
    assert_eq!(here.state().id(), Some("300000"));
    assert_eq!(other.ledger.read(&key("o")).await.unwrap().state(), here.state());
}

#[tokio::test]
async fn p27_what_another_cluster_goes_on_with_is_looked_for_within_seconds() {
    let store = Faulty::default();
    let (one, other) = (Cluster::at(&store), Cluster::opened(&store).await);
    let mut changes = one.ledger.changes();
    tokio::spawn(async move { while changes.next().await.is_some() {} });
    harness::wait::until("the store to be open", PATIENCE, async || one.ledger.knows_more().then_some(()))
        .await;
    // What it gives the store later lets it come to rest: everything is compared every ten minutes only.
    one.append("o", intended("a")).await.unwrap();
    one.store.set_away(true);
    one.append("o", accepted("a")).await.unwrap();
    one.append("o", assigned("a")).await.unwrap();
    one.store.set_away(false);
    harness::wait::until("the number to be stored", PATIENCE, async || {
        other.ledger.read(&key("o")).await.unwrap().state().number.map(drop)
    })
    .await;
    other.append("p", intended("a")).await.unwrap();
    one.ledger.read(&key("p")).await.unwrap();
    other.append("p", accepted("a")).await.unwrap();
    harness::wait::until("the id to be known", PATIENCE, async || one.get("p").state().id().map(drop)).await;
}

#[tokio::test]
async fn a_label_of_others_is_no_conflict() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.append("o", intended("a")).await.unwrap();
    let base = cluster.get("o");
    cluster.copies.label(&key("o"));
    cluster.ledger.append(&base, &[accepted("a")]).await.unwrap();
    assert_eq!(cluster.get("o").revision, 2);
}

#[tokio::test]
async fn p12_a_deleted_or_restored_copy_comes_back_from_the_store() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    let first = cluster.append("o", intended("a")).await.unwrap();
    cluster.append("o", accepted("a")).await.unwrap();
    let whole = cluster.append("o", assigned("a")).await.unwrap().state();
    for lost in [None, Some(first)] {
        cluster.copies.set(&key("o"), lost.clone());
        let Err(AppendError::Conflict(known)) = cluster.append("o", intended("b")).await else {
            panic!("it may send")
        };
        assert_eq!(known.state(), whole);
        cluster.copies.set(&key("o"), lost);
        assert_eq!(cluster.ledger.read(&key("o")).await.unwrap().state(), whole);
    }
    // After a restore without entries.
    cluster.copies.set(&key("o"), None);
    let restarted = Cluster::with(cluster.copies.clone(), &store);
    assert!(restarted.ledger.open().await);
    assert_eq!(restarted.get("o").state(), whole);
}

#[tokio::test]
async fn p26_what_is_forgotten_is_not_brought_back_and_its_name_goes_on() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    one.append("o", intended("a")).await.unwrap();
    let refused =
        Event::NotProcessed { attempt: attempt("a"), at: at(2), why: "no".into(), retry_after: None };
    let entry = one.append("o", refused).await.unwrap();
    assert_eq!(other.ledger.read(&key("o")).await.unwrap().revision, 2);
    assert!(one.ledger.remove(&entry).await.unwrap());
    assert_eq!(one.ledger.read(&key("o")).await.unwrap().version, None);
    let new = Cluster::opened(&store).await;
    assert_eq!(new.get("o").version, None);
    // Where its resource is still there, its entry is, too.
    assert_eq!(other.ledger.read(&key("o")).await.unwrap().state(), entry.state());
    let known = new.ledger.read(&key("o")).await.unwrap();
    assert_eq!(known.state(), entry.state());
    new.append("o", intended("b")).await.unwrap();
    assert!(matches!(other.append("o", intended("c")).await, Err(AppendError::Conflict(_))));
}

#[tokio::test]
async fn p26_a_name_that_was_forgotten_orders_again_once() {
    let store = Faulty::default();
    let cluster = Cluster::opened(&store).await;
    cluster.append("o", intended("a")).await.unwrap();
    let refused =
        Event::NotProcessed { attempt: attempt("a"), at: at(2), why: "no".into(), retry_after: None };
    let entry = cluster.append("o", refused).await.unwrap();
    // Stale, as a second sweeper.
    let stale = entry.clone();
    assert!(cluster.ledger.remove(&entry).await.unwrap());
    let base = cluster.ledger.read(&key("o")).await.unwrap();
    let again = cluster.ledger.append(&base, &[intended("b")]).await.unwrap();
    assert_eq!((again.revision, again.position.as_ref().unwrap().sequence), (1, 4));
    assert!(!cluster.ledger.remove(&stale).await.unwrap());
    assert_eq!(cluster.get("o").state().attempt(), Some(&attempt("b")));
}

/// An order that was placed and assigned by one cluster, and that the other one has a copy of without a resource.
async fn known_to_both(store: &Faulty) -> (Cluster, Cluster, Entry) {
    let (one, other) = (Cluster::opened(store).await, Cluster::opened(store).await);
    one.append("o", intended("a")).await.unwrap();
    one.append("o", accepted("a")).await.unwrap();
    let entry = one.append("o", assigned("a")).await.unwrap();
    assert!(other.ledger.open().await);
    assert_eq!(other.get("o").state(), entry.state());
    (one, other, entry)
}

#[tokio::test]
async fn p26_p27_an_order_that_is_forgotten_is_forgotten_by_every_cluster() {
    let store = Faulty::default();
    let (one, other, entry) = known_to_both(&store).await;
    assert!(one.ledger.remove(&entry).await.unwrap());
    assert!(other.ledger.open().await);
    assert_eq!(other.get("o").version, None);
    assert!(one.ledger.open().await);
    assert_eq!(one.ledger.read(&key("o")).await.unwrap().version, None);
}

#[tokio::test]
async fn p12_p26_p27_an_order_after_one_that_was_forgotten_is_not_mixed_with_it() {
    let store = Faulty::default();
    let (one, other, entry) = known_to_both(&store).await;
    assert!(one.ledger.remove(&entry).await.unwrap());
    one.append("o", intended("b")).await.unwrap();
    one.append("o", accepted("b")).await.unwrap();
    for cluster in [&other, &one] {
        assert!(cluster.ledger.open().await);
        assert_eq!(cluster.ledger.trouble(), None);
    }
    for cluster in [&one, &other] {
        let state = cluster.get("o").state();
        assert_eq!(state.attempt(), Some(&attempt("b")));
        assert_eq!((state.strays.len(), state.number), (0, None));
    }
}

/// An order without its cancellation looks like one whose number is to be cancelled yet.
#[tokio::test]
async fn p16_p26_p27_a_cancellation_is_not_forgotten_before_its_order() {
    let store = Faulty::default();
    let (one, other, order) = known_to_both(&store).await;
    let cancellation = key("o").of(Kind::Cancellation);
    for event in [intended("c"), accepted("c")] {
        one.ledger.append(&one.copies.get(&cancellation), &[event]).await.unwrap();
    }
    assert!(other.ledger.open().await);
    assert!(other.copies.get(&cancellation).version.is_some());
    for entry in [order, one.copies.get(&cancellation)] {
        assert!(one.ledger.remove(&entry).await.unwrap());
    }
    assert_eq!(other.ledger.read(&cancellation).await.unwrap().version, None);
    assert_eq!(other.get("o").version, None);
}

#[tokio::test]
async fn p27_what_the_cluster_that_forgets_did_not_know_is_kept() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    one.append("o", intended("a")).await.unwrap();
    let entry = one.append("o", accepted("a")).await.unwrap();
    other.ledger.read(&key("o")).await.unwrap();
    // A push that the store does not have yet.
    other.store.set_away(true);
    other.append("o", assigned("a")).await.unwrap();
    other.store.set_away(false);
    assert!(one.ledger.remove(&entry).await.unwrap());
    assert!(other.ledger.open().await);
    assert!(one.ledger.read(&key("o")).await.unwrap().state().number.is_some());
}

#[tokio::test]
async fn p27_a_request_in_flight_is_not_forgotten_because_another_cluster_forgets_it() {
    let store = Faulty::default();
    let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
    other.append("o", intended("a")).await.unwrap();
    let entry = one.ledger.read(&key("o")).await.unwrap();
    assert!(one.ledger.remove(&entry).await.unwrap());
    other.ledger.open().await;
    assert_eq!(other.get("o").state().attempt(), Some(&attempt("a")));
    assert!(matches!(one.append("o", intended("b")).await, Err(AppendError::Conflict(_))));
}
