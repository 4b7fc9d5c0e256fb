//! Promise 22: two tenants in two namespaces, each with the shipped roles, and what one tries against
//! the other.

use ::http::Request;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::Client;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, PhoneVerification, Reason};
use tenios_simulator::{Action, PushSettings, PushTime};

use crate::tenant_attacks::{Attack, Refusal, tenant_attacks};
use crate::testbed::{ORDER, PATIENCE, PDF, Testbed, ready};
use harness::{ControlPlane, OperatorOptions, TestNamespaces, wait};

/// What the simulator gives first.
const FIRST_ORDER: &str = "300000";
pub const FIRST_NUMBER: &str = "+4922110000000";

/// Both tenants, the operator that serves them, and the table.
struct TwoTenants {
    w: Testbed,
    /// The tenant who tries.
    b: TestNamespaces,
    client: Client,
    table: Vec<[String; 3]>,
}

#[tokio::test]
async fn p22_no_tenant_reads_steers_adopts_or_blocks_another() {
    let mut tenants = TwoTenants::new().await;
    tenants.squats_before_the_owner_orders().await;
    tenants.adopts_after_the_owner_ordered().await;
    tenants.asks_the_apiserver().await;
    tenants.names_what_is_elsewhere().await;
    tenants.names_an_attempt_of_another().await;
    tenants.says_its_own_status().await;
    tenants.names_ids_as_free_text().await;
    tenants.spends_its_budget().await;
    tenants.learned_nothing().await;
    for [what, on, how] in &tenants.table {
        println!("{what:52} | {on:58} | {how}");
    }
    assert!(tenants.table.len() >= 60, "{} attempts", tenants.table.len());
}

impl TwoTenants {
    async fn new() -> Self {
        let plane = ControlPlane::shared().await;
        let simulator = crate::testbed::simulator().await;
        let a = TestNamespaces::on(plane.clone(), "rightful").await;
        let b = TestNamespaces::on(plane.clone(), "curious").await;
        a.let_operator_watch(&b.namespace).await;
        let watched = [&a, &b].map(|s| format!("--watch-namespace={}", s.namespace));
        let options = OperatorOptions::new(simulator.url()).args(watched);
        let options = options.args(["--order-budget-per-namespace=3/1h", "--order-budget=100/1h"]);
        let operator = a.operator(options).await;
        let w = Testbed { namespaces: a, simulator, operator };
        w.secret("trade-register", "extract.pdf", PDF).await;
        w.secret("tenios", "access-key", crate::testbed::KEY.as_bytes()).await;
        let client = plane.client_as(&b.tenant("edit").await).await;
        let tenants = Self { w, b, client, table: Vec::new() };
        wait::until("the shipped roles in the role edit", PATIENCE, async || {
            tenants.orders().list(&ListParams::default()).await.ok()
        })
        .await;
        tenants
    }

    fn orders(&self) -> Api<PhoneNumberOrder> {
        Api::namespaced(self.client.clone(), &self.b.namespace)
    }

