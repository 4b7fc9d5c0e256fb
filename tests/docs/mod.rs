//! The commands of the documentation, run in their order against a control plane, the operator and the simulator,
//! as a reader would type them. What a test adds to a page stands in its comments: see [`script`].

pub mod pages;

use std::collections::BTreeSet;
use std::sync::Arc;

use harness::ControlPlane;
use pages::run::DocsRun;
use pages::{markdown, script};

/// The pages whose commands are run; some in sections, which need different clusters.
const RUN: &[&[&str]] = &[
    &["docs/quick-start.md"],
    &["docs/reasons.md"],
    &[
        "docs/kubectl-tenios.md",
        "docs/operations.md",
        "docs/adopt.md",
        "docs/relay.md",
        "docs/rotate-keys.md",
        "docs/documents.md",
    ],
    &[
        "docs/ledger.md#hand-a-namespace-to-another-team",
        "docs/ledger.md#after-etcd-was-restored",
        "docs/upgrade.md",
        "docs/ledger.md#uninstall-without-losing-a-number",
    ],
    &["docs/ledger.md#move-to-another-cluster"],
    &["deploy/chart/README.md"],
    &["docs/alerts.md", "docs/cancel.md"],
    &["docs/gitops-argocd.md", "docs/gitops-flux.md"],
    &["docs/ledger.md#restore-with-velero"],
    &["docs/ledger.md#what-it-is", "docs/ledger.md#back-it-up", "docs/ledger.md#forget-an-entry"],
    &["docs/numbers.md"],
    &["docs/object-storage.md"],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_start_ends_with_a_number() {
    DocsRun::on([bare().await]).await.follow(RUN[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_done_about_each_reason_does_it() {
    DocsRun::installed(bare().await).await.follow(RUN[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_for_every_day_do_what_they_say() {
    DocsRun::installed(bare().await).await.follow(RUN[2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgraded_handed_over_and_uninstalled_it_loses_no_number() {
    DocsRun::installed(bare().await).await.follow(RUN[3]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_moved_to_another_cluster_it_orders_nothing_again() {
    let (old, new) = tokio::join!(bare(), bare());
    DocsRun::on([old, new]).await.follow(RUN[4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_reaches_a_workload() {
    DocsRun::installed(bare().await).await.follow(RUN[10]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_p27_a_cluster_is_lost_and_its_numbers_are_found_by_the_bucket_alone() {
    let (old, new) = tokio::join!(bare(), bare());
    DocsRun::with_a_bucket([old, new]).await.follow(RUN[11]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charts_page_installs_it() {
    DocsRun::on([bare().await]).await.follow(RUN[5]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_be_done_about_each_alert_does_it() {
    DocsRun::installed(bare().await).await.follow(RUN[6]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_under_a_gitops_tool_every_number_is_ordered_once() {
    DocsRun::installed(bare().await).await.follow(RUN[7]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p13_restored_from_a_backup_it_orders_nothing_again() {
    DocsRun::installed(bare().await).await.follow(RUN[8]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_backed_up_and_forgets_what_it_is_told_to() {
    DocsRun::installed(bare().await).await.follow(RUN[9]).await;
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
        let steps = script::read(&page).unwrap_or_else(|why| {
            wrong.push(format!("{name}:{why}"));
            Vec::new()
        });
        for (line, step) in steps {
            let section = section_of(&page, line).unwrap_or_default();
            let listed = [name.clone(), format!("{name}#{section}")];
            if let Some(listed) = listed.into_iter().find(|listed| run.contains(listed.as_str())) {
                seen.insert(listed);
            } else if matches!(step, script::Step::Type(_)) {
                wrong.push(format!(
                    "{name}:{line}: this block is neither run nor marked: list the page in tests/docs/mod.rs"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(seen.len(), run.len(), "a page or a section that is listed is not there, or has no commands");
}

/// Of the section of the second level that a line is in.
fn section_of(page: &str, line: usize) -> Option<String> {
    pages::sections(page).into_iter().rev().find(|(begin, _)| *begin <= line).map(|(_, anchor)| anchor)
}
