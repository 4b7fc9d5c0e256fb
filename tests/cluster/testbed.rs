//! What most tests need: a simulator, an operator, two namespaces, and words for them.

use std::fmt::Debug;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{Condition, ConditionType, LedgerEntry, PhoneNumberOrder, PhoneVerification, Reason};
use tenios_simulator::{Action, DocumentState, Fault, PushAnswer, PushOverrides, Simulator};

use harness::{Link, Operator, OperatorOptions, TestNamespaces, provider, wait};

pub const KEY: &str = provider::ACCESS_KEY;
pub const ORDER: &str = "/number/order";
pub const CANCEL: &str = "/number/cancel";
pub const VERIFICATION: &str = "/verification/create";
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may happen for it to count as nothing: several times the tests' longest retry.
pub const SILENCE: Duration = Duration::from_millis(2500);
/// A PDF as small as they come.
pub const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// See the module documentation.
pub struct Testbed {
    pub namespaces: TestNamespaces,
    pub simulator: Simulator,
    pub operator: Operator,
}

impl Testbed {
    pub async fn new(name: &str) -> Self {
        Self::with(name, |options| options).await
    }

    /// With short times instead of the shipped ones: see [`OperatorOptions::hurried`].
    pub async fn hurried(name: &str) -> Self {
        Self::with(name, OperatorOptions::hurried).await
    }

    /// With other options for the operator.
    pub async fn with(name: &str, change: impl FnOnce(OperatorOptions) -> OperatorOptions) -> Self {
        let simulator = simulator().await;
        let namespaces = TestNamespaces::new(name).await;
        let options = OperatorOptions::new(simulator.url());
        let operator = namespaces.operator(change(options)).await;
        let testbed = Self { namespaces, simulator, operator };
        testbed.secret("trade-register", "extract.pdf", PDF).await;
        testbed
    }

    /// With a link to the apiserver that can be slow or lie.
    pub async fn behind_a_link(
        name: &str,
        change: impl FnOnce(OperatorOptions) -> OperatorOptions,
    ) -> (Self, Link) {
        let simulator = simulator().await;
        let namespaces = TestNamespaces::new(name).await;
        let plane = &namespaces.control_plane;
        let link = Link::to_apiserver(plane.server(), plane.authority()).await;
        let options = change(OperatorOptions::new(simulator.url()));
        let operator = namespaces.prepare_operator(&link.url(), options).await;
        operator.process.start().unwrap();
        operator.wait_ready().await;
        (Self { namespaces, simulator, operator }, link)
    }

    /// Waits until the operator's metrics have this line.
    pub async fn metric(&self, line: &str) {
        let is_there = async || self.operator.metrics().await.lines().any(|l| l == line).then_some(());
        wait::until(line, PATIENCE, is_there).await;
    }

