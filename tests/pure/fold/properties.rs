//! What holds of every fold, whatever happened in whichever order.

use proptest::prelude::*;
use tenios_ledger::past::Past;
use tenios_ledger::{Entry, Event, Lineage, Phase, State, Version, WriterId};

use super::{accepted, adopted, assigned, at, attempt, fold, intended, key, pushed, refused, unknown};

fn any_event() -> impl Strategy<Value = Event> {
    let which = 1..4_u8;
    prop_oneof![
        which.clone().prop_map(intended),
        which.clone().prop_map(accepted),
        which.clone().prop_map(refused),
        which.clone().prop_map(assigned),
        (which.clone(), proptest::bool::ANY).prop_map(|(n, id)| pushed(n, id, !id)),
        which.clone().prop_map(|n| Event::NotPlaced { attempt: attempt(n), at: at(3) }),
        which.clone().prop_map(unknown),
        (proptest::option::of(which.clone()), proptest::option::of(which.clone()))
            .prop_map(|(id, number)| adopted(id, number)),
        which.prop_map(|n| Event::NotProcessed {
            attempt: attempt(n),
            at: at(3),
            why: "w".into(),
            retry_after: None
        }),
    ]
}

/// Whether the newest events of an entry say that the request placed nothing.
fn came_to_nothing(entry: &Entry, open: &State) -> bool {
    entry.events.iter().any(|event| match event {
        Event::Refused { attempt, .. }
        | Event::NotProcessed { attempt, .. }
        | Event::NotPlaced { attempt, .. } => open.attempt() == Some(attempt),
        _ => false,
    })
}

/// The entry after these events, one append each.
fn line(from: Entry, events: &[Event]) -> Entry {
    events.iter().fold(from, |entry, event| entry.with(std::slice::from_ref(event), WriterId::random()))
}

proptest! {
    #[test]
    fn folding_older_events_away_changes_nothing(events in proptest::collection::vec(any_event(), 0..60)) {
        let entry = line(Entry::empty(key()), &events);
        // What is folded is in the history, and nothing is decided by that.
        let state = State { past: Past::default(), ..entry.state() };
        prop_assert_eq!(state, fold(&events));
        let stored: State = serde_json::from_value(serde_json::to_value(&entry.snapshot).unwrap()).unwrap();
        prop_assert_eq!(stored, entry.snapshot);
    }

    #[test]
    fn p10_no_id_that_the_provider_gave_is_ever_forgotten(events in proptest::collection::vec(any_event(), 0..60)) {
        let state = fold(&events);
        for event in &events {
            if let Event::Accepted { id, .. }
            | Event::Assigned { order_id: id, .. }
            | Event::Pushed { order_id: Some(id), .. } = event
            {
                let kept = state.id() == Some(id) || state.strays.iter().any(|s| s.id == *id);
                prop_assert!(kept, "{id} is lost in {state:?}");
            }
        }
    }

    #[test]
    fn p10_no_number_that_was_pushed_is_ever_forgotten(events in proptest::collection::vec(any_event(), 0..60)) {
        let state = fold(&events);
        for event in &events {
            if let Event::Assigned { number, .. } | Event::Pushed { number: Some(number), .. } = event {
                let kept = state.number.as_ref().is_some_and(|n| n.number == *number)
                    || state.strays.iter().any(|s| s.number.as_ref() == Some(number));
                prop_assert!(kept, "{number} is lost in {state:?}");
            }
        }
    }

    #[test]
    fn p18_a_number_that_was_pushed_stays_with_its_order(events in proptest::collection::vec(any_event(), 0..60)) {
        let mut state = State::default();
        for event in &events {
            let before = state.clone();
            state = state.then(event);
            // A person may say that it is another order; else nothing changes a number that is known.
            let same = before.id() == state.id() || before.id().is_none();
            if let Some(number) = before.number.filter(|n| same && (n.pushed || !matches!(event, Event::Adopted { .. }))) {
                prop_assert_eq!(&state.number.as_ref().unwrap().number, &number.number);
            }
        }
    }

    #[test]
    fn p12_what_two_lines_of_an_entry_know_stands_in_the_one_that_they_become(
        shared in proptest::collection::vec(any_event(), 0..20),
        ours in proptest::collection::vec(any_event(), 0..24),
        theirs in proptest::collection::vec(any_event(), 0..24),
    ) {
        let shared = line(Entry::empty(key()), &shared);
        let (ours, theirs) = (line(shared.clone(), &ours), line(shared, &theirs));
        let theirs = Entry { version: Some(Version::new("theirs".into())), ..theirs };
        let (base, events) = ours.reunited(&theirs);
        prop_assert_eq!(&base.version, &theirs.version, "compared with what is stored");
        let both = base.with(&events, WriterId::random());
        prop_assert!(both.revision > ours.revision && both.revision > theirs.revision);
        for (line, whose) in [(&ours, "ours"), (&theirs, "theirs")] {
            let (state, mut known) = (both.state(), line.state());
            if whose == "theirs" && ours.lineage(&theirs) == Lineage::Earlier {
                // But that it was written back.
                let without_past = |state: State| State { past: Past::default(), ..state };
                let (state, ours) = (without_past(state), without_past(ours.state()));
                prop_assert_eq!(state, ours, "what is only our past adds nothing");
                continue;
            }
            if whose == "theirs" && came_to_nothing(&ours, &known) {
                // It is open in theirs only because that does not know how it ended.
                known.phase = Phase::Idle;
            }
            prop_assert!(state.covers(&known), "{whose}: {known:?}\n{state:?}");
            let lineage = line.lineage(&both);
            prop_assert!(matches!(lineage, Lineage::Later | Lineage::Diverged), "{whose}: {lineage:?}");
            if known.is_undecided() {
                prop_assert!(state.is_undecided() || state.accepted.is_some(), "{whose}: {state:?}");
            }
        }
    }

    #[test]
    fn p12_an_entry_is_told_from_its_past_its_future_and_another_line(
        shared in proptest::collection::vec(any_event(), 1..20),
        ours in proptest::collection::vec(any_event(), 0..8),
        theirs in proptest::collection::vec(any_event(), 1..12),
    ) {
        let shared = line(Entry::empty(key()), &shared);
        let (ours, theirs) = (line(shared.clone(), &ours), line(shared.clone(), &theirs));
        prop_assert_eq!(ours.lineage(&ours.clone()), Lineage::Same);
        prop_assert_eq!(shared.lineage(&theirs), Lineage::Later);
        prop_assert_eq!(theirs.lineage(&shared), Lineage::Earlier);
        if ours.revision > shared.revision {
            prop_assert_eq!(ours.lineage(&theirs), Lineage::Diverged);
        }
    }
}
