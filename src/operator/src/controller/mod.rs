//! The controllers: they observe, ask the lifecycle what to do, act, and show where it rests.

mod around;
mod awaiting;
mod config_map;
mod contested;
mod event_dedup;
mod events;
mod in_flight;
mod kind;
pub mod leader;
mod listing;
mod look;
mod namespaces;
mod objects;
mod pace;
mod provider_call;
mod reconcile;
mod requeue;
mod run;
mod schedule;
mod secrets;
mod shortage;
pub mod skew;
mod slots;
mod status;
mod stores;
mod sweep;
pub mod trim;
mod turns;
mod unreadable;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::{PatchParams, PostParams};
use kube::{Client, Resource};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::push::PushSigner;
use crate::telemetry::{Metrics, TrackedResource};
use tenios_api::{FIELD_MANAGER, Reason, causes};
use tenios_ledger::{Event, Key, Kind, LedgerCache, LedgerChange, Origin};
use tenios_lifecycle::{RetryPolicy, Warning};
use tenios_provider::Tenios;

use namespaces::NamespaceOwner;

pub use namespaces::NAMESPACE_LEASE;
pub use run::run;

/// What the controllers are told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bounds of the back-off.
    pub retry_policy: RetryPolicy,
    /// How long after the decision to send a request may still leave.
    pub send_within: Duration,
    /// How many requests to the provider are in flight at most.
    pub provider_concurrency: usize,
    /// How many resources of a kind are reconciled at a time at most in one namespace.
    pub concurrency: u16,
    /// The operator's own access key.
    pub access_key_file: Option<PathBuf>,
    /// The operator's own namespace, where its ledger is.
    pub namespace: String,
    /// Watched namespaces; empty means all.
    pub namespaces: Vec<String>,
}

/// Only a wait for an answer or a number that lasts is shown: most are over earlier, and then that write is saved.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// The same for a turn at the provider. In a burst of thousands nearly all wait for theirs, and what that costs the
/// apiserver delays the orders themselves.
const TURN_SHOWN_AFTER: Duration = Duration::from_secs(5);

/// Added to what a request may take before another process calls its outcome unknown.
const MARGIN: Duration = Duration::from_secs(1);

/// Everything that a reconcile needs.
pub struct Context {
    client: Client,
    ledger: Arc<LedgerCache>,
    tenios: Tenios,
    push: Option<PushSigner>,
    config: Config,
    metrics: Arc<Metrics>,
    stores: stores::Stores,
    secrets: secrets::Secrets,
    in_flight: in_flight::InFlight,
    requeue: Arc<requeue::Requeue>,
    contested: contested::Contested,
    awaiting: awaiting::Awaiting,
    shortage: shortage::Shortage,
    slots: slots::SendSlots,
    pacer: pace::Pacer,
    turns: turns::Turns,
    namespaces: namespaces::Namespaces,
    /// Calls, which go on when a reconcile does not.
    tasks: TaskTracker,
    /// Cancelled when no new request may be sent.
    draining: CancellationToken,
    leads: AtomicBool,
    waits: Mutex<HashMap<Key, (Reason, u32)>>,
    warned: event_dedup::EventDedup,
    events: events::Events,
    /// Resources went, and perhaps their ledger entries can.
    gone: Notify,
}

