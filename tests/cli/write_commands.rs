//! `approve`, `reject`, `adopt` and `retry`.

use serde_json::json;
use tenios_api::Reason;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_simulator::{Action, PushTime};

use super::Plugin;
use crate::testbed::{ORDER, Testbed, VERIFICATION};

#[tokio::test]
async fn approve_lets_the_order_go_and_says_what_to_write_into_git() {
    let w = Testbed::new("cli-approve").await;
    let plugin = Plugin::by(&w.namespaces, &w.namespaces.tenant("edit").await).await;
    w.verification("v", json!({})).await;
    w.order("o", json!({"verificationRef": {"name": "v"}})).await;
    w.order_because("o", Reason::AwaitingApproval).await;
    let said = plugin.run(&["approve", "v"]).await.done();
    assert!(said.ends_with("so this change stays. Leave the field out of Git as well.\n"), "{said}");
    w.order_at("o", OrderState::Assigned).await;
    let again = plugin.run(&["approve", "v"]).await.done();
    assert!(again.contains("is already Approved"), "{again}");
    let missing = plugin.run(&["approve", "w"]).await.ended(1);
    assert!(missing.contains("pver/w not found in namespace"), "{missing}");
}

#[tokio::test]
async fn who_applies_the_approval_is_named_and_who_leaves_it_alone_is_not() {
    let w = Testbed::new("cli-git").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.verification("v", json!({})).await;
    let applied = |spec: serde_json::Value| {
        json!({
            "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification",
            "metadata": {"name": "v", "annotations": {"argocd.argoproj.io/tracking-id": "shop:tenios.dev/PhoneVerification:t/v"}},
            "spec": spec,
        })
    };
    let apply = async |spec| {
        let manifest = serde_json::to_string(&applied(spec)).unwrap();
        let arguments =
            ["apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-"];
        assert!(w.namespaces.kubectl().run_with_input(&arguments, &manifest).await.success);
    };
    // A manifest without the field leaves it alone.
    apply(json!({})).await;
    let said = plugin.run(&["approve", "v"]).await.done();
    assert!(said.contains("this change stays") && !said.contains("Argo CD"), "{said}");
    apply(json!({"approval": "Pending"})).await;
    let said = plugin.run(&["approve", "v"]).await.done();
    let (advice, snippet) = said.split_once("commit the same change there:\n").unwrap();
    assert!(
        advice.contains("Argo CD application shop applies a manifest that sets spec.approval")
            && advice.contains("remove spec.approval from the manifest"),
        "{said}"
    );
    let snippet: serde_json::Value = serde_saphyr::from_str(snippet).unwrap();
    assert_eq!(snippet["spec"], json!({"approval": "Approved"}));
    assert_eq!(snippet["metadata"], json!({"name": "v", "namespace": w.namespaces.namespace}));
}

#[tokio::test]
async fn somebody_else_is_asked_as_with_kubectl() {
    let w = Testbed::new("cli-as").await;
    let plugin = Plugin::of(&w.namespaces).await;
    let refused = plugin.run(&["status", "--as", "jane", "--as-group", "strangers"]).await.ended(1);
    assert!(refused.contains("User \"jane\" cannot list"), "{refused}");
}

#[tokio::test]
async fn reject_is_shown() {
    let w = Testbed::new("cli-reject").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.verification("v", json!({})).await;
    w.verification_because("v", Reason::AwaitingApproval).await;
    let said = plugin.run(&["reject", "pver/v"]).await.done();
    assert!(said.contains("spec.approval is now Rejected"), "{said}");
    w.verification_at("v", VerificationState::Rejected).await;
    let viewer = Plugin::by(&w.namespaces, &w.namespaces.tenant("view").await).await;
    let refused = viewer.run(&["approve", "v"]).await.ended(1);
    assert!(refused.contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn p03_adopt_names_what_exists_and_nothing_is_sent() {
    let w = Testbed::new("cli-adopt").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropAfter);
    w.plain_order("o").await;
    w.order_at("o", OrderState::OutcomeUnknown).await;
    plugin.run(&["adopt", "pno/o", "--order-id", "300000"]).await.done();
    w.order_at("o", OrderState::AwaitingNumber).await;
    let said = plugin.run(&["adopt", "pno/o", "--phone-number", "+4922112345678"]).await.done();
    assert!(
        said.contains("orderId: \"300000\"") && said.contains("phoneNumber: \"+4922112345678\""),
        "{said}"
    );
    w.order_at("o", OrderState::Assigned).await;
    w.faults(VERIFICATION, Action::DropAfter);
    w.verification("v", json!({})).await;
    w.verification_at("v", VerificationState::OutcomeUnknown).await;
    plugin.run(&["adopt", "pver/v", "--verification-id", "705d5302"]).await.done();
    w.verification_at("v", VerificationState::AwaitingApproval).await;
    w.no_more_requests(ORDER, 1).await;
    assert_eq!(w.requests(VERIFICATION), 1);
    for wrong in [["pver/v", "--order-id"], ["pno/o", "--verification-id"]] {
        let said = plugin.run(&["adopt", wrong[0], wrong[1], "1"]).await.ended(2);
        assert!(said.contains("error: adopting "), "{said}");
    }
    plugin.run(&["adopt", "pno/o"]).await.ended(2);
}

#[tokio::test]
async fn p03_retry_sends_again_only_for_the_attempt_whose_outcome_is_unknown_and_only_after_a_yes() {
    let w = Testbed::new("cli-retry").await;
    let plugin = Plugin::of(&w.namespaces).await;
    w.simulator.set(|s| s.push.when = PushTime::Never);
    w.faults(ORDER, Action::DropBefore);
    w.plain_order("o").await;
    let status = w.order_at("o", OrderState::OutcomeUnknown).await.status.unwrap();
    let attempt = status.attempt.unwrap();
    let other = plugin.run(&["retry", "pno/o", "--attempt", "abc", "--yes"]).await.ended(1);
    assert!(other.contains(&format!("the latest attempt of pno/o is {attempt}, not abc")), "{other}");
    let retry = ["retry", "pno/o", "--attempt", &attempt];
    for answer in ["", "no\n", "y\n"] {
        let said = plugin.answering(&retry, answer).await.ended(1);
        assert!(said.contains("nothing was changed"), "{said}");
    }
    w.no_more_requests(ORDER, 1).await;
    let said = plugin.answering(&retry, "yes\n").await.done();
    assert!(said.contains(&attempt) && said.contains("in the cluster, not in Git"), "{said}");
    w.order_at("o", OrderState::AwaitingNumber).await;
    let again = plugin.run(&["retry", "pno/o", "--attempt", &attempt, "--yes"]).await.ended(1);
    assert!(again.contains("pno/o is AwaitingNumber, not OutcomeUnknown"), "{again}");
    w.no_more_requests(ORDER, 2).await;
}
