//! Which entries may go once their resource is gone.

use std::sync::Arc;

use jiff::SignedDuration;
use tenios_ledger::{
    Budget, Budgets, Change, Entry, Event, Key, Kind, LedgerCache, Refusal, Terms, VERIFICATIONS_KEPT,
    WriterId, terms,
};

use super::{accepted, at, attempt, cache, following, intended, key, run, unknown};
use crate::in_memory_ledger::InMemoryLedger;

fn verification(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Verification, namespace: namespace.into(), name: name.into() }
}

/// The names of those that may go, once the cache knows all of these and every resource but those named is gone.
fn forgotten(entries: impl IntoIterator<Item = (Key, Vec<Event>)>, alive: &[Key]) -> Vec<String> {
    forgotten_of(entries.into_iter().map(|(key, events)| stored(key, &events)), alive)
}

fn stored(key: Key, events: &[Event]) -> Entry {
    Entry::empty(key).with(events, WriterId::random())
}

fn forgotten_of(entries: impl IntoIterator<Item = Entry>, alive: &[Key]) -> Vec<String> {
    let ledger = Arc::new(InMemoryLedger::new(key("o")));
    let cache = cache(&ledger);
    for entry in entries {
        ledger.say([Change::Entry(Box::new(entry))]);
    }
    ledger.say([Change::Listed]);
    run(async {
        let tasks = following(&cache);
        cache.listed().await;
        for task in tasks {
            task.abort();
        }
    });
    let gone = cache.forgettable(at(1_000_000), |key| !alive.contains(key));
    let mut names: Vec<_> = gone.iter().map(|entry| entry.key.name.clone()).collect();
    names.sort();
    names
}

/// As many as are kept, newer than all others.
fn newer(namespace: &str) -> impl Iterator<Item = (Key, Vec<Event>)> + '_ {
    (0..VERIFICATIONS_KEPT).map(move |n| {
        let second = 1000 + i64::try_from(n).unwrap();
        (verification(namespace, &format!("newer-{n}")), submitted(second, &format!("id-{namespace}-{n}")))
    })
}

fn submitted(second: i64, id: &str) -> Vec<Event> {
    let attempt = attempt(&format!("a{second}"));
    let intended = Event::Intended { attempt: attempt.clone(), at: at(second), terms: Terms::new() };
    vec![intended, Event::Accepted { attempt, at: at(second + 1), id: id.into() }]
}

#[test]
fn p26_of_submitted_verifications_that_are_gone_a_namespace_keeps_the_newest_hundred() {
    let oldest = |namespace| (verification(namespace, "oldest"), submitted(0, "id"));
    let newest = || newer("shop").chain(newer("elsewhere").skip(1));
    assert!(forgotten(newest().chain([oldest("elsewhere")]), &[]).is_empty(), "a hundred of each");
    assert_eq!(forgotten(newest().chain([oldest("shop")]), &[]), ["oldest"]);
    assert!(forgotten(newest().chain([oldest("shop")]), &[verification("shop", "oldest")]).is_empty());
    let alive = [verification("shop", "newer-7")];
    assert!(forgotten(newest().chain([oldest("shop")]), &alive).is_empty(), "what is there does not count");
}

#[test]
fn p26_a_verification_that_a_person_settled_is_one_of_the_hundred_too() {
    let not_placed = Event::NotPlaced { attempt: attempt("a1"), at: at(3) };
    let adopted =
        Event::Adopted { at: at(3), id: Some("id".into()), number: None, account: None, own: false };
    for word in [not_placed, adopted] {
        let settled = vec![intended("a1"), unknown("a1"), word];
        let all = newer("shop").chain([(verification("shop", "settled"), settled)]);
        assert_eq!(forgotten(all, &[]), ["settled"]);
    }
}

