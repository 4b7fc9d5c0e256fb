//! The examples for Argo CD, Flux and Velero: that they fit each other, the chart and the CRDs. That their fields are
//! there is checked in `conform.rs` and `accepted.rs`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tenios_api::Reason;

use crate::kstatus::kstatus;
use crate::render::{chart, documents, kustomize};
use crate::status_corpus::{Recorded, all, schema};
use crate::tools::directory;
use harness::checkout;

/// Every file with whole objects, and what the tenant's directory makes.
pub fn manifests() -> Vec<(String, String)> {
    let mut manifests = vec![("shop".to_owned(), kustomize("gitops/shop"))];
    for tool in ["argocd", "flux", "velero"] {
        for entry in std::fs::read_dir(checkout("deploy/gitops").join(tool)).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{tool}/{}", path.file_name().unwrap().display());
            if path.extension().is_some_and(|end| end == "yaml") && !name.ends_with("-patch.yaml") {
                manifests.push((name, std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(manifests.len() > 7, "{} files", manifests.len());
    manifests
}

fn objects(kind: &str) -> Vec<Value> {
    let all = manifests().into_iter().flat_map(|(_, yaml)| documents(&yaml));
    all.filter(|object| object["kind"] == kind && object["apiVersion"] != "kustomize.config.k8s.io/v1beta1")
        .collect()
}

fn one(kind: &str, name: &str) -> Value {
    let found = objects(kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

#[test]
fn flux_finds_what_its_objects_refer_to() {
    let names: BTreeSet<_> = ["GitRepository", "OCIRepository", "Kustomization", "HelmRelease"]
        .into_iter()
        .flat_map(objects)
        .map(|o| format!("{}/{}/{}", o["kind"], o["metadata"]["namespace"], o["metadata"]["name"]))
        // What `flux bootstrap` makes.
        .chain([r#""GitRepository"/"flux-system"/"flux-system""#.to_owned()])
        .collect();
    let mut referred = 0;
    for object in ["Kustomization", "HelmRelease"].into_iter().flat_map(objects) {
        let (spec, own) = (&object["spec"], &object["metadata"]["namespace"]);
        let sources = [&spec["sourceRef"], &spec["chartRef"]].into_iter().filter(|r| r.is_object()).cloned();
        let before = spec["dependsOn"].as_array().into_iter().flatten();
        let before = before.map(|r| json!({"kind": object["kind"], "name": r["name"]}));
        for reference in sources.chain(before) {
            referred += 1;
            let name = format!("{}/{own}/{}", reference["kind"], reference["name"]);
            assert!(names.contains(&name), "{} refers to {name}", object["metadata"]["name"]);
        }
    }
    assert_eq!(referred, 4);
}

/// `force` and `Replace` turn an edit that the apiserver refuses into a deletion.
#[test]
fn no_example_deletes_where_the_apiserver_refuses_an_edit() {
    for (name, yaml) in manifests() {
        let forces = |line: &str| {
            line.trim_start().starts_with("force:") || line.contains("Replace=") || line.contains("Force=")
        };
        assert!(!yaml.lines().any(forces), "{name}");
    }
}

#[test]
fn the_chart_takes_the_values_of_both_tools() {
    let application = one("Application", "tenios-operator");
    let (source, release) = (&application["spec"]["source"], one("HelmRelease", "tenios-operator"));
    let text = std::fs::read_to_string(checkout("deploy/chart/Chart.yaml")).unwrap();
    let own: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(source["chart"], own["name"]);
    assert_eq!(source["targetRevision"], own["version"]);
    let repository = one("OCIRepository", "tenios-operator");
    assert_eq!(repository["spec"]["ref"]["tag"], own["version"]);
    assert!(
        repository["spec"]["url"].as_str().unwrap().ends_with(&format!("/{}", own["name"].as_str().unwrap()))
    );
    for (tool, values) in [("argocd", &source["helm"]["valuesObject"]), ("flux", &release["spec"]["values"])]
    {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("values-{tool}.json"));
        std::fs::write(&file, values.to_string()).unwrap();
        let made = chart(&["--values", &file.to_string_lossy()]);
        assert!(made.contains("https://push.example.com"), "{tool}");
    }
}

/// With `RespectIgnoreDifferences`, a sync applies what it saw in the cluster some time ago: 3 of 12 approvals that
/// somebody gave within a second of a sync were lost (Argo CD 3.6.1), and none of 6 where no manifest has the field.
/// A field that is ignored never arrives by a commit either.
#[test]
fn what_a_person_may_set_in_the_cluster_is_in_no_manifest_and_arrives_by_a_commit() {
    let numbers: Vec<_> = ["PhoneVerification", "PhoneNumberOrder"].into_iter().flat_map(objects).collect();
    assert!(numbers.len() > 2, "{numbers:?}");
    for object in numbers {
        let spec = object["spec"].as_object().unwrap();
        assert!(!spec.contains_key("approval") && !spec.contains_key("adopt"), "{object}");
        assert!(object["metadata"]["annotations"].is_null(), "{object}");
    }
    let default =
        schema("PhoneVerification").pointer("/properties/spec/properties/approval/default").cloned();
    assert_eq!(
        default,
        Some(json!("Pending")),
        "without a default, leaving it out would mean something else"
    );
    let spec = &one("Application", "shop")["spec"];
    assert!(spec["ignoreDifferences"].is_null(), "a commit of what is ignored does not arrive");
    let options = spec["syncPolicy"]["syncOptions"].as_array().unwrap();
    assert!(!options.contains(&json!("RespectIgnoreDifferences=true")), "{options:?}");
}

/// By a dry run, which Argo CD 3.6 takes for its diff where it applies on the server's side, one edit that the
/// apiserver refuses leaves the whole Application `Unknown`: nothing else is synced, in later commits neither.
#[test]
fn one_edit_that_the_apiserver_refuses_does_not_stop_the_other_resources() {
    let application = one("Application", "shop");
    let options = &application["metadata"]["annotations"]["argocd.argoproj.io/compare-options"];
    assert_eq!(*options, "ServerSideDiff=false");
    // Otherwise a sync that fails goes on with its own commit, while the one that mends it waits.
    assert_eq!(application["spec"]["syncPolicy"]["retry"], json!({"limit": 5, "refresh": true}));
}

/// Argo CD goes to the next wave when the one before is healthy, and takes no new commit until then. A verification is
/// healthy when somebody commits its approval.
#[test]
fn no_wave_waits_for_an_approval_that_only_the_next_commit_brings() {
    let wave = |kind: &str| -> BTreeSet<String> {
        let wave = |o: &Value| {
            o["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"].as_str().unwrap_or("0").to_owned()
        };
        objects(kind).iter().map(wave).collect()
    };
    assert_eq!(wave("PhoneVerification"), wave("PhoneNumberOrder"));
    assert_eq!(wave("PhoneVerification").len(), 1);
}

#[test]
fn velero_restores_the_ledger_and_the_status() {
    let included = |object: &Value, path: &str| -> BTreeSet<String> {
        let list = object["spec"].pointer(path).and_then(Value::as_array).unwrap();
        list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let saved = included(&one("Schedule", "numbers"), "/template/includedResources");
    let crds = documents(&std::fs::read_to_string(checkout("crds/tenios.dev.yaml")).unwrap());
    let ours: BTreeSet<_> =
        crds.iter().map(|crd| crd["metadata"]["name"].as_str().unwrap().to_owned()).collect();
    assert!(saved.is_superset(&ours), "{saved:?}");
    let (ledger, numbers) = (one("Restore", "numbers-ledger"), one("Restore", "numbers"));
    let restored = &included(&ledger, "/includedResources") | &included(&numbers, "/includedResources");
    assert_eq!(restored, saved);
    let with_status: BTreeSet<_> =
        ours.into_iter().filter(|name| !name.starts_with("ledgerentries")).collect();
    assert_eq!(included(&numbers, "/restoreStatus/includedResources"), with_status);
}

/// What Flux says about each object: by kstatus, and by the expressions of the example.
fn flux_health(objects: &[Value]) -> Vec<(String, String)> {
    let exprs = &one("Kustomization", "shop")["spec"]["healthCheckExprs"];
    let mut program = Command::new(directory().join("flux-health"));
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let question = json!({"objects": objects, "exprs": exprs});
    child.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(lines.len(), objects.len(), "{said}");
    lines.into_iter().map(|(by_kstatus, by_exprs)| (by_kstatus.to_owned(), by_exprs.to_owned())).collect()
}

#[test]
fn flux_waits_by_the_rules_that_the_tests_know() {
    let mut objects: Vec<Value> = all().into_iter().map(|recorded| recorded.object).collect();
    for mut object in objects.clone() {
        object["metadata"]["deletionTimestamp"] = json!("2026-11-22T09:00:00Z");
        objects.push(object.clone());
        object["metadata"].as_object_mut().unwrap().remove("deletionTimestamp");
        object["status"] = json!({"observedGeneration": -1});
        objects.push(object.clone());
        object.as_object_mut().unwrap().remove("status");
        objects.push(object);
    }
    for (object, (by_kstatus, _)) in objects.iter().zip(flux_health(&objects)) {
        assert_eq!(by_kstatus, format!("{:?}", kstatus(object)), "{object:#}");
    }
}

#[test]
fn flux_does_not_wait_for_days_for_a_person_and_fails_where_one_is_needed() {
    let recorded = all();
    let objects: Vec<_> = recorded.iter().map(|recorded| recorded.object.clone()).collect();
    for (Recorded { kind, state, reason, .. }, (by_kstatus, by_exprs)) in
        recorded.iter().zip(flux_health(&objects))
    {
        let given_to_a_person =
            matches!(reason, Reason::AwaitingApproval | Reason::Probing | Reason::Suspended);
        let expected = if given_to_a_person { "Current" } else { &by_kstatus };
        assert_eq!(by_exprs, expected, "{kind} {state} {reason}");
    }
    let created: Vec<_> = ["PhoneNumberOrder", "PhoneVerification"]
        .map(|kind| json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": "it", "generation": 1},
            "status": {"observedGeneration": -1}}))
        .into();
    assert!(flux_health(&created).iter().all(|(_, by_exprs)| by_exprs == "InProgress"));
}
