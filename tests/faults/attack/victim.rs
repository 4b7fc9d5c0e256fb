//! The other tenant, who orders one number at a time.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_simulator::{DocumentState, Simulator};

use crate::status_observer::StatusObserver;
use crate::testbed::order_state;
use harness::{TestNamespaces, wait};

/// What her time is compared with.
pub const QUIET_ORDERS: usize = 12;
const BETWEEN: Duration = Duration::from_secs(20);
/// Far beyond what would be taken for a failure.
const PATIENCE: Duration = Duration::from_secs(120);
/// To their number, once the attack is over.
const UNTIL_ASSIGNED: Duration = Duration::from_secs(60);

/// How long it took each time.
#[derive(Default)]
pub struct Times {
    pub orders: Vec<Duration>,
    /// A client that does the least, on the same apiserver at the same time.
    pub bare: Vec<Duration>,
}

/// See the module documentation.
pub struct Victim {
    orders: Api<PhoneNumberOrder>,
    maps: Api<ConfigMap>,
    observer: StatusObserver,
    simulator: Simulator,
    made: AtomicUsize,
    compared: AtomicUsize,
}

impl Victim {
    pub fn new(namespaces: &TestNamespaces, simulator: &Simulator) -> Self {
        Self {
            orders: namespaces.api(),
            maps: namespaces.api(),
            observer: StatusObserver::open(&namespaces.client(), &namespaces.namespace),
            simulator: simulator.clone(),
            made: AtomicUsize::new(0),
            compared: AtomicUsize::new(0),
        }
    }

    /// So many; how long each took, and a bare client for the same.
    pub async fn orders(&self, count: usize) -> Times {
        let mut times = Times::default();
        for _ in 0..count {
            times.bare.push(self.by_a_bare_client().await);
            times.orders.push(self.one().await);
        }
        times
    }

    /// One every [`BETWEEN`] until then.
    pub async fn orders_until(&self, until: Instant) -> Times {
        let mut times = Times::default();
        while Instant::now() < until {
            tokio::time::sleep(BETWEEN.min(until.saturating_duration_since(Instant::now()))).await;
            times.bare.push(self.by_a_bare_client().await);
            times.orders.push(self.one().await);
        }
        let all = |seen: &crate::status_observer::Seen| {
            let mut made = (0..self.made.load(Ordering::Relaxed)).map(|n| format!("o{n}"));
            made.all(|name| order_state(seen, &name) == Some(OrderState::Assigned))
        };
        let _ = tokio::time::timeout(UNTIL_ASSIGNED, self.observer.until(all)).await;
        times
    }

    /// From the order's creation until she sees that it is placed.
    async fn one(&self) -> Duration {
        let name = format!("o{}", self.made.fetch_add(1, Ordering::Relaxed));
        let id = uuid::Uuid::new_v4();
        self.simulator.set_document(id, DocumentState::Approved);
        let began = Instant::now();
        self.create(&name, json!({"verificationId": id.to_string()})).await;
        let placed = |state| matches!(state, Some(OrderState::AwaitingNumber | OrderState::Assigned));
        let ended = self.observer.until(|seen| placed(order_state(seen, &name)));
        let _ = tokio::time::timeout(PATIENCE, ended).await;
        let took = began.elapsed();
        self.observer.note(&format!("{}: order {name} took {took:?}", jiff::Timestamp::now()));
        took
    }

    pub fn notes(&self) -> Vec<String> {
        self.observer.notes()
    }

    async fn create(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).expect("an order");
        let created =
            wait::poll(PATIENCE, async || self.orders.create(&PostParams::default(), &object).await.ok());
        created.await.expect("the apiserver takes her order");
    }

    /// The least that whoever orders once has to do: see the order, read it once more, record the intent, send, record
    /// the answer and show it. Nothing of it waits for the operator, which only sees a suspended order.
    async fn by_a_bare_client(&self) -> Duration {
        let name = format!("bare{}", self.compared.fetch_add(1, Ordering::Relaxed));
        let began = Instant::now();
        self.create(&name, json!({"verificationId": "v", "suspend": true})).await;
        let done = async {
            self.observer.until(|seen| seen.orders.contains_key(&name)).await;
            let _ = self.orders.get(&name).await;
            let intent = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a ConfigMap");
            let _ = self.maps.create(&PostParams::default(), &intent).await;
            tokio::time::sleep(super::PROVIDER_TAKES).await;
            let answer = Patch::Merge(json!({"data": {"answer": "900004"}}));
            let _ = self.maps.patch(&name, &PatchParams::default(), &answer).await;
            let shown = Patch::Merge(json!({"metadata": {"annotations": {"example.com/answer": "900004"}}}));
            let _ = self.orders.patch(&name, &PatchParams::default(), &shown).await;
            let seen = |seen: &crate::status_observer::Seen| {
                seen.orders.get(&name).is_some_and(|order| !order.annotations().is_empty())
            };
            self.observer.until(seen).await;
        };
        let _ = tokio::time::timeout(PATIENCE, done).await;
        let took = began.elapsed();
        self.observer.note(&format!("{}: the bare client took {took:?} for {name}", jiff::Timestamp::now()));
        took
    }

    /// Orders that have no number.
    pub fn without_a_number(&self) -> usize {
        let seen = self.observer.now();
        let made = (0..self.made.load(Ordering::Relaxed)).map(|n| format!("o{n}"));
        made.filter(|name| order_state(&seen, name) != Some(OrderState::Assigned)).count()
    }

    /// Something that is gone again at once.
    pub async fn makes_and_deletes(&self) {
        self.create("passing", json!({"verificationId": "v", "suspend": true})).await;
        let _ = self.orders.delete("passing", &DeleteParams::default()).await;
    }
}
