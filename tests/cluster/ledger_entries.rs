//! How entries lie in the cluster: whose is whose, and what others put on them.

use std::collections::BTreeMap;

use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::json;
use tenios_api::LedgerEntry;
use tenios_api::digest::sha256_hex;
use tenios_api::order::OrderState;
use tenios_ledger::kubernetes::object_name;
use tenios_ledger::{Key, Kind};

use crate::cli::Plugin;
use crate::testbed::{ORDER, Testbed};

fn entries(w: &Testbed) -> Api<LedgerEntry> {
    Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace)
}

/// The name that versions before gave to the entry of an order whose own name is too long for one.
fn former_name(namespace: &str, name: &str) -> String {
    let plain = format!("pno.{namespace}.{name}");
    let head: String = plain.chars().take(219).collect();
    let digest = sha256_hex(&plain);
    format!("{}-{}", head.trim_end_matches(['.', '-']), &digest[..32])
}

/// Two names that had one entry: a long one, and what it was cut to.
fn colliding(namespace: &str) -> (String, String) {
    let long = "a".repeat(253);
    let cut = former_name(namespace, &long);
    let cut = cut.strip_prefix(&format!("pno.{namespace}.")).unwrap().to_owned();
    (long, cut)
}

#[tokio::test]
async fn p26_two_orders_whose_names_once_collided_are_each_ordered_once_and_forgotten_alone() {
    let w = Testbed::new("collide").await;
    let (long, cut) = colliding(&w.namespaces.namespace);
    for name in [&cut, &long] {
        w.plain_order(name).await;
    }
    for name in [&cut, &long] {
        w.order_at(name, OrderState::Assigned).await;
    }
    assert_eq!(w.requests(ORDER), 2);
    w.no_more_requests(ORDER, 2).await;
    w.namespaces.quiet().await;
    assert_eq!(w.ledger().await.len(), 2);

    w.delete_order(&cut).await;
    Plugin::of(&w.namespaces).await.run(&["ledger", "forget", &format!("pno/{cut}"), "--yes"]).await.done();
    let left: Vec<_> = w.ledger().await.into_iter().map(|entry| entry.spec.name).collect();
    assert_eq!(left, [long]);
}

/// As an earlier version left it: by its former name, and without writers.
#[tokio::test]
async fn p12_an_entry_by_its_former_name_is_found_and_is_nobody_elses() {
    let w = Testbed::new("former").await;
    w.operator.kill().await;
    let namespace = &w.namespaces.namespace;
    let (long, cut) = colliding(namespace);
    let accepted = json!({"type": "Accepted", "attempt": "a1", "at": "2026-11-01T00:00:00Z", "id": "312345"});
    let entry = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "LedgerEntry",
        "metadata": {"name": former_name(namespace, &long)},
        "spec": {
            "kind": "PhoneNumberOrder", "namespace": namespace, "name": long, "revision": 2, "snapshot": {},
            "events": [
                {"type": "Intended", "attempt": "a1", "at": "2026-11-01T00:00:00Z", "terms": {}},
                accepted,
            ],
        },
    });
    entries(&w).create(&PostParams::default(), &serde_json::from_value(entry).unwrap()).await.unwrap();
    w.operator.restart().await;
    w.plain_order(&long).await;
    w.plain_order(&cut).await;
    let found = w.order_at(&long, OrderState::AwaitingNumber).await;
    assert_eq!(found.status.unwrap().order_id.as_deref(), Some("312345"));
    w.order_at(&cut, OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;

    w.delete_order(&long).await;
    Plugin::of(&w.namespaces).await.run(&["ledger", "forget", &format!("pno/{long}"), "--yes"]).await.done();
    let left: Vec<_> = w.ledger().await.into_iter().map(|entry| entry.spec.name).collect();
    assert_eq!(left, [cut]);
}

/// What stands where an order's entry belongs holds that order up, and nothing else.
#[tokio::test]
async fn p24_p26_an_entry_of_another_key_is_named_and_holds_up_one_order_alone() {
    let w = Testbed::new("another-key").await;
    let namespace = w.namespaces.namespace.clone();
    let key = Key { kind: Kind::Order, namespace: namespace.clone(), name: "mine".into() };
    let entry = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "LedgerEntry", "metadata": {"name": object_name(&key)},
        "spec": {"kind": "PhoneNumberOrder", "namespace": namespace, "name": "other", "revision": 1, "snapshot": {}, "events": []},
    });
    entries(&w).create(&PostParams::default(), &serde_json::from_value(entry).unwrap()).await.unwrap();
    w.plain_order("mine").await;
    let status = w.order_at("mine", OrderState::Waiting).await.status.unwrap();
    let message = status.conditions.iter().map(|c| c.message.as_str()).collect::<Vec<_>>().join("\n");
    assert!(message.contains(&object_name(&key)), "{message}");
    w.plain_order("next").await;
    w.order_at("next", OrderState::Assigned).await;
    w.no_more_requests(ORDER, 1).await;
    // It is not tried without a pause.
    w.namespaces.quiet().await;
}

#[tokio::test]
async fn what_others_put_on_an_entry_stays() {
    let w = Testbed::new("labelled").await;
    w.simulator.set(|s| s.push.when = tenios_simulator::PushTime::Never);
    w.plain_order("o").await;
    w.order_at("o", OrderState::AwaitingNumber).await;
    let name = w.ledger().await[0].name_any();
    let labelled = json!({"metadata": {
        "labels": {"velero.io/backup": "daily"}, "annotations": {"note": "x"}, "finalizers": ["example.org/keep"],
    }});
    entries(&w).patch(&name, &PatchParams::default(), &Patch::Merge(labelled)).await.unwrap();
    w.push(json!({})).await;
    w.order_at("o", OrderState::Assigned).await;
    let entry = entries(&w).get(&name).await.unwrap();
    let expected = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    assert_eq!(entry.labels(), &expected("velero.io/backup", "daily"));
    assert_eq!(entry.annotations(), &expected("note", "x"));
    assert_eq!(entry.finalizers(), ["example.org/keep"]);
    let managers: Vec<_> = entry.managed_fields().iter().filter_map(|f| f.manager.clone()).collect();
    assert!(managers.contains(&"tenios-operator".to_owned()), "{managers:?}");
    let open = json!({"metadata": {"finalizers": null}});
    entries(&w).patch(&name, &PatchParams::default(), &Patch::Merge(open)).await.unwrap();
}

#[tokio::test]
async fn every_request_to_the_apiserver_says_who_asks() {
    let w = Testbed::new("agent").await;
    let mark = w.namespaces.control_plane.audit().mark();
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.namespaces.quiet().await;
    let asked = w.namespaces.control_plane.audit().since(mark).by(&w.namespaces.operator_identity().user());
    assert!(asked.len() > 5, "{asked}");
    let agent = concat!("tenios-operator/", env!("CARGO_PKG_VERSION"));
    for request in asked.0 {
        assert_eq!(request.user_agent, agent, "{request:?}");
    }
    let order = w.order_at("o", OrderState::Assigned).await;
    let managers: Vec<_> = order.managed_fields().iter().filter_map(|f| f.manager.clone()).collect();
    assert!(managers.contains(&"tenios-operator".to_owned()), "{managers:?}");
}
