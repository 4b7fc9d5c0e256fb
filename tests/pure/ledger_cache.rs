//! The cache over a ledger that goes back in time, as after a restore under the running operator.

mod forgettable;

use std::error::Error;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use tenios_api::{PhoneNumber, causes};
use tenios_ledger::{
    Account, AppendError, AttemptId, Budget, Budgets, Change, Entry, Event, Key, Kind, LedgerCache,
    LedgerChange, Offered, Origin, Payer, Phase, ReadError, Refusal, Reservation, Terms, WriterId, terms,
};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::in_memory_ledger::InMemoryLedger;

fn key(name: &str) -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: name.into() }
}

/// An order in this namespace.
fn of(namespace: &str) -> Key {
    Key { namespace: namespace.into(), ..key("o") }
}

const OWN: Payer = Payer { account: None, own: true };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::parse(name).unwrap()
}

fn intended(name: &str) -> Event {
    Event::Intended { attempt: attempt(name), at: at(0), terms: Terms::new() }
}

fn accepted(name: &str) -> Event {
    Event::Accepted { attempt: attempt(name), at: at(1), id: "300000".into() }
}

fn unknown(name: &str) -> Event {
    Event::Unknown { attempt: attempt(name), at: at(2), why: "w".into() }
}

fn following(cache: &Arc<LedgerCache>) -> [tokio::task::JoinHandle<()>; 2] {
    let (follows, mends) = (cache.clone(), cache.clone());
    [tokio::spawn(async move { follows.follow().await }), tokio::spawn(async move { mends.mend().await })]
}

fn cache(ledger: &Arc<InMemoryLedger>) -> Arc<LedgerCache> {
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    LedgerCache::new(ledger.clone(), Budgets { operator: budget, namespace: budget, cancel: budget }).0
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

#[test]
fn p12_a_ledger_that_was_set_back_gets_its_facts_back_and_everything_is_decided_anew() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    run(async {
        cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
        let backup = ledger.get();
        cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
        ledger.put(Some(backup));
        let result = cache.append(&cache.known(&key).entry, &[intended("a2")]).await;
        assert!(matches!(result, Err(AppendError::Conflict(_))), "{result:?}");
        assert_eq!(cache.known(&key).state.id(), Some("300000"));
    });
    let stored = ledger.get();
    assert_eq!(stored.state().id(), Some("300000"), "the store has it again");
    assert!(!stored.contains(&[intended("a2")]), "what was decided before is not done");
}

#[test]
fn p12_what_others_recorded_after_the_restore_stays() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    let unknown = unknown("a1");
    run(async {
        cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
        let backup = ledger.get();
        for event in
            [accepted("a1"), Event::Adopted { at: at(3), id: None, number: None, account: None, own: false }]
        {
            cache.append(&cache.known(&key).entry, &[event]).await.unwrap();
        }
        ledger.put(Some(backup.with(std::slice::from_ref(&unknown), WriterId::random())));
        let _ = cache.append(&cache.known(&key).entry, &[intended("a2")]).await;
    });
    assert!(ledger.get().contains(&[accepted("a1"), unknown]));
}

#[test]
fn p12_a_ledger_that_was_set_back_and_written_by_another_up_to_our_revision_and_beyond_loses_neither_line() {
    for beyond in 0..3 {
        let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
        let cache = cache(&ledger);
        run(async {
            cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
            let backup = ledger.get();
            cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
            let mut other = backup.with(&[intended("b1")], WriterId::random());
            for _ in 0..beyond {
                other = other.with(&[unknown("b1")], WriterId::random());
            }
            ledger.put(Some(other));
            let result = cache.append(&cache.known(&key).entry, &[intended("a2")]).await;
            assert!(matches!(result, Err(AppendError::Conflict(_))), "{result:?}");
            let known = cache.known(&key).state;
            assert_eq!(known.id(), Some("300000"), "the id that was accepted");
            assert!(known.is_undecided() && known.attempt() == Some(&attempt("b1")), "{known:?}");
        });
        let stored = ledger.get();
        assert_eq!(stored.state().id(), Some("300000"), "the store has it again");
        assert!(!stored.contains(&[intended("a2")]), "what was decided before is not done");
    }
}

