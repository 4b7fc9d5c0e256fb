//! The objects themselves: created once, whatever the store answers.

use std::sync::Arc;

use harness::Scratch;
use object_store::local::LocalFileSystem;
use rstest::rstest;
use tenios_ledger::{Entry, Event, Position, WriterId};
use tenios_ledger_object_store::{Created, Far, Layout, NotCreated, Objects, StoreError};

use super::faulty::{Fate, Faulty};
use super::*;

fn entry(sequence: u64, event: Event) -> Entry {
    let entry = Entry::empty(key("o")).with(&[event], WriterId::random());
    let position = Position { store: "s".into(), sequence, revision: entry.revision };
    Entry { position: Some(position), ..entry }
}

fn objects_in(directory: &Scratch) -> Objects {
    let store = LocalFileSystem::new_with_prefix(directory.path()).unwrap().with_fsync(true);
    Objects::new(Arc::new(store), Layout::new(Path::from("ledger")))
}

async fn is_created_once(objects: &Objects) {
    objects.try_out().await.unwrap();
    assert_eq!(objects.genesis().await.unwrap(), None);
    let (one, other) = tokio::join!(objects.begin(), objects.begin());
    let id = one.unwrap();
    assert_eq!(other.unwrap(), id);
    assert_eq!(objects.genesis().await.unwrap(), Some(id));

    let (ours, theirs) = (entry(1, intended("a")), entry(1, intended("b")));
    assert_eq!(objects.far(&key("o"), 0).await.unwrap(), Far { has_known: true, newest: 0 });
    assert!(matches!(objects.create(&ours, 1).await, Ok(Created::Stored)));
    let Ok(Created::Taken(stored)) = objects.create(&theirs, 1).await else { panic!("both are stored") };
    assert_eq!(*stored, ours);
    assert_eq!(objects.read(&key("o"), 1).await.unwrap(), Some(ours));
    assert_eq!(objects.read(&key("o"), 2).await.unwrap(), None);
    assert!(matches!(objects.create(&entry(2, accepted("a")), 2).await, Ok(Created::Stored)));
    assert!(matches!(objects.create(&entry(1, intended("c")), 9).await, Ok(Created::Stored)));
    // One whose name begins alike is another.
    let longer = Entry { key: key("o.x"), ..entry(30, intended("d")) };
    assert!(matches!(objects.create(&longer, 30).await, Ok(Created::Stored)));
    for (known, has_known, newest) in
        [(0, true, 9), (1, true, 9), (2, true, 9), (3, false, 9), (9, true, 9), (10, false, 0)]
    {
        assert_eq!(objects.far(&key("o"), known).await.unwrap(), Far { has_known, newest }, "{known}");
    }
    let newest = objects.newest().await.unwrap();
    assert_eq!(newest, [(key("o"), 9), (key("o.x"), 30)].into());
    // It is not what stands under its own number.
    assert!(matches!(objects.read(&key("o"), 9).await, Err(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn p27_an_object_is_created_once_in_memory() {
    is_created_once(&objects(&Faulty::default())).await;
}

#[tokio::test]
async fn p27_an_object_is_created_once_in_a_directory() {
    let directory = Scratch::new();
    is_created_once(&objects_in(&directory)).await;
}

#[rstest]
#[case::own_success_reported_as_exists(&[Fate::Repeated], "stored", 1)]
#[case::a_lost_answer_is_read_back(&[Fate::AnswerLost], "stored", 1)]
#[case::a_lost_request_is_sent_again(&[Fate::Lost], "stored", 1)]
#[case::a_late_one_finds_the_place_taken(&[Fate::Late], "stored", 1)]
#[case::a_409_for_nothing_is_sent_again(&[Fate::Conflict, Fate::Conflict], "stored", 1)]
#[case::a_409_for_nothing_again_and_again(&[Fate::Conflict; 3], "ambiguous", 0)]
#[case::nobody_answers(&[Fate::Lost; 3], "ambiguous", 0)]
#[case::all_late(&[Fate::Late; 3], "ambiguous", 1)]
#[case::denied(&[Fate::Denied], "rejected", 0)]
#[case::denied_after_one_that_may_arrive(&[Fate::Late, Fate::Denied, Fate::Denied], "ambiguous", 1)]
#[tokio::test]
async fn p27_what_became_of_a_create_is_never_guessed(
    #[case] fates: &[Fate],
    #[case] ends: &str,
    #[case] stored: usize,
) {
    let store = Faulty::default();
    store.next(fates.iter().copied());
    let ours = entry(1, intended("a"));
    let end = match objects(&store).create(&ours, 1).await {
        Ok(Created::Stored) => "stored",
        Ok(Created::Taken(_)) => "taken",
        Err(NotCreated::Rejected(_)) => "rejected",
        Err(NotCreated::Ambiguous(_)) => "ambiguous",
    };
    assert_eq!(end, ends);
    store.arrive().await;
    assert_eq!(store.contents().await.len(), stored);
}

#[tokio::test]
async fn p27_what_was_late_does_not_overwrite_what_came_meanwhile() {
    let store = Faulty::default();
    store.next([Fate::Late; 3]);
    assert!(matches!(
        objects(&store).create(&entry(1, intended("a")), 1).await,
        Err(NotCreated::Ambiguous(_))
    ));
    let theirs = entry(1, intended("b"));
    assert!(matches!(objects(&store).create(&theirs, 1).await, Ok(Created::Stored)));
    assert_eq!(store.arrive().await, [false; 3]);
    assert_eq!(objects(&store).read(&key("o"), 1).await.unwrap(), Some(theirs));
}

#[rstest]
#[case::always(8)]
#[case::only_while_several_write(6)]
#[tokio::test]
async fn p27_a_store_that_ignores_conditions_is_found_out(#[case] lies: usize) {
    let store = Faulty::default();
    store.next(vec![Fate::Fair; 8 - lies]);
    store.always(Some(Fate::Overwrites));
    let error = objects(&store).try_out().await.unwrap_err();
    assert!(matches!(error, StoreError::Unfit(_)), "{error}");
}

#[tokio::test]
async fn p27_a_probe_leaves_nothing_behind() {
    let store = Faulty::default();
    objects(&store).try_out().await.unwrap();
    assert_eq!(store.contents().await, []);
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_read() {
    let store = Faulty::default();
    let inner: &dyn object_store::ObjectStore = &store;
    let path = Path::from("ledger/entries/pno/shop/o/00000001.json");
    inner.put_opts(&path, vec![b' '; 300 * 1024].into(), object_store::PutOptions::default()).await.unwrap();
    let error = objects(&store).read(&key("o"), 1).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable(_)), "{error}");
}

#[tokio::test]
async fn p06_p24_the_same_trouble_with_the_store_is_told_in_the_same_words() {
    let store = Faulty::default();
    store.spoil(&["ledger/entries/pno/shop/o/00000001.json"]);
    let objects = objects(&store);
    let first = objects.read(&key("o"), 1).await.unwrap_err();
    assert_eq!(objects.read(&key("o"), 1).await.unwrap_err(), first);
    let said = first.to_string();
    for words in ["500 Internal Server Error", "InternalError", "We encountered an internal error."] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    for of_one_request in ["RequestId", "HostId", "Time:", "10.0.0.7", "ms"] {
        assert!(!said.contains(of_one_request), "{said}");
    }
}

#[tokio::test]
async fn p27_a_ledger_of_more_than_a_million_objects_is_opened() {
    let store = Faulty::default();
    Cluster::opened(&store).await;
    let new = Cluster::at(&store);
    new.store.lists(1_000_001, true);
    assert!(new.ledger.open().await);
    assert_eq!(new.ledger.trouble(), None);
}

#[tokio::test]
async fn p27_a_list_that_repeats_its_pages_without_an_end_is_given_up() {
    let store = Faulty::default();
    Cluster::opened(&store).await;
    let new = Cluster::at(&store);
    new.store.lists(3, false);
    assert!(!new.ledger.open().await);
    let said = new.ledger.trouble().unwrap();
    assert!(said.contains("does not end"), "{said}");
}
