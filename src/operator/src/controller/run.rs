//! The watches and a controller for each kind on kube's runtime.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{BoxFuture, join, join_all};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config as ControllerConfig};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store, reflector};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use tracing::field::Empty;

use super::kind::Reconciled;
use super::listing::{Listing, Watching};
use super::reconcile;
use super::requeue::Scope;
use super::stores::{KindStore, NamespaceStores, Resources};
use super::turns::Turns;
use super::{Context, Failed, namespaces, sweep};
use crate::telemetry::{ReconcileError, traced};
use tenios_api::{PhoneNumberOrder, PhoneVerification, causes};
use tenios_ledger::{Key, Kind};

/// Objects of a list that are asked for at a time. Each may have more than a megabyte on its way to [`super::trim`],
/// and a list that takes the apiserver more than a minute ends without an answer.
const PAGE: u32 = 100;

/// Those who come for a turn and find none; each leaves at once.
const PASSING: u16 = 16;

/// What kube is told. Whoever has a turn has to find room beside those who come for one.
fn at_once(concurrency: u16) -> u16 {
    Turns::of_all(concurrency).saturating_add(PASSING)
}

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
    futures::future::join3(join_all(running), slots, sweep::run(context.clone(), stop)).await;
}

/// Every kind that the operator looks after, each with its controller. A new one is registered here.
fn kinds(
    context: &Arc<Context>,
    namespace: Option<&str>,
    stop: &CancellationToken,
) -> [(Box<dyn Resources>, BoxFuture<'static, ()>); 2] {
    [
        Watch::<PhoneVerification>::new(context, namespace).begin(context, stop),
        Watch::<PhoneNumberOrder>::new(context, namespace).begin(context, stop),
    ]
}

/// One kind in one namespace, or in all.
struct Watch<K: Resource<DynamicType = ()> + Clone + 'static> {
    api: Api<DeserializeGuard<K>>,
    scope: Scope,
    store: Store<DeserializeGuard<K>>,
    writer: Writer<DeserializeGuard<K>>,
    woken: UnboundedReceiver<Key>,
    listing: Arc<Listing>,
}

impl<K: Reconciled> Watch<K> {
    fn new(context: &Context, namespace: Option<&str>) -> Self {
        let client: Client = context.client.clone();
        let api = match namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        };
        let writer = Writer::new(());
        let scope = Scope { kind: K::KIND, namespace: namespace.map(ToOwned::to_owned) };
        Self {
            api,
            store: writer.as_reader(),
            writer,
            listing: Arc::new(Listing::new(Watching::Resources(K::KIND), scope.namespace.clone())),
            woken: context.requeue.stream(scope.clone()),
            scope,
        }
    }

    /// What is known of the resources, and what looks after them.
    fn begin(
        self,
        context: &Arc<Context>,
        stop: &CancellationToken,
    ) -> (Box<dyn Resources>, BoxFuture<'static, ()>) {
        let kind_store = KindStore { store: self.store.clone(), listing: self.listing.clone() };
        (Box::new(kind_store), self.run(context.clone(), stop.clone()).boxed())
    }

    async fn run(self, context: Arc<Context>, stop: CancellationToken) {
        let Self { api, scope, store, writer, woken, listing } = self;
        let touched = touched(api, scope, writer, listing, context.clone());
        let config = ControllerConfig::default().concurrency(at_once(context.config.concurrency));
        Controller::for_stream(touched, store)
            .with_config(config)
            .reconcile_on(woken_objects(woken))
            .graceful_shutdown_on(stop.cancelled_owned())
            .run(reconcile, on_failure, context)
            .for_each(|_| std::future::ready(()))
            .await;
    }
}