/// The first request was not processed, and the second one is on its way, when the store is set back to the first.
/// Its intent on top of the second one's would leave room for a third.
#[rstest]
#[case::nobody_wrote_since(&[])]
#[case::another_process_gave_it_up(&[unknown("a1")])]
fn p01_p12_a_request_that_a_restore_leaves_open_again_does_not_hide_the_one_after_it(
    #[case] foreign: &[Event],
) {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    run(async {
        let known = || cache.known(&key);
        cache.append(&known().entry, &[intended("a1")]).await.unwrap();
        let backup = ledger.get();
        let failed =
            Event::NotProcessed { attempt: attempt("a1"), at: at(1), why: "busy".into(), retry_after: None };
        cache.append(&known().entry, &[failed]).await.unwrap();
        let again = Event::Intended { attempt: attempt("a2"), at: at(2), terms: Terms::new() };
        cache.append(&known().entry, &[again]).await.unwrap();
        let stored = if foreign.is_empty() { backup } else { backup.with(foreign, WriterId::random()) };
        ledger.put(Some(stored));
        let state = cache.read(&key).await.unwrap().state;
        assert!(matches!(&state.phase, Phase::Open { attempt, .. } if attempt.as_str() == "a2"), "{state:?}");
        assert_eq!(ledger.get().state(), *state);
    });
}

#[test]
fn p12_memory_that_is_ahead_of_the_store_is_given_back_when_the_store_is_listed_or_read() {
    for listed in [false, true] {
        let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
        let cache = cache(&ledger);
        run(async {
            let tasks = following(&cache);
            cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
            let backup = ledger.get();
            cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
            for restored in [Some(backup), None] {
                ledger.put(restored);
                if listed {
                    let stored = ledger.get();
                    let entry = stored.version.is_some().then(|| Change::Entry(Box::new(stored)));
                    ledger.say([Change::Listing]);
                    if let Some(entry) = entry {
                        ledger.say([entry]);
                    }
                    ledger.say([Change::Listed]);
                    while ledger.get().state().id().is_none() {
                        tokio::task::yield_now().await;
                    }
                } else {
                    assert_eq!(cache.read(&key).await.unwrap().state.id(), Some("300000"));
                }
                assert_eq!(ledger.get().state().id(), Some("300000"));
            }
            for task in tasks {
                task.abort();
            }
        });
    }
}

#[test]
fn p09_what_the_store_did_not_take_back_is_not_forgotten_and_no_success() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    run(async {
        cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
        let backup = ledger.get();
        cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
        ledger.put(Some(backup));
        ledger.set_read_only();
        assert!(cache.append(&cache.known(&key).entry, &[intended("a2")]).await.is_err());
        assert!(cache.read(&key).await.is_err(), "it can be read, and what it lost can't be written back");
        assert_eq!(cache.known(&key).state.id(), Some("300000"), "memory keeps it");
    });
}

#[test]
fn p08_an_old_list_and_an_old_change_take_nothing_away() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    run(async {
        let [follows, mends] = following(&cache);
        mends.abort();
        cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
        let old = ledger.get();
        cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
        let (writes, reads) = (ledger.writes(), ledger.reads());
        ledger.say([Change::Entry(Box::new(old)), Change::Listing, Change::Listed]);
        cache.listed().await;
        assert_eq!(ledger.reads(), reads, "nobody has looked at what is stored yet");
        assert_eq!(cache.known(&key).state.id(), Some("300000"));
        let mending = cache.clone();
        let mends = tokio::spawn(async move { mending.mend().await });
        while ledger.reads() == reads {
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.known(&key).state.id(), Some("300000"));
        assert_eq!(ledger.writes(), writes, "nothing was lost, so that nothing is written back");
        follows.abort();
        mends.abort();
    });
}

#[test]
fn p14_a_place_in_the_budget_is_held_by_one_and_given_back() {
    let cache = cache(&Arc::new(InMemoryLedger::new(key("o"))));
    let held: Vec<_> = (0..9).map(|_| cache.reserve(&of("shop"), &OWN, at(0)).unwrap()).collect();
    let other = cache.reserve(&of("elsewhere"), &OWN, at(0)).unwrap();
    let spent = cache.reserve(&of("elsewhere"), &OWN, at(0)).err().unwrap();
    assert_eq!(spent.whose, "the operator");
    drop(other);
    let last = cache.reserve(&of("shop"), &OWN, at(0)).unwrap();
    let spent = cache.reserve(&of("shop"), &OWN, at(0)).err().unwrap();
    assert_eq!(spent.whose, "this namespace");
    drop((held, last));
    for _ in 0..10 {
        let _given_back = cache.reserve(&of("shop"), &OWN, at(0)).unwrap();
    }
}

