//! What is looked up across all entries: claims, proofs, and what the budget counts.

use jiff::{SignedDuration, Timestamp};
use tenios_ledger::{
    Applied, AttemptId, Entry, Event, Index, Key, Kind, Purse, Refusal, Terms, Version, WriterId, terms,
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn key(kind: Kind, name: &str) -> Key {
    Key { kind, namespace: "shop".into(), name: name.into() }
}

fn order(name: &str) -> Key {
    key(Kind::Order, name)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn intended(second: i64) -> Event {
    let terms = Terms::from([(terms::VERIFICATION_ID.to_owned(), "v1".to_owned())]);
    Event::Intended { attempt: attempt(), at: at(second), terms }
}

fn namespace(name: &str) -> Purse {
    Purse::Namespace(name.into())
}

fn accepted(id: &str) -> Event {
    Event::Accepted { attempt: attempt(), at: at(1), id: id.into() }
}

fn entry(key: Key, events: &[Event]) -> Entry {
    let version = Some(Version::new(format!("{}-{}", key.name, events.len())));
    Entry { version, ..Entry::empty(key).with(events, WriterId::random()) }
}

/// What else an entry that was news concerns.
fn news(applied: Applied) -> Vec<Key> {
    let Applied::News(related) = applied else { panic!("{applied:?}") };
    related
}

fn sorted(mut keys: Vec<Key>) -> Vec<Key> {
    keys.sort();
    keys
}

#[test]
fn only_what_was_appended_to_what_is_known_is_news() {
    let mut index = Index::default();
    let once = entry(order("o"), &[intended(0)]);
    assert_eq!(news(index.apply(&once)), []);
    assert_eq!(index.apply(&once), Applied::Known, "the same again");
    let twice = once.with(&[accepted("1")], WriterId::random());
    assert_eq!(news(index.apply(&twice)), []);
    assert_eq!(index.apply(&once), Applied::Older);
    let other = once.with(&[accepted("2")], WriterId::random());
    assert_eq!(index.apply(&other), Applied::Diverged, "of the same revision");
    let longer = other.with(&[accepted("2")], WriterId::random());
    assert_eq!(index.apply(&longer), Applied::Diverged, "of a higher revision");
    assert_eq!(index.get(&order("o")).unwrap().entry.events, twice.events);
    assert_eq!(index.len(), 1);
}

#[test]
fn labels_that_others_put_on_an_entry_change_its_version_alone() {
    let mut index = Index::default();
    let once = entry(order("o"), &[intended(0)]);
    index.apply(&once);
    let labelled = Entry { version: Some(Version::new("labelled".into())), ..once };
    assert_eq!(index.apply(&labelled), Applied::Known);
    assert_eq!(index.get(&order("o")).unwrap().entry.version, labelled.version, "what an append compares");
}

#[test]
fn an_order_that_was_taken_proves_its_verification_and_wakes_it() {
    let mut index = Index::default();
    let (verification, other) = (key(Kind::Verification, "v"), key(Kind::Verification, "other"));
    index.apply(&entry(verification.clone(), &[intended(0), accepted("v1")]));
    index.apply(&entry(other, &[intended(0), accepted("v2")]));
    assert!(!index.is_proven("v1"));
    let related = news(index.apply(&entry(order("o"), &[intended(0), accepted("300000")])));
    assert_eq!(related, [verification]);
    assert!(index.is_proven("v1") && !index.is_proven("v2"));
    index.apply(&entry(order("second"), &[intended(0), accepted("300001")]));
    index.remove(&order("o"));
    assert!(index.is_proven("v1"), "the second one proves it, too");
    index.remove(&order("second"));
    assert!(!index.is_proven("v1"));
    // A verification that is gone is woken no more.
    index.remove(&key(Kind::Verification, "v"));
    assert_eq!(news(index.apply(&entry(order("o"), &[intended(0), accepted("300000")]))), []);
}

#[test]
fn what_is_adopted_proves_nothing() {
    let mut index = Index::default();
    let adopted =
        Event::Adopted { at: at(0), id: Some("300000".into()), number: None, account: None, own: false };
    index.apply(&entry(order("o"), std::slice::from_ref(&adopted)));
    assert!(!index.is_proven("v1"));
    // Nor where a request was refused before, with the terms of that one.
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: vec![], can_pass: false };
    let refused = Event::Refused { attempt: attempt(), at: at(1), refusal };
    index.apply(&entry(order("tried"), &[intended(0), refused, adopted]));
    assert!(!index.is_proven("v1"));
}

#[test]
fn p08_what_a_list_does_not_name_is_told_and_stays_until_it_was_looked_at() {
    let mut index = Index::default();
    for name in ["a", "b", "c"] {
        index.apply(&entry(order(name), &[intended(0)]));
    }
    assert_eq!(index.end_listing(), [], "no list was begun");
    index.begin_listing();
    index.apply(&entry(order("b"), &[intended(0)]));
    assert_eq!(sorted(index.end_listing()), [order("a"), order("c")]);
    assert_eq!(index.len(), 3, "the list may be an old one");
    index.remove(&order("a"));
    index.remove(&order("b"));
    index.remove(&order("c"));
    assert_eq!(index.spent(&Purse::Operator, HOUR, at(1)), [], "what is gone counts no more");
}

#[test]
fn p14_the_budget_counts_orders_within_its_window_and_says_when_a_place_is_free() {
    let mut index = Index::default();
    for second in 0..3 {
        index.apply(&entry(order(&format!("o{second}")), &[intended(second)]));
    }
    index.apply(&entry(key(Kind::Verification, "v"), &[intended(0)]));
    let opens = |limit, reserved| index.budget_opens(&namespace("shop"), limit, HOUR, at(10), reserved);
    assert_eq!(index.spent(&namespace("shop"), HOUR, at(10)).len(), 3, "a verification costs nothing");
    assert_eq!(index.spent(&namespace("elsewhere"), HOUR, at(10)), []);
    assert_eq!(opens(4, 0), None);
    assert_eq!(opens(3, 0), Some(at(3600)), "when the oldest leaves the window");
    assert_eq!(opens(4, 1), Some(at(3600)));
    assert_eq!(opens(2, 0), Some(at(3601)), "two have to leave");
    assert_eq!(opens(3, 1), Some(at(3601)));
    assert_eq!(opens(1, 2), Some(at(3602)));
    assert_eq!(index.budget_opens(&Purse::Operator, 0, HOUR, at(10), 0), Some(at(3602)));
    assert_eq!(index.budget_opens(&namespace("elsewhere"), 1, HOUR, at(10), 1), Some(at(3610)));
    // The window ends with the second at which it is an hour old.
    assert_eq!(index.spent(&Purse::Operator, HOUR, at(3600)), [at(1), at(2)]);
    assert_eq!(index.spent(&Purse::Operator, HOUR, at(3599)), [at(0), at(1), at(2)]);
}
