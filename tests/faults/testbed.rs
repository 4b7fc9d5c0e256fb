//! One run's own testbed: two namespaces on the shared control plane, a simulator, an operator between two
//! counting proxies, and words for what a user does.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::{ByteString, NamespaceResourceScope};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{LedgerEntry, PhoneNumberOrder, PhoneVerification};
use tenios_simulator::{DocumentState, JournalEntry, PushSettings, Simulator};
use tokio::sync::watch;

use crate::clusters::Twin;
use crate::meddle::{OTHER_NUMBER, Window};
use crate::outside::{self, Store};
use crate::status_observer::{Seen, StatusObserver};
use crate::topology::Topology;
use harness::link::Passed;
use harness::{Link, Operator, OperatorOptions, TestNamespaces, http, provider, wait};

/// What the operator runs with: times that a test can wait for. The slow pace after a refusal is slower
/// than any run, so that only an edit is followed by a request.
pub const FLAGS: [&str; 8] = [
    "--provider-timeout=1s",
    "--send-within=500ms",
    "--lease-duration=2s",
    "--retry-min=50ms",
    "--retry-max=500ms",
    "--refusal-retry-min=120s",
    "--refusal-retry-max=120s",
    "--drain-timeout=5s",
];
/// Longer than the time to send, the provider's time-out and the margin together, and than the lease.
pub const PAUSE: Duration = Duration::from_millis(2800);

/// Until an operator is ready at most; a fault may keep it from it.
const START_TIMEOUT: Duration = Duration::from_secs(20);

pub const PDF: &[u8] = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// See the module documentation.
pub struct Testbed {
    pub namespaces: TestNamespaces,
    pub simulator: Simulator,
    pub apiserver: Link,
    pub provider: Link,
    /// Where the ledger is, if it is outside the cluster.
    pub store: Option<Store>,
    pub operator: Operator,
    /// The second replica with its link to the provider. No fault meets it.
    pub second: Option<(Operator, Link)>,
    /// The cluster of the first one, where the second one is in another.
    pub twin: Option<Twin>,
    /// Whether the second one begins with the first.
    begins_with_both: bool,
    pub observer: StatusObserver,
    pub fault_window: watch::Sender<FaultWindow>,
    /// When a user had something else in mind than before.
    pub windows: Mutex<Vec<Window>>,
}

/// Whether something is being done to the operator or its links.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultWindow {
    /// The fault has met its request.
    pub begun: bool,
    /// What the portal shows may not be the whole truth yet.
    pub open: bool,
    /// When the last one ended.
    pub over: Option<Instant>,
}

impl Testbed {
    /// Sets everything up; no operator is started.
    pub async fn new(name: &str, topology: Topology) -> Self {
        Self::with(name, topology, |options| topology.flags(options)).await
    }

    /// For many orders, and crashes that need not wait for a lease.
    pub async fn for_walk(name: &str, topology: Topology) -> Self {
        let more =
            ["--leader-election=false", "--order-budget=1000/24h", "--order-budget-per-namespace=1000/24h"];
        Self::with(name, topology, |options| options.args(more)).await
    }

    async fn with(
        name: &str,
        topology: Topology,
        flags: impl Fn(OperatorOptions) -> OperatorOptions,
    ) -> Self {
        let simulator = simulator().await;
        let namespaces = TestNamespaces::new(name).await;
        let store = if topology.is_outside() { Some(Store::start().await) } else { None };
        let twin = match &store {
            Some(store) if topology.is_shared() => {
                Some(Twin::of(&namespaces, store.another_link().await).await)
            }
            _ => None,
        };
        // Where the one works that faults meet.
        let near = twin.as_ref().map_or(&namespaces, |twin| &twin.namespaces);
        let plane = &near.control_plane;
        let apiserver = Link::to_apiserver(plane.server(), plane.authority()).await;
        let provider = Link::to_provider(simulator.url()).await;
        let second = match topology {
            _ if !topology.has_second() => None,
            _ => {
                let with_ledger = |options| match &twin {
                    Some(twin) => outside::options(&twin.store, options),
                    None => options,
                };
                let flags = |options| with_ledger(topology.clock(plane, flags(options)));
                Some(second(&namespaces, &simulator, flags).await)
            }
        };
        let mut options = flags(options(&provider));
        if let Some(store) = &store {
            options = outside::options(&store.link, options);
        }
        if let Some((second, _)) = &second {
            // As behind a Service: which replica a push comes to is not the sender's choice.
            options = options.push_base_url(&format!("http://127.0.0.1:{}", second.push_port));
        }
        let operator = near.prepare_operator(&apiserver.url(), options).await;
        let observer = StatusObserver::open(&namespaces.client(), &namespaces.namespace);
        let fault_window = watch::Sender::default();
        let windows = Mutex::default();
        let testbed = Self {
            namespaces,
            simulator,
            apiserver,
            provider,
            store,
            operator,
            second,
            twin,
            begins_with_both: topology != Topology::Moved,
            observer,
            fault_window,
            windows,
        };
        testbed.secret().await;
        testbed
    }