    /// Creates an order as the tenant.
    async fn order(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
            "metadata": {"name": name}, "spec": spec});
        wait::until(&format!("{name} to be created by the tenant"), PATIENCE, async || {
            self.orders()
                .create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap())
                .await
                .ok()
        })
        .await;
    }

    /// Waits until the tenant's order rests for this reason.
    async fn order_because(&self, name: &str, reason: Reason) -> PhoneNumberOrder {
        wait::until_seen(
            &format!("{name} because of {reason}\n{}", self.w.operator.log_tail()),
            PATIENCE,
            async || self.orders().get(name).await.unwrap(),
            |order| {
                let conditions = order.status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
                ready(conditions).is_some_and(|c| c.reason == reason)
            },
        )
        .await
    }

    fn row(&mut self, what: &str, on: &str, how: &str) {
        self.table.push([what, on, how].map(str::to_owned));
    }

    /// Nothing of the other tenant but what this one said itself.
    fn tells_nothing(&self, order: &PhoneNumberOrder, but: &[&str]) {
        let status = json!(order.status).to_string();
        let theirs = [self.w.namespaces.namespace.as_str(), "main", FIRST_ORDER, FIRST_NUMBER];
        for secret in theirs.iter().filter(|s| !but.contains(s)) {
            assert!(!status.contains(secret), "{secret} is in {status}");
        }
    }

    async fn squats_before_the_owner_orders(&mut self) {
        self.order("squats-id", json!({"verificationId": "v", "adopt": {"orderId": FIRST_ORDER}})).await;
        self.order("squats-number", json!({"verificationId": "v", "adopt": {"phoneNumber": FIRST_NUMBER}}))
            .await;
        self.order_because("squats-id", Reason::AwaitingNumber).await;
        self.order_because("squats-number", Reason::NumberAssigned).await;
        self.w.approved().await;
        self.w.order("main", json!({"verificationRef": {"name": "v"}})).await;
        let main = self.w.order_at("main", OrderState::Assigned).await.status.unwrap();
        assert_eq!(main.order_id.as_deref(), Some(FIRST_ORDER));
        assert_eq!(main.phone_number.as_deref(), Some(FIRST_NUMBER));
        let squatter = self.order_because("squats-id", Reason::Conflict).await;
        self.tells_nothing(&squatter, &[FIRST_ORDER]);
        let squatter = self.order_because("squats-number", Reason::Conflict).await;
        self.tells_nothing(&squatter, &[FIRST_NUMBER]);
        self.row("adopts, before the other orders", "his order id", "Conflict for who adopts");
        self.row("adopts, before the other orders", "his number", "Conflict for who adopts");
    }

    async fn adopts_after_the_owner_ordered(&mut self) {
        for (name, adopt, but) in [
            ("late-id", json!({"orderId": FIRST_ORDER}), [FIRST_ORDER, ""]),
            ("late-number", json!({"phoneNumber": FIRST_NUMBER}), [FIRST_NUMBER, ""]),
            (
                "late-both",
                json!({"orderId": FIRST_ORDER, "phoneNumber": FIRST_NUMBER}),
                [FIRST_ORDER, FIRST_NUMBER],
            ),
            ("late-swap", json!({"orderId": "999", "phoneNumber": FIRST_NUMBER}), [FIRST_NUMBER, ""]),
        ] {
            self.order(name, json!({"verificationId": "v", "adopt": adopt})).await;
            let order = self.order_because(name, Reason::Conflict).await;
            self.tells_nothing(&order, &but);
            let status = order.status.unwrap();
            assert_eq!((status.order_id, status.phone_number), (None, None), "{name}");
            self.row("adopts, after the other ordered", &adopt.to_string(), "Conflict");
        }
    }

    async fn asks_the_apiserver(&mut self) {
        let attacks = tenant_attacks(&self.w.namespaces, &self.b);
        for Attack { what, on, method, path, content, body, refusal } in attacks {
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            let request = Request::builder().method(method).uri(&path).header("content-type", content);
            let answer = self.client.request_text(request.body(body).unwrap()).await;
            let error = answer.expect_err(&format!("{what} {on}: {method} {path} was let through"));
            let kube::Error::Api(status) = error else { panic!("{what} {on}: {error}") };
            let how = match refusal {
                Refusal::Forbidden => {
                    assert_eq!(status.code, 403, "{what} {on}: {}", status.message);
                    "403 Forbidden".to_owned()
                }
                Refusal::Invalid(why) => {
                    let fits = matches!(status.code, 400 | 422) && status.message.contains(why);
                    assert!(fits, "{what} {on}: {} {}", status.code, status.message);
                    format!("{} {why}", status.code)
                }
            };
            self.row(what, &on, &how);
        }
    }

    async fn names_what_is_elsewhere(&mut self) {
        let mark = self.w.namespaces.control_plane.audit().mark();
        let other = self.w.namespaces.namespace.clone();
        let mut count = 0;
        for name in [format!("{other}/v"), format!("../{other}/v"), format!("{other}.v"), "v".to_owned()] {
            for (spec, reason) in [
                // The namespace is dropped where a client does not ask for strictness.
                (
                    json!({"verificationRef": {"name": name, "namespace": other}}),
                    Reason::AwaitingVerification,
                ),
                (
                    json!({"verificationId": "v", "linkTo": {"orderRef": {"name": name.replace("/v", "/main"), "namespace": other}}}),
                    Reason::AwaitingLinkTarget,
                ),
            ] {
                count += 1;
                let order = format!("elsewhere-{count}");
                self.order(&order, spec.clone()).await;
                self.order_because(&order, reason).await;
                self.row(
                    "refers to",
                    &spec.to_string().replace(&other, "a"),
                    &format!("names nothing: {reason}"),
                );
            }
        }
        for path in [
            format!("../../{other}/secrets/tenios"),
            format!("..%2f..%2f{other}%2fsecrets%2ftenios"),
            format!("{other}/tenios"),
            format!("tenios?namespace={other}"),
            "a b".to_owned(),
        ] {
            count += 1;
            let (name, key) = (format!("elsewhere-{count}"), json!({"name": path, "key": "access-key"}));
            self.order(&name, json!({"verificationId": "v", "accessKeySecretRef": key})).await;
            self.order_because(&name, Reason::AccessKeyNotFound).await;
            self.row("takes as access key", &path.replace(&other, "a"), "names nothing: AccessKeyNotFound");
            self.submits(&name, &path).await;
            self.row("takes as document", &path.replace(&other, "a"), "names nothing: DocumentNotFound");
        }
        let user = self.w.namespaces.operator_identity().user();
        let asked = self.w.namespaces.control_plane.requests_since(mark).await.by(&user);
        let astray = asked
            .only(|r| r.uri.contains("secrets/") && (r.namespace == other || !r.name.starts_with("tenios")));
        assert!(astray.is_empty(), "on the tenant's behalf the operator asked for {astray:?}");
    }

    async fn submits(&self, name: &str, path: &str) {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": name},
            "spec": {"areaCode": "221", "address": {"country": "Germany", "city": "Köln", "zip": "50667",
                "street": "Domkloster", "houseNumber": "4"},
                "document": {"type": "CONTRACT", "secretRef": {"name": path, "key": "extract.pdf"}}}});
        let api: Api<PhoneVerification> = Api::namespaced(self.client.clone(), &self.b.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        wait::until_seen(
            &format!("{path} not to be found"),
            PATIENCE,
            async || api.get(name).await.unwrap().status,
            |status| {
                let conditions = status.as_ref().map(|s| s.conditions.as_slice()).unwrap_or_default();
                ready(conditions).is_some_and(|c| c.reason == Reason::DocumentNotFound)
            },
        )
        .await;
    }

    async fn names_an_attempt_of_another(&mut self) {
        let never = PushSettings { when: PushTime::Never, ..PushSettings::default() };
        self.w.faults(ORDER, Action::Push(never));
        self.w.faults(ORDER, Action::DropAfter);
        self.w.plain_order("lost").await;
        let lost = self.w.order_at("lost", OrderState::OutcomeUnknown).await;
        let attempt = lost.status.unwrap().attempt.unwrap();
        let patch = json!({"metadata": {"annotations": {"tenios.dev/not-placed": attempt}}});
        let patch = kube::api::Patch::Merge(patch);
        self.orders().patch("late-id", &kube::api::PatchParams::default(), &patch).await.unwrap();
        let events: Api<Event> = Api::namespaced(self.w.namespaces.client(), &self.b.namespace);
        wait::until("the annotation to be ignored", PATIENCE, async || {
            let events = events.list(&ListParams::default()).await.unwrap();
            events.items.into_iter().find(|e| e.reason.as_deref() == Some("AnnotationIgnored"))
        })
        .await;
        self.w.order_at("lost", OrderState::OutcomeUnknown).await;
        self.row("names the other's attempt as not placed", "its own order", "ignored, told by an event");
    }

    async fn says_its_own_status(&mut self) {
        let status = json!({"observedGeneration": 1, "state": "Assigned", "orderId": FIRST_ORDER, "phoneNumber": FIRST_NUMBER,
            "attempt": "a1", "conditions": []});
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
            "metadata": {"name": "claims"}, "spec": {"verificationId": "v", "suspend": true}, "status": status});
        let claims = serde_json::from_value(object.clone()).unwrap();
        self.orders().create(&PostParams::default(), &claims).await.unwrap();
        self.order_because("claims", Reason::Suspended).await;
        let patch = kube::api::Patch::Merge(json!({"status": status}));
        self.orders().patch("claims", &kube::api::PatchParams::default(), &patch).await.unwrap();
        let shown = self.order_because("claims", Reason::Suspended).await.status.unwrap();
        assert_eq!((shown.order_id, shown.phone_number, shown.attempt), (None, None, None));
        self.row("creates with a status", "its own order", "dropped by the apiserver");
        self.row("patches status without the subresource", "its own order", "dropped by the apiserver");
    }

    /// The access key is the operator's, so the account is shared: only the provider could refuse this.
    async fn names_ids_as_free_text(&mut self) {
        let v = self.w.verification_because("v", Reason::Approved).await.status.unwrap();
        self.order("borrows", json!({"verificationId": v.verification_id})).await;
        let borrowed = self.order_because("borrows", Reason::NumberAssigned).await;
        self.tells_nothing(&borrowed, &[]);
        self.order(
            "links",
            json!({"verificationId": v.verification_id, "linkTo": {"phoneNumber": FIRST_NUMBER}}),
        )
        .await;
        let linked = self.order_because("links", Reason::NumberAssigned).await;
        self.tells_nothing(&linked, &[FIRST_NUMBER]);
        let main = self.w.order_at("main", OrderState::Assigned).await.status.unwrap();
        assert_eq!(main.phone_number.as_deref(), Some(FIRST_NUMBER));
        let how =
            "NOT refused: free text; the provider decides, from its own budget, the other's stays as it is";
        self.row("orders with", "the other's verification id", how);
        self.row("links to", "the other's number", how);
    }

    async fn spends_its_budget(&mut self) {
        for name in ["more-1", "more-2"] {
            let id = self.w.approved_document();
            self.order(name, json!({"verificationId": id})).await;
        }
        wait::until("one order within the budget and one beyond", PATIENCE, async || {
            let mut reasons = Vec::new();
            for name in ["more-1", "more-2"] {
                let status = self.orders().get(name).await.unwrap().status.unwrap_or_default();
                reasons.extend(ready(&status.conditions).map(|c| c.reason));
            }
            reasons.sort_unstable();
            (reasons == [Reason::BudgetExceeded, Reason::NumberAssigned]).then_some(())
        })
        .await;
        self.w.plain_order("still").await;
        self.w.order_at("still", OrderState::Assigned).await;
        self.row(
            "orders until its budget is spent",
            "the other's orders",
            "BudgetExceeded; the other orders on",
        );
    }

    /// The journal is the judge; and what the tenant can read names nothing of the other.
    async fn learned_nothing(&mut self) {
        let journal = self.w.simulator.journal();
        let urls =
            journal.iter().filter(|e| e.path == ORDER).filter_map(|e| e.body.as_ref()?["push_url"].as_str());
        let urls: Vec<_> = urls.collect();
        let of = |namespace: &str| urls.iter().filter(|u| u.contains(&format!("/{namespace}/"))).count();
        assert_eq!((of(&self.w.namespaces.namespace), of(&self.b.namespace)), (3, 3), "{urls:#?}");
        let events: Api<Event> = Api::namespaced(self.w.namespaces.client(), &self.b.namespace);
        for event in events.list(&ListParams::default()).await.unwrap() {
            let note = event.note.unwrap_or_default();
            // Its own references hold the namespace; the operator adds it nowhere.
            assert!(!note.contains("main"), "{note}");
            assert!(!note.contains(&self.w.namespaces.namespace) || note.contains('"'), "{note}");
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.b.namespace);
        assert!(secrets.list(&ListParams::default()).await.unwrap().items.is_empty(), "a Secret came to be");
    }
}
