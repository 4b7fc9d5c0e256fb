//! What Argo CD, Flux and Velero do to resources, by the requests that they send: apply, replace, delete and create
//! again, put a field back, restore.

use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams};
use rstest::rstest;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{ConditionType, LedgerEntry, PhoneNumberOrder, PhoneVerification, Reason};
use tenios_simulator::{Action, PushTime};

use crate::cli::Plugin;
use crate::testbed::{ORDER, PATIENCE, SILENCE, Testbed, VERIFICATION, condition, merge, message};
use harness::{Output, TestNamespaces, wait};

const FLUX: &[&str] =
    &["apply", "--server-side", "--force-conflicts", "--field-manager=kustomize-controller", "-f", "-"];
/// Where Argo CD applies on the server's side, it always forces.
const ARGO_CD_FORCING: &[&str] =
    &["apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-"];
const ARGO_CD: &[&str] = &["apply", "--server-side", "--field-manager=argocd-controller", "-f", "-"];

/// A manifest, as it stands in Git.
fn manifest(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn order(name: &str, spec: &Value) -> Value {
    manifest("PhoneNumberOrder", name, spec)
}

fn verification(name: &str, changes: Value) -> Value {
    let mut spec = json!({
        "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
        "areaCode": "221",
        "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "trade-register", "key": "extract.pdf"}},
        "approval": "Pending",
    });
    merge(&mut spec, changes);
    manifest("PhoneVerification", name, &spec)
}

async fn kubectl(w: &Testbed, arguments: &[&str], manifest: &Value) -> Output {
    w.namespaces.kubectl().run_with_input(arguments, &manifest.to_string()).await
}

/// Which order and number a resource shows.
fn ids(order: &PhoneNumberOrder) -> (Option<String>, Option<String>) {
    let status = order.status.clone().unwrap();
    (status.order_id, status.phone_number)
}

#[tokio::test]
async fn p12_pruned_while_its_number_is_on_its_way_it_has_it_when_it_comes_back() {
    let w = Testbed::new("pruned").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    let git = order("o", &json!({"verificationId": w.approved_document()}));
    kubectl(&w, FLUX, &git).await.expect_success();
    w.order_at("o", OrderState::AwaitingNumber).await;
    w.delete_order("o").await;
    assert_eq!(w.push(json!({})).await.status, Some(200));
    kubectl(&w, FLUX, &git).await.expect_success();
    let (id, number) = ids(&w.order_at("o", OrderState::Assigned).await);
    assert!(id.as_deref() == Some("300000") && number.is_some(), "{id:?} {number:?}");
    w.no_more_requests(ORDER, 1).await;
}

/// `kubectl apply --force` is what tools do that delete and create again where a field can't be changed.
#[tokio::test]
async fn p12_forced_over_a_frozen_field_it_is_a_conflict_until_git_is_set_back() {
    let w = Testbed::new("forced").await;
    let force = &["apply", "--force", "-f", "-"];
    let first = order("o", &json!({"verificationId": w.approved_document()}));
    let second = order("o", &json!({"verificationId": w.approved_document()}));
    kubectl(&w, force, &first).await.expect_success();
    let before = w.order_at("o", OrderState::Assigned).await;
    let refused = kubectl(&w, &["apply", "-f", "-"], &second).await.expect_failure();
    assert!(refused.contains("immutable"), "{refused}");
    kubectl(&w, force, &second).await.expect_success();
    let conflict = w.order_at("o", OrderState::Conflict).await;
    assert_ne!(conflict.metadata.uid, before.metadata.uid, "it was not created again");
    kubectl(&w, force, &first).await.expect_success();
    let after = w.order_at("o", OrderState::Assigned).await;
    assert_eq!(ids(&after), ids(&before));

    let first = verification("v", json!({"approval": "Approved"}));
    let second = verification("v", json!({"approval": "Approved", "areaCode": "211"}));
    kubectl(&w, force, &first).await.expect_success();
    let before = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    kubectl(&w, force, &second).await.expect_success();
    w.verification_at("v", VerificationState::Conflict).await;
    kubectl(&w, force, &first).await.expect_success();
    let after = w.verification_at("v", VerificationState::Approved).await.status.unwrap();
    assert_eq!(after.verification_id, before.verification_id);
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

/// What Argo CD does with `Replace=true`, and with `Force=true` beside it.
#[rstest]
#[case::replaced("replaced", &["replace", "-f", "-"], false)]
#[case::replaced_by_force("replaced-by-force", &["replace", "--force", "-f", "-"], true)]
#[tokio::test]
async fn p12_replaced_by_what_git_says_it_keeps_what_it_has(
    #[case] name: &str,
    #[case] replace: &[&str],
    #[case] anew: bool,
) {
    let w = Testbed::new(name).await;
    let git = [
        verification("v", json!({"approval": "Approved"})),
        order("o", &json!({"verificationRef": {"name": "v"}})),
    ];
    for manifest in &git {
        kubectl(&w, &["create", "-f", "-"], manifest).await.expect_success();
    }
    let before = w.order_at("o", OrderState::Assigned).await;
    for manifest in &git {
        kubectl(&w, replace, manifest).await.expect_success();
    }
    let after = w.order_at("o", OrderState::Assigned).await;
    assert_eq!(after.metadata.uid != before.metadata.uid, anew);
    assert_eq!(ids(&after), ids(&before));
    w.verification_at("v", VerificationState::Approved).await;
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

/// Two tools apply one resource from the server's side, one of them with a status that somebody exported into Git.
#[tokio::test]
async fn tools_that_apply_conflict_over_the_spec_and_never_over_the_status() {
    let w = Testbed::new("appliers").await;
    let id = w.approved_document();
    let mut git = order("o", &json!({"verificationId": id}));
    git["status"] =
        json!({"observedGeneration": 1, "state": "Assigned", "orderId": "1", "phoneNumber": "+49221"});
    kubectl(&w, FLUX, &git).await.expect_success();
    let before = w.order_at("o", OrderState::Assigned).await;
    assert_eq!(ids(&before).0.as_deref(), Some("300000"), "a status in Git says nothing");

    let other = order("o", &json!({"verificationId": id, "suspend": true}));
    kubectl(&w, ARGO_CD, &other).await.expect_success();
    let refused =
        kubectl(&w, ARGO_CD, &order("o", &json!({"verificationId": "another"}))).await.expect_failure();
    assert!(refused.contains("conflict with \"kustomize-controller\""), "{refused}");
    kubectl(&w, ARGO_CD, &order("o", &json!({"verificationId": id}))).await.expect_success();

    // Neither has anything to correct, and neither makes the operator write.
    let api: Api<PhoneNumberOrder> = w.namespaces.api();
    let settled = w.order_where("o", "at its generation", |o| {
        o.status.as_ref().map(|s| s.observed_generation) == o.metadata.generation
    });
    let settled = settled.await;
    let plane = w.namespaces.control_plane.clone();
    let (user, mark) = (w.namespaces.operator_identity().user(), w.namespaces.quiet().await);
    for _ in 0..3 {
        kubectl(&w, FLUX, &git).await.expect_success();
        kubectl(&w, ARGO_CD, &order("o", &json!({"verificationId": id}))).await.expect_success();
    }
    // The version is not compared: an apply may renew the time in its own managed fields.
    let shown = |o: &PhoneNumberOrder| (o.metadata.generation, o.status.clone());
    wait::holds_for(
        "the peace",
        SILENCE,
        async || api.get("o").await.unwrap(),
        |o| shown(o) == shown(&settled),
    )
    .await;
    let written = plane.requests_since(mark).await.by(&user).only(|r| r.resource.ends_with("/status"));
    assert!(written.is_empty(), "{written}");
    let owners = settled.metadata.managed_fields.unwrap();
    let of_status = owners.iter().filter(|owner| json!(owner.fields_v1).get("f:status").is_some());
    let of_status: Vec<_> = of_status.map(|owner| owner.subresource.as_deref()).collect();
    assert_eq!(of_status, [Some("status")], "only the operator writes the status");
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn an_approval_that_a_tool_puts_back_orders_once_and_stays_proven() {
    let w = Testbed::new("drift").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let git = verification("v", json!({}));
    kubectl(&w, FLUX, &git).await.expect_success();
    w.verification_because("v", Reason::AwaitingApproval).await;
    // Before there is an order: the word is gone, and nothing was ordered.
    plugin.run(&["approve", "v"]).await.done();
    w.verification_at("v", VerificationState::Approved).await;
    kubectl(&w, FLUX, &git).await.expect_success();
    w.verification_because("v", Reason::AwaitingApproval).await;
    let line = order("o", &json!({"verificationRef": {"name": "v"}}));
    kubectl(&w, FLUX, &line).await.expect_success();
    w.order_because("o", Reason::AwaitingApproval).await;
    w.no_more_requests(ORDER, 0).await;
    // After an order it is proven, whatever the tool puts back.
    plugin.run(&["approve", "v"]).await.done();
    let before = w.order_at("o", OrderState::Assigned).await;
    for manifest in [&git, &line, &git] {
        kubectl(&w, FLUX, manifest).await.expect_success();
    }
    let proven = w.verification_where("v", "proven", |v| {
        let conditions = v.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
        condition(conditions, ConditionType::Approved).is_some_and(|c| c.reason == Reason::ProvenByOrder)
    });
    proven.await;
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await), ids(&before));
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

/// As Velero restores: a new uid, its labels, and the status by a request of its own, where it is told to.
async fn restore(w: &Testbed, namespace: &str, backup: &PhoneNumberOrder, with_status: bool) {
    let mut object = json!(backup);
    let labels = json!({"velero.io/backup-name": "nightly", "velero.io/restore-name": "nightly-1"});
    object["metadata"] = json!({"name": backup.metadata.name, "labels": labels});
    let api: Api<PhoneNumberOrder> = Api::namespaced(w.namespaces.client(), namespace);
    let object: PhoneNumberOrder = serde_json::from_value(object).unwrap();
    let created = api.create(&kube::api::PostParams::default(), &object).await.unwrap();
    assert_ne!(created.metadata.uid, backup.metadata.uid);
    assert_eq!(created.status.unwrap().observed_generation, -1, "the apiserver takes no status with it");
    if with_status {
        let status = Patch::Merge(json!({"status": backup.status}));
        api.patch_status("o", &PatchParams::default(), &status).await.unwrap();
    }
}

async fn lose_the_ledger(w: &Testbed) {
    let ledger: Api<LedgerEntry> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    ledger.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    wait::until("an empty ledger", PATIENCE, async || w.ledger().await.is_empty().then_some(())).await;
}

/// Without both it is a new order, unless it carries its ids: see docs/ledger.md.
#[rstest]
#[case::with_ledger_and_status("restored-both", true, true)]
#[case::with_the_ledger("restored-ledger", true, false)]
#[case::with_the_status("restored-status", false, true)]
#[tokio::test]
async fn p12_p13_restored_it_shows_what_it_had(
    #[case] name: &str,
    #[case] ledger: bool,
    #[case] status: bool,
) {
    let w = Testbed::new(name).await;
    // So that the generation of the backup is not that of the restored resource.
    w.plain_order("o").await;
    w.order_at("o", OrderState::Assigned).await;
    w.patch_order("o", json!({"spec": {"suspend": true}})).await.unwrap();
    let backup = w.order_where("o", "at its generation", |o| {
        o.status.as_ref().is_some_and(|s| s.observed_generation == 2 && s.state == Some(OrderState::Assigned))
    });
    let backup = backup.await;
    w.operator.kill().await;
    w.delete_order("o").await;
    if !ledger {
        lose_the_ledger(&w).await;
    }
    restore(&w, &w.namespaces.namespace, &backup, status).await;
    w.operator.restart().await;
    let after = w.order_where("o", "assigned at its own generation", |o| {
        o.status.as_ref().is_some_and(|s| s.observed_generation == 1 && s.state == Some(OrderState::Assigned))
    });
    assert_eq!(ids(&after.await), ids(&backup));
    w.no_more_requests(ORDER, 1).await;
}

#[tokio::test]
async fn p03_p13_what_nobody_knew_is_still_unknown_after_a_restore_without_the_ledger() {
    let w = Testbed::hurried("restored-unknown").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    let backup = w.order_at("o", OrderState::OutcomeUnknown).await;
    w.operator.kill().await;
    w.delete_order("o").await;
    lose_the_ledger(&w).await;
    restore(&w, &w.namespaces.namespace, &backup, true).await;
    w.operator.restart().await;
    w.order_where("o", "unknown at its own ledger entry", |o| {
        o.status.as_ref().is_some_and(|s| s.state == Some(OrderState::OutcomeUnknown))
    })
    .await;
    wait::until("the entry to be back", PATIENCE, async || (w.ledger().await.len() == 1).then_some(())).await;
    w.no_more_requests(ORDER, 1).await;
    w.patch_order("o", json!({"spec": {"adopt": {"orderId": "300000"}}})).await.unwrap();
    w.order_at("o", OrderState::AwaitingNumber).await;
    w.no_more_requests(ORDER, 1).await;
}

/// As while the operator's namespace is on its way out, or before its roles are restored.
#[tokio::test]
async fn p12_a_ledger_that_is_lost_and_can_not_be_written_yet_is_not_forgotten_by_the_status_too() {
    let w = Testbed::new("restored-readonly").await;
    w.approved().await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    let before = w.order_at("o", OrderState::Assigned).await;
    w.operator.kill().await;
    lose_the_ledger(&w).await;
    let roles: Api<Role> = Api::namespaced(w.namespaces.client(), &w.namespaces.operator_namespace);
    let verbs = async |verbs: Value| {
        let patch = json!([{"op": "replace", "path": "/rules/0/verbs", "value": verbs}]);
        let patch: Patch<()> = Patch::Json(serde_json::from_value(patch).unwrap());
        roles.patch("tenios-operator", &PatchParams::default(), &patch).await.unwrap();
    };
    verbs(json!(["get", "list", "watch"])).await;
    w.operator.restart().await;
    let unavailable = w.order_because("o", Reason::LedgerUnavailable).await;
    assert_eq!(ids(&unavailable), ids(&before));
    w.verification_because("v", Reason::LedgerUnavailable).await;
    verbs(json!(["get", "list", "watch", "create", "update"])).await;
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await), ids(&before));
    w.verification_at("v", VerificationState::Approved).await;
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}

/// What a tool makes of a new name in Git: it creates the one and prunes the other. The manifest carries the ids.
#[tokio::test]
async fn p15_renamed_it_is_a_conflict_until_the_old_name_is_forgotten_and_never_an_order() {
    let w = Testbed::new("renamed").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let mut spec = json!({"verificationId": w.approved_document()});
    kubectl(&w, FLUX, &order("o", &spec)).await.expect_success();
    let (id, number) = ids(&w.order_at("o", OrderState::Assigned).await);
    merge(&mut spec, json!({"adopt": {"orderId": id, "phoneNumber": number}}));
    kubectl(&w, FLUX, &order("p", &spec)).await.expect_success();
    w.delete_order("o").await;
    let conflict = w.order_at("p", OrderState::Conflict).await;
    assert!(message(&conflict).contains("PhoneNumberOrder o"), "{}", message(&conflict));
    plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.done();
    assert_eq!(ids(&w.order_at("p", OrderState::Assigned).await), (id, number));
    w.no_more_requests(ORDER, 1).await;
}

/// By Git with the ids, and by Velero with the status: `--namespace-mappings`.
#[rstest]
#[case::by_git("moved-by-git", false)]
#[case::by_velero("moved-by-velero", true)]
#[tokio::test]
async fn p15_p22_moved_to_another_namespace_it_is_a_conflict_and_never_an_order(
    #[case] name: &str,
    #[case] by_velero: bool,
) {
    let simulator = crate::testbed::simulator().await;
    let namespaces = TestNamespaces::new(name).await;
    let elsewhere = format!("{}-new", namespaces.namespace);
    namespaces.create_namespace(&elsewhere).await;
    namespaces.let_operator_watch(&elsewhere).await;
    let watched =
        [&namespaces.namespace, &elsewhere].map(|namespace| format!("--watch-namespace={namespace}"));
    let options = harness::OperatorOptions::new(simulator.url()).args(watched);
    let operator = namespaces.operator(options).await;
    let w = Testbed { namespaces, simulator, operator };
    w.plain_order("o").await;
    let backup = w.order_at("o", OrderState::Assigned).await;
    let (id, number) = ids(&backup);
    let api: Api<PhoneNumberOrder> = Api::namespaced(w.namespaces.client(), &elsewhere);
    if by_velero {
        w.operator.kill().await;
        w.delete_order("o").await;
        restore(&w, &elsewhere, &backup, true).await;
        w.operator.restart().await;
    } else {
        w.delete_order("o").await;
        let adopt = json!({"verificationId": "v1", "adopt": {"orderId": id, "phoneNumber": number}});
        let there = w.namespaces.kubectl().in_namespace(&elsewhere);
        there.run_with_input(FLUX, &order("o", &adopt).to_string()).await.expect_success();
    }
    let conflict = wait::until_seen(
        "the conflict",
        PATIENCE,
        async || api.get("o").await.unwrap(),
        |o| o.status.as_ref().and_then(|s| s.state) == Some(OrderState::Conflict),
    )
    .await;
    let text = message(&conflict);
    assert!(text.contains("in another namespace") && !text.contains(&w.namespaces.namespace), "{text}");
    w.no_more_requests(ORDER, 1).await;
    let plugin = Plugin::of(&w.namespaces).await;
    plugin.run(&["ledger", "forget", "pno/o", "--yes"]).await.done();
    wait::until_seen(
        "the number in its new namespace",
        PATIENCE,
        async || api.get("o").await.unwrap(),
        |o| o.status.as_ref().and_then(|s| s.state) == Some(OrderState::Assigned),
    )
    .await;
    w.no_more_requests(ORDER, 1).await;
}

/// A restore over what is there (`existingResourcePolicy: update`) brings an older status.
#[tokio::test]
async fn p12_an_older_status_over_a_newer_one_is_corrected() {
    let w = Testbed::new("older-status").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.plain_order("o").await;
    let backup = w.order_at("o", OrderState::AwaitingNumber).await;
    assert_eq!(w.push(json!({})).await.status, Some(200));
    let before = w.order_at("o", OrderState::Assigned).await;
    let mut older = json!(backup.status);
    older["phoneNumber"] = Value::Null;
    let api: Api<PhoneNumberOrder> = w.namespaces.api();
    api.patch_status("o", &PatchParams::default(), &Patch::Merge(json!({"status": older}))).await.unwrap();
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await), ids(&before));
    w.no_more_requests(ORDER, 1).await;
}

