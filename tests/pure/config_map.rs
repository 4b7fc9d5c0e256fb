//! What becomes of the `ConfigMap` that an order's number is written into.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::json;
use tenios_api::{ConditionStatus, PhoneNumberOrderSpec, Reason};
use tenios_ledger::{Event, State};
use tenios_lifecycle::Recorded;
use tenios_lifecycle::config_map::{Owner, Seen, Step, Told, Wanted, next, wanted};

fn spec(name: &str) -> PhoneNumberOrderSpec {
    serde_json::from_value(json!({"verificationId": "v1", "writeNumberTo": {"configMapName": name}})).unwrap()
}

fn adopted(number: &str, id: Option<&str>) -> State {
    let (id, number) = (id.map(ToOwned::to_owned), Some(number.try_into().unwrap()));
    let at = Timestamp::UNIX_EPOCH;
    State::default().then(&Event::Adopted { at, id, number, account: None, own: false })
}

fn of_number(number: &str, id: Option<&str>) -> Wanted {
    let state = adopted(number, id);
    wanted(&spec("main-line"), &Recorded::from(&state), true, now()).unwrap().unwrap()
}

/// A number that is cancelled with this date.
fn cancelled(date: &str) -> Wanted {
    let (own, follow_up) = (adopted("+4922112345678", Some("300000")), adopted("+4922112345678", Some(date)));
    let recorded = Recorded { own: &own, follow_up: &follow_up };
    wanted(&spec("main-line"), &recorded, true, now()).unwrap().unwrap()
}

fn now() -> Timestamp {
    "2026-12-31T00:00:00Z".parse().unwrap()
}

fn main_line() -> Owner {
    Owner::order("main-line", "u1")
}

/// As it lies there once it is written.
fn written(wanted: &Wanted) -> BTreeMap<String, String> {
    let there = |(key, value): (&&str, &Option<String>)| Some(((*key).to_owned(), value.clone()?));
    wanted.data.iter().filter_map(there).collect()
}

