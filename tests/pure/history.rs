//! What an entry still tells when its events are folded.

use jiff::Timestamp;
use serde_json::json;
use tenios_ledger::past::What;
use tenios_ledger::{AttemptId, Entry, Event, Key, Kind, Refusal, State, Terms, WriterId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn attempt(n: i64) -> AttemptId {
    AttemptId::parse(&format!("a{n}")).unwrap()
}

fn empty() -> Entry {
    Entry::empty(Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() })
}

fn and_then(entry: &Entry, event: Event) -> Entry {
    entry.with(&[event], WriterId::random())
}

fn intended(n: i64) -> Event {
    Event::Intended { attempt: attempt(n), at: at(n), terms: Terms::new() }
}

/// Intended and refused with this code.
fn refused(entry: &Entry, n: i64, code: &str) -> Entry {
    let refusal =
        Refusal { code: code.into(), message: "m".repeat(900), fields: vec!["f".into()], can_pass: true };
    let open = and_then(entry, intended(n));
    and_then(&open, Event::Refused { attempt: attempt(n), at: at(n), refusal })
}

fn told(entry: &Entry) -> Vec<(What, u64, Option<String>)> {
    let history = entry.history();
    let line = |line: &tenios_ledger::past::Line| {
        (line.what, line.times, line.attempt.as_ref().map(ToString::to_string))
    };
    history.lines().iter().map(line).collect()
}

#[test]
fn what_was_refused_for_weeks_is_one_line_and_what_a_person_said_stays() {
    let mut entry = empty();
    for n in 0..40 {
        entry = refused(&entry, n, "BUSY");
    }
    entry = and_then(&entry, intended(40));
    entry = and_then(&entry, Event::Unknown { attempt: attempt(40), at: at(40), why: "a reset".into() });
    entry = and_then(&entry, Event::NotPlaced { attempt: attempt(40), at: at(41) });
    for n in 42..82 {
        entry = refused(&entry, n, "BUSY");
    }
    assert!(entry.events.len() < 17, "{} events", entry.events.len());
    assert_eq!(
        told(&entry),
        [
            (What::Refused, 40, Some("a39".into())),
            (What::Unknown, 1, Some("a40".into())),
            (What::NotPlaced, 1, Some("a40".into())),
            (What::Refused, 40, Some("a81".into())),
        ]
    );
    let history = entry.history();
    assert_eq!((history.lines()[0].first, history.lines()[0].at), (Some(at(0)), at(39)));
    assert!(history.lines()[0].why.starts_with("BUSY: mmm") && history.lines()[0].why.len() == 256);
    assert_eq!(history.omitted(), 0);
}

/// The half that is folded may end between an intent and its outcome.
#[test]
fn an_outcome_finds_its_intent_wherever_the_events_were_cut() {
    for before in 0..12 {
        let mut entry = empty();
        for n in 0..before {
            entry = and_then(&entry, Event::NotPlaced { attempt: attempt(n), at: at(n) });
        }
        for n in 100..120 {
            entry = refused(&entry, n, "BUSY");
        }
        let refusals: Vec<_> =
            told(&entry).into_iter().filter(|(what, ..)| *what != What::NotPlaced).collect();
        assert_eq!(refusals, [(What::Refused, 20, Some("a119".into()))], "{before}");
    }
}

#[test]
fn p26_a_history_that_never_repeats_itself_keeps_how_it_began_and_the_newest() {
    let mut entry = empty();
    for n in 0..10_000 {
        entry = refused(&entry, n, &format!("CODE_{n}"));
    }
    let history = entry.history();
    let codes: Vec<&str> = history.lines().iter().map(|line| line.why.split(':').next().unwrap()).collect();
    assert_eq!((codes.len(), codes[0], codes[7], codes[31]), (32, "CODE_0", "CODE_7", "CODE_9999"));
    assert_eq!(codes[8], "CODE_9976");
    assert_eq!(history.omitted(), 10_000 - 32);
    let size = json!(entry.snapshot.past).to_string().len();
    println!("a history after 10,000 different refusals: {size} bytes");
    assert!(size < 16 * 1024, "{size} bytes");
}

#[test]
fn no_event_adds_to_the_history_before_it_is_folded_so_that_it_is_told_once() {
    let mut entry = empty();
    for n in 0..8 {
        entry = refused(&entry, n, &format!("CODE_{n}"));
    }
    assert!(entry.state().past.is_empty(), "nothing is folded yet");
    assert_eq!(told(&entry).len(), 8);
    entry = refused(&entry, 8, "CODE_8");
    assert!(!entry.state().past.is_empty());
    assert_eq!(told(&entry).len(), 9);
}

#[test]
fn an_entry_of_a_version_without_history_is_read_and_goes_on_with_one() {
    let stored = json!({"attempts": 20, "phase": {"phase": "NotPlaced", "attempt": "a1"}});
    let snapshot: State = serde_json::from_value(stored).unwrap();
    let mut entry = Entry { snapshot, revision: 40, ..empty() };
    assert_eq!(told(&entry), []);
    for n in 0..10 {
        entry = refused(&entry, n, "BUSY");
    }
    assert_eq!(told(&entry), [(What::Refused, 10, Some("a9".into()))]);
    // And what a later version may tell is no reason to lose the entry.
    let later = json!({"past": {"lines": [{"what": "Cancelled", "at": "2026-11-26T10:00:00Z", "by": "x"}]}});
    let state: State = serde_json::from_value(later).unwrap();
    assert_eq!(state.past.lines()[0].what, What::Other);
}

#[test]
fn a_ledger_that_was_set_back_and_mended_says_so_once() {
    let before = refused(&empty(), 1, "BUSY");
    let mut known = refused(&before, 2, "BUSY");
    for _ in 0..3 {
        // What is stored is older than what is known, as after a restore.
        let (base, events) = known.reunited(&before);
        assert_eq!(events, []);
        known = base.with(&events, WriterId::random());
    }
    assert_eq!(told(&known), [(What::WrittenBack, 1, None), (What::Refused, 2, Some("a2".into()))]);
    assert_eq!(known.history().lines()[0].at, at(2), "then or later");
}