/// A manifest without `spec.approval`, as the examples have it, for both tools.
#[rstest]
#[case::argo_cd("approved-beside-argo-cd", ARGO_CD_FORCING)]
#[case::flux("approved-beside-flux", FLUX)]
#[tokio::test]
async fn an_approval_by_a_person_stays_and_one_by_a_commit_arrives(
    #[case] name: &str,
    #[case] tool: &[&str],
) {
    let w = Testbed::new(name).await;
    let plugin = Plugin::of(&w.namespaces).await;
    let git = |name: &str, approval: Value| {
        let mut git = verification(name, json!({}));
        git["spec"]["approval"] = approval;
        if git["spec"]["approval"].is_null() {
            git["spec"].as_object_mut().unwrap().remove("approval");
        }
        git
    };
    for name in ["by-a-person", "by-a-commit", "taken-back"] {
        kubectl(&w, tool, &git(name, Value::Null)).await.expect_success();
        w.verification_at(name, VerificationState::AwaitingApproval).await;
    }
    let said = plugin.run(&["approve", "by-a-person"]).await.done();
    assert!(said.ends_with("so this change stays. Leave the field out of Git as well.\n"), "{said}");
    kubectl(&w, tool, &git("by-a-commit", json!("Approved"))).await.expect_success();
    // Somebody approved, and the commit says otherwise.
    plugin.run(&["approve", "taken-back"]).await.done();
    kubectl(&w, tool, &git("taken-back", json!("Rejected"))).await.expect_success();
    for _ in 0..2 {
        kubectl(&w, tool, &git("by-a-person", Value::Null)).await.expect_success();
        kubectl(&w, tool, &git("by-a-commit", json!("Approved"))).await.expect_success();
    }
    for (name, state) in [
        ("by-a-person", VerificationState::Approved),
        ("by-a-commit", VerificationState::Approved),
        ("taken-back", VerificationState::Rejected),
    ] {
        w.verification_at(name, state).await;
    }
    let api: Api<PhoneVerification> = w.namespaces.api();
    assert_eq!(json!(api.get("by-a-person").await.unwrap().spec.approval), "Approved");
}

/// A tool that prunes a namespace's verification takes no order with it, and none is made when it is back.
#[tokio::test]
async fn p12_a_verification_pruned_under_its_order_comes_back_without_a_submission() {
    let w = Testbed::new("pruned-below").await;
    let git = verification("v", json!({"approval": "Approved"}));
    kubectl(&w, FLUX, &git).await.expect_success();
    kubectl(&w, FLUX, &order("o", &json!({"verificationRef": {"name": "v"}}))).await.expect_success();
    let before = w.order_at("o", OrderState::Assigned).await;
    let api: Api<PhoneVerification> = w.namespaces.api();
    api.delete("v", &DeleteParams::default()).await.unwrap();
    wait::until("it to be gone", PATIENCE, async || api.get_opt("v").await.unwrap().is_none().then_some(()))
        .await;
    kubectl(&w, FLUX, &git).await.expect_success();
    w.verification_at("v", VerificationState::Approved).await;
    assert_eq!(ids(&w.order_at("o", OrderState::Assigned).await), ids(&before));
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
}