fn rests(step: Step) -> Told {
    match step {
        Step::Rest(told) => told,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_number_is_written_in_the_forms_that_programs_ask_for() {
    let german = written(&of_number("+4922112345678", Some("300000")));
    let expected = [
        ("digits", "4922112345678"),
        ("e164", "+4922112345678"),
        ("national", "022112345678"),
        ("orderId", "300000"),
    ];
    assert_eq!(german, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    let others = written(&of_number("+43123456", None));
    assert_eq!(others.keys().collect::<Vec<_>>(), ["digits", "e164"], "no id is known, and it is not German");
}

#[test]
fn nothing_is_written_where_nobody_asks_or_before_there_is_a_number() {
    let state = adopted("+4922112345678", None);
    let plain: PhoneNumberOrderSpec = serde_json::from_value(json!({"verificationId": "v1"})).unwrap();
    assert_eq!(wanted(&plain, &Recorded::from(&state), true, now()), None);
    for (state, assigned) in [(State::default(), true), (state.clone(), false)] {
        let told = wanted(&spec("main-line"), &Recorded::from(&state), assigned, now()).unwrap().unwrap_err();
        assert_eq!((told.status, told.reason), (ConditionStatus::False, Reason::AwaitingNumber));
        assert!(!told.fails(), "that is nobody's fault");
    }
    let told = wanted(&spec("../secrets/x"), &Recorded::from(&state), true, now()).unwrap().unwrap_err();
    assert_eq!((told.reason, told.fails()), (Reason::ConfigMapNotWritten, true));
}

#[rstest]
#[case::nobodys(None, "does not belong to this order")]
#[case::a_deployments(Some(("apps", "Deployment", "main-line")), "belongs to Deployment \"main-line\"")]
#[case::another_orders(Some(("tenios.dev", "PhoneNumberOrder", "branch")), "belongs to PhoneNumberOrder \"branch\"")]
#[case::a_kind_of_that_name(Some(("other.dev", "PhoneNumberOrder", "main-line")), "belongs to PhoneNumberOrder \"main-line\"")]
#[case::a_verifications(Some(("tenios.dev", "PhoneVerification", "main-line")), "belongs to PhoneVerification \"main-line\"")]
fn p28_what_is_not_its_own_is_never_overwritten(
    #[case] controller: Option<(&str, &str, &str)>,
    #[case] whose: &str,
) {
    let wanted = of_number("+4922112345678", Some("300000"));
    let controller = controller.map(|(group, kind, name)| Owner {
        group: group.into(),
        kind: kind.into(),
        name: name.into(),
        uid: "u1".into(),
    });
    // Not even where it says the same.
    for data in [BTreeMap::new(), written(&wanted)] {
        let told = rests(next(&wanted, &Seen::Exists { controller: controller.clone(), data }, &main_line()));
        assert_eq!((told.status, told.reason), (ConditionStatus::False, Reason::ConfigMapNotOwned));
        let expected = format!("ConfigMap \"main-line\" {whose} and is left as it is");
        assert!(told.message.starts_with(&expected), "{}", told.message);
    }
}

#[test]
fn p28_what_is_its_own_is_kept_as_it_should_be() {
    let wanted = of_number("+43123456", None);
    let seen = |uid: &str, data: BTreeMap<String, String>| Seen::Exists {
        controller: Some(Owner::order("main-line", uid)),
        data,
    };
    assert_eq!(next(&wanted, &Seen::Missing, &main_line()), Step::Create);
    let told = rests(next(&wanted, &seen("u1", written(&wanted)), &main_line()));
    assert_eq!((told.status, told.reason), (ConditionStatus::True, Reason::NumberWritten));
    let with = |key: &str, value: &str| {
        let mut data = written(&wanted);
        data.insert(key.into(), value.into());
        data
    };
    // Others may put their own keys beside.
    assert!(matches!(next(&wanted, &seen("u1", with("region", "x")), &main_line()), Step::Rest(_)));
    for (what, data, uid) in [
        ("edited", with("e164", "+49"), "u1"),
        ("emptied", BTreeMap::new(), "u1"),
        ("of another number", with("national", "0221"), "u1"),
        ("of the order before it was created again", written(&wanted), "u0"),
    ] {
        assert_eq!(next(&wanted, &seen(uid, data), &main_line()), Step::Update, "{what}");
    }
}

#[test]
fn what_can_t_be_written_says_why_and_what_to_do() {
    let wanted = of_number("+4922112345678", None);
    let told = rests(next(&wanted, &Seen::Forbidden("configmaps is forbidden".into()), &main_line()));
    assert_eq!((told.reason, told.fails()), (Reason::ConfigMapForbidden, true));
    assert!(
        told.message.contains("configmaps is forbidden")
            && told.message.contains("numberConfigMaps.enabled=true"),
        "{}",
        told.message
    );
    let told = rests(next(&wanted, &Seen::Failed("a webhook".into()), &main_line()));
    assert_eq!((told.reason, told.fails()), (Reason::ConfigMapNotWritten, true));
    assert!(told.message.contains("a webhook"), "{}", told.message);
}

#[test]
fn p28_a_cancelled_number_is_told_until_its_date_and_nobody_is_told_it_later() {
    let ours = |data| Seen::Exists { controller: Some(main_line()), data };
    let before = cancelled("2027-01-01");
    let data = written(&before);
    assert_eq!((data["e164"].as_str(), data["cancellationDate"].as_str()), ("+4922112345678", "2027-01-01"));
    let told = rests(next(&before, &ours(data.clone()), &main_line()));
    assert_eq!((told.status, told.reason), (ConditionStatus::True, Reason::NumberWritten));
    assert!(told.message.contains("until 2027-01-01") && told.is_kept(), "{}", told.message);

    // The day itself, and a date that nobody can read.
    for date in ["2026-12-31", "2026-12-01", "soon"] {
        let over = cancelled(date);
        assert_eq!(next(&over, &ours(data.clone()), &main_line()), Step::Update, "{date}");
        let left = written(&over);
        assert_eq!(left.keys().collect::<Vec<_>>(), ["cancellationDate", "orderId"], "{date}");
        assert!(over.data.contains_key("e164") && over.data.contains_key("national"), "they are taken out");
        let anothers = Owner::order("branch", "u2");
        for seen in [
            ours(left),
            Seen::Missing,
            Seen::Exists { controller: Some(anothers), data: BTreeMap::new() },
            Seen::Exists { controller: None, data: data.clone() },
        ] {
            let told = rests(next(&over, &seen, &main_line()));
            assert_eq!((told.status, told.reason), (ConditionStatus::False, Reason::Cancelled), "{seen:?}");
            assert!(!told.fails() && told.is_kept(), "nobody has to do anything about it");
        }
        // It could not be taken out: somebody has to know.
        assert!(rests(next(&over, &Seen::Forbidden("no".into()), &main_line())).fails());
    }
}