    /// Starts the operators and waits until they are ready, faults or not. The second one comes after the
    /// first, which so leads.
    pub async fn start_operators(&self) {
        self.operator.process.start().expect("the operator starts");
        let Some((second, _)) = self.second.as_ref().filter(|_| self.begins_with_both) else {
            wait::poll(START_TIMEOUT, async || self.operator.is_ready().await.then_some(())).await;
            return;
        };
        let leads = async || {
            let metrics = http::get(self.operator.metrics_port, "/metrics").await.ok()?;
            metrics.body.contains("\ntenios_leader 1\n").then_some(())
        };
        wait::poll(START_TIMEOUT, leads).await;
        second.process.start().expect("the second operator starts");
        wait::poll(START_TIMEOUT, async || {
            (second.is_ready().await && self.operator.is_ready().await).then_some(())
        })
        .await;
    }

    /// The link that this request comes by.
    pub fn link_of(&self, request: &str) -> &Link {
        match (request.split(' ').next(), &self.store) {
            (Some("provider"), _) => &self.provider,
            (Some("store"), Some(store)) => &store.link,
            _ => &self.apiserver,
        }
    }

    /// The links on which faults happen, with the names of their ends.
    pub fn links(&self) -> Vec<(&'static str, &Link)> {
        let store = self.store.iter().map(|store| ("store", &store.link));
        [("apiserver", &self.apiserver), ("provider", &self.provider)].into_iter().chain(store).collect()
    }

    /// The first operator is gone for good, with its cluster where it has one of its own, and so the second one begins.
    pub async fn lose_the_first(&self) {
        self.operator.kill().await;
        let (Some(twin), Some((second, _))) = (&self.twin, &self.second) else { return };
        twin.lose();
        if !second.is_running() {
            second.process.start().expect("the second operator starts");
        }
    }

    /// Requests to the provider, by both.
    pub fn sent(&self) -> Vec<Passed> {
        let second = self.second.as_ref().map(|(_, link)| link.passed()).unwrap_or_default();
        [self.provider.passed(), second].concat()
    }

