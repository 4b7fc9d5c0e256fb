//! How a ledger entry lies in Kubernetes.

use proptest::prelude::*;
use serde_json::json;
use tenios_api::LedgerEntry;
use tenios_api::digest::sha256_hex;
use tenios_ledger::kubernetes::{object_name, to_entry};
use tenios_ledger::{Key, Kind};

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
        assert!(name.starts_with("pno-sha256.") && name.len() == 75, "{name}");
    }
}

/// What versions before made of a name that is too long: a resource may be called like that.
#[test]
fn p26_nobody_can_name_a_resource_so_that_it_gets_anothers_entry() {
    let cut = |plain: String| {
        let digest = sha256_hex(&plain);
        let head: String = plain.chars().take(219).collect();
        format!("{}-{}", head.trim_end_matches(['.', '-']), &digest[..32])
    };
    for name in ["a".repeat(250), format!("{}a", "b.".repeat(124)), format!("c{}c", "-".repeat(248))] {
        let victim = key(Kind::Order, &name);
        let former = cut(format!("pno.shop.{name}"));
        let attacker = key(Kind::Order, former.strip_prefix("pno.shop.").unwrap());
        assert_ne!(object_name(&victim), former);
        assert_ne!(object_name(&attacker), former, "what may be there already is not its own");
        assert_ne!(object_name(&attacker), object_name(&victim));
    }
}

proptest! {
    #[test]
    fn no_two_entries_are_named_alike(
        (a, b) in (name(), name()), (n, m) in ("[a-c]{1,2}", "[a-c]{1,2}"),
    ) {
        let of = |namespace: &str, name: &str| Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() };
        let (one, other) = (of(&n, &a), of(&m, &b));
        prop_assert_eq!(one == other, object_name(&one) == object_name(&other));
        prop_assert!(object_name(&one).len() <= 253);
    }
}

/// Names around the bound, some with an end that looks like a digest.
fn name() -> impl Strategy<Value = String> {
    ("[a-b.-]{0,3}", 205..246_usize, proptest::option::of("-[0-9a-f]{32}")).prop_map(
        |(end, length, digest)| {
            let digest = digest.unwrap_or_else(|| "x".into());
            format!("x{}{end}{digest}", "y".repeat(length - digest.len()))
        },
    )
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
        why.starts_with(
            "LedgerEntry e was written by another version of the operator and can't be read: spec.kind"
        ),
        "{why}"
    );
}
