//! Flags and environment variables, as `docs/reference/flags.md` lists them: each variable is the flag's name in
//! capitals, `TENIOS_` before it where it does not begin so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand};
use jiff::SignedDuration;
use tenios_operator::ledger::Budget;
use tenios_operator::telemetry::LogFormat;

/// A Kubernetes operator for the TENIOS Number Order API.
#[derive(Debug, Parser)]
#[command(name = "tenios-operator", version, about)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(Box<RunOptions>),
    /// Print the CRDs as YAML.
    Crds,
    /// Run a stand-in for TENIOS to try things with.
    Simulate(SimulateOptions),
}

/// `tenios-operator run`
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Base URL of the TENIOS API.
    #[arg(long, env = "TENIOS_URL", default_value = "https://api.tenios.com/", value_parser = url)]
    pub tenios_url: String,
    /// Allow http:// for --tenios-url and --push-base-url.
    #[arg(long, env = "TENIOS_ALLOW_HTTP", value_parser = BoolishValueParser::new())]
    pub allow_http: bool,
    /// Extra trust roots for the TENIOS API, as PEM.
    #[arg(long, env = "TENIOS_CA_FILE")]
    pub tenios_ca_file: Option<PathBuf>,
    /// The operator's own access key; read again when it changes.
    #[arg(long, env = "TENIOS_ACCESS_KEY_FILE")]
    pub access_key_file: Option<PathBuf>,
    /// Time for one request to TENIOS, from dialling to the last byte.
    #[arg(long, env = "TENIOS_PROVIDER_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub provider_timeout: Duration,
    /// How long after its intent was begun a request may still leave.
    #[arg(long, env = "TENIOS_SEND_WITHIN", default_value = "10s", value_parser = duration)]
    pub send_within: Duration,
    /// Requests to TENIOS in flight at most.
    #[arg(long, env = "TENIOS_PROVIDER_CONCURRENCY", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub provider_concurrency: u16,
    /// Resources of a kind reconciled at a time at most.
    #[arg(long, env = "TENIOS_CONCURRENCY", default_value = "16", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Public https:// URL of the push receiver; without it orders go out without push.
    #[arg(long, env = "TENIOS_PUSH_BASE_URL", value_parser = url)]
    pub push_base_url: Option<String>,
    /// Where the push receiver listens.
    #[arg(long, env = "TENIOS_PUSH_LISTEN", default_value = "0.0.0.0:8082")]
    pub push_listen: SocketAddr,
    /// Certificate chain of the push receiver, as PEM; without it plain HTTP, behind an Ingress.
    #[arg(long, env = "TENIOS_PUSH_TLS_CERT_FILE", requires = "push_tls_key_file")]
    pub push_tls_cert_file: Option<PathBuf>,
    /// Private key of the push receiver, as PEM.
    #[arg(long, env = "TENIOS_PUSH_TLS_KEY_FILE", requires = "push_tls_cert_file")]
    pub push_tls_key_file: Option<PathBuf>,
    /// Push keys, one a line: the first signs, all verify.
    #[arg(long, env = "TENIOS_PUSH_KEY_FILE")]
    pub push_key_file: Option<PathBuf>,
    /// Where the ledger is kept: kubernetes.
    #[arg(long, env = "TENIOS_LEDGER", default_value = "kubernetes", value_parser = ["kubernetes"])]
    pub ledger: String,
    /// The operator's own namespace, which holds ledger and lease.
    #[arg(long, env = "TENIOS_NAMESPACE", default_value = "tenios-system")]
    pub namespace: String,
    /// A namespace to watch, once for each; without it all.
    #[arg(long, env = "TENIOS_WATCH_NAMESPACE", value_delimiter = ',')]
    pub watch_namespace: Vec<String>,
    /// Order requests in a rolling window, as COUNT/TIME.
    #[arg(long, env = "TENIOS_ORDER_BUDGET", default_value = "100/24h", value_parser = budget)]
    pub order_budget: Budget,
    /// Order requests of one namespace in a rolling window, as COUNT/TIME.
    #[arg(long, env = "TENIOS_ORDER_BUDGET_PER_NAMESPACE", default_value = "20/24h", value_parser = budget)]
    pub order_budget_per_namespace: Budget,
    /// Whether one of several replicas is elected to do the work.
    #[arg(long, env = "TENIOS_LEADER_ELECTION", default_value_t = true, action = ArgAction::Set)]
    pub leader_election: bool,
    /// How long the lease of a replica that ended without a word keeps the others waiting.
    #[arg(long, env = "TENIOS_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    pub lease_duration: Duration,
    /// Where /livez and /readyz are served.
    #[arg(long, env = "TENIOS_HEALTH_LISTEN", default_value = "0.0.0.0:8081")]
    pub health_listen: SocketAddr,
    /// Where /metrics is served.
    #[arg(long, env = "TENIOS_METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,
    /// How logs look.
    #[arg(long, env = "TENIOS_LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,
    /// What is logged, as a `tracing` filter.
    #[arg(long, env = "TENIOS_LOG", default_value = "info")]
    pub log: String,
    /// First wait before what is awaited, or was provably not processed, is tried again.
    #[arg(long, env = "TENIOS_RETRY_MIN", default_value = "5s", value_parser = duration)]
    pub retry_min: Duration,
    /// Longest such wait.
    #[arg(long, env = "TENIOS_RETRY_MAX", default_value = "5m", value_parser = duration)]
    pub retry_max: Duration,
    /// First wait before an unedited spec is tried again after a refusal whose cause can pass.
    #[arg(long, env = "TENIOS_REFUSAL_RETRY_MIN", default_value = "10m", value_parser = duration)]
    pub refusal_retry_min: Duration,
    /// Longest such wait.
    #[arg(long, env = "TENIOS_REFUSAL_RETRY_MAX", default_value = "6h", value_parser = duration)]
    pub refusal_retry_max: Duration,
    /// Where traces are sent, as OTLP/HTTP in JSON: the base URL of a collector. Without it nothing is traced.
    #[arg(long, env = "TENIOS_OTLP_ENDPOINT", value_parser = url)]
    pub otlp_endpoint: Option<String>,
    /// How long SIGTERM waits for requests in flight to end and be recorded.
    #[arg(long, env = "TENIOS_DRAIN_TIMEOUT", default_value = "80s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// Where ids go that could not be stored before the process must end.
    #[arg(long, env = "TENIOS_TERMINATION_LOG", default_value = "/dev/termination-log")]
    pub termination_log: PathBuf,
}

