//! Each reason has its place in docs/reasons.md, and the messages point there.

use std::collections::BTreeSet;

use tenios_api::order::OrderState;
use tenios_api::{DOCS, PhoneNumberOrder, PhoneNumberOrderStatus, Reason, crd};
use tenios_ledger::State;
use tenios_lifecycle::{StatusSummary, project};

use super::links::headings;

const PAGE: &str = include_str!("../../../docs/reasons.md");

/// The reasons of the CRDs: the only list that is complete by itself.
fn reasons() -> BTreeSet<String> {
    let crds = serde_json::to_value(crd::all()).unwrap();
    let conditions = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/conditions";
    let path = format!("{conditions}/items/properties/reason/enum");
    let lists = crds.as_array().unwrap().iter().filter_map(|crd| crd.pointer(&path));
    lists.flat_map(|list| list.as_array().unwrap()).map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn reason(name: &str) -> Reason {
    serde_json::from_value(name.into()).unwrap()
}

/// What stands below each heading of the third level.
fn sections() -> Vec<(&'static str, &'static str)> {
    let sections = PAGE.split("\n### ").skip(1);
    sections.map(|text| text.split("\n## ").next().unwrap().split_once('\n').unwrap()).collect()
}

#[test]
fn every_reason_has_a_heading_and_every_heading_a_reason() {
    let headed: Vec<String> =
        headings(PAGE).into_iter().filter(|heading| heading.level == 3).map(|heading| heading.text).collect();
    let once: BTreeSet<String> = headed.iter().cloned().collect();
    assert_eq!(headed.len(), once.len(), "a heading stands there twice: {headed:?}");
    assert_eq!(once, reasons());
}

#[test]
fn each_section_tells_what_happens_automatically_and_what_to_do() {
    for (name, text) in sections() {
        for part in ["Automatically: ", "What to do"] {
            assert!(text.lines().any(|line| line.starts_with(part)), "{name} has no line {part:?}");
        }
    }
}

#[test]
fn a_message_ends_with_its_anchor_unless_there_is_nothing_left_to_do() {
    let anchors: BTreeSet<String> =
        headings(PAGE).into_iter().map(|heading| format!("{DOCS}/reasons.md#{}", heading.anchor)).collect();
    let mut done = Vec::new();
    for name in reasons() {
        let reason = reason(&name);
        let message = reason.message("something is awaited");
        if let Some(page) = reason.page() {
            assert!(anchors.contains(&page), "{page} is no anchor");
            assert!(page.ends_with(&name.to_lowercase()), "{name}: {page}");
            assert_eq!(message, format!("something is awaited (see {page})"));
        } else {
            assert_eq!(message, "something is awaited");
            done.push(name);
        }
        assert_eq!(reason.message(""), "", "what has nothing to say points nowhere");
    }
    let words = [
        "Adopted",
        "Approved",
        "Cancelled",
        "Declared",
        "NumberAssigned",
        "NumberWritten",
        "Ordered",
        "ProvenByOrder",
        "Submitted",
    ];
    assert_eq!(done, words);
}

#[test]
fn a_condition_carries_the_anchor_within_the_bound_of_the_schema() {
    for text in ["short", &"ü".repeat(5000)] {
        let standing = StatusSummary::new(OrderState::Conflict, Reason::Conflict, text);
        let before = PhoneNumberOrderStatus::default();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let status = project::<PhoneNumberOrder>(None, &State::default(), &standing, 1, &before, now);
        for condition in status.conditions.iter().filter(|condition| condition.reason == Reason::Conflict) {
            let length = condition.message.chars().count();
            let place = format!(" (see {DOCS}/reasons.md#conflict)");
            assert!(condition.message.ends_with(&place), "{}", condition.message);
            assert!(length <= 4096, "{length} characters");
        }
    }
}