impl Context {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        client: Client,
        ledger: Arc<LedgerCache>,
        tenios: Tenios,
        push: Option<PushSigner>,
        config: Config,
        metrics: Arc<Metrics>,
        draining: CancellationToken,
    ) -> Arc<Self> {
        let requeue = Arc::new(requeue::Requeue::default());
        Arc::new(Self {
            secrets: secrets::Secrets::new(client.clone(), config.access_key_file.clone()),
            in_flight: in_flight::InFlight::new(
                config.send_within + tenios.timeout() + MARGIN,
                requeue.clone(),
            ),
            slots: slots::SendSlots::new(config.provider_concurrency, requeue.clone()),
            pacer: pace::Pacer::new(config.retry_policy.retry_max, requeue.clone()),
            turns: turns::Turns::new(config.concurrency, requeue.clone()),
            namespaces: namespaces::Namespaces::new(client.clone(), config.namespace.clone()),
            stores: stores::Stores::default(),
            requeue,
            tasks: TaskTracker::new(),
            leads: AtomicBool::new(false),
            waits: Mutex::default(),
            warned: event_dedup::EventDedup::default(),
            events: events::Events::default(),
            contested: contested::Contested::default(),
            awaiting: awaiting::Awaiting::default(),
            shortage: shortage::Shortage::default(),
            gone: Notify::new(),
            client,
            ledger,
            tenios,
            push,
            config,
            metrics,
            draining,
        })
    }

    /// What is counted.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// This replica leads from now on, or does not.
    pub fn lead(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
        self.metrics.leader(leads);
        if !leads {
            // Whoever leads now counts the resources, and watches whose the namespaces are.
            self.shortage.clear();
            for key in self.kept() {
                self.leave(&key);
            }
            self.slots.clear();
            self.pacer.clear();
            self.events.clear();
            self.namespaces.forget();
        }
    }

    /// Whether everything that this replica has to watch was listed once, or can't be.
    #[must_use]
    pub fn is_standby_or_watching(&self) -> bool {
        !self.leads.load(Ordering::Relaxed) || self.stores.were_tried()
    }

    /// Counts the namespaces that are not served.
    pub fn count_namespaces(&self) {
        if self.leads.load(Ordering::Relaxed) {
            self.metrics.namespaces(self.namespaces.anothers(), self.stores.missing());
        } else {
            self.metrics.namespaces(0, 0);
        }
    }

    /// Counts the access keys that TENIOS limits, and how much it takes with all of them.
    pub fn count_limits(&self) {
        let (rate, keys) = self.pacer.limits();
        self.metrics.limits(rate, keys);
    }

    /// A ledger entry changed: its resource and those that refer to it look again. A reconcile that appended goes on
    /// by itself.
    pub fn ledger_changed(&self, LedgerChange { key, origin }: &LedgerChange) {
        if *origin == Origin::Elsewhere {
            self.requeue.now(key);
        }
        self.requeue.notify_dependents(key);
    }

    /// Waits until every call has ended; the answers that could not be recorded by then.
    pub async fn drain(&self, limit: Duration) -> Vec<(Key, Event)> {
        self.draining.cancel();
        self.tasks.close();
        let _ = tokio::time::timeout(limit, self.tasks.wait()).await;
        self.in_flight.not_recorded()
    }

    /// How much longer it is not worth a word that this resource waits for its turn, an answer or its number.
    fn not_worth_a_word(&self, key: &Key, reason: Reason, shown: Option<Reason>) -> Option<Duration> {
        if reason != Reason::AwaitingNumber {
            self.awaiting.forget(key);
        }
        let (since, after) = match reason {
            Reason::AwaitingNumber if shown == Some(reason) => return None,
            Reason::AwaitingNumber => (Some(self.awaiting.since(key)), SHOWN_AFTER),
            Reason::Ordering | Reason::Submitting => (self.in_flight.since(key), SHOWN_AFTER),
            Reason::Cancelling => (self.in_flight.since(&key.of(Kind::Cancellation)), SHOWN_AFTER),
            _ => (self.waits_for_its_turn_since(key), TURN_SHOWN_AFTER),
        };
        after.checked_sub(since?.elapsed()).filter(|left| !left.is_zero())
    }

    /// Since when this resource has waited for a request slot or for the pace that TENIOS allows.
    fn waits_for_its_turn_since(&self, key: &Key) -> Option<Instant> {
        self.slots.waits_since(key).or_else(|| self.pacer.waits_since(key))
    }

    /// How long to wait for what no watch tells of; longer each time in a row.
    fn wait(&self, key: &Key, reason: Reason) -> Duration {
        let mut waits = self.waits.lock();
        let times = match waits.get(key) {
            Some((before, times)) if *before == reason => times.saturating_add(1),
            _ => 1,
        };
        waits.insert(key.clone(), (reason, times));
        self.config.retry_policy.retry(times)
    }

    /// When to look again. Secrets, `ConfigMap`s and the ledger are asked less and less often while they don't change.
    fn requeue_after(&self, key: &Key, reason: Reason, requeue_after: Option<Duration>) -> Option<Duration> {
        match reason {
            Reason::AccessKeyNotFound
            | Reason::DocumentNotFound
            | Reason::DocumentInvalid
            | Reason::ConfigMapForbidden
            | Reason::ConfigMapNotOwned
            | Reason::ConfigMapNotWritten
            | Reason::LedgerUnavailable => Some(self.wait(key, reason)),
            _ => {
                self.waits.lock().remove(key);
                requeue_after
            }
        }
    }

    /// Tells the user by an event, once for the same words.
    fn publish_warning<K: Resource<DynamicType = ()>>(
        &self,
        key: &Key,
        object: &K,
        warning: Option<&Warning>,
    ) {
        if let Some(Warning { reason, message }) = warning {
            self.warn(key, object, reason, message);
        }
    }

    /// Warns by an event, once for the same words.
    fn warn<K: Resource<DynamicType = ()>>(&self, key: &Key, object: &K, reason: &str, message: &str) {
        if self.warned.is_new(key, reason, message) && self.events.warning(object, reason, message) {
            self.warned.record(key, reason, message);
        }
    }

    /// Whether the resource is another installation's to show. Two of them would correct each other's words
    /// without end. An apiserver that does not tell is no reason to show nothing.
    async fn is_anothers<K: Resource<DynamicType = ()>>(&self, key: &Key, object: &K) -> bool {
        let whose = if self.stores.know_the_owner(&key.namespace) {
            Ok(self.namespaces.known(&key.namespace))
        } else {
            self.namespaces.ask(&key.namespace).await
        };
        let Ok(NamespaceOwner::Other(ledger)) = whose else { return false };
        let why = namespaces::served_by_another(&key.namespace, &ledger);
        self.warn(key, object, "ServedByAnother", &why);
        true
    }

    /// Counts a resource where it stands.
    fn track(&self, key: &Key, resource: TrackedResource) {
        self.metrics.resource(key, Some(resource));
        if !self.leads.load(Ordering::Relaxed) {
            // The reconcile has outlived its term, and what was counted in that is cleared already.
            self.metrics.resource(key, None);
        }
    }

    /// Forgets what was only kept for a resource that is gone.
    fn forget(&self, key: &Key) {
        self.leave(key);
        self.in_flight.forget(key);
        self.in_flight.forget(&key.of(Kind::Cancellation));
        self.gone.notify_one();
    }

    /// Forgets what is only kept while this replica leads. What it intended and did not send is not: nobody else knows
    /// that, and it may lead again.
    fn leave(&self, key: &Key) {
        self.waits.lock().remove(key);
        self.warned.forget(key);
        self.requeue.forget(key);
        self.slots.forget(key);
        self.pacer.forget(key);
        self.turns.forget(key);
        self.contested.forget(key);
        self.awaiting.forget(key);
        self.shortage.forget(key, &self.requeue);
        self.ledger.forget_asked(key);
        self.ledger.forget_asked(&key.of(Kind::Cancellation));
        self.metrics.resource(key, None);
    }

    /// Resources of which anything is kept.
    fn kept(&self) -> HashSet<Key> {
        let mut keys: HashSet<Key> = self.metrics.resources().into_iter().collect();
        keys.extend(self.requeue.waiters());
        keys.extend(self.slots.waiters());
        keys.extend(self.pacer.waiters());
        keys.extend(self.turns.waiters());
        keys.extend(self.waits.lock().keys().cloned());
        keys.extend(self.warned.keys());
        keys.extend(self.ledger.asked());
        keys.extend(self.in_flight.resources());
        keys
    }

    fn forget_all(&self, gone: impl Fn(&Key) -> bool) {
        for key in self.kept().into_iter().filter(gone) {
            self.forget(&key);
        }
    }
}

/// A failed reconcile: the apiserver did not answer as needed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It refused, or could not be reached.
    #[error(transparent)]
    Apiserver(#[from] kube::Error),
    /// It said nothing.
    #[error("the apiserver did not answer within {} s", CALL_TIMEOUT.as_secs())]
    Silent,
}

impl Failed {
    /// For a message: what the apiserver said itself, where it said anything.
    fn words(&self) -> String {
        match self {
            Self::Apiserver(kube::Error::Api(status)) => status.message.clone(),
            other => causes(other),
        }
    }

    /// What the apiserver refuses again and again, until a person helps.
    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Apiserver(kube::Error::Api(status))
                if (400..500).contains(&status.code) && !matches!(status.code, 404 | 408 | 409 | 429) =>
            {
                Some(&status.message)
            }
            _ => None,
        }
    }
}

/// One call to the apiserver. A paused one must not hold a reconcile for ever.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Bounds a call to the apiserver.
async fn call<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failed> {
    Ok(tokio::time::timeout(CALL_TIMEOUT, call).await.map_err(|_| Failed::Silent)??)
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// Who writes, for `metadata.managedFields`.
fn posting() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() }
}

/// As [`posting`].
fn patching() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() }
}
