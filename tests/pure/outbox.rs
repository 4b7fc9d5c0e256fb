//! What the relay is to tell, as the ledger keeps it (promise 28).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tenios_ledger::{
    Announcement, AttemptId, Budget, Budgets, Entry, Event, Happening, Key, Kind, LedgerCache, Offered,
    Position, Terms, Version, WriterId, spec,
};
use tenios_ledger_object_store::merge::{Merge, merge};

use crate::in_memory_ledger::InMemoryLedger;

fn key() -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: "o".into() }
}

fn cache(ledger: &Arc<InMemoryLedger>) -> Arc<LedgerCache> {
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    LedgerCache::new(ledger.clone(), Budgets { operator: budget, namespace: budget, cancel: budget }).0
}

fn announcing(ledger: &Arc<InMemoryLedger>) -> Arc<LedgerCache> {
    let cache = cache(ledger);
    cache.announce(|namespace| namespace == "shop");
    cache
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn placed() -> [Event; 2] {
    [
        Event::Intended { attempt: attempt(), at: at(0), terms: Terms::new() },
        Event::Accepted { attempt: attempt(), at: at(1), id: "300000".into() },
    ]
}

fn assigned() -> Event {
    let number = "+4922112345678".try_into().unwrap();
    Event::Assigned { attempt: attempt(), at: at(2), order_id: "300000".into(), number }
}

fn adopted(number: &str, second: i64) -> Event {
    let number = Some(number.try_into().unwrap());
    Event::Adopted { at: at(second), id: None, number, account: None, own: true }
}

async fn append(cache: &LedgerCache, events: &[Event]) {
    cache.append(&cache.known(&key()).entry, events).await.unwrap();
}

/// What the cache has to tell of the one order.
fn to_tell(cache: &LedgerCache) -> Option<Announcement> {
    match cache.unannounced().as_slice() {
        [] => None,
        [(_, only)] => Announcement::of(only.kind, &cache.known(only).state),
        more => panic!("{more:?}"),
    }
}

#[test]
fn p28_what_is_to_be_told_is_in_the_write_that_brings_it_and_outlives_the_process() {
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let first = announcing(&ledger);
    run(async {
        for event in placed() {
            append(&first, &[event]).await;
            assert_eq!(to_tell(&first), None);
        }
        assert_eq!(first.offer(&key(), &assigned()).await, Offered::Appended);
        assert_eq!(ledger.get().revision, 3, "it takes no write of its own");
        // Another process, with nothing but the ledger.
        let second = announcing(&ledger);
        second.read(&key()).await.unwrap();
        let told = to_tell(&second).unwrap();
        assert_eq!((told.happening, told.id.as_deref()), (Happening::Assigned, Some("300000")));
        second.announced(&key(), Some(&told)).await.unwrap();
        assert_eq!((to_tell(&second), ledger.get().revision), (None, 4));
        first.read(&key()).await.unwrap();
        assert_eq!(to_tell(&first), None);
        // The same push once more brings nothing new.
        assert_eq!(first.offer(&key(), &assigned()).await, Offered::Known);
        append(&first, &[assigned()]).await;
        assert_eq!(to_tell(&first), None);
    });
}

#[test]
fn p28_without_a_receiver_nothing_is_noted_and_a_later_one_is_not_told_of_old_numbers() {
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let silent = cache(&ledger);
    let elsewhere = cache(&ledger);
    elsewhere.announce(|namespace| namespace == "another");
    run(async {
        append(&silent, &placed()).await;
        elsewhere.read(&key()).await.unwrap();
        append(&elsewhere, &[assigned()]).await;
        let stored = json!(spec::to_spec(&ledger.get()).unwrap());
        assert!(stored["snapshot"].get("unannounced").is_none(), "{stored}");
        let later = announcing(&ledger);
        later.read(&key()).await.unwrap();
        append(&later, &[assigned()]).await;
        assert_eq!(to_tell(&later), None);
    });
}

#[test]
fn p28_what_came_while_others_were_told_is_told_next() {
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let cache = announcing(&ledger);
    run(async {
        append(&cache, &[adopted("+49221111", 1)]).await;
        let first = to_tell(&cache).unwrap();
        append(&cache, &[adopted("+49221222", 2)]).await;
        cache.announced(&key(), Some(&first)).await.unwrap();
        let second = to_tell(&cache).unwrap();
        assert_eq!((second.happening, second.number.as_str()), (Happening::Adopted, "+49221222"));
        assert_eq!(cache.unannounced()[0].0, at(1), "since the first of them waits");
        cache.announced(&key(), Some(&second)).await.unwrap();
        assert_eq!(to_tell(&cache), None);
    });
}

#[test]
fn p28_a_ledger_that_was_set_back_tells_again_rather_than_never() {
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let cache = announcing(&ledger);
    run(async {
        append(&cache, &placed()).await;
        let backup = ledger.get();
        append(&cache, &[assigned()]).await;
        // Somebody else wrote on what was restored.
        let refused = Event::Unknown { attempt: attempt(), at: at(3), why: "w".into() };
        ledger.put(Some(backup.with(&[refused], WriterId::random())));
        cache.read(&key()).await.unwrap();
        assert!(to_tell(&cache).is_some());
        let after = announcing(&ledger);
        after.read(&key()).await.unwrap();
        assert!(to_tell(&after).is_some(), "the store has it, too");
        // Told, and set back to before that was noted.
        let (backup, told) = (ledger.get(), to_tell(&cache));
        cache.announced(&key(), told.as_ref()).await.unwrap();
        ledger.put(Some(backup));
        let restarted = announcing(&ledger);
        restarted.read(&key()).await.unwrap();
        assert_eq!(to_tell(&restarted), told);
    });
}

#[test]
fn p28_two_lines_of_an_entry_that_are_brought_together_are_told_of() {
    let empty = Entry::empty(key()).with(&placed(), WriterId::random());
    let theirs = empty.announcing(&[assigned()]).with(&[assigned()], WriterId::random());
    let late = Event::Unknown { attempt: attempt(), at: at(3), why: "w".into() };
    let ours = empty.with(&[late], WriterId::random());
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let (base, events) = ours.reunited(theirs);
        let both = base.with(&events, WriterId::random()).state();
        assert!(both.number.is_some());
        assert_eq!(both.unannounced, Some(at(2)));
    }
}