fn reserved_by<'a>(
    cache: &'a LedgerCache,
    namespace: &str,
    key: Option<&str>,
) -> Result<Reservation<'a>, &'static str> {
    let payer = Payer { account: key.map(Account::recorded), own: key.is_none() };
    cache.reserve(&of(namespace), &payer, at(0)).map_err(|spent| spent.whose)
}

#[test]
fn p14_p26_a_tenants_own_key_never_spends_the_operators_budget_nor_the_other_way_round() {
    let budget = |requests| Budget { requests, window: SignedDuration::from_hours(1) };
    let budgets = Budgets { operator: budget(2), namespace: budget(3), cancel: budget(1) };
    let ledger = Arc::new(InMemoryLedger::new(key("o")));
    let cache = LedgerCache::new(ledger, budgets).0;
    let theirs: Vec<_> = (0..2).map(|_| reserved_by(&cache, "theirs", Some("theirs")).unwrap()).collect();
    assert_eq!(reserved_by(&cache, "theirs", Some("theirs")).err(), Some("this access key"));
    assert_eq!(reserved_by(&cache, "elsewhere", Some("theirs")).err(), Some("this access key"));
    let own: Vec<_> = (0..2).map(|_| reserved_by(&cache, "shop", None).unwrap()).collect();
    assert_eq!(reserved_by(&cache, "theirs", None).err(), Some("the operator"));
    let third = reserved_by(&cache, "theirs", Some("another")).unwrap();
    assert_eq!(reserved_by(&cache, "theirs", Some("fourth")).err(), Some("this namespace"), "whoever pays");
    drop((theirs, own, third));
    assert!(reserved_by(&cache, "theirs", Some("theirs")).is_ok());
}

#[test]
fn p14_refusals_are_counted_by_themselves_ten_for_each_order() {
    let key = key("o");
    let ledger = Arc::new(InMemoryLedger::new(key.clone()));
    let budget = |requests| Budget { requests, window: SignedDuration::from_hours(1) };
    let budgets = Budgets { operator: budget(100), namespace: budget(2), cancel: budget(1) };
    let cache = LedgerCache::new(ledger, budgets).0;
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: Vec::new(), can_pass: true };
    let refuse = |n: i64| {
        let attempt = attempt(&format!("a{n}"));
        let intended = Event::Intended { attempt: attempt.clone(), at: at(n), terms: Terms::new() };
        [intended, Event::Refused { attempt, at: at(n), refusal: refusal.clone() }]
    };
    for n in 0..20 {
        let place = cache.reserve(&of("shop"), &OWN, at(n));
        assert!(place.is_ok(), "{n} refusals spend nothing");
        run(cache.append(&cache.known(&key).entry, &refuse(n))).unwrap();
    }
    assert_eq!(cache.budget_remaining(at(20)), 100);
    let spent = cache.reserve(&of("shop"), &OWN, at(20)).err().unwrap();
    assert_eq!((spent.whose, spent.until), ("this namespace for refused requests", at(3600)));
    assert!(cache.reserve(&of("elsewhere"), &OWN, at(20)).is_ok(), "others are not held up");
    assert!(cache.reserve(&of("shop"), &OWN, at(3600)).is_ok());
}

#[test]
fn p14_what_was_sent_counts_until_the_window_is_over() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    assert_eq!((cache.budget_remaining(at(0)), cache.budget_limit()), (10, 10));
    let intended =
        |n: i64| Event::Intended { attempt: attempt(&format!("a{n}")), at: at(n), terms: Terms::new() };
    run(async {
        for n in 0..3 {
            cache.append(&cache.known(&key).entry, &[intended(n)]).await.unwrap();
        }
    });
    assert_eq!(cache.budget_remaining(at(3)), 7);
    assert_eq!(cache.budget_remaining(at(3601)), 9, "the first two are older than an hour");
    let held: Vec<_> = (0..7).map(|_| cache.reserve(&of("shop"), &OWN, at(3)).unwrap()).collect();
    assert_eq!(
        cache.reserve(&of("shop"), &OWN, at(3)).err().unwrap().until,
        at(3600),
        "when the first one is an hour old"
    );
    drop(held);
}

