//! The metrics of `/metrics`. No label carries a name, a namespace or an id.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::labels::{AppendResult, PushResult, ReconcileError, RelayResult, RequestOutcome};
use super::resources::{ResourceGauges, StateLabels, TrackedResource};
use tenios_api::Endpoint;
use tenios_ledger::{Key, Kind};

const STORE_REQUESTS: [&str; 4] = ["create", "get", "list", "delete"];
const STORE_RESULTS: [&str; 5] = ["done", "exists", "not_found", "refused", "unavailable"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    endpoint: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabel {
    endpoint: &'static str,
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
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    kind: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    operation: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every metric of the operator.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    provider_requests: Family<ProviderLabels, Counter>,
    provider_duration: Histograms<EndpointLabel>,
    limited_keys: Gauge,
    limited_rate: Gauge<f64, AtomicU64>,
    resources: Family<StateLabels, Gauge<i64, AtomicI64>>,
    gauges: Arc<ResourceGauges>,
    pushes: Family<ResultLabel, Counter>,
    appends: Family<ResultLabel, Counter>,
    relay_events: Family<ResultLabel, Counter>,
    relay_undelivered: Gauge,
    relay_overdue: Gauge,
    store_requests: Family<StoreLabels, Counter>,
    store_duration: Histograms<OperationLabel>,
    ledger_reachable: Gauge,
    budget: Gauge,
    budget_limit: Gauge,
    cancel_budget: Gauge,
    cancel_budget_limit: Gauge,
    reconcile_duration: Histograms<KindLabel>,
    reconcile_errors: Family<ErrorLabels, Counter>,
    leader: Gauge,
    crd_compatible: Family<CrdLabel, Gauge>,
    namespaces_of_others: Gauge,
    namespaces_unlisted: Gauge,
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
            limited_keys: Gauge::default(),
            limited_rate: Gauge::default(),
            resources: Family::default(),
            gauges: Arc::default(),
            pushes: Family::default(),
            appends: Family::default(),
            relay_events: Family::default(),
            relay_undelivered: Gauge::default(),
            relay_overdue: Gauge::default(),
            store_requests: Family::default(),
            store_duration: Family::new_with_constructor(milliseconds_to_minutes),
            ledger_reachable: Gauge::default(),
            budget: Gauge::default(),
            budget_limit: Gauge::default(),
            cancel_budget: Gauge::default(),
            cancel_budget_limit: Gauge::default(),
            reconcile_duration: Family::new_with_constructor(milliseconds_to_minutes),
            reconcile_errors: Family::default(),
            leader: Gauge::default(),
            crd_compatible: Family::default(),
            namespaces_of_others: Gauge::default(),
            namespaces_unlisted: Gauge::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("provider_requests", "Requests to TENIOS by outcome", self.provider_requests.clone());
        r.register(
            "provider_request_duration_seconds",
            "Duration of requests to TENIOS",
            self.provider_duration.clone(),
        );
        r.register(
            "provider_limited_keys",
            "Access keys with which TENIOS answered 429 lately, so that requests are paced",
            self.limited_keys.clone(),
        );
        r.register(
            "provider_limited_requests_per_second",
            "Requests a second at which TENIOS is asked at most with all of these access keys",
            self.limited_rate.clone(),
        );
        r.register("resources", "Resources by state", self.resources.clone());
        r.register_collector(Box::new(self.gauges.clone()));
        r.register("pushes", "Pushes received by result", self.pushes.clone());
        r.register("ledger_appends", "Ledger appends by result", self.appends.clone());
        r.register(
            "ledger_store_requests",
            "Requests to the object storage of --ledger by result",
            self.store_requests.clone(),
        );
        r.register(
            "ledger_store_request_duration_seconds",
            "Duration of requests to the object storage of --ledger",
            self.store_duration.clone(),
        );
        r.register("relay_events", "Events that the relay sent, by result", self.relay_events.clone());
        r.register(
            "relay_undelivered",
            "Events that the relay has not delivered yet",
            self.relay_undelivered.clone(),
        );
        r.register(
            "relay_overdue",
            "Events that the relay could not deliver for an hour",
            self.relay_overdue.clone(),
        );
        r.register("ledger_reachable", "Whether the ledger can be read", self.ledger_reachable.clone());
        r.register(
            "order_budget_limit",
            "Order requests that --order-budget allows in its window",
            self.budget_limit.clone(),
        );
        r.register("order_budget_remaining", "Order requests left in --order-budget", self.budget.clone());
        r.register(
            "cancel_budget_limit",
            "Cancellations that --cancel-budget allows in its window",
            self.cancel_budget_limit.clone(),
        );
        r.register(
            "cancel_budget_remaining",
            "Cancellations left in --cancel-budget",
            self.cancel_budget.clone(),
        );
        r.register("reconcile_duration_seconds", "Duration of reconciles", self.reconcile_duration.clone());
        r.register("reconcile_errors", "Failed reconciles", self.reconcile_errors.clone());
        r.register("leader", "Whether this replica is the leader", self.leader.clone());
        r.register(
            "crd_compatible",
            "Whether the CRD in the cluster matches this version",
            self.crd_compatible.clone(),
        );
        r.register(
            "namespaces_of_others",
            "Watched namespaces that another installation serves",
            self.namespaces_of_others.clone(),
        );
        r.register(
            "namespaces_unlisted",
            "Watched namespaces that can't be listed, so nothing is done there",
            self.namespaces_unlisted.clone(),
        );
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The running version", build);
    }

    fn begin(&self) {
        for endpoint in Endpoint::ALL {
            for outcome in RequestOutcome::ALL {
                drop(self.provider_requests(endpoint, *outcome));
            }
        }
        for result in PushResult::ALL {
            drop(self.pushes(*result));
        }
        for result in AppendResult::ALL {
            drop(self.appends(*result));
        }
        for kind in Kind::RESOURCES {
            for reason in ReconcileError::ALL {
                drop(self.reconcile_errors(kind, *reason));
            }
        }
    }

    fn provider_requests(&self, endpoint: Endpoint, outcome: RequestOutcome) -> Counter {
        let labels = ProviderLabels { endpoint: endpoint.path(), outcome: outcome.as_str() };
        self.provider_requests.get_or_create_owned(&labels)
    }

    fn pushes(&self, result: PushResult) -> Counter {
        self.pushes.get_or_create_owned(&ResultLabel { result: result.as_str() })
    }

    fn appends(&self, result: AppendResult) -> Counter {
        self.appends.get_or_create_owned(&ResultLabel { result: result.as_str() })
    }

    fn reconcile_errors(&self, kind: Kind, reason: ReconcileError) -> Counter {
        let labels = ErrorLabels { kind: kind.as_str(), reason: reason.as_str() };
        self.reconcile_errors.get_or_create_owned(&labels)
    }

    /// One request to the provider ended.
    pub fn provider_request(&self, endpoint: Endpoint, outcome: RequestOutcome, seconds: f64) {
        self.provider_duration.get_or_create(&EndpointLabel { endpoint: endpoint.path() }).observe(seconds);
        self.provider_requests(endpoint, outcome).inc();
    }

    /// At most so many requests a second are sent with so many access keys that the provider limits.
    pub fn limits(&self, rate: f64, keys: usize) {
        self.limited_rate.set(rate);
        self.limited_keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
    }

    /// A resource stands here now; nowhere where it is gone.
    pub fn resource(&self, key: &Key, resource: Option<TrackedResource>) {
        let mut tracked = self.gauges.lock();
        let now = resource.as_ref().map(|resource| resource.state.clone());
        let before = tracked.set(key, resource);
        if before == now {
            return;
        }
        let gauge =
            |state| self.resources.get_or_create_owned(&StateLabels { kind: key.kind.as_str(), state });
        before.map(|s| gauge(s).dec());
        now.map(|s| gauge(s).inc());
    }

    /// The resources that are counted.
    #[must_use]
    pub fn resources(&self) -> Vec<Key> {
        self.gauges.lock().keys()
    }

    /// A push was answered.
    pub fn push(&self, result: PushResult) {
        self.pushes(result).inc();
    }

    /// A ledger append ended.
    pub fn append(&self, result: AppendResult) {
        self.appends(result).inc();
    }

    /// An event was sent to a receiver of the relay.
    pub fn relay_event(&self, result: RelayResult) {
        self.relay_events.get_or_create(&ResultLabel { result: result.as_str() }).inc();
    }

    /// There is a relay: what has not happened yet is told as 0.
    pub fn expect_relay(&self) {
        for result in RelayResult::ALL {
            let _ = self.relay_events.get_or_create(&ResultLabel { result: result.as_str() });
        }
    }

    /// How many events are not delivered yet, and for how many that has lasted an hour.
    pub fn relay_undelivered(&self, all: usize, overdue: usize) {
        self.relay_undelivered.set(i64::try_from(all).unwrap_or(i64::MAX));
        self.relay_overdue.set(i64::try_from(overdue).unwrap_or(i64::MAX));
    }

    /// A request to the ledger's object storage ended.
    pub fn store_request(&self, operation: &'static str, result: &'static str, seconds: f64) {
        self.store_duration.get_or_create(&OperationLabel { operation }).observe(seconds);
        self.store_requests.get_or_create(&StoreLabels { operation, result }).inc();
    }

    /// There is such a storage: what has not happened there yet is told as 0.
    pub fn expect_store_requests(&self) {
        for operation in STORE_REQUESTS {
            for result in STORE_RESULTS {
                let _ = self.store_requests.get_or_create(&StoreLabels { operation, result });
            }
        }
    }

    /// What the operator's budget for orders has left, and what it is.
    pub fn budget(&self, remaining: i64, limit: i64) {
        self.budget.set(remaining);
        self.budget_limit.set(limit);
    }

    /// The same of cancellations.
    pub fn cancel_budget(&self, remaining: i64, limit: i64) {
        self.cancel_budget.set(remaining);
        self.cancel_budget_limit.set(limit);
    }

    /// Whether the ledger can be read.
    pub fn ledger_reachable(&self, reachable: bool) {
        self.ledger_reachable.set(i64::from(reachable));
    }

    /// A reconcile ended.
    pub fn reconciled(&self, kind: Kind, seconds: f64) {
        self.reconcile_duration.get_or_create(&KindLabel { kind: kind.as_str() }).observe(seconds);
    }

    /// A reconcile failed.
    pub fn reconcile_error(&self, kind: Kind, reason: ReconcileError) {
        self.reconcile_errors(kind, reason).inc();
    }

    /// Whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// How many watched namespaces are another installation's, and how many can't be listed.
    pub fn namespaces(&self, of_others: usize, unlisted: usize) {
        self.namespaces_of_others.set(i64::try_from(of_others).unwrap_or(i64::MAX));
        self.namespaces_unlisted.set(i64::try_from(unlisted).unwrap_or(i64::MAX));
    }

    /// Whether the CRD in the cluster has the fields that this operator knows, and no others.
    pub fn crd_compatible(&self, kind: &str, compatible: bool) {
        let label = CrdLabel { kind: kind.to_owned() };
        self.crd_compatible.get_or_create(&label).set(i64::from(compatible));
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
