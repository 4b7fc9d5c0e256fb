//! The harness keeps its own word: what it starts works, and nothing of it stays.

#![allow(clippy::expect_used, reason = "a test that can't set up its testbed fails")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use harness::{ControlPlane, Kubectl, TestNamespaces, wait};

const PATIENCE: Duration = Duration::from_secs(60);
/// Tells the test below that it is the victim. Its value is where to write what was started.
const VICTIM: &str = "TENIOS_HARNESS_VICTIM";

#[tokio::test]
async fn the_shipped_roles_let_the_operator_do_its_work_and_no_more() {
    let namespaces = TestNamespaces::new("roles").await;
    let kubectl = namespaces.control_plane.kubectl_as(&namespaces.operator_identity()).await;
    let may = async |verb: &str, resource: &str, namespace: &str| {
        may(&kubectl.in_namespace(namespace), verb, resource).await
    };
    let (tenant, own) = (namespaces.namespace.as_str(), namespaces.operator_namespace.as_str());
    for (verb, resource, namespace) in [
        ("watch", "phonenumberorders.tenios.dev", tenant),
        ("patch", "phoneverifications.tenios.dev/status", tenant),
        ("get", "secrets", tenant),
        ("create", "events.events.k8s.io", tenant),
        ("create", "ledgerentries.tenios.dev", own),
        // Of what was never ordered.
        ("delete", "ledgerentries.tenios.dev", own),
        ("update", "leases.coordination.k8s.io", own),
    ] {
        assert!(may(verb, resource, namespace).await, "{verb} {resource} in {namespace}");
    }
    for (verb, resource, namespace) in [
        ("list", "secrets", tenant),
        ("watch", "secrets", tenant),
        ("update", "phonenumberorders.tenios.dev", tenant),
        ("get", "ledgerentries.tenios.dev", tenant),
        ("deletecollection", "ledgerentries.tenios.dev", own),
        ("list", "leases.coordination.k8s.io", tenant),
        ("get", "secrets", own),
        ("get", "secrets", "kube-system"),
    ] {
        assert!(!may(verb, resource, namespace).await, "{verb} {resource} in {namespace}");
    }
}

#[tokio::test]
async fn tenants_write_neither_status_nor_ledger() {
    let namespaces = TestNamespaces::new("tenants").await;
    let editor = namespaces.tenant("edit").await;
    let editor = namespaces.control_plane.kubectl_as(&editor).await.in_namespace(&namespaces.namespace);
    let may = async |verb: &str, resource: &str| may(&editor, verb, resource).await;
    wait::until("the shipped roles in the role edit", PATIENCE, async || {
        may("create", "phonenumberorders.tenios.dev").await.then_some(())
    })
    .await;
    for verb in ["create", "update", "patch"] {
        assert!(!may(verb, "phonenumberorders.tenios.dev/status").await, "{verb} status");
        assert!(!may(verb, "phoneverifications.tenios.dev/status").await, "{verb} status");
        assert!(!may(verb, "ledgerentries.tenios.dev").await, "{verb} ledger entries");
    }
}