fn touched<K>(
    api: Api<DeserializeGuard<K>>,
    scope: Scope,
    writer: Writer<DeserializeGuard<K>>,
    listing: Arc<Listing>,
    context: Arc<Context>,
) -> impl Stream<Item = Result<DeserializeGuard<K>, watcher::Error>> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let kind = scope.kind;
    let events = watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff();
    let told = context.clone();
    let broken = listing.clone();
    let store = writer.as_reader();
    reflector(writer, events)
        .inspect_ok(move |event| match event {
            watcher::Event::InitDone => {
                // What went while nobody watched is told by no event of its own.
                let here: HashSet<Key> = store.state().iter().map(|object| key_of(kind, object)).collect();
                told.forget_all(|key| scope.contains(key) && !here.contains(key));
                listing.complete();
                told.gone.notify_one();
            }
            watcher::Event::Delete(object) => told.forget(&key_of(kind, object)),
            _ => {}
        })
        .touched_objects()
        .inspect_ok(move |object| context.requeue.notify_dependents(&key_of(kind, object)))
        .inspect_err(move |error| broken.failed(error))
}

fn key_of<K: Resource<DynamicType = ()>>(kind: Kind, object: &DeserializeGuard<K>) -> Key {
    Key { kind, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

fn woken_objects<K>(
    woken: UnboundedReceiver<Key>,
) -> impl Stream<Item = ObjectRef<DeserializeGuard<K>>> + Send + 'static
where
    K: Resource<DynamicType = ()> + 'static,
{
    futures::stream::unfold(woken, |mut woken| async move { woken.recv().await.map(|key| (key, woken)) })
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace))
}

/// One reconcile, in a task of its own: the controller polls every future it holds on each wake.
async fn reconcile<K: Reconciled>(
    object: Arc<DeserializeGuard<K>>,
    context: Arc<Context>,
) -> Result<Action, Failed> {
    let kind = K::KIND;
    let key = key_of(kind, &object);
    let span = traced(tracing::info_span!(
        "reconcile",
        kind = kind.as_str(),
        namespace = key.namespace,
        resource = key.name,
        trace_id = Empty
    ));
    context.stores.listed(&key.namespace).await;
    let Some(turn) = context.turns.take(&key) else {
        if !context.stores.holds(&key) {
            // It went while it was put in line.
            context.turns.forget(&key);
        }
        return Ok(Action::await_change());
    };
    // It says anew what it waits for.
    context.requeue.forget(&key);
    context.shortage.reconcile_begins(&key);
    let began = Instant::now();
    let (within, reconciled, seen) = (context.clone(), key.clone(), object.clone());
    // With its task, which may outlive this future.
    let task = async move {
        let _reconciling = within.slots.reconciling(&reconciled);
        (reconcile::reconcile(&within, &reconciled, &seen).await, turn)
    };
    let task = tokio::spawn(task.instrument(span));
    let (result, _turn) =
        task.await.map_or_else(|panic| (Err(panic), None), |(result, turn)| (Ok(result), Some(turn)));
    context.shortage.reconcile_ended(&key, &context.requeue);
    if !context.stores.holds(&key) {
        // What was kept for it since its end was seen.
        context.forget(&key);
    }
    let took = began.elapsed();
    tracing::debug!(%key, ?took, "reconciled");
    context.metrics.reconciled(kind, took.as_secs_f64());
    match result {
        Ok(Ok(None)) => Ok(Action::await_change()),
        Ok(Ok(Some(wait))) => Ok(Action::requeue(wait)),
        Ok(Err(failed)) => {
            context.metrics.reconcile_error(kind, ReconcileError::Apiserver);
            tracing::warn!(error = causes(&failed), %key, "a reconcile failed; retrying");
            if let Some(why) = failed.refusal() {
                let words = format!(
                    "the apiserver rejects what the operator does for this resource, so its status may be out of \
                     date; retrying: {why}"
                );
                context.warn(&key, &*object, "ReconcileFailed", &words).await;
            }
            Ok(Action::requeue(context.wait(&key, tenios_api::Reason::Other)))
        }
        Err(panic) => {
            context.metrics.reconcile_error(kind, ReconcileError::Panic);
            tracing::error!(error = %panic, %key, "a reconcile panicked; please report this");
            let words = "a reconcile of this resource panicked, so its status may be out of date; retrying. Please \
                         report this with the operator's log";
            context.warn(&key, &*object, "ReconcileFailed", words).await;
            Ok(Action::requeue(context.config.retry_policy.retry_max))
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // the signature is kube's
fn on_failure<K>(_: Arc<DeserializeGuard<K>>, _: &Failed, context: Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    Action::requeue(context.config.retry_policy.retry_min)
}