    pub async fn secret(&self, name: &str, key: &str, value: &[u8]) {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name},
            "data": {key: k8s_openapi::ByteString(value.to_vec())},
        }))
        .unwrap();
        let api: Api<Secret> = self.namespaces.api();
        let params = PatchParams::apply("test").force();
        let secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": secret.metadata, "data": secret.data});
        api.patch(name, &params, &Patch::Apply(secret)).await.unwrap();
    }

    pub fn faults(&self, path: &str, action: Action) {
        self.simulator.fault(Fault::once(path, action));
    }

    /// Creates a verification; fields of `changes` are merged over a valid spec.
    pub async fn verification(&self, name: &str, changes: Value) -> PhoneVerification {
        let mut spec = json!({
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
            "areaCode": "221",
            "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "trade-register", "key": "extract.pdf"}},
        });
        merge(&mut spec, changes);
        self.create("PhoneVerification", name, spec).await.unwrap()
    }

    pub async fn order(&self, name: &str, spec: Value) -> PhoneNumberOrder {
        self.try_order(name, spec).await.unwrap()
    }

    pub async fn try_order(&self, name: &str, spec: Value) -> kube::Result<PhoneNumberOrder> {
        self.create("PhoneNumberOrder", name, spec).await
    }

    pub async fn create<K>(&self, kind: &str, name: &str, spec: Value) -> kube::Result<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
        let api: Api<K> = self.namespaces.api();
        api.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await
    }

    /// An approved verification named `v` and its id.
    pub async fn approved(&self) -> String {
        self.verification("v", json!({"approval": "Approved"})).await;
        let v = self.verification_at("v", VerificationState::Approved).await;
        v.status.unwrap().verification_id.unwrap()
    }

    /// An order of a verification id that the provider knows and has approved, without a
    /// `PhoneVerification` of its own.
    pub async fn plain_order(&self, name: &str) {
        let id = self.approved_document();
        self.order(name, json!({"verificationId": id})).await;
    }

    /// A document that the provider approved, without a `PhoneVerification` of its own.
    pub fn approved_document(&self) -> String {
        let id = uuid::Uuid::new_v4();
        self.simulator.set_document(id, DocumentState::Approved);
        id.to_string()
    }

    /// Pushes the first order's number now.
    pub async fn push(&self, overrides: Value) -> PushAnswer {
        let overrides: PushOverrides = serde_json::from_value(overrides).unwrap();
        self.simulator.push(300_000, overrides).await.unwrap()
    }

    pub async fn patch_order(&self, name: &str, patch: Value) -> kube::Result<PhoneNumberOrder> {
        let api: Api<PhoneNumberOrder> = self.namespaces.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub async fn patch_verification(&self, name: &str, patch: Value) -> kube::Result<PhoneVerification> {
        let api: Api<PhoneVerification> = self.namespaces.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub async fn delete_order(&self, name: &str) {
        let api: Api<PhoneNumberOrder> = self.namespaces.api();
        api.delete(name, &DeleteParams::default()).await.unwrap();
        wait::until("the order to be gone", PATIENCE, async || {
            api.get_opt(name).await.unwrap().is_none().then_some(())
        })
        .await;
    }

    pub async fn order_where(
        &self,
        name: &str,
        what: &str,
        pleases: impl Fn(&PhoneNumberOrder) -> bool,
    ) -> PhoneNumberOrder {
        self.seen(name, what, pleases, |o| json!(o.status)).await
    }

    /// The resource, once it pleases; a failure shows its status and the operator's log as they are then.
    async fn seen<K>(
        &self,
        name: &str,
        what: &str,
        pleases: impl Fn(&K) -> bool,
        status: impl Fn(&K) -> Value,
    ) -> K
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let api: Api<K> = self.namespaces.api();
        let mut last = None;
        let found = wait::poll(PATIENCE, async || {
            last = api.get_opt(name).await.ok().flatten();
            last.clone().filter(&pleases)
        })
        .await;
        found.unwrap_or_else(|| {
            let status = last.as_ref().map(status);
            panic!(
                "{name} is not {what}; its status: {status:#?}\nthe operator:\n{}",
                self.operator.log_tail()
            )
        })
    }

    pub async fn order_at(&self, name: &str, state: OrderState) -> PhoneNumberOrder {
        self.order_where(name, &format!("{state:?}"), |o| {
            o.status.as_ref().and_then(|s| s.state) == Some(state)
        })
        .await
    }

    pub async fn order_because(&self, name: &str, reason: Reason) -> PhoneNumberOrder {
        self.order_where(name, &format!("{reason:?}"), |o| {
            o.status.as_ref().is_some_and(|s| ready(&s.conditions).is_some_and(|c| c.reason == reason))
        })
        .await
    }

    pub async fn verification_where(
        &self,
        name: &str,
        what: &str,
        pleases: impl Fn(&PhoneVerification) -> bool,
    ) -> PhoneVerification {
        self.seen(name, what, pleases, |v| json!(v.status)).await
    }

    pub async fn verification_at(&self, name: &str, state: VerificationState) -> PhoneVerification {
        self.verification_where(name, &format!("{state:?}"), |v| {
            v.status.as_ref().and_then(|s| s.state) == Some(state)
        })
        .await
    }

    pub async fn verification_because(&self, name: &str, reason: Reason) -> PhoneVerification {
        self.verification_where(name, &format!("{reason:?}"), |v| {
            v.status.as_ref().is_some_and(|s| ready(&s.conditions).is_some_and(|c| c.reason == reason))
        })
        .await
    }

    /// Requests that arrived at this path.
    pub fn requests(&self, path: &str) -> usize {
        self.simulator.requests(path)
    }

    /// The count of requests does not change for a while.
    pub async fn no_more_requests(&self, path: &str, expected: usize) {
        wait::holds_for("the count of requests", SILENCE, async || self.requests(path), |n| *n == expected)
            .await;
    }

    pub async fn ledger(&self) -> Vec<LedgerEntry> {
        let api: Api<LedgerEntry> =
            Api::namespaced(self.namespaces.client(), &self.namespaces.operator_namespace);
        api.list(&ListParams::default()).await.unwrap().items
    }

    pub async fn events(&self) -> Vec<Event> {
        let api: Api<Event> = self.namespaces.api();
        api.list(&ListParams::default()).await.unwrap().items
    }
}

pub async fn simulator() -> Simulator {
    provider::simulator(KEY, Duration::from_millis(50)).await
}

pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    condition(conditions, ConditionType::Ready)
}

pub fn condition(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == type_)
}

pub fn message(order: &PhoneNumberOrder) -> String {
    ready(&order.status.as_ref().unwrap().conditions).unwrap().message.clone()
}

/// Whether a condition says this.
pub fn told(order: &PhoneNumberOrder, text: &str) -> bool {
    order.status.as_ref().is_some_and(|s| s.conditions.iter().any(|c| c.message.contains(text)))
}

pub fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}
