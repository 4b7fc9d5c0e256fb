//! `spec.writeNumberTo` on a real apiserver, with the shipped right and without.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{ConditionStatus, ConditionType, PhoneNumberOrder, Reason};

use crate::testbed::{ORDER, PATIENCE, Testbed, condition, ready, told};
use harness::wait;

fn spec(w: &Testbed, config_map: &str) -> Value {
    json!({"verificationId": w.approved_document(), "writeNumberTo": {"configMapName": config_map}})
}

fn maps(w: &Testbed) -> Api<ConfigMap> {
    w.namespaces.api()
}

async fn written_because(w: &Testbed, name: &str, reason: Reason) -> PhoneNumberOrder {
    w.order_where(name, &format!("NumberWritten because of {reason:?}"), |order| {
        let conditions = order.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        condition(conditions, ConditionType::NumberWritten).is_some_and(|c| c.reason == reason)
    })
    .await
}

fn said(order: &PhoneNumberOrder) -> &str {
    &condition(&order.status.as_ref().unwrap().conditions, ConditionType::NumberWritten).unwrap().message
}

async fn data(w: &Testbed, name: &str) -> BTreeMap<String, String> {
    maps(w).get(name).await.unwrap().data.unwrap_or_default()
}

#[tokio::test]
async fn p28_a_number_is_written_for_workloads_kept_as_it_is_and_goes_with_its_order() {
    let w = Testbed::hurried("written").await;
    w.namespaces.let_operator_write_config_maps().await;
    w.order("o", spec(&w, "main-line")).await;
    let order = written_because(&w, "o", Reason::NumberWritten).await;
    let status = order.status.clone().unwrap();
    let number = status.phone_number.unwrap();
    assert_eq!(ready(&status.conditions).unwrap().status, ConditionStatus::True);
    let map = maps(&w).get("main-line").await.unwrap();
    let owner = &map.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(
        (owner.kind.as_str(), &owner.name, &owner.uid),
        ("PhoneNumberOrder", &"o".to_owned(), order.metadata.uid.as_ref().unwrap())
    );
    let expected = [
        ("digits", number[1..].to_owned()),
        ("e164", number.clone()),
        ("national", number.replacen("+49", "0", 1)),
        ("orderId", "300000".to_owned()),
    ];
    let expected = expected.map(|(key, value)| (key.to_owned(), value));
    assert_eq!(data(&w, "main-line").await, BTreeMap::from(expected.clone()));

    // Whatever was done to it is put right when the order is looked at, and what others put beside it stays.
    let edit = json!({"data": {"e164": "+49", "region": "west"}, "metadata": {"labels": {"team": "sales"}}});
    maps(&w).patch("main-line", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    w.patch_order("o", json!({"spec": {"suspend": true}})).await.unwrap();
    wait::until("the number to be back", PATIENCE, async || {
        (data(&w, "main-line").await.get("e164") == Some(&number)).then_some(())
    })
    .await;
    let map = maps(&w).get("main-line").await.unwrap();
    assert_eq!(
        (map.data.unwrap()["region"].as_str(), map.metadata.labels.unwrap()["team"].as_str()),
        ("west", "sales")
    );

    // Kubernetes deletes it with the order.
    w.delete_order("o").await;
    wait::until("the ConfigMap to be gone", PATIENCE, async || {
        maps(&w).get_opt("main-line").await.unwrap().is_none().then_some(())
    })
    .await;
    // Created again with another verification it is a conflict, and of that nothing is written.
    w.order("o", spec(&w, "main-line")).await;
    let conflict = written_because(&w, "o", Reason::AwaitingNumber).await;
    assert_eq!(conflict.status.unwrap().state, Some(OrderState::Conflict));
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p12_p28_created_again_at_once_it_takes_over_what_it_wrote_before() {
    let w = Testbed::hurried("written-again").await;
    w.namespaces.let_operator_write_config_maps().await;
    let spec = spec(&w, "main-line");
    w.order("o", spec.clone()).await;
    written_because(&w, "o", Reason::NumberWritten).await;
    for _ in 0..3 {
        w.delete_order("o").await;
        let uid = w.order("o", spec.clone()).await.metadata.uid.unwrap();
        written_because(&w, "o", Reason::NumberWritten).await;
        // Whether garbage collection was quicker or not.
        wait::until("its own ConfigMap", PATIENCE, async || {
            let map = maps(&w).get_opt("main-line").await.unwrap();
            if map.is_none() {
                w.patch_order("o", json!({"metadata": {"annotations": {"look": "again"}}})).await.unwrap();
            }
            (map?.metadata.owner_references?[0].uid == uid).then_some(())
        })
        .await;
    }
    assert_eq!(w.requests(ORDER), 1);
}

#[tokio::test]
async fn p28_what_belongs_to_somebody_else_stays_as_it_is_until_it_is_gone() {
    let w = Testbed::hurried("not-owned").await;
    w.namespaces.let_operator_write_config_maps().await;
    let anothers: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "settings"}, "data": {"e164": "mine"}})).unwrap();
    let before = maps(&w).create(&PostParams::default(), &anothers).await.unwrap();
    w.order("o", spec(&w, "settings")).await;
    let order = written_because(&w, "o", Reason::ConfigMapNotOwned).await;
    assert!(said(&order).contains("\"settings\" does not belong to this order"), "{}", said(&order));
    let status = order.status.unwrap();
    assert_eq!(
        (status.state, ready(&status.conditions).unwrap().status),
        (Some(OrderState::Assigned), ConditionStatus::True)
    );
    assert_eq!(maps(&w).get("settings").await.unwrap(), before);
    wait::until("a warning", PATIENCE, async || {
        w.events()
            .await
            .iter()
            .any(|event| event.reason.as_deref() == Some("ConfigMapNotOwned"))
            .then_some(())
    })
    .await;

    // Nor does a second order take what the first one wrote.
    w.order("first", spec(&w, "shared")).await;
    written_because(&w, "first", Reason::NumberWritten).await;
    let first = maps(&w).get("shared").await.unwrap();
    w.order("second", spec(&w, "shared")).await;
    let second = written_because(&w, "second", Reason::ConfigMapNotOwned).await;
    assert!(said(&second).contains("belongs to PhoneNumberOrder \"first\""), "{}", said(&second));
    assert_eq!(maps(&w).get("shared").await.unwrap(), first);

    maps(&w).delete("settings", &DeleteParams::default()).await.unwrap();
    written_because(&w, "o", Reason::NumberWritten).await;
    assert_eq!(data(&w, "settings").await["orderId"], "300000");
}