#[test]
fn p28_a_number_that_only_the_status_still_told_is_not_told_as_assigned() {
    let number = Some("+4922112345678".try_into().unwrap());
    let (attempt, id, terms) = (Some(attempt()), Some("300000".into()), Terms::new());
    let rebuilt = Event::Rebuilt { at: at(1), attempt, id, number, terms, requests: 1 };
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let cache = announcing(&ledger);
    run(async {
        append(&cache, &[rebuilt]).await;
        assert_eq!(to_tell(&cache).unwrap().happening, Happening::Adopted);
        append(&cache, &[assigned()]).await;
        assert_eq!(to_tell(&cache).unwrap().happening, Happening::Assigned);
    });
}

/// What this one has to tell, and what another one without a relay recorded meanwhile, which is the longer line.
fn ours_and_a_longer_line(placed: &Entry) -> (Entry, Entry) {
    let late = Event::Unknown { attempt: attempt(), at: at(3), why: "w".into() };
    let ours = placed.announcing(&[assigned()]).with(&[assigned()], WriterId::random());
    let theirs = placed.with(&[assigned()], WriterId::random()).with(&[late], WriterId::random());
    (ours, theirs)
}

#[test]
fn p28_a_longer_line_of_another_cluster_takes_nothing_away_that_is_to_be_told() {
    let (ours, theirs) = ours_and_a_longer_line(&Entry::empty(key()).with(&placed(), WriterId::random()));
    let ours = Entry { version: Some(Version::new("1".into())), ..ours };
    let at_store = Position { store: "s".into(), sequence: 3, revision: 1 };
    let Merge::Import(next) = merge(&ours, &theirs, &at_store) else { panic!("it knows all of it") };
    assert_eq!((next.revision, next.state().unannounced), (theirs.revision, Some(at(2))));
}

#[test]
fn p28_a_longer_line_in_a_ledger_that_was_set_back_takes_nothing_away_that_is_to_be_told() {
    let ledger = Arc::new(InMemoryLedger::new(key()));
    let cache = announcing(&ledger);
    run(async {
        append(&cache, &placed()).await;
        let (_, theirs) = ours_and_a_longer_line(&ledger.get());
        append(&cache, &[assigned()]).await;
        let told = to_tell(&cache);
        assert!(told.is_some());
        ledger.put(Some(theirs));
        cache.read(&key()).await.unwrap();
        assert_eq!(to_tell(&cache), told);
        let restarted = announcing(&ledger);
        restarted.read(&key()).await.unwrap();
        assert_eq!(to_tell(&restarted), told, "the store has it, too");
    });
}

/// An event that it does not know keeps a version from reading an entry. A field of the snapshot is passed over.
#[test]
fn p28_an_earlier_version_reads_an_entry_with_the_mark() {
    let order = placed().into_iter().chain([assigned()]);
    let base = order.fold(Entry::empty(key()), |entry, event| {
        entry.announcing(std::slice::from_ref(&event)).with(&[event], WriterId::random())
    });
    let mut stored = spec::to_spec(&base).unwrap();
    assert_eq!(stored.snapshot["unannounced"], json!(at(2)));
    let events: Vec<_> = stored.events.iter().map(|event| event["type"].clone()).collect();
    assert_eq!(events, ["Intended", "Accepted", "Assigned"]);
    stored.snapshot["ofALaterVersion"] = json!("x");
    assert_eq!(spec::from_spec(&stored).unwrap(), base);
}
