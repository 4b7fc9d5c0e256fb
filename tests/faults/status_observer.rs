//! What a person at kubectl sees: every change of the two kinds, as it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{
    Condition, ConditionStatus, ConditionType, PhoneNumberOrder, PhoneNumberOrderStatus, PhoneVerification,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use harness::watchdog::lock;

/// What is there now, by name.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub orders: BTreeMap<String, PhoneNumberOrder>,
    pub verifications: BTreeMap<String, PhoneVerification>,
}

/// A request of which a resource said that nobody can tell its outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unknown {
    Order { name: String, attempt: String },
    Verification { name: String, attempt: String },
    Cancellation { name: String, attempt: String },
}

/// See the module documentation. Closed when dropped.
pub struct StatusObserver {
    shared: Arc<Shared>,
    closed: CancellationToken,
}

struct Shared {
    seen: watch::Sender<Seen>,
    unknown: Mutex<BTreeSet<Unknown>>,
    notes: Mutex<Vec<String>>,
    changes: AtomicUsize,
    began: Instant,
}

impl Drop for StatusObserver {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl StatusObserver {
    /// Watches a namespace.
    pub fn open(client: &Client, namespace: &str) -> Self {
        let shared = Arc::new(Shared {
            seen: watch::Sender::default(),
            unknown: Mutex::default(),
            notes: Mutex::default(),
            changes: AtomicUsize::default(),
            began: Instant::now(),
        });
        let closed = CancellationToken::new();
        let orders = follow::<PhoneNumberOrder>(client, namespace, shared.clone(), |seen| &mut seen.orders);
        let verifications =
            follow::<PhoneVerification>(client, namespace, shared.clone(), |seen| &mut seen.verifications);
        tokio::spawn(closed.clone().run_until_cancelled_owned(orders));
        tokio::spawn(closed.clone().run_until_cancelled_owned(verifications));
        Self { shared, closed }
    }

    /// Waits until what is there pleases.
    pub async fn until(&self, pleases: impl Fn(&Seen) -> bool) -> Seen {
        let mut seen = self.shared.seen.subscribe();
        seen.wait_for(pleases).await.expect("the sender is ours").clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<Seen> {
        self.shared.seen.subscribe()
    }

    pub fn now(&self) -> Seen {
        self.shared.seen.borrow().clone()
    }

    /// All that was ever shown as unknown.
    pub fn unknown(&self) -> BTreeSet<Unknown> {
        lock(&self.shared.unknown).clone()
    }

    /// A line for the report of a failure.
    pub fn note(&self, text: &str) {
        self.shared.note(text);
    }

    pub fn notes(&self) -> Vec<String> {
        lock(&self.shared.notes).clone()
    }

    /// How often a resource was shown as something else, whatever the user did meanwhile.
    pub fn changes(&self) -> usize {
        self.shared.changes.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn note(&self, text: &str) {
        lock(&self.notes).push(format!("{:8.3} {text}", self.began.elapsed().as_secs_f64()));
    }

    fn shown<K: Shown>(&self, object: &K) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.note(&format!("{} {}: {}", K::kind(&()), object.name_any(), object.words()));
        lock(&self.unknown).extend(object.unknown());
    }
}

/// What the two kinds have in common here.
trait Shown: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Send + Sync + 'static {
    fn words(&self) -> String;
    fn unknown(&self) -> Option<Unknown>;
}

impl Shown for PhoneNumberOrder {
    fn words(&self) -> String {
        let Some(status) = &self.status else { return "no status".into() };
        let message = status.conditions.first().map(|c| c.message.as_str()).unwrap_or_default();
        format!(
            "{:?} attempt {:?} order {:?} number {:?}; {message}",
            status.state, status.attempt, status.order_id, status.phone_number
        )
    }

    fn unknown(&self) -> Option<Unknown> {
        let status = self.status.as_ref().filter(|s| s.state == Some(OrderState::OutcomeUnknown))?;
        let name = self.name_any();
        Some(match unknown_cancellation(status) {
            Some(attempt) => Unknown::Cancellation { name, attempt },
            None => Unknown::Order { name, attempt: status.attempt.clone().unwrap_or_default() },
        })
    }
}

/// The request to cancel of which a status says that nobody can tell its outcome.
pub fn unknown_cancellation(status: &PhoneNumberOrderStatus) -> Option<String> {
    let is_it = |c: &Condition| c.type_ == ConditionType::Cancelled && c.status == ConditionStatus::Unknown;
    status.conditions.iter().find(|c| is_it(c))?;
    status.cancellation.as_ref()?.attempt.clone()
}

impl Shown for PhoneVerification {
    fn words(&self) -> String {
        let Some(status) = &self.status else { return "no status".into() };
        let message = status.conditions.first().map(|c| c.message.as_str()).unwrap_or_default();
        format!(
            "{:?} attempt {:?} verification {:?}; {message}",
            status.state, status.attempt, status.verification_id
        )
    }

    fn unknown(&self) -> Option<Unknown> {
        let status = self.status.as_ref().filter(|s| s.state == Some(VerificationState::OutcomeUnknown))?;
        let attempt = status.attempt.clone().unwrap_or_default();
        Some(Unknown::Verification { name: self.name_any(), attempt })
    }
}

fn follow<K: Shown + Debug + DeserializeOwned>(
    client: &Client,
    namespace: &str,
    shared: Arc<Shared>,
    of: fn(&mut Seen) -> &mut BTreeMap<String, K>,
) -> impl Future<Output = ()> + Send + 'static {
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    async move {
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.insert(object.name_any());
                    shared.shown(&object);
                    shared.seen.send_modify(|seen| drop(of(seen).insert(object.name_any(), object)));
                }
                Ok(watcher::Event::Apply(object)) => {
                    shared.shown(&object);
                    shared.seen.send_modify(|seen| drop(of(seen).insert(object.name_any(), object)));
                }
                Ok(watcher::Event::Delete(object)) => {
                    shared.note(&format!("{} {}: gone", K::kind(&()), object.name_any()));
                    shared.seen.send_modify(|seen| drop(of(seen).remove(&object.name_any())));
                }
                Ok(watcher::Event::InitDone) => {
                    shared.seen.send_modify(|seen| of(seen).retain(|name, _| listed.contains(name)));
                }
                Err(error) => shared.note(&format!("the watch broke: {error}")),
            }
        }
    }
}
