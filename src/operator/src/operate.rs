//! `tenios-operator run`: puts the parts together, and takes them down in order.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::controller::leader::Leader;
use crate::controller::{self, Context, skew};
use crate::options::{LedgerPlace, RunOptions};
use crate::push::{PushKeys, PushSigner, Receiver};
use crate::relay::{Post, Receivers, Relay, SigningKeyFile};
use crate::telemetry::{self, Counted, Metrics, OtlpHeadersFile, health};
use futures::FutureExt;
use futures::future::{BoxFuture, join};
use kube::Client;
use kube::config::KubeConfigOptions;
use tenios_api::{Cause, causes};
use tenios_http_server::{KEEP_ALIVE_REQUESTS, Limits, Server, Tls, terminated};
use tenios_ledger::kubernetes::KubernetesLedger;
use tenios_ledger::{Budgets, Event, Key, LedgerCache, LedgerStore};
use tenios_ledger_object_store::{ClusterOnly, ObjectStoreLedger};
use tenios_lifecycle::RetryPolicy;
use tenios_net::{Listen, Roots, kubeconfig, proxy};
use tenios_provider::Tenios;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Why the program ends.
pub enum Failure {
    /// One line that names the flag.
    Configuration(String),
    /// What went wrong later.
    Runtime(String),
}

/// Runs the operator until it is told to stop.
///
/// # Errors
/// A wrong configuration, or a part that can't be started.
pub async fn run(options: RunOptions) -> Result<(), Failure> {
    options.check().map_err(Failure::Configuration)?;
    // First: whatever is begun below also has to end well.
    let terminated = terminated();
    let otlp_headers = options.otlp_headers_file.as_deref().map(OtlpHeadersFile::new).transpose();
    let otlp_headers = otlp_headers.map_err(|e| flag("--otlp-headers-file", causes(&e)))?;
    let traces = options.otlp_endpoint.as_ref().map(|endpoint| telemetry::traces(endpoint, otlp_headers));
    let (traces, exporter) = traces.unzip();
    telemetry::init(options.log_format, options.log.clone(), traces);
    let traces_end = CancellationToken::new();
    let exporting = exporter.map(|exporter| tokio::spawn(exporter.run(traces_end.clone())));
    proxy::check_environment().map_err(Failure::Configuration)?;
    let tenios = provider(&options)?;
    let post = relay_post(&options)?;
    let keys = match &options.push_key_file {
        // A Secret that is mounted if it is there, and needed only with a base URL.
        Some(path) if options.push_base_url.is_none() && !path.exists() => None,
        Some(path) => Some(PushKeys::from_file(path).map_err(|e| flag("--push-key-file", causes(&e)))?),
        None => None,
    };
    if let Some(path) = options.access_key_file.as_deref().filter(|path| path.is_dir()) {
        return Err(flag(
            "--access-key-file",
            format!("{} is a directory: give the path of the file in it", path.display()),
        ));
    }
    let awaits_key = Arc::new(AwaitedFile::new(options.access_key_file.clone()));
    if let Some((path, error)) = awaits_key.missing() {
        tracing::warn!(path = %path.display(), %error,
            "the file of --access-key-file does not exist yet: not ready until the Secret that it is mounted from has this key");
    }
    let client = connect()?;
    let metrics = Arc::new(Metrics::default());
    let budgets = Budgets {
        operator: options.order_budget,
        namespace: options.order_budget_per_namespace,
        cancel: options.cancel_budget,
    };
    let (ledger, mut changes) = LedgerCache::new(ledger(&options, &client, &metrics)?, budgets);
    let push =
        options.push_base_url.clone().zip(keys.clone()).map(|(base, keys)| PushSigner::new(base, keys));
    let draining = CancellationToken::new();
    let context = Context::new(
        client.clone(),
        ledger.clone(),
        tenios,
        push,
        config(&options),
        metrics.clone(),
        draining,
    );

    let stop = CancellationToken::new();
    let relay = post.map(|post| relay(&options, post, &client, &ledger, &metrics, &stop));
    let servers = CancellationToken::new();
    let mut serving = vec![serve_metrics(&options, &ledger, &context, relay.clone(), &servers)?];
    serving.push(serve_health(&options, &ledger, &context, awaits_key, &servers)?);
    if let Some(keys) = keys {
        serving.push(serve_push(&options, Receiver::new(ledger.clone(), keys, metrics.clone()), &servers)?);
    }
    let set_backs = ledger.set_backs();
    let mending = ledger.clone();
    tokio::spawn(async move { mending.mend().await });
    let following = tokio::spawn(async move { ledger.follow().await });
    let told = context.clone();
    tokio::spawn(async move {
        while let Some(change) = changes.recv().await {
            told.ledger_changed(&change);
        }
    });

    tokio::spawn(skew::watch(client.clone(), metrics.clone(), stop.clone()));
    let leading =
        tokio::spawn(lead(options.clone(), client, context.clone(), relay, set_backs, stop.clone()));
    terminated.await;
    tracing::info!("shutting down: no new requests are sent, those in flight are finished and recorded");
    stop.cancel();
    let lost = context.drain(options.drain_timeout).await;
    report_lost(&lost, &options.termination_log);
    let _ = tokio::time::timeout(Duration::from_secs(5), leading).await;
    servers.cancel();
    let _ = tokio::time::timeout(Duration::from_secs(5), futures::future::join_all(serving)).await;
    following.abort();
    traces_end.cancel();
    if let Some(exporting) = exporting {
        let _ = exporting.await;
    }
    Ok(())
}

