//! How a ledger entry lies in Kubernetes.

use serde_json::json;
use tenios_operator::api::LedgerEntry;
use tenios_operator::ledger::kubernetes::{object_name, to_entry};
use tenios_operator::ledger::{Key, Kind};

fn key(kind: Kind, name: &str) -> Key {
    Key { kind, namespace: "shop".into(), name: name.into() }
}

#[test]
fn an_entry_is_named_after_its_resource_and_no_two_are_named_alike() {
    assert_eq!(object_name(&key(Kind::Order, "main-line")), "pno.shop.main-line");
    assert_eq!(object_name(&key(Kind::Verification, "office")), "pver.shop.office");
    let fits = "a".repeat(253 - "pno.shop.".len());
    assert_eq!(object_name(&key(Kind::Order, &fits)), format!("pno.shop.{fits}"));
    let (long, other) = (format!("{fits}a"), format!("{fits}b"));
    let [long, other] = [long, other].map(|name| object_name(&key(Kind::Order, &name)));
    assert_ne!(long, other);
    for name in [long, other] {
        assert_eq!(name.len(), 252, "{name}");
        assert!(name.starts_with("pno.shop.aaa") && name.as_bytes()[219] == b'-', "{name}");
    }
}

#[test]
fn an_entry_of_another_kind_is_read_by_no_one() {
    let of = |kind: &str| {
        let spec = json!({"kind": kind, "namespace": "shop", "name": "o", "revision": 3, "snapshot": {}, "events": []});
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "LedgerEntry", "metadata": {"name": "e"}, "spec": spec});
        to_entry(&serde_json::from_value::<LedgerEntry>(object).unwrap())
    };
    assert_eq!(of("PhoneNumberOrder").unwrap().key, key(Kind::Order, "o"));
    assert_eq!(of("PhoneVerification").unwrap().key, key(Kind::Verification, "o"));
    let why = of("Fax").unwrap_err();
    assert!(
        why.starts_with("LedgerEntry e was written by another version of the operator: spec.kind"),
        "{why}"
    );
}
