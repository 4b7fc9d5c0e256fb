//! The alerts and the dashboard, with a real Prometheus.

mod dashboard;
mod picture;
pub mod prometheus;
mod rules;
#[allow(dead_code, reason = "the tests of `cluster` use the rest")]
#[path = "../../cluster/testbed.rs"]
mod testbed;

use std::time::Duration;

use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_simulator::{Action, Fault, PushTime};

use dashboard::{Lines, Panel, panels};
use harness::{Scratch, checkout, http, wait};
use prometheus::Prometheus;
use testbed::{ORDER, Testbed};

fn yaml(path: &str) -> Value {
    let text = std::fs::read_to_string(checkout(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn seconds() -> f64 {
    let now = jiff::Timestamp::now();
    now.duration_since(jiff::Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// A little of everything: numbers, one that is cancelled, somebody to wait for, a provider that is away, a refusal, an outcome that nobody
/// knows, a push that is none. Prometheus sees each before the next.
async fn a_day_at_the_office(w: &Testbed, prometheus: &Prometheus) {
    w.approved().await;
    for n in 0..10 {
        let name = format!("branch-{n}");
        w.order(&name, json!({"verificationRef": {"name": "v"}})).await;
        prometheus.sees(&format!("tenios_resources{{state=\"Assigned\"}} == {}", n + 1)).await;
    }
    w.verification("second-office", json!({})).await;
    w.verification_because("second-office", Reason::AwaitingApproval).await;
    w.order("second-office", json!({"verificationRef": {"name": "second-office"}})).await;
    prometheus.sees("tenios_resources_waiting{reason=\"AwaitingApproval\"} == 1").await;
    let away = json!({"status_before": {"code": 503, "headers": {"Retry-After": "1"}}});
    w.simulator.fault(Fault::once(ORDER, serde_json::from_value(away).unwrap()).times(2));
    w.order("patient", json!({"verificationRef": {"name": "v"}})).await;
    prometheus.sees("tenios_provider_requests_total{outcome=\"not_processed\"} == 2").await;
    w.order_at("patient", OrderState::Assigned).await;
    w.patch_verification("v", json!({"spec": {"document": {"validUntil": "2031-05-31"}}})).await.unwrap();
    prometheus.sees("tenios_document_valid_until_timestamp_seconds").await;
    let ended = w.order_at("branch-9", OrderState::Assigned).await.status.unwrap().phone_number;
    w.patch_order("branch-9", json!({"spec": {"cancel": {"phoneNumber": ended}}})).await.unwrap();
    prometheus.sees("tenios_cancel_budget_remaining == 4").await;
    w.order_at("branch-9", OrderState::Cancelled).await;
    w.order("refused", json!({"verificationId": uuid::Uuid::new_v4().to_string()})).await;
    prometheus.sees("tenios_resources{state=\"Refused\"} == 1").await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.order("waits", json!({"verificationRef": {"name": "v"}})).await;
    prometheus.sees("tenios_resources{state=\"AwaitingNumber\"} == 1").await;
    w.faults(ORDER, Action::DropAfter);
    w.order("lost", json!({"verificationRef": {"name": "v"}})).await;
    prometheus.sees("tenios_resources{state=\"OutcomeUnknown\"} == 1").await;
    let wrong = json!({"phonenumber": "+4922112345678", "order_id": "300000", "push_secret": "0".repeat(64)});
    let path = format!("/push/v1/{}/waits/a1", w.namespaces.namespace);
    let answer = http::post(w.operator.push_port, &path, &wrong.to_string()).await.unwrap();
    assert_eq!(answer.status, 404);
    prometheus.sees("ALERTS{alertname=\"TeniosPushRejected\",alertstate=\"firing\"}").await;
}

#[tokio::test]
async fn each_panel_of_the_dashboard_shows_a_real_run_and_each_rule_holds_on_it() {
    let ledger = Scratch::new();
    let argument = format!("--ledger=file://{}", ledger.path().display());
    let w = Testbed::with("monitoring", |options| options.args([argument])).await;
    let prometheus = Prometheus::start(&w.namespaces.control_plane, w.operator.metrics_port).await;
    let from = seconds();
    a_day_at_the_office(&w, &prometheus).await;
    let shown = all_panels(&prometheus, from).await;
    let named = |title: &str| {
        let (_, lines) = shown.iter().find(|(panel, _)| panel.title == title).unwrap();
        lines.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    for outcome in ["accepted", "refused", "not_processed", "unknown"] {
        let name = format!("number/order {outcome}");
        assert!(named("Requests to TENIOS").contains(&name.as_str()), "{:?}", named("Requests to TENIOS"));
    }
    assert!(named("Requests to TENIOS").contains(&"number/cancel accepted"));
    assert!(named("Requests to the ledger's store").contains(&"create done"));
    for state in ["Assigned", "AwaitingNumber", "Cancelled", "OutcomeUnknown", "Refused", "Waiting"] {
        assert!(named("Orders by state").contains(&state), "{:?}", named("Orders by state"));
    }
    assert!(named("What waits, by reason").contains(&"PhoneNumberOrder AwaitingApproval"));
    rules_hold(&prometheus).await;
    keep_picture(&shown);
}

/// Every panel with its lines, once all of them have some.
async fn all_panels(prometheus: &Prometheus, from: f64) -> Vec<(Panel, Lines)> {
    let mut shown = Vec::new();
    let mut missing = String::new();
    for panel in panels() {
        let lines = wait::poll(Duration::from_secs(10), async || {
            panel.lines(prometheus, from, seconds()).await.map_err(|why| missing = why).ok()
        });
        let lines = lines.await.unwrap_or_else(|| panic!("{missing}"));
        shown.push((panel, lines));
    }
    assert!(shown.len() >= 16, "{}", shown.len());
    shown
}

/// None fails on real series, and what is to be said of each is filled in.
async fn rules_hold(prometheus: &Prometheus) {
    let groups = prometheus.get("rules").await;
    for rule in groups["groups"][0]["rules"].as_array().unwrap() {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    // What is refused is tried again now and then, and is not refused in that moment.
    let named = |alert: &Value| alert["labels"]["alertname"].as_str().unwrap().to_owned();
    let expected = ["TeniosOutcomeUnknown", "TeniosPushRejected", "TeniosRefused"];
    let alerts = wait::until_seen(
        "the three alerts",
        Duration::from_secs(20),
        async || prometheus.get("alerts").await["alerts"].as_array().unwrap().clone(),
        |alerts| {
            let mut firing: Vec<_> = alerts.iter().map(named).collect();
            firing.sort_unstable();
            firing == expected
        },
    )
    .await;
    for alert in &alerts {
        let description = alert["annotations"]["description"].as_str().unwrap();
        assert!(!description.contains("{{") && !description.contains("error"), "{description}");
        assert_eq!(alert["labels"]["namespace"], "tenios-system", "{alert}");
    }
}

/// The picture in the docs is of such a run; `DASHBOARD_PICTURE=write` makes it anew.
fn keep_picture(shown: &[(Panel, Lines)]) {
    let path = checkout("docs/images/dashboard.svg");
    let drawn = picture::draw(shown);
    if std::env::var_os("DASHBOARD_PICTURE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let titles = |svg: &str| -> Vec<String> {
        let bold = svg.split("font-weight=\"bold\">").skip(1);
        bold.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
    };
    assert!(
        titles(&kept) == titles(&drawn),
        "docs/images/dashboard.svg is of another dashboard: run `make picture`"
    );
}
