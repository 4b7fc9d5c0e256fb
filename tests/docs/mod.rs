//! The commands of the documentation, run in their order against a control plane, the operator and the stand-in
//! for TENIOS, as a reader would type them. What a test adds to a page stands in its comments: see [`script`].

pub mod pages;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::harness::ControlPlane;
use pages::site::Site;
use pages::{markdown, script};

/// The pages whose commands are run.
const RUN: &[&[&str]] = &[
    &["docs/quick-start.md"],
    &["docs/reasons.md"],
    &["docs/kubectl-tenios.md", "docs/operations.md", "docs/adopt.md", "docs/rotate-keys.md"],
    &["docs/hand-over.md", "docs/etcd-restore.md", "docs/upgrade.md", "docs/uninstall.md"],
    &["docs/move.md"],
    &["deploy/chart/README.md"],
    &["docs/alerts.md"],
    &["docs/gitops-argocd.md", "docs/gitops-flux.md"],
    &["docs/velero.md"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_start_ends_with_a_number() {
    Site::on([bare().await]).await.follow(RUN[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_done_about_each_reason_does_it() {
    Site::installed(bare().await).await.follow(RUN[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_for_every_day_do_what_they_say() {
    Site::installed(bare().await).await.follow(RUN[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgraded_handed_over_and_uninstalled_it_loses_no_number() {
    Site::installed(bare().await).await.follow(RUN[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_moved_to_another_cluster_it_orders_nothing_again() {
    let (old, new) = tokio::join!(bare(), bare());
    Site::on([old, new]).await.follow(RUN[4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_page_installs_it() {
    Site::on([bare().await]).await.follow(RUN[5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_done_about_each_alert_does_it() {
    Site::installed(bare().await).await.follow(RUN[6]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_under_a_gitops_tool_every_number_is_ordered_once() {
    Site::installed(bare().await).await.follow(RUN[7]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_restored_from_a_backup_it_orders_nothing_again() {
    Site::installed(bare().await).await.follow(RUN[8]).await;
}

async fn bare() -> Arc<ControlPlane> {
    ControlPlane::start_bare().await.unwrap().into()
}

#[test]
fn every_command_of_every_page_is_run_or_says_why_not() {
    let run: BTreeSet<&str> = RUN.iter().flat_map(|pages| pages.iter().copied()).collect();
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, path) in markdown::pages() {
        let page = std::fs::read_to_string(path).unwrap();
        if run.contains(name.as_str()) {
            seen.insert(name.clone());
        }
        match script::read(&page) {
            Err(why) => wrong.push(format!("{name}:{why}")),
            Ok(steps) if !run.contains(name.as_str()) => {
                let blocks = steps.iter().filter(|(_, step)| matches!(step, script::Step::Type(_)));
                wrong.extend(blocks.map(|(line, _)| {
                    format!("{name}:{line}: this block is neither run nor marked: list the page in tests/docs/mod.rs")
                }));
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), run.len(), "a page that is listed is not there");
}