#[tokio::test]
async fn a_service_account_is_held_to_its_roles_and_audited() {
    let namespaces = TestNamespaces::new("audit").await;
    let mark = namespaces.control_plane.audit().mark();
    let operator = namespaces.operator_identity();
    let client = namespaces.control_plane.client_as(&operator).await;
    let secrets: Api<Secret> = Api::namespaced(client, &namespaces.namespace);
    assert!(secrets.get_opt("nothing").await.expect("may get").is_none());
    assert!(secrets.list(&ListParams::default()).await.is_err(), "may not list");

    let requests = namespaces.control_plane.requests_since(mark).await.by(&operator.user());
    let seen: Vec<_> = requests.0.iter().map(|r| (r.verb.as_str(), r.resource.as_str(), r.code)).collect();
    assert_eq!(seen, [("get", "secrets", 404), ("list", "secrets", 403)]);
    assert!(requests.writes().is_empty());
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_its_contents() {
    let namespaces = TestNamespaces::new("namespace").await;
    let applied = namespaces.kubectl().run(&["create", "configmap", "contents"]).await;
    applied.expect_success();
    let api: Api<Namespace> = Api::all(namespaces.client());
    api.delete(&namespaces.namespace, &DeleteParams::default()).await.expect("deleted");
    wait::until("the end of the namespace", PATIENCE, async || {
        api.get_opt(&namespaces.namespace).await.expect("the apiserver answers").is_none().then_some(())
    })
    .await;
    namespaces.create_namespace(&namespaces.namespace).await;
    assert!(namespaces.api::<ConfigMap>().get_opt("contents").await.expect("an answer").is_none());
}

#[tokio::test]
async fn what_is_owned_goes_with_its_owner() {
    let namespaces = TestNamespaces::new("owned").await;
    let maps = namespaces.api::<ConfigMap>();
    let create = async |object| {
        let map: ConfigMap = serde_json::from_value(object).expect("a ConfigMap");
        maps.create(&PostParams::default(), &map).await.expect("created")
    };
    let owner = create(json!({"metadata": {"name": "owner"}})).await;
    let reference =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid});
    create(json!({"metadata": {"name": "owned", "ownerReferences": [reference]}})).await;
    maps.delete("owner", &DeleteParams::default()).await.expect("deleted");
    wait::until("garbage collection", PATIENCE, async || {
        maps.get_opt("owned").await.expect("an answer").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_part_can_be_paused_and_killed_and_comes_back_with_its_data() {
    let control_plane = ControlPlane::start_bare().await.expect("a control plane");
    let client = control_plane.client().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let map: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "kept"}})).expect("a ConfigMap");
    wait::until("a ConfigMap", PATIENCE, async || maps.create(&PostParams::default(), &map).await.ok()).await;

    control_plane.apiserver.pause();
    let unanswered = tokio::time::timeout(Duration::from_millis(300), maps.get("kept")).await;
    assert!(unanswered.is_err(), "a paused apiserver answered");
    control_plane.apiserver.resume();
    maps.get("kept").await.expect("it answers again");

    control_plane.etcd.kill().await;
    control_plane.etcd.start().expect("etcd starts");
    control_plane.wait_ready().await;
    control_plane.apiserver.kill().await;
    assert!(!control_plane.apiserver.is_running());
    control_plane.apiserver.start().expect("the apiserver starts");
    control_plane.wait_ready().await;
    maps.get("kept").await.expect("nothing was lost");
    control_plane.controller_manager.stop(PATIENCE).await;

    let directory = control_plane.directory().to_owned();
    let pids = pids(&control_plane);
    drop(control_plane);
    assert!(!directory.exists(), "{} is left", directory.display());
    assert!(!pids.iter().any(|pid| is_alive(*pid)), "one of {pids:?} is left");
}

/// Started by the next test; when started by anyone else it has nothing to do.
#[tokio::test]
async fn victim() {
    let Some(report) = std::env::var_os(VICTIM) else {
        return;
    };
    let control_plane = ControlPlane::start_bare().await.expect("a control plane");
    // A stopped process doesn't end by SIGTERM or by its stdin.
    control_plane.etcd.pause();
    let report = PathBuf::from(report);
    let content = json!({"directory": control_plane.directory(), "pids": pids(&control_plane)});
    std::fs::write(report.with_extension("partial"), content.to_string()).expect("a report");
    std::fs::rename(report.with_extension("partial"), &report).expect("a report");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn nothing_is_left_when_the_test_process_is_killed() {
    let shared = ControlPlane::shared().await;
    for signal in ["KILL", "TERM"] {
        let report = shared.directory().join(format!("victim-{signal}.json"));
        let mut victim = Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "harness_checks::victim"])
            .env(VICTIM, &report)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the victim starts");
        let started = wait::until("the victim", PATIENCE, async || std::fs::read(&report).ok()).await;
        let started: serde_json::Value = serde_json::from_slice(&started).expect("a report");
        let directory = PathBuf::from(started["directory"].as_str().expect("a directory"));
        let pids: Vec<u32> = serde_json::from_value(started["pids"].clone()).expect("process ids");
        assert!(directory.exists() && pids.len() == 3 && pids.iter().all(|pid| is_alive(*pid)));

        let killed = Command::new("sh")
            .args(["-c", r#"kill "-$1" "$2""#, "sh", signal, &victim.id().to_string()])
            .status();
        assert!(killed.expect("a shell").success());
        victim.wait().expect("the victim ends");
        wait::until(&format!("the end of everything after SIG{signal}"), PATIENCE, async || {
            (!directory.exists() && !pids.iter().any(|pid| is_alive(*pid))).then_some(())
        })
        .await;
    }
}

/// What the apiserver says to the question, for `resource` or `resource/subresource`.
async fn may(kubectl: &Kubectl, verb: &str, resource: &str) -> bool {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let subresource = format!("--subresource={subresource}");
    kubectl.run(&["auth", "can-i", verb, resource, &subresource]).await.success
}

fn pids(control_plane: &ControlPlane) -> Vec<u32> {
    let parts = [&control_plane.etcd, &control_plane.apiserver, &control_plane.controller_manager];
    parts.iter().filter_map(|part| part.pid()).collect()
}

/// Zombies are dead: who reaps an orphan, and when, is up to the machine.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next()).is_some_and(|state| state != "Z")
}
