//! The metrics of `/metrics`. No label carries a name, a namespace or an id.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::ledger::{Key, Kind};

/// Labels of `provider_requests_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProviderLabels {
    /// `verification/create` or `number/order`
    pub endpoint: &'static str,
    /// `accepted`, `refused`, `not_processed` or `unknown`
    pub outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResourceLabels {
    kind: &'static str,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CrdLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    kind: &'static str,
    reason: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    provider_requests: Family<ProviderLabels, Counter<u64, AtomicU64>>,
    provider_duration: Histograms<EndpointLabel>,
    resources: Family<ResourceLabels, Gauge<i64, AtomicI64>>,
    states: Mutex<HashMap<Key, String>>,
    pushes: Family<ResultLabel, Counter>,
    appends: Family<ResultLabel, Counter>,
    budget: Gauge,
    reconcile_duration: Histograms<KindLabel>,
    reconcile_errors: Family<ErrorLabels, Counter>,
    leader: Gauge,
    crd_compatible: Family<CrdLabel, Gauge>,
    namespaces_of_others: Gauge,
}

fn milliseconds_to_minutes() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.5, 13))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("tenios"),
            provider_requests: Family::default(),
            provider_duration: Family::new_with_constructor(milliseconds_to_minutes),
            resources: Family::default(),
            states: Mutex::default(),
            pushes: Family::default(),
            appends: Family::default(),
            budget: Gauge::default(),
            reconcile_duration: Family::new_with_constructor(milliseconds_to_minutes),
            reconcile_errors: Family::default(),
            leader: Gauge::default(),
            crd_compatible: Family::default(),
            namespaces_of_others: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("provider_requests", "Requests to TENIOS by outcome", self.provider_requests.clone());
        r.register(
            "provider_request_duration_seconds",
            "Time of requests to TENIOS",
            self.provider_duration.clone(),
        );
        r.register("resources", "Resources by state", self.resources.clone());
        r.register("pushes", "Pushes received by result", self.pushes.clone());
        r.register("ledger_appends", "Ledger appends by result", self.appends.clone());
        r.register(
            "order_budget_remaining",
            "Orders that the operator's budget still allows",
            self.budget.clone(),
        );
        r.register("reconcile_duration_seconds", "Time of reconciles", self.reconcile_duration.clone());
        r.register("reconcile_errors", "Failed reconciles", self.reconcile_errors.clone());
        r.register("leader", "Whether this replica leads", self.leader.clone());
        r.register(
            "crd_compatible",
            "Whether the CRD in the cluster is the one of this version",
            self.crd_compatible.clone(),
        );
        r.register(
            "namespaces_of_others",
            "Watched namespaces that another installation serves",
            self.namespaces_of_others.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The version that runs", build);
    }

    /// One request to the provider ended.
    pub fn provider_request(&self, labels: ProviderLabels, seconds: f64) {
        self.provider_duration.get_or_create(&EndpointLabel { endpoint: labels.endpoint }).observe(seconds);
        self.provider_requests.get_or_create(&labels).inc();
    }

    /// A resource is in this state now; none where it is gone.
    pub fn resource(&self, key: &Key, state: Option<String>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &state {
            Some(state) => states.insert(key.clone(), state.clone()),
            None => states.remove(key),
        };
        if before == state {
            return;
        }
        let gauge =
            |state| self.resources.get_or_create_owned(&ResourceLabels { kind: key.kind.as_str(), state });
        before.map(|s| gauge(s).dec());
        state.map(|s| gauge(s).inc());
    }

    /// The resources that are counted.
    pub fn resources(&self) -> Vec<Key> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// A push was answered.
    pub fn push(&self, result: &'static str) {
        self.pushes.get_or_create(&ResultLabel { result }).inc();
    }

    /// A ledger append ended.
    pub fn append(&self, result: &'static str) {
        self.appends.get_or_create(&ResultLabel { result }).inc();
    }

    /// What the operator's budget has left.
    pub fn budget_remaining(&self, remaining: i64) {
        self.budget.set(remaining);
    }

    /// A reconcile ended.
    pub fn reconciled(&self, kind: Kind, seconds: f64) {
        self.reconcile_duration.get_or_create(&KindLabel { kind: kind.as_str() }).observe(seconds);
    }

    /// A reconcile failed.
    pub fn reconcile_error(&self, kind: Kind, reason: &'static str) {
        self.reconcile_errors.get_or_create(&ErrorLabels { kind: kind.as_str(), reason }).inc();
    }

    /// Whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// How many watched namespaces were found to be another installation's.
    pub fn namespaces_of_others(&self, count: usize) {
        self.namespaces_of_others.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether the CRD in the cluster has the fields that this operator knows, and no others.
    pub fn crd_compatible(&self, kind: &'static str, compatible: bool) {
        self.crd_compatible.get_or_create(&CrdLabel { kind }).set(i64::from(compatible));
    }

    /// The text that Prometheus scrapes.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(_) => String::new(),
        }
    }
}