fn flag(name: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Configuration(format!("{name}: {error}"))
}

fn ledger(
    options: &RunOptions,
    client: &Client,
    metrics: &Arc<Metrics>,
) -> Result<Arc<dyn LedgerStore>, Failure> {
    let in_cluster = KubernetesLedger::new(client, options.namespace.as_ref());
    Ok(match &options.ledger {
        LedgerPlace::Kubernetes => Arc::new(Counted::new(ClusterOnly::new(in_cluster), metrics.clone())),
        LedgerPlace::Store(url) => {
            let counted = metrics.clone();
            counted.expect_store_requests();
            let objects = url.open(options.allow_http).map_err(|why| flag("--ledger", why))?;
            let objects = objects.observed(move |request| {
                counted.store_request(request.operation, request.ended, request.took.as_secs_f64());
            });
            let outside = ObjectStoreLedger::new(in_cluster, objects, url.to_string());
            Arc::new(Counted::new(outside, metrics.clone()))
        }
    })
}

fn provider(options: &RunOptions) -> Result<Tenios, Failure> {
    let roots = options.tenios_ca_file.as_deref().map(Roots::from_file).transpose();
    let roots = roots.map_err(|e| flag("--tenios-ca-file", causes(&e)))?;
    Tenios::new(options.tenios_url.clone(), roots, options.provider_timeout)
        .map_err(|e| flag("--tenios-url", causes(&e)))
}

fn relay_post(options: &RunOptions) -> Result<Option<Post>, Failure> {
    let Some(path) = options.relay_key_file.as_deref().filter(|_| options.has_relay()) else {
        return Ok(None);
    };
    let key = SigningKeyFile::new(path).map_err(|e| flag("--relay-key-file", causes(&e)))?;
    let roots = options.relay_ca_file.as_deref().map(Roots::from_file).transpose();
    let roots = roots.map_err(|e| flag("--relay-ca-file", causes(&e)))?;
    Post::new(key, roots, options.relay_timeout).map(Some).map_err(|e| flag("--relay-url", causes(&e)))
}

/// Takes note from now on of what is to be told.
fn relay(
    options: &RunOptions,
    post: Post,
    client: &Client,
    ledger: &Arc<LedgerCache>,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
) -> Arc<Relay> {
    let config_map = options.relay_config_map.clone();
    let receivers = Receivers::new(options.relay_url.clone(), config_map.is_some(), options.allow_http);
    let receivers = Arc::new(receivers);
    if let Some(name) = config_map {
        let (receivers, client, stop) = (receivers.clone(), client.clone(), stop.clone());
        let namespace = options.namespace.to_string();
        tokio::spawn(async move { receivers.follow(client, &namespace, &name, stop).await });
    }
    Relay::new(ledger.clone(), receivers, post, config(options).retry_policy, metrics.clone())
}

/// For the apiserver's audit log.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("tenios-operator/", env!("CARGO_PKG_VERSION")));

fn connect() -> Result<Client, Failure> {
    let failed = |e: Cause| Failure::Runtime(format!("no Kubernetes credentials: {}", causes(&*e)));
    let mut config = kubeconfig::config(None, &KubeConfigOptions::default(), None).map_err(failed)?;
    // Sending a write again after a 504 turns our own success into a conflict; we settle that ourselves.
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, USER_AGENT));
    config.connect_timeout = Some(Duration::from_secs(5));
    // Above the 290 s that a watch lasts, so that a dead connection ends at all.
    config.read_timeout = Some(Duration::from_secs(295));
    controller::trim::client(config).map_err(failed)
}

/// Where `--concurrency` is not given and `--provider-concurrency` is not more.
const CONCURRENCY: u16 = 16;

