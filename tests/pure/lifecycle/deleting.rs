//! A resource that is being deleted: nothing is sent for it, and what was sent is still told.

use proptest::prelude::*;
use tenios_api::{ConditionType, PhoneNumberOrder, PhoneNumberOrderStatus, Reason};
use tenios_ledger::{Event, State};
use tenios_lifecycle::{Decision, Sender, decide, project};

use crate::decision_inputs::UNASKED;

use super::{NOW, after, any_sender, any_state, at, attempt, intended, key, reason, refused, spec, view};

#[test]
fn p25_what_was_sent_is_recorded_and_shown_although_its_resource_is_being_deleted() {
    let (spec, key) = (spec(), key());
    let accepted = Event::Accepted { attempt: attempt(), at: at(NOW - 9), id: "300000".into() };
    for (events, shown) in [
        (vec![], Reason::Deleting),
        (vec![intended()], Reason::Ordering),
        (vec![intended(), refused("NUMBER_ORDER_WRONG_LINK_NUMBER", true)], Reason::Deleting),
        (vec![intended(), accepted], Reason::AwaitingNumber),
    ] {
        let state = after(&events);
        let mut view = view(&spec, &state, &key);
        (view.deleting, view.sender) = (true, Sender::Here);
        assert_eq!(reason(&decide(&view)), Some(shown), "after {events:?}");
    }
    let mut view = view(&spec, &STATE, &key);
    view.deleting = true;
    let Decision::Rest(summary) = decide(&view) else { panic!("it rests") };
    assert_eq!(summary.requeue_after, None);
    let status =
        project::<PhoneNumberOrder>(None, &*STATE, &summary, 1, &PhoneNumberOrderStatus::default(), at(NOW));
    let types: Vec<_> = status.conditions.iter().map(|c| c.type_).collect();
    assert_eq!(types, [ConditionType::Ready, ConditionType::Ordered, ConditionType::Assigned]);
}

static STATE: std::sync::LazyLock<State> = std::sync::LazyLock::new(State::default);

proptest! {
    #[test]
    fn p25_whatever_is_known_nothing_is_read_reserved_or_sent_for_what_is_being_deleted(
        state in any_state(), sender in any_sender(), word in proptest::option::of("[a-c][0-2]"),
        suspend: bool, read: bool,
    ) {
        let (mut spec, key) = (spec(), key());
        spec.suspend = suspend;
        let mut view = view(&spec, &state, &key);
        (view.deleting, view.sender, view.not_placed) = (true, sender, word.as_deref());
        view.now = at(NOW + 1_000_000);
        if !read {
            view.answers = &UNASKED;
        }
        let decision = decide(&view);
        prop_assert!(matches!(decision, Decision::Rest(_) | Decision::Record(_)), "{decision:?}");
    }
}
