//! What an order refers to: a verification, a link.

use proptest::prelude::*;
use serde_json::json;
use tenios_api::verification::Approval;
use tenios_api::{PhoneNumber, PhoneVerificationSpec, Reason, ResourceRef};
use tenios_ledger::{Event, Key, State};
use tenios_lifecycle::{Decision, Intent, SeenVerification, decide};

use crate::decision_inputs::Others;

use super::{NOW, after, at, attempt, key, reason, spec, terms, view};

#[test]
fn p12_another_link_than_the_one_that_was_ordered_is_a_conflict() {
    let (mut spec, key) = (spec(), key());
    let mut terms = terms();
    terms.insert("spec.linkTo.phoneNumber".into(), "+49221".into());
    terms.insert("linkToNumber".into(), "+49221".into());
    let intended = Event::Intended { attempt: attempt(), at: at(NOW - 10), terms };
    let accepted = Event::Accepted { attempt: attempt(), at: at(NOW - 9), id: "1".into() };
    let state = after(&[intended, accepted]);
    for (link, conflicts) in [(Some("+49221"), false), (Some("+49222"), true), (None, true)] {
        spec.link_to = link.map(|number| serde_json::from_value(json!({"phoneNumber": number})).unwrap());
        let reason = reason(&decide(&view(&spec, &state, &key)));
        assert_eq!(reason == Some(Reason::Conflict), conflicts, "{link:?}: {reason:?}");
    }
}

