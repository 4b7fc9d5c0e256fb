//! The watches, and what looks after each kind: it observes, and reconciles whatever something happened to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join, join_all};
use futures::{FutureExt, StreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use super::kind::Reconciled;
use super::listing::{Listing, Watching};
use super::objects::Objects;
use super::requeue::Scope;
use super::schedule::Schedule;
use super::stores::{KindStore, NamespaceStores, Resources};
use super::turns::Turn;
use super::{Context, namespaces, reconcile, sweep};
use crate::telemetry::{ReconcileError, traced};
use tenios_api::{PhoneNumberOrder, PhoneVerification, causes};
use tenios_ledger::Key;

/// Objects of a list that are asked for at a time. Each may have more than a megabyte on its way to [`super::trim`],
/// and a list that takes the apiserver more than a minute ends without an answer.
const PAGE: u32 = 100;

/// Runs the controllers until `stop`; then the reconciles under way are finished.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    context.ledger.listed().await;
    context.turns.clear();
    let namespaces: Vec<Option<String>> = match context.config.namespaces.as_slice() {
        [] => vec![None],
        names => names.iter().cloned().map(Some).collect(),
    };
    let mut watched = Vec::new();
    let mut running = Vec::new();
    for namespace in namespaces {
        let leases = Arc::new(Listing::new(Watching::Leases, namespace.clone()));
        let (kinds, controllers): (Vec<_>, Vec<_>) =
            kinds(&context, namespace.as_deref(), &stop).into_iter().unzip();
        watched.push(NamespaceStores { namespace: namespace.clone(), kinds, leases: leases.clone() });
        let owners = namespaces::follow(context.clone(), namespace, leases, stop.clone());
        running.push(join(owners, join_all(controllers)));
    }
    context.stores.set(watched);
    let slots = context.slots.clone().run(stop.clone());
    let reconciled = CancellationToken::new();
    let reconciling = async {
        join_all(running).await;
        reconciled.cancel();
    };
    let events = context.events.publish(&context.client, &reconciled);
    let turns = join(slots, context.pacer.clone().run(stop.clone()));
    futures::future::join4(reconciling, events, turns, sweep::run(context.clone(), stop)).await;
}

/// Every kind that the operator looks after, each with its controller. A new one is registered here.
fn kinds(
    context: &Arc<Context>,
    namespace: Option<&str>,
    stop: &CancellationToken,
) -> [(Box<dyn Resources>, BoxFuture<'static, ()>); 2] {
    [
        Watch::<PhoneVerification>::new(context, namespace).begin(stop),
        Watch::<PhoneNumberOrder>::new(context, namespace).begin(stop),
    ]
}

/// One kind in one namespace, or in all.
struct Watch<K: Reconciled> {
    context: Arc<Context>,
    scope: Scope,
    objects: Arc<Objects<K>>,
    listing: Arc<Listing>,
    woken: UnboundedReceiver<Key>,
    schedule: Schedule,
    ended: UnboundedSender<Ended>,
    endings: UnboundedReceiver<Ended>,
}

/// A reconcile has ended, and asks for another one after this time.
type Ended = (Key, Option<Duration>);

impl<K: Reconciled> Watch<K> {
    fn new(context: &Arc<Context>, namespace: Option<&str>) -> Self {
        let scope = Scope { kind: K::KIND, namespace: namespace.map(ToOwned::to_owned) };
        let (ended, endings) = unbounded_channel();
        Self {
            context: context.clone(),
            objects: Arc::default(),
            listing: Arc::new(Listing::new(Watching::Resources(K::KIND), scope.namespace.clone())),
            woken: context.requeue.stream(scope.clone()),
            scope,
            schedule: Schedule::default(),
            ended,
            endings,
        }
    }

    /// What is known of the resources, and what looks after them.
    fn begin(self, stop: &CancellationToken) -> (Box<dyn Resources>, BoxFuture<'static, ()>) {
        let kind_store = KindStore { objects: self.objects.clone(), listing: self.listing.clone() };
        (Box::new(kind_store), self.run(stop.clone()).boxed())
    }

    async fn run(mut self, stop: CancellationToken) {
        let client = self.context.client.clone();
        let api: Api<DeserializeGuard<K>> = match &self.scope.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let config = watcher::Config::default().page_size(PAGE);
        let mut events = watcher(api, config).default_backoff().boxed();
        let (context, namespace) = (self.context.clone(), self.scope.namespace.clone());
        // A reference that is merely not listed yet must not look like one to nothing.
        let listed = async move { context.stores.listed(namespace.as_deref().unwrap_or_default()).await };
        tokio::pin!(listed);
        let mut begun = false;
        loop {
            let due = self.schedule.next_due();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = events.next() => self.observe(event, begun),
                Some((key, wait)) = self.endings.recv() => self.end(&key, wait),
                Some(key) = self.woken.recv() => if begun { self.wake(&key) },
                () = sleep_until(due), if due.is_some() => self.begin_due(),
                () = &mut listed, if !begun => {
                    begun = true;
                    self.wake_all();
                }
            }
        }
        drop(events);
        while self.schedule.running() > 0
            && let Some((key, _)) = self.endings.recv().await
        {
            self.schedule.end(&key, None, Instant::now());
        }
    }

    fn observe(&mut self, event: Result<watcher::Event<DeserializeGuard<K>>, watcher::Error>, begun: bool) {
        match event {
            Ok(watcher::Event::Init) => self.objects.begin_list(),
            Ok(watcher::Event::InitApply(object)) => self.take_in(&object, true, begun),
            Ok(watcher::Event::Apply(object)) => self.take_in(&object, false, begun),
            Ok(watcher::Event::Delete(object)) => {
                let key = key_of(&object);
                self.objects.remove(&key.namespace, &key.name);
                self.gone(&key);
            }
            Ok(watcher::Event::InitDone) => {
                // What went while nobody watched is told by no event of its own.
                for (namespace, name) in self.objects.end_list() {
                    self.gone(&Key { kind: K::KIND, namespace, name });
                }
                let is_gone = |key: &Key| self.scope.contains(key) && !self.holds(key);
                self.context.forget_all(is_gone);
                self.listing.complete();
                self.context.gone.notify_one();
            }
            Err(error) => self.listing.failed(&error),
        }
    }

    fn gone(&mut self, key: &Key) {
        self.schedule.forget(key);
        self.context.forget(key);
        self.context.requeue.notify_dependents(key);
    }

    fn take_in(&mut self, object: &DeserializeGuard<K>, listed: bool, begun: bool) {
        if self.objects.take_in(object, listed) {
            let key = key_of(object);
            self.context.requeue.notify_dependents(&key);
            if begun {
                self.wake(&key);
            }
        }
    }

    fn holds(&self, key: &Key) -> bool {
        self.objects.holds(&key.namespace, &key.name)
    }

    fn wake_all(&mut self) {
        for namespace in self.objects.namespaces() {
            for name in self.objects.names(&namespace) {
                self.wake(&Key { kind: K::KIND, namespace: namespace.clone(), name });
            }
        }
    }

    fn begin_due(&mut self) {
        while let Some(key) = self.schedule.take_due(Instant::now()) {
            self.wake(&key);
        }
    }

    fn end(&mut self, key: &Key, wait: Option<Duration>) {
        if self.schedule.end(key, wait, Instant::now()) {
            self.wake(key);
        }
    }

    /// Begins a reconcile, if it is the turn of this resource; otherwise it is woken when it is.
    fn wake(&mut self, key: &Key) {
        if !self.schedule.wake(key) {
            return;
        }
        if !self.holds(key) {
            // It went while it was put in line.
            self.context.turns.forget(key);
            return;
        }
        let Some(turn) = self.context.turns.take(key) else { return };
        let Some(object) = self.objects.get(&key.namespace, &key.name) else { return };
        self.schedule.begin(key);
        let (context, key, ended) = (self.context.clone(), key.clone(), self.ended.clone());
        tokio::spawn(async move {
            let wait = reconcile(&context, &key, object, turn).await;
            if ended.send((key.clone(), wait)).is_err() {
                // It has outlived its term. The one that follows has found it at work, and looks again.
                context.requeue.now(&key);
            }
        });
    }
}