#[tokio::test]
async fn p16_p28_a_cancelled_number_leaves_its_config_map_when_it_is_over_and_nothing_else_goes() {
    let w = Testbed::hurried("cancelled-map").await;
    w.namespaces.let_operator_write_config_maps().await;
    w.order("o", spec(&w, "main-line")).await;
    let order = written_because(&w, "o", Reason::NumberWritten).await;
    let number = order.status.unwrap().phone_number.unwrap();
    let beside = json!({"data": {"region": "west"}});
    maps(&w).patch("main-line", &PatchParams::default(), &Patch::Merge(beside)).await.unwrap();

    // The simulator gives a notice of 30 days.
    w.patch_order("o", json!({"spec": {"cancel": {"phoneNumber": number}}})).await.unwrap();
    let date = w.order_at("o", OrderState::Cancelled).await.status.unwrap().cancellation_date.unwrap();
    wait::until("the date in the ConfigMap", PATIENCE, async || {
        (data(&w, "main-line").await.get("cancellationDate") == Some(&date)).then_some(())
    })
    .await;
    assert_eq!(data(&w, "main-line").await["e164"], number);

    // The same with no notice: it is over at once.
    w.simulator.set(|s| s.cancel_notice_days = 0);
    w.order("p", spec(&w, "branch-line")).await;
    let order = written_because(&w, "p", Reason::NumberWritten).await;
    let number = order.status.unwrap().phone_number.unwrap();
    maps(&w)
        .patch("branch-line", &PatchParams::default(), &Patch::Merge(json!({"data": {"region": "west"}})))
        .await
        .unwrap();
    w.patch_order("p", json!({"spec": {"cancel": {"phoneNumber": number}}})).await.unwrap();
    let order = written_because(&w, "p", Reason::Cancelled).await;
    let date = order.status.as_ref().unwrap().cancellation_date.clone().unwrap();
    assert!(said(&order).contains(&date), "{}", said(&order));
    let left = [("cancellationDate", date.as_str()), ("orderId", "300001"), ("region", "west")];
    assert_eq!(
        data(&w, "branch-line").await,
        left.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
    );
    // What somebody else made since then under that name is theirs.
    maps(&w).delete("branch-line", &DeleteParams::default()).await.unwrap();
    let anothers = json!({"metadata": {"name": "branch-line"}, "data": {"e164": "mine"}});
    let anothers = serde_json::from_value(anothers).unwrap();
    let before = maps(&w).create(&PostParams::default(), &anothers).await.unwrap();
    w.patch_order("p", json!({"metadata": {"annotations": {"look": "again"}}})).await.unwrap();
    w.order_where("p", "told that it is not touched", |order| told(order, "does not belong to this order"))
        .await;
    assert_eq!(maps(&w).get("branch-line").await.unwrap(), before);
}

#[tokio::test]
async fn p22_p28_without_the_right_to_config_maps_the_order_says_so_and_goes_on_once_it_is_given() {
    let w = Testbed::hurried("no-right").await;
    w.order("o", spec(&w, "main-line")).await;
    let order = written_because(&w, "o", Reason::ConfigMapForbidden).await;
    assert!(said(&order).contains("numberConfigMaps.enabled=true"), "{}", said(&order));
    assert_eq!(order.status.unwrap().state, Some(OrderState::Assigned));
    let line = "tenios_numbers_not_written{reason=\"ConfigMapForbidden\"} 1";
    wait::until("the metric", PATIENCE, async || {
        w.operator.metrics().await.lines().any(|l| l == line).then_some(())
    })
    .await;
    w.namespaces.let_operator_write_config_maps().await;
    written_because(&w, "o", Reason::NumberWritten).await;
    assert!(!w.operator.metrics().await.contains("tenios_numbers_not_written{"));
    assert_eq!(w.requests(ORDER), 1);
}