/// What the order `a` says of its link.
fn linked(orders: &[(&str, Option<&str>)]) -> (Reason, String) {
    let others = Others { orders, ..Others::default() };
    let (mut spec, state) = (spec(), State::default());
    let target = orders[0].1;
    spec.link_to = target.map(|name| serde_json::from_value(json!({"orderRef": {"name": name}})).unwrap());
    let key = Key { name: "a".into(), ..key() };
    let mut view = view(&spec, &state, &key);
    view.around = &others;
    match decide(&view) {
        Decision::Rest(summary) => (summary.reason, summary.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn p24_an_order_that_links_to_itself_or_in_a_ring_says_so() {
    let says = |orders: &[(&str, Option<&str>)], reason, message: &str| {
        assert_eq!(linked(orders), (reason, message.to_owned()));
    };
    let (ring, waits) = (Reason::InvalidSpec, Reason::AwaitingLinkTarget);
    says(&[("a", Some("a"))], ring, "spec.linkTo.orderRef names a, the order itself");
    let two = [("a", Some("b")), ("b", Some("a"))];
    says(&two, ring, "spec.linkTo.orderRef forms a cycle: a -> b -> a");
    let beside = [("a", Some("b")), ("b", Some("c")), ("c", Some("b"))];
    says(&beside, ring, "spec.linkTo.orderRef forms a cycle: b -> c -> b");
    let itself = [("a", Some("b")), ("b", Some("b"))];
    says(&itself, ring, "spec.linkTo.orderRef names b, the order itself");
    says(&[("a", Some("b")), ("b", None)], waits, "waiting for the number of PhoneNumberOrder b");
    says(&[("a", Some("b")), ("b", Some("c"))], waits, "waiting for the number of PhoneNumberOrder b");
    says(&[("a", Some("b"))], waits, "waiting for PhoneNumberOrder b, which does not exist");
}

proptest! {
    #[test]
    fn p24_whatever_links_to_what_a_ring_is_found_and_nothing_else_is_taken_for_one(
        links in proptest::collection::vec(proptest::option::of(0..6_usize), 1..6),
    ) {
        const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        let mut orders: Vec<_> = links.iter().zip(NAMES).map(|(to, name)| (name, to.map(|to| NAMES[to]))).collect();
        orders[0].1 = orders[0].1.or(Some("a"));
        let next = |name: &str| orders.iter().find(|(order, _)| *order == name).and_then(|(_, to)| *to);
        let endless = (0..=orders.len()).try_fold("a", |name, _| next(name)).is_some();
        let (reason, message) = linked(&orders);
        prop_assert_eq!(reason == Reason::InvalidSpec, endless, "{:?}: {}", &orders, &message);
        if let Some(ring) = message.strip_prefix("spec.linkTo.orderRef forms a cycle: ") {
            let ring: Vec<_> = ring.split(" -> ").collect();
            prop_assert!(ring.windows(2).all(|pair| next(pair[0]) == Some(pair[1])), "{:?}: {}", &orders, &message);
            prop_assert_eq!(ring.first(), ring.last());
        }
    }
}

/// However the spec names the verification and the link.
#[test]
fn p12_what_is_recorded_of_an_order_is_what_is_sent_and_what_its_spec_is_held_to() {
    let (key, state) = (key(), State::default());
    let number = || PhoneNumber::try_from("+4922199").unwrap();
    let submitted =
        SeenVerification::Submitted { id: "v9".into(), approval: Approval::Approved, proven: false };
    let others = Others {
        verification: Some(submitted),
        orders: &[("b", None)],
        number: Some(number()),
        ..Others::default()
    };
    for verification in [json!({"verificationId": "v9"}), json!({"verificationRef": {"name": "v"}})] {
        for link in [json!(null), json!({"phoneNumber": number()}), json!({"orderRef": {"name": "b"}})] {
            let mut wanted = verification.clone();
            wanted["linkTo"] = link.clone();
            let spec = serde_json::from_value(wanted).unwrap();
            let mut view = view(&spec, &state, &key);
            view.around = &others;
            let Decision::Send(intent) = decide(&view) else { panic!("{verification} {link}: it must send") };
            let recorded = intent.recorded();
            let sent = |name| {
                intent.fields().into_iter().find(|(field, _)| field.name() == name).map(|(_, value)| value)
            };
            assert_eq!((sent("verification_id"), &*recorded["verificationId"]), (Some("v9".into()), "v9"));
            let expected = (!link.is_null()).then(|| number().to_string());
            assert_eq!(
                (sent("link_to_number"), recorded.get("linkToNumber")),
                (expected.clone(), expected.as_ref())
            );
            let intended = Event::Intended { attempt: attempt(), at: at(NOW), terms: recorded };
            let accepted = Event::Accepted { attempt: attempt(), at: at(NOW), id: "1".into() };
            let placed = after(&[intended, accepted]);
            view.state = &placed;
            assert_eq!(reason(&decide(&view)), Some(Reason::AwaitingNumber), "{verification} {link}");
        }
    }
}

#[test]
fn an_order_waits_until_its_verification_is_approved_probed_or_proven() {
    let (key, state) = (key(), State::default());
    let mut spec = spec();
    (spec.verification_id, spec.verification_ref) = (None, Some(ResourceRef { name: "v".into() }));
    let adopted = after(&[Event::Adopted {
        at: at(NOW),
        id: Some("v9".into()),
        number: None,
        account: None,
        own: false,
    }]);
    let sends = |approval: &str, proven: bool| {
        let of = json!({
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
            "areaCode": "221", "approval": approval,
            "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "d", "key": "k"}},
        });
        let of: PhoneVerificationSpec = serde_json::from_value(of).unwrap();
        let mut view = view(&spec, &state, &key);
        let seen = SeenVerification::of(Some(&of), &adopted, |id| proven && id == "v9");
        let around = Others { verification: Some(seen), ..Others::default() };
        view.around = &around;
        match decide(&view) {
            Decision::Send(intent) => intent.recorded()["verificationId"] == "v9",
            Decision::Rest(summary) => {
                let stalled = approval == "Rejected";
                let expected = if stalled { Reason::VerificationRejected } else { Reason::AwaitingApproval };
                assert_eq!((summary.reason, summary.reason.stalls()), (expected, stalled));
                let way =
                    ", run: kubectl tenios approve v -n shop, or set spec.approval: Approved in its manifest";
                assert_eq!(summary.message.ends_with(way), approval == "Pending", "{}", summary.message);
                false
            }
            other => panic!("{other:?}"),
        }
    };
    for (approval, proven, expected) in [
        ("Pending", false, false),
        ("Pending", true, true),
        ("Probe", false, true),
        ("Approved", false, true),
        ("Rejected", true, false),
    ] {
        assert_eq!(sends(approval, proven), expected, "{approval} {proven}");
    }
}