async fn sleep_until(due: Option<Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due.into()).await;
    }
}

fn key_of<K: Reconciled>(object: &DeserializeGuard<K>) -> Key {
    Key { kind: K::KIND, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

/// One reconcile; when to look again.
async fn reconcile<K: Reconciled>(
    context: &Arc<Context>,
    key: &Key,
    object: Arc<DeserializeGuard<K>>,
    turn: Turn,
) -> Option<Duration> {
    let kind = K::KIND;
    let span = traced(tracing::info_span!(
        "reconcile",
        kind = kind.as_str(),
        namespace = key.namespace,
        resource = key.name,
        trace_id = Empty
    ));
    // It says anew what it waits for.
    context.requeue.forget(key);
    context.shortage.reconcile_begins(key);
    let began = Instant::now();
    let (within, reconciled, seen) = (context.clone(), key.clone(), object.clone());
    // A task, whose panic ends here.
    let task = async move {
        let _reconciling = (within.slots.reconciling(&reconciled), within.pacer.reconciling(&reconciled));
        (reconcile::reconcile(&within, &reconciled, &seen).await, turn)
    };
    let task = tokio::spawn(task.instrument(span));
    let (result, _turn) =
        task.await.map_or_else(|panic| (Err(panic), None), |(result, turn)| (Ok(result), Some(turn)));
    context.shortage.reconcile_ended(key, &context.requeue);
    let took = began.elapsed();
    tracing::debug!(%key, ?took, "reconciled");
    context.metrics.reconciled(kind, took.as_secs_f64());
    let wait = match result {
        Ok(Ok(wait)) => wait,
        Ok(Err(failed)) => {
            context.metrics.reconcile_error(kind, ReconcileError::Apiserver);
            tracing::warn!(error = causes(&failed), %key, "a reconcile failed; retrying");
            if let Some(why) = failed.refusal() {
                let words = format!(
                    "the apiserver rejects what the operator does for this resource, so its status may be out of \
                     date; retrying: {why}"
                );
                context.warn(key, &*object, "ReconcileFailed", &words);
            }
            Some(context.wait(key, tenios_api::Reason::Other))
        }
        Err(panic) => {
            context.metrics.reconcile_error(kind, ReconcileError::Panic);
            tracing::error!(error = %panic, %key, "a reconcile panicked; please report this");
            let words = "a reconcile of this resource panicked, so its status may be out of date; retrying. Please \
                         report this with the operator's log";
            context.warn(key, &*object, "ReconcileFailed", words);
            Some(context.config.retry_policy.retry_max)
        }
    };
    if context.stores.knows_it_is_gone(key) {
        // What was kept for it since its end was seen.
        context.forget(key);
    }
    wait
}
