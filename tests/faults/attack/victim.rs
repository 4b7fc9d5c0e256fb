//! The other tenant, who orders one number at a time.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use tenios_operator::api::PhoneNumberOrder;
use tenios_operator::api::order::OrderState;
use tenios_operator::simulator::{DocumentState, Simulator};

use crate::eyes::Eyes;
use crate::harness::{Scenario, wait};
use crate::stage::order_state;

/// What her time is compared with.
pub const QUIET_ORDERS: usize = 12;
const BETWEEN: Duration = Duration::from_secs(20);
/// Far beyond what would be taken for a failure.
const PATIENCE: Duration = Duration::from_secs(120);
/// To their number, once the attack is over.
const UNTIL_ASSIGNED: Duration = Duration::from_secs(60);

/// See the module documentation.
pub struct Victim {
    orders: Api<PhoneNumberOrder>,
    maps: Api<ConfigMap>,
    eyes: Eyes,
    simulator: Simulator,
    made: AtomicUsize,
}

impl Victim {
    pub fn new(scenario: &Scenario, simulator: &Simulator) -> Self {
        Self {
            orders: scenario.api(),
            maps: scenario.api(),
            eyes: Eyes::open(&scenario.client(), &scenario.namespace),
            simulator: simulator.clone(),
            made: AtomicUsize::new(0),
        }
    }

    /// So many; how long each took, and the apiserver by itself.
    pub async fn orders(&self, count: usize, between: Duration) -> (Vec<Duration>, Duration) {
        let (mut times, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..count {
            alone.push(self.apiserver_alone().await);
            times.push(self.one().await);
            tokio::time::sleep(between).await;
        }
        (times, super::median(&alone))
    }

    /// One every [`BETWEEN`] until then.
    pub async fn orders_until(&self, until: Instant) -> (Vec<Duration>, Duration) {
        let (mut times, mut alone) = (Vec::new(), Vec::new());
        while Instant::now() < until {
            tokio::time::sleep(BETWEEN.min(until.saturating_duration_since(Instant::now()))).await;
            alone.push(self.apiserver_alone().await);
            times.push(self.one().await);
        }
        let all = |seen: &crate::eyes::Seen| {
            seen.orders.keys().all(|n| order_state(seen, n) == Some(OrderState::Assigned))
        };
        let _ = tokio::time::timeout(UNTIL_ASSIGNED, self.eyes.until(all)).await;
        (times, super::median(&alone))
    }

    /// From the order's creation until she sees that it is placed.
    async fn one(&self) -> Duration {
        let name = format!("o{}", self.made.fetch_add(1, Ordering::Relaxed));
        let id = uuid::Uuid::new_v4();
        self.simulator.set_document(id, DocumentState::Approved);
        let began = Instant::now();
        self.create(&name, json!({"verificationId": id.to_string()})).await;
        let placed = |state| matches!(state, Some(OrderState::AwaitingNumber | OrderState::Assigned));
        let ended = self.eyes.until(|seen| placed(order_state(seen, &name)));
        let _ = tokio::time::timeout(PATIENCE, ended).await;
        let took = began.elapsed();
        self.eyes.note(&format!("{}: order {name} took {took:?}", jiff::Timestamp::now()));
        took
    }

    pub fn notes(&self) -> Vec<String> {
        self.eyes.notes()
    }

    async fn create(&self, name: &str, spec: Value) {
        let object = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).expect("an order");
        let created =
            wait::poll(PATIENCE, async || self.orders.create(&PostParams::default(), &object).await.ok());
        created.await.expect("the apiserver takes her order");
    }

    /// A write and a read of something that the operator has nothing to do with.
    async fn apiserver_alone(&self) -> Duration {
        let map =
            serde_json::from_value(json!({"metadata": {"generateName": "alone-"}})).expect("a ConfigMap");
        let began = Instant::now();
        if let Ok(created) = self.maps.create(&PostParams::default(), &map).await {
            let name = created.metadata.name.unwrap_or_default();
            let _ = self.maps.get_opt(&name).await;
        }
        began.elapsed()
    }

    /// Orders that have no number.
    pub fn without_a_number(&self) -> usize {
        let seen = self.eyes.now();
        let made = (0..self.made.load(Ordering::Relaxed)).map(|n| format!("o{n}"));
        made.filter(|name| order_state(&seen, name) != Some(OrderState::Assigned)).count()
    }

    /// Something that is gone again at once.
    pub async fn makes_and_deletes(&self) {
        self.create("passing", json!({"verificationId": "v", "suspend": true})).await;
        let _ = self.orders.delete("passing", &DeleteParams::default()).await;
    }
}