#[test]
fn it_is_ready_once_it_was_listed_and_for_as_long_as_the_ledger_can_be_reached() {
    let ledger = Arc::new(InMemoryLedger::new(key("o")));
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    let budgets = Budgets { operator: budget, namespace: budget, cancel: budget };
    let (cache, mut changed) = LedgerCache::new(ledger.clone(), budgets);
    run(async {
        assert_eq!(cache.missing().as_deref(), Some("the ledger has not been read yet"));
        // What costs nothing may go.
        let adopted = |id: &str| Event::Adopted {
            at: at(0),
            id: Some(id.into()),
            number: None,
            account: None,
            own: false,
        };
        let entry = Entry::empty(key("o")).with(&[adopted("1")], WriterId::random());
        let gone = Entry::empty(key("gone")).with(&[adopted("2")], WriterId::random());
        ledger.say([Change::Listing, Change::Entry(Box::new(gone)), Change::Entry(Box::new(entry.clone()))]);
        ledger.put(Some(entry));
        let tasks = following(&cache);
        assert_eq!([told(&mut changed).await, told(&mut changed).await], [key("gone"), key("o")]);
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), cache.listed()).await;
        assert!(early.is_err(), "it is listed before the list is at its end");
        ledger.say([Change::Listed]);
        cache.listed().await;
        assert_eq!(cache.missing(), None);
        ledger.say([Change::Broken("x".into())]);
        while cache.missing().is_none() {
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.missing().as_deref(), Some("the ledger can't be reached"));
        ledger.say([Change::Listing, Change::Listed]);
        let mut gone = [told(&mut changed).await, told(&mut changed).await];
        gone.sort();
        assert_eq!(gone, [key("gone"), key("o")], "the list names neither");
        while cache.missing().is_some() {
            tokio::task::yield_now().await;
        }
        ledger.say([Change::Entry(Box::new(
            Entry::empty(key("told")).with(&[adopted("3")], WriterId::random()),
        ))]);
        while told(&mut changed).await != key("told") {}
        for task in tasks {
            task.abort();
        }
    });
}

/// The next change that a reconcile did not make itself.
async fn told(changes: &mut UnboundedReceiver<LedgerChange>) -> Key {
    let LedgerChange { key, origin } = changes.recv().await.unwrap();
    assert_eq!(origin, Origin::Elsewhere, "{key}");
    key
}

#[test]
fn every_append_announces_itself_and_says_whether_its_writer_goes_on_with_it() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    let (cache, mut changes) =
        LedgerCache::new(ledger.clone(), Budgets { operator: budget, namespace: budget, cancel: budget });
    let mut announced = |origin| {
        assert_eq!(changes.try_recv(), Ok(LedgerChange { key: key.clone(), origin }));
        assert!(changes.try_recv().is_err(), "once");
    };
    let base = cache.known(&key).entry;
    run(cache.append(&base, &[intended("a1")])).unwrap();
    announced(Origin::Reconcile);
    run(cache.append_until_stored(&key, &accepted("a1")));
    announced(Origin::Elsewhere);
    let number = PhoneNumber::try_from("+4922112345678").unwrap();
    let pushed = Event::Assigned { attempt: attempt("a1"), at: at(2), order_id: "300000".into(), number };
    assert_eq!(run(cache.offer(&key, &pushed)), Offered::Appended);
    announced(Origin::Elsewhere);
    // What another process wrote is learned of by reading, before the watch tells.
    ledger.put(Some(ledger.get().with(&[intended("a2")], WriterId::random())));
    run(cache.read(&key)).unwrap();
    announced(Origin::Elsewhere);
    assert!(matches!(run(cache.append(&base, &[intended("a3")])), Err(AppendError::Conflict(_))));
    assert!(changes.try_recv().is_err(), "nothing was appended, and nothing is news");
}

#[test]
fn an_error_keeps_what_caused_it_and_is_told_with_it() {
    let unknown = AppendError::Ambiguous(std::io::Error::other("connection reset").into());
    let error = ReadError(unknown.into());
    assert_eq!(
        causes(&error),
        "the ledger can't be read: it is unknown whether the ledger was written: connection reset"
    );
    let source = error.source().and_then(Error::source);
    assert!(source.is_some_and(<dyn Error>::is::<std::io::Error>));
}

#[test]
fn an_order_that_was_taken_proves_its_verification() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    let terms = Terms::from([(terms::VERIFICATION_ID.to_owned(), "v1".to_owned())]);
    let intended = Event::Intended { attempt: attempt("a1"), at: at(0), terms };
    run(async {
        cache.append(&cache.known(&key).entry, &[intended]).await.unwrap();
        assert!(!cache.is_proven("v1"));
        cache.append(&cache.known(&key).entry, &[accepted("a1")]).await.unwrap();
        assert!(cache.is_proven("v1") && !cache.is_proven("v2"));
    });
}