/// Before controllers that panicked begin anew.
const BEGUN_AGAIN_AFTER: Duration = Duration::from_secs(1);

fn config(options: &RunOptions) -> controller::Config {
    controller::Config {
        retry_policy: RetryPolicy {
            retry_min: options.retry_min,
            retry_max: options.retry_max,
            refusal_min: options.refusal_retry_min,
            refusal_max: options.refusal_retry_max,
        },
        send_within: options.send_within,
        provider_concurrency: usize::from(options.provider_concurrency),
        concurrency: options.concurrency.unwrap_or(options.provider_concurrency.max(CONCURRENCY)),
        access_key_file: options.access_key_file.clone(),
        namespace: options.namespace.to_string(),
        namespaces: options.namespaces(),
    }
}

/// A file that may come after the start. Once it was seen, it may go: what needs it says so itself, and a
/// replica that takes pushes must not leave its Service for that.
struct AwaitedFile {
    path: Option<PathBuf>,
    seen: AtomicBool,
}

impl AwaitedFile {
    fn new(path: Option<PathBuf>) -> Self {
        Self { path, seen: AtomicBool::new(false) }
    }

    fn missing(&self) -> Option<(&Path, std::io::Error)> {
        let path = self.path.as_deref().filter(|_| !self.seen.load(Ordering::Relaxed))?;
        let error = std::fs::metadata(path).err();
        self.seen.store(error.is_none(), Ordering::Relaxed);
        error.map(|error| (path, error))
    }
}

type Serving = tokio::task::JoinHandle<()>;

fn bind(name: &str, at: Listen) -> Result<Server, Failure> {
    at.bind().and_then(Server::on).map_err(|e| Failure::Runtime(format!("{name}: {at}: {e}")))
}

fn serve_metrics(
    options: &RunOptions,
    ledger: &Arc<LedgerCache>,
    context: &Arc<Context>,
    relay: Option<Arc<Relay>>,
    stop: &CancellationToken,
) -> Result<Serving, Failure> {
    let server = bind("--metrics-listen", options.metrics_listen)?;
    let (metrics, ledger, context) = (context.metrics().clone(), ledger.clone(), context.clone());
    let answer = move |request: http::Request<tenios_http_server::RequestBody>| {
        let now = jiff::Timestamp::now();
        metrics.budget(ledger.budget_remaining(now), ledger.budget_limit());
        metrics.cancel_budget(ledger.cancel_budget_remaining(now), ledger.cancel_budget_limit());
        context.count_namespaces();
        context.count_limits();
        if let Some(relay) = &relay {
            relay.count();
        }
        metrics.ledger_reachable(ledger.missing().is_none());
        std::future::ready(health::scrape(request.method(), request.uri().path(), &metrics))
    };
    Ok(tokio::spawn(
        server
            .with_limits(Limits { max_requests_per_connection: KEEP_ALIVE_REQUESTS, ..Limits::default() })
            .run(answer, stop.clone()),
    ))
}

fn serve_health(
    options: &RunOptions,
    ledger: &Arc<LedgerCache>,
    context: &Arc<Context>,
    awaits_key: Arc<AwaitedFile>,
    stop: &CancellationToken,
) -> Result<Serving, Failure> {
    let server = bind("--health-listen", options.health_listen)?;
    let (ledger, context) = (ledger.clone(), context.clone());
    let answer = move |request: http::Request<tenios_http_server::RequestBody>| {
        let watches = (!context.is_standby_or_watching()).then_some("the watches are not established yet");
        let key = awaits_key.missing().map(|_| "the file of --access-key-file does not exist yet");
        let missing = ledger.missing();
        let missing = missing.as_deref().or(watches).or(key);
        std::future::ready(health::probe(request.method(), request.uri().path(), missing))
    };
    Ok(tokio::spawn(
        server
            .with_limits(Limits { max_requests_per_connection: KEEP_ALIVE_REQUESTS, ..Limits::default() })
            .run(answer, stop.clone()),
    ))
}

fn serve_push(
    options: &RunOptions,
    receiver: Receiver,
    stop: &CancellationToken,
) -> Result<Serving, Failure> {
    let mut server = bind("--push-listen", options.push_listen)?;
    if let (Some(cert), Some(key)) = (&options.push_tls_cert_file, &options.push_tls_key_file) {
        let tls =
            Tls::from_files(cert, key).map_err(|e| flag("--push-tls-cert-file, --push-tls-key-file", e))?;
        server = server.with_tls(tls);
    }
    let answer = move |request| {
        let receiver = receiver.clone();
        receiver.answer(request)
    };
    Ok(tokio::spawn(server.with_limits(Receiver::limits()).run(answer, stop.clone())))
}

