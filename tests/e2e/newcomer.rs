//! A newcomer's path by the documentation alone, from an empty cluster to a number, through an alert, an upgrade
//! and the end of everything, and back.

use crate::docs::run::DocsRun;
use crate::docs::script::Step;
use crate::monitoring::prometheus::Prometheus;
use harness::ControlPlane;

const FIRING: &str = "ALERTS{alertname=\"TeniosOutcomeUnknown\",alertstate=\"firing\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p12_p13_a_newcomers_path_ends_where_it_began_with_every_number_and_no_second_order() {
    let plane = std::sync::Arc::new(ControlPlane::start_bare().await.unwrap());
    let mut docs = DocsRun::on([plane.clone()]).await;
    docs.read("docs/quick-start.md").await;
    assert_eq!(docs.requests(), 1);

    let prometheus = Prometheus::impatient(&plane, docs.metrics_port()).await;
    docs.go(
        "the alert",
        &[
            (
                1,
                Step::Provider {
                    method: "POST".into(),
                    path: "faults".into(),
                    body: serde_json::json!({"path": "/number/order", "action": "drop_before"}),
                },
            ),
            (2, run("kubectl config set-context --current --namespace shop")),
            (3, run("sed 's/main-line/second-line/' main-line.yaml | kubectl apply -f -")),
            (4, until("second-line", "OutcomeUnknown")),
        ],
    )
    .await;
    prometheus.sees(FIRING).await;
    // As docs/alerts.md has it, for what is not in the portal.
    docs.go(
        "the runbook",
        &[
            (1, run("ATTEMPT=$(kubectl get pno second-line -n shop -o jsonpath='{.status.attempt}')")),
            (
                2,
                run(
                    "kubectl annotate pno second-line -n shop --overwrite tenios.dev/not-placed=\"$ATTEMPT\"",
                ),
            ),
            (3, until("second-line", "NumberAssigned")),
        ],
    )
    .await;
    prometheus.sees(&format!("absent({FIRING})")).await;
    assert_eq!(docs.requests(), 3, "the lost one and its second attempt");

    docs.go("before", &[(1, run(NUMBERS)), (2, run("numbers > before"))]).await;
    docs.read("docs/upgrade.md").await;
    docs.read("docs/ledger.md#uninstall-without-losing-a-number").await;
    let ordered = docs.requests();
    assert_eq!(ordered, 5, "the two pages order one each, before they go on");
    docs.go(
        "after",
        &[
            (1, run("kubectl config set-context --current --namespace shop")),
            (2, until("main-line", "NumberAssigned")),
            (3, until("second-line", "NumberAssigned")),
            (4, run("numbers > after")),
            (5, run("diff before after")),
        ],
    )
    .await;
    assert_eq!(docs.requests(), ordered);
}

const NUMBERS: &str = r#"numbers() {
    kubectl get pno -n shop -o jsonpath='{range .items[*]}{.metadata.name} {.status.orderId} {.status.phoneNumber}{"\n"}{end}'
}"#;

fn run(command: &str) -> Step {
    Step::Run(command.to_owned())
}

fn until(name: &str, word: &str) -> Step {
    Step::Await { kind: "pno".into(), name: name.into(), word: word.into() }
}