/// `tenios-operator simulate`
#[derive(Debug, Args)]
pub struct SimulateOptions {
    /// Where it listens.
    #[arg(long, env = "TENIOS_LISTEN", default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// The access key of its account.
    #[arg(long, env = "TENIOS_ACCESS_KEY", hide_env_values = true)]
    pub access_key: String,
    /// How long after its creation a document is approved; `never` leaves that to /_simulator/.
    #[arg(long, env = "TENIOS_APPROVE_AFTER", default_value = "0s", value_parser = approval)]
    pub approve_after: Approval,
    /// How long after an order its number is assigned and pushed.
    #[arg(long, env = "TENIOS_ASSIGN_AFTER", default_value = "2s", value_parser = duration_or_zero)]
    pub assign_after: Duration,
    /// Where every request is journalled, one JSON object a line.
    #[arg(long, env = "TENIOS_JOURNAL")]
    pub journal: Option<PathBuf>,
    /// Certificate chain, as PEM; without it plain HTTP.
    #[arg(long, env = "TENIOS_TLS_CERT_FILE", requires = "tls_key_file")]
    pub tls_cert_file: Option<PathBuf>,
    /// Private key, as PEM.
    #[arg(long, env = "TENIOS_TLS_KEY_FILE", requires = "tls_cert_file")]
    pub tls_key_file: Option<PathBuf>,
    /// Extra trust roots for the push, as PEM.
    #[arg(long, env = "TENIOS_PUSH_CA_FILE")]
    pub push_ca_file: Option<PathBuf>,
}

/// When the simulator approves a document.
#[derive(Clone, Copy, Debug)]
pub enum Approval {
    /// So long after its creation.
    After(Duration),
    /// When told to.
    Never,
}

impl RunOptions {
    /// What one flag alone can't tell.
    ///
    /// # Errors
    /// One line that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let plain = |url: &str| url.starts_with("http://") && !self.allow_http;
        if plain(&self.tenios_url) {
            return Err("--tenios-url: http:// needs --allow-http".into());
        }
        if self.push_base_url.as_deref().is_some_and(plain) {
            return Err("--push-base-url: http:// needs --allow-http".into());
        }
        if self.push_base_url.is_some() && self.push_key_file.is_none() {
            return Err("--push-key-file: needed with --push-base-url".into());
        }
        if self.drain_timeout < self.provider_timeout + self.send_within {
            return Err("--drain-timeout: is below --provider-timeout and --send-within together".into());
        }
        if self.retry_min > self.retry_max {
            return Err("--retry-min: is above --retry-max".into());
        }
        if self.refusal_retry_min > self.refusal_retry_max {
            return Err("--refusal-retry-min: is above --refusal-retry-max".into());
        }
        Ok(())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("must be above zero".into()),
        duration => Ok(duration),
    }
}

fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration =
        text.parse().map_err(|_| "expected a time such as 500ms, 60s, 5m or 24h".to_owned())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".into())
}

fn approval(text: &str) -> Result<Approval, String> {
    if text == "never" { Ok(Approval::Never) } else { duration_or_zero(text).map(Approval::After) }
}

fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || "expected COUNT/TIME such as 100/24h".to_owned();
    let (requests, window) = text.split_once('/').ok_or_else(wrong)?;
    let requests = requests.parse().map_err(|_| wrong())?;
    let window = SignedDuration::try_from(duration(window).map_err(|_| wrong())?).map_err(|_| wrong())?;
    Ok(Budget { requests, window })
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match (rest, text.parse::<http::Uri>()) {
        (Some(rest), Ok(uri)) if !rest.is_empty() && uri.host().is_some() && uri.query().is_none() => {
            Ok(text.to_owned())
        }
        _ => Err("expected an https:// URL without a query".into()),
    }
}