#[test]
fn p26_what_is_in_flight_of_unknown_outcome_an_order_or_what_was_ordered_with_stays_for_ever() {
    let stays = |kind: Kind, events: &[Event]| {
        let key = Key { kind, ..verification("shop", "stays") };
        let ordered = Terms::from([(terms::VERIFICATION_ID.to_owned(), "used".to_owned())]);
        let order = (
            Key { kind: Kind::Order, ..verification("shop", "order") },
            vec![Event::Intended { attempt: attempt("a9"), at: at(0), terms: ordered }],
        );
        let all = newer("shop").chain([order, (key, events.to_vec())]);
        assert!(forgotten(all, &[]).is_empty(), "{kind:?} {events:?}");
    };
    stays(Kind::Verification, &[intended("a1")]);
    stays(Kind::Verification, &[intended("a1"), unknown("a1")]);
    stays(Kind::Verification, &submitted(0, "used"));
    stays(Kind::Order, &submitted(0, "300000"));
    stays(
        Kind::Order,
        &[intended("a1"), unknown("a1"), Event::NotPlaced { attempt: attempt("a1"), at: at(3) }],
    );
}

#[test]
fn p26_a_refused_order_is_kept_for_the_window_of_its_own_budget_however_long_that_of_cancellations_is() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let budget = Budget { requests: 10, window: SignedDuration::from_hours(1) };
    let cancel = Budget { window: SignedDuration::from_hours(24), ..budget };
    let cache = LedgerCache::new(ledger, Budgets { operator: budget, namespace: budget, cancel }).0;
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: vec![], can_pass: false };
    let refused = Event::Refused { attempt: attempt("a1"), at: at(1), refusal };
    run(cache.append(&cache.known(&key).entry, &[intended("a1"), refused])).unwrap();
    assert!(cache.forgettable(at(3599), |_| true).is_empty());
    assert_eq!(cache.forgettable(at(3601), |_| true).len(), 1);
}

#[test]
fn p26_a_verification_whose_orders_were_all_refused_is_one_of_the_hundred_again() {
    let refused = || {
        let refusal = Refusal { code: "X".into(), message: String::new(), fields: vec![], can_pass: false };
        Event::Refused { attempt: attempt("a9"), at: at(1), refusal }
    };
    let orders = ["first", "second"].map(|name| {
        let terms = Terms::from([(terms::VERIFICATION_ID.to_owned(), "used".to_owned())]);
        stored(key(name), &[Event::Intended { attempt: attempt("a9"), at: at(0), terms }])
    });
    let used = || newer("shop").chain([(verification("shop", "used"), submitted(0, "used"))]);
    let alive = ["first", "second"].map(key);
    for (refused_ones, gone) in [(1, &[][..]), (2, &["used"][..])] {
        let later =
            orders.iter().take(refused_ones).map(|order| order.with(&[refused()], WriterId::random()));
        let all = used().map(|(key, events)| stored(key, &events)).chain(orders.clone()).chain(later);
        assert_eq!(forgotten_of(all, &alive), gone, "{refused_ones} refused");
    }
}

#[test]
fn p26_what_was_forgotten_is_not_taken_for_lost() {
    let (ledger, key) = (Arc::new(InMemoryLedger::new(key("o"))), key("o"));
    let cache = cache(&ledger);
    run(async {
        let tasks = following(&cache);
        cache.append(&cache.known(&key).entry, &[intended("a1")]).await.unwrap();
        let outdated = cache.known(&key).entry;
        cache.append(&outdated, &[accepted("a1")]).await.unwrap();
        assert!(!cache.forget(&outdated).await.unwrap(), "it was written since");
        assert_eq!(cache.known(&key).state.id(), Some("300000"));
        assert!(cache.forget(&cache.known(&key).entry).await.unwrap());
        assert_eq!(cache.known(&key).state.attempts, 0);
        // The watch broke before it told.
        ledger.say([Change::Listing, Change::Listed]);
        cache.listed().await;
        let read = cache.read(&key).await.unwrap();
        assert_eq!((read.state.attempts, ledger.get().version), (0, None), "nothing is written back");
        for task in tasks {
            task.abort();
        }
    });
}
