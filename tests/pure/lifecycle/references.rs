//! What an order refers to: a verification, a link.

use serde_json::json;
use tenios_operator::api::{PhoneVerificationSpec, Reason};
use tenios_operator::ledger::{Account, Event, State};
use tenios_operator::lifecycle::order::{Link, Verification, decide};
use tenios_operator::lifecycle::{Decision, Found};

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

#[test]
fn p24_an_order_that_links_to_itself_or_in_a_ring_says_so() {
    let (spec, key, state) = (spec(), key(), State::default());
    let said = |names: &[&str]| {
        let mut view = view(&spec, &state, &key);
        view.link = Link::Ring(names.iter().map(|name| (*name).to_owned()).collect());
        match decide(&view) {
            Decision::Rest(standing) => standing.message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(said(&["a", "a"]), "spec.linkTo.orderRef names a, the order itself");
    assert_eq!(said(&["a", "b", "a"]), "spec.linkTo.orderRef forms a cycle: a -> b -> a");
}

#[test]
fn an_order_waits_until_its_verification_is_approved_probed_or_proven() {
    let (spec, key, state) = (spec(), key(), State::default());
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
        view.access_key = Some(Found::Usable(Account::recorded("acc0")));
        view.verification = Verification::Found { name: "v", spec: Some(&of), state: &adopted, proven };
        match decide(&view) {
            Decision::Send(terms) => terms["verificationId"] == "v9",
            Decision::Rest(standing) => {
                assert_eq!(standing.reason, Reason::AwaitingApproval);
                let way = ": kubectl tenios approve v, or spec.approval: Approved in its manifest";
                assert_eq!(standing.message.ends_with(way), approval == "Pending", "{}", standing.message);
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