    pub async fn secret(&self) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "trade-register"},
            "data": {"extract.pdf": ByteString(PDF.to_vec())},
        });
        self.create::<k8s_openapi::api::core::v1::Secret>(secret).await;
    }

    /// What is there already was re-created by somebody else.
    async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Serialize
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.namespaces.api();
        let name = object["metadata"]["name"].as_str().map(ToOwned::to_owned).unwrap_or_default();
        let object: K = serde_json::from_value(object).expect("an object");
        let params = PostParams::default();
        let there = async {
            if let Some(twin) = &self.twin {
                twin.create(&object).await;
            }
        };
        let (created, ()) = tokio::join!(api.create(&params, &object), there);
        match created {
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
                api.get(&name).await.expect("what is there can be read")
            }
            created => created.expect("the apiserver takes it"),
        }
    }

    /// A verification with this approval.
    pub async fn verification(&self, name: &str, more: Value) {
        let mut spec = json!({
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
            "areaCode": "221",
            "document": {"type": "CERTIFICATE_OF_REGISTRATION", "secretRef": {"name": "trade-register", "key": "extract.pdf"}},
        });
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        let created: PhoneVerification =
            self.create(json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": name}, "spec": spec})).await;
        self.observer
            .until(|seen| seen.verifications.get(name).is_some_and(|now| is_since(now, &created)))
            .await;
    }

    pub async fn order(&self, name: &str, spec: Value) {
        let created: PhoneNumberOrder =
            self.create(json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": name}, "spec": spec})).await;
        self.observer.until(|seen| seen.orders.get(name).is_some_and(|now| is_since(now, &created))).await;
    }

    pub async fn patch_order(&self, name: &str, patch: Value) -> kube::Result<PhoneNumberOrder> {
        self.observer.note(&format!("the user patches order {name}: {patch}"));
        let api: Api<PhoneNumberOrder> = self.namespaces.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub async fn patch_verification(&self, name: &str, patch: Value) -> kube::Result<PhoneVerification> {
        self.observer.note(&format!("the user patches verification {name}: {patch}"));
        let api: Api<PhoneVerification> = self.namespaces.api();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
    }

    pub async fn delete_order(&self, name: &str) {
        let api: Api<PhoneNumberOrder> = self.namespaces.api();
        let uid = api.get_opt(name).await.expect("the order can be read").and_then(|order| order.uid());
        match api.delete(name, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            deleted => drop(deleted.expect("the order can be deleted")),
        }
        self.observer.until(|seen| seen.orders.get(name).is_none_or(|order| order.uid() != uid)).await;
    }

    /// Deletes the tenant's namespace, waits until it is gone, and sets it up anew.
    pub async fn replace_namespace(&self) {
        let api: Api<Namespace> = Api::all(self.namespaces.client());
        let name = &self.namespaces.namespace;
        api.delete(name, &DeleteParams::default()).await.expect("the namespace can be deleted");
        wait::poll(Duration::from_secs(60), async || api.get_opt(name).await.ok()?.is_none().then_some(()))
            .await
            .expect("the namespace goes");
        self.namespaces.create_namespace(name).await;
        self.namespaces.let_operator_watch(name).await;
        self.secret().await;
    }

    /// A document that the provider approved, without a `PhoneVerification` of its own.
    pub fn document(&self, state: DocumentState) -> String {
        let id = uuid::Uuid::new_v4();
        self.simulator.set_document(id, state);
        id.to_string()
    }

    /// Ids of the verifications that the provider took.
    pub fn taken(&self) -> Vec<String> {
        let id = |entry: JournalEntry| {
            let answer = entry.answer.filter(|_| entry.processed && entry.path == "/verification/create")?;
            answer.body["verification_id"].as_str().map(ToOwned::to_owned)
        };
        self.simulator.journal().into_iter().filter_map(id).collect()
    }

    pub async fn order_at(&self, name: &str, state: OrderState) -> Seen {
        self.observer.until(|seen| order_state(seen, name) == Some(state)).await
    }

    pub async fn verification_at(&self, name: &str, state: VerificationState) -> Seen {
        self.observer.until(|seen| verification_state(seen, name) == Some(state)).await
    }

    /// Writes somebody else into the lease.
    pub async fn steal_lease(&self) {
        let api: Api<Lease> = Api::namespaced(self.namespaces.client(), &self.namespaces.operator_namespace);
        let now = MicroTime(jiff::Timestamp::now());
        let thief = json!({"spec": {"holderIdentity": "thief", "renewTime": now}});
        let _ = api.patch("tenios-operator", &PatchParams::default(), &Patch::Merge(thief)).await;
    }

    pub async fn ledger(&self) -> Vec<LedgerEntry> {
        let api: Api<LedgerEntry> =
            Api::namespaced(self.namespaces.client(), &self.namespaces.operator_namespace);
        api.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default()
    }
}

/// Whether it is the one that was created, or was put in its place since.
fn is_since<K: Resource<DynamicType = ()>>(now: &K, created: &K) -> bool {
    now.uid() == created.uid() || now.creation_timestamp() >= created.creation_timestamp()
}

pub fn order_state(seen: &Seen, name: &str) -> Option<OrderState> {
    seen.orders.get(name)?.status.as_ref()?.state
}

pub fn verification_state(seen: &Seen, name: &str) -> Option<VerificationState> {
    seen.verifications.get(name)?.status.as_ref()?.state
}

fn options(provider: &Link) -> OperatorOptions {
    OperatorOptions::new(&provider.url()).args(FLAGS).env("NO_COLOR", "1")
}

async fn second(
    namespaces: &TestNamespaces,
    simulator: &Simulator,
    flags: impl Fn(OperatorOptions) -> OperatorOptions,
) -> (Operator, Link) {
    let provider = Link::to_provider(simulator.url()).await;
    let options = flags(options(&provider));
    (namespaces.prepare_operator(namespaces.control_plane.server(), options).await, provider)
}

async fn simulator() -> Simulator {
    let simulator = provider::simulator(provider::ACCESS_KEY, Duration::from_millis(100)).await;
    simulator.add_number(OTHER_NUMBER);
    // Long enough for a receiver that is paused, killed or cut off from its ledger for a while.
    simulator.set(|settings| settings.push = PushSettings { retries: 9, ..settings.push.clone() });
    simulator
}
