//! Every command of docs/kubectl-tenios.md, in its order, through the real kubectl.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tenios_operator::api::Reason;
use tenios_operator::api::order::OrderState;
use tenios_operator::api::verification::VerificationState;
use tenios_operator::simulator::{Action, PushTime};

use super::BINARY;
use crate::world::{ORDER, PDF, VERIFICATION, World};

const DOCUMENT: &str = include_str!("../../docs/kubectl-tenios.md");
const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/samples");

#[tokio::test]
async fn every_command_of_the_document_does_what_it_says() {
    let w = World::new("cli-docs").await;
    prepare(&w).await;
    let directory = w.scenario.control_plane.directory().join(&w.scenario.namespace);
    std::fs::create_dir_all(directory.join("manifests")).unwrap();
    std::fs::create_dir_all(directory.join("dresden")).unwrap();
    for pdf in ["extract.pdf", "dresden/lease.pdf"] {
        std::fs::write(directory.join(pdf), PDF).unwrap();
    }
    for sample in ["20-verification.yaml", "30-orders.yaml"] {
        std::fs::copy(format!("{SAMPLES}/{sample}"), directory.join("manifests").join(sample)).unwrap();
    }
    let (_, table) = DOCUMENT.split_once("```csv\n").unwrap();
    std::fs::write(directory.join("branches.csv"), table.split_once("```").unwrap().0).unwrap();
    let environment = environment(&w, &directory);

    let commands: Vec<&str> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(commands.len() > 15, "{commands:?}");
    let lines = commands.iter().map(|command| match *command {
        // A watch has no end of its own.
        watch if watch.ends_with(" -w") => format!("timeout 2 {watch} || [ $? = 124 ]"),
        command => command.to_owned(),
    });
    // One shell, because a variable goes on.
    let script = format!("set -e\n{}", lines.collect::<Vec<_>>().join("\n"));
    let mut shell = Command::new("sh");
    shell.args(["-x", "-c", &script]).current_dir(&directory).envs(environment);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        shell.env_remove(variable);
    }
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap()).await.unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");

    let status = w.order_at("main-line", OrderState::Assigned).await.status.unwrap();
    assert_eq!(status.phone_number.as_deref(), Some("+4922112345678"));
    w.verification_at("cologne-office", VerificationState::Approved).await;
    w.verification_at("bonn-office", VerificationState::Rejected).await;
    w.verification_because("dresden", Reason::AwaitingApproval).await;
    w.order_because("dresden", Reason::AwaitingApproval).await;
}

/// The resources that the document speaks of.
async fn prepare(w: &World) {
    w.plain_order("old-line").await;
    w.order_at("old-line", OrderState::Assigned).await;
    w.delete_order("old-line").await;
    for name in ["cologne-office", "bonn-office"] {
        w.verification(name, json!({})).await;
        w.verification_because(name, Reason::AwaitingApproval).await;
    }
    w.simulator.set(|s| s.push.when = PushTime::Never);
    for name in ["main-line", "branch-line"] {
        w.faults(ORDER, Action::DropBefore);
        w.plain_order(name).await;
        w.order_at(name, OrderState::OutcomeUnknown).await;
    }
    w.faults(VERIFICATION, Action::DropBefore);
    w.verification("essen-office", json!({})).await;
    w.verification_at("essen-office", VerificationState::OutcomeUnknown).await;
}

/// kubectl and its plugin on the `PATH`, and a context with the namespace.
fn environment(w: &World, directory: &Path) -> Vec<(&'static str, String)> {
    let plane = &w.scenario.control_plane;
    let path = [plane.binaries(), Path::new(BINARY).parent().unwrap()].map(|d| d.display().to_string());
    let path = format!("{}:{}", path.join(":"), std::env::var("PATH").unwrap());
    let kubeconfig = std::fs::read(plane.kubectl().kubeconfig()).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_slice(&kubeconfig).unwrap();
    kubeconfig["contexts"][0]["context"]["namespace"] = json!(w.scenario.namespace);
    let file = directory.join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    vec![
        ("PATH", path),
        ("KUBECONFIG", file.display().to_string()),
        ("KUBECACHEDIR", directory.join("cache").display().to_string()),
        ("TENIOS_NAMESPACE", w.scenario.operator_namespace.clone()),
    ]
}