/// Leads, or waits to; a lease that is lost ends the controllers, and they begin anew once it is ours
/// again. Requests in flight go on meanwhile: they hold the ledger's word, not the lease's.
async fn lead(
    options: RunOptions,
    client: Client,
    context: Arc<Context>,
    relay: Option<Arc<Relay>>,
    set_backs: watch::Receiver<u64>,
    stop: CancellationToken,
) {
    // A task of its own: a delivery that hangs holds up neither the controllers nor the next leader.
    let begin_relay = |term: &CancellationToken| {
        relay.as_ref().map(|relay| tokio::spawn(relay.clone().run(term.clone())));
    };
    if !options.leader_election {
        context.lead(true);
        begin_relay(&stop);
        return control(run_of(&context), set_backs, &stop).await;
    }
    let mut leader = Leader::new(client, options.namespace.as_ref(), options.lease_duration);
    while !stop.is_cancelled() && leader.acquire(&stop).await {
        tracing::info!("this replica is the leader");
        context.lead(true);
        let term = stop.child_token();
        begin_relay(&term);
        let holding = async {
            leader.hold(&stop).await;
            tracing::info!("this replica is no longer the leader");
            term.cancel();
        };
        join(holding, control(run_of(&context), set_backs.clone(), &term)).await;
        context.lead(false);
    }
    leader.release().await;
}

/// The controllers, which can be begun again and again.
fn run_of(context: &Arc<Context>) -> impl Fn(CancellationToken) -> BoxFuture<'static, ()> {
    let context = context.clone();
    move |stop| controller::run(context.clone(), stop).boxed()
}

/// Runs the controllers until they are told to stop, and anew where they panicked, and whenever the apiserver's store
/// was set back: a watch goes on for ever to ask it for what comes after its future.
async fn control(
    run: impl Fn(CancellationToken) -> BoxFuture<'static, ()>,
    mut set_backs: watch::Receiver<u64>,
    stop: &CancellationToken,
) {
    // What begins now knows what happened before.
    set_backs.mark_unchanged();
    while !stop.is_cancelled() {
        let term = stop.child_token();
        let mut work = tokio::spawn(run(term.clone()));
        tokio::select! {
            ended = &mut work => {
                if let Err(panic) = ended {
                    tracing::error!(error = %panic, "the controllers panicked, and begin anew; please report this");
                }
                stop.run_until_cancelled(tokio::time::sleep(BEGUN_AGAIN_AFTER)).await;
                continue;
            }
            () = stop.cancelled() => {}
            Ok(()) = set_backs.changed() => {}
        }
        term.cancel();
        if tokio::time::timeout(Duration::from_secs(2), &mut work).await.is_err() {
            // Reconciles can be dropped at any point; what has left goes on in tasks of its own.
            tracing::warn!("the controllers did not stop in time and are aborted");
            work.abort();
        }
    }
}

/// The last resort (promise 10): what the provider gave and the ledger did not take.
fn report_lost(lost: &[(Key, Event)], termination_log: &Path) {
    let mut message = String::new();
    for (key, event) in lost {
        let (attempt, what) = match event {
            Event::Accepted { attempt, id, .. } => (attempt, format!("TENIOS gave id {id}")),
            Event::Refused { attempt, .. } => (attempt, "TENIOS refused it".to_owned()),
            Event::NotProcessed { attempt, .. } => (attempt, "it was not processed".to_owned()),
            Event::Unknown { attempt, .. } => (attempt, "its outcome is unknown".to_owned()),
            _ => continue,
        };
        tracing::error!(kind = key.kind.as_str(), namespace = key.namespace, resource = key.name, %attempt,
            "{what}, and the ledger could not be written: record it with spec.adopt or the not-placed annotation");
        let _ = writeln!(message, "{key} attempt {attempt}: {what}");
    }
    if !message.is_empty()
        && let Err(error) = std::fs::write(termination_log, &message)
    {
        tracing::error!(%error, "the termination message can't be written");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::{Arc, CancellationToken, FutureExt, control, join, watch};

    #[tokio::test]
    async fn p24_controllers_that_panicked_begin_anew() {
        let (stop, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let all = stop.clone();
        let run = move |term: CancellationToken| {
            let (begun, all) = (begun.fetch_add(1, Ordering::Relaxed), all.clone());
            async move {
                assert!(begun > 0, "in the middle");
                all.cancel();
                term.cancelled().await;
            }
            .boxed()
        };
        let (_set_backs, changes) = watch::channel(0);
        join(control(run, changes, &stop), stop.cancelled()).await;
    }
}
