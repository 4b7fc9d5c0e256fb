//! Flags and environment variables, as `docs/reference/flags.md` lists them: each variable is the flag's name in
//! capitals, `TENIOS_` before it where it does not begin so. What makes no sense is refused here, in one line that
//! names the flag.

mod ledger;
mod namespace;
mod value;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{EnumValueParser, PathBufValueParser, RangedU64ValueParser};
use clap::{ArgAction, Args, CommandFactory, Parser};

pub use ledger::LedgerPlace;
pub use namespace::{Namespace, Namespaces};
use value::{budget, config_map_name, push_base_url, tenios_url};

use crate::telemetry::{LogFilter, LogFormat};
use tenios_flags::{Trimmed, duration, seconds, switch, without_blank_variables};
use tenios_ledger::Budget;
use tenios_net::{BaseUrl, Listen};

/// A Kubernetes operator for the TENIOS Number Order API.
#[derive(Debug, Parser)]
#[command(name = "tenios-operator", version, about)]
pub struct Options {
    /// What to do.
    #[command(subcommand)]
    pub command: Subcommand,
}

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Run the operator.
    Run(Box<RunOptions>),
    /// Print the CRDs as YAML.
    Crds,
}

/// `tenios-operator run`
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Base URL of the TENIOS API.
    #[arg(long, env = "TENIOS_URL", default_value = "https://api.tenios.com/", value_parser = tenios_url)]
    pub tenios_url: BaseUrl,
    /// Allow http:// for --tenios-url, --push-base-url, the URLs of the relay, the object storage of --ledger, and --otlp-endpoint with --otlp-headers-file.
    #[arg(long, env = "TENIOS_ALLOW_HTTP", default_value = "false", default_missing_value = "true", num_args = 0..=1, action = ArgAction::Set, value_parser = switch)]
    pub allow_http: bool,
    /// Extra trust roots for the TENIOS API, as PEM; read again when they change.
    #[arg(long, env = "TENIOS_CA_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub tenios_ca_file: Option<PathBuf>,
    /// File with the operator's own access key; read again for each request.
    #[arg(long, env = "TENIOS_ACCESS_KEY_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub access_key_file: Option<PathBuf>,
    /// Timeout of one request to TENIOS, from connecting to the last byte.
    #[arg(long, env = "TENIOS_PROVIDER_TIMEOUT", default_value = "60s", value_parser = duration)]
    pub provider_timeout: Duration,
    /// How long a request may take to leave, counted from before its intent is recorded.
    #[arg(long, env = "TENIOS_SEND_WITHIN", default_value = "10s", value_parser = duration)]
    pub send_within: Duration,
    /// Maximum number of concurrent requests to TENIOS.
    #[arg(long, env = "TENIOS_PROVIDER_CONCURRENCY", default_value = "16", value_parser = Trimmed(RangedU64ValueParser::<u16>::new().range(1..=1024)))]
    pub provider_concurrency: u16,
    /// Maximum number of concurrent reconciles per kind and namespace, twice as many for all namespaces together; by default 16, or as many as --provider-concurrency if that is more.
    #[arg(long, env = "TENIOS_CONCURRENCY", value_parser = Trimmed(RangedU64ValueParser::<u16>::new().range(1..=1024)))]
    pub concurrency: Option<u16>,
    /// Public https:// URL of the push receiver; without it, orders are placed without a push.
    #[arg(long, env = "TENIOS_PUSH_BASE_URL", value_parser = push_base_url)]
    pub push_base_url: Option<BaseUrl>,
    /// Address that the push receiver listens on.
    #[arg(long, env = "TENIOS_PUSH_LISTEN", default_value = ":8082")]
    pub push_listen: Listen,
    /// Certificate chain of the push receiver, as PEM; without it, plain HTTP for use behind an Ingress.
    #[arg(long, env = "TENIOS_PUSH_TLS_CERT_FILE", requires = "push_tls_key_file", value_parser = Trimmed(PathBufValueParser::new()))]
    pub push_tls_cert_file: Option<PathBuf>,
    /// Private key of the push receiver, as PEM.
    #[arg(long, env = "TENIOS_PUSH_TLS_KEY_FILE", requires = "push_tls_cert_file", value_parser = Trimmed(PathBufValueParser::new()))]
    pub push_tls_key_file: Option<PathBuf>,
    /// File of push keys, one per line: the first signs, all verify.
    #[arg(long, env = "TENIOS_PUSH_KEY_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub push_key_file: Option<PathBuf>,
    /// URL that is told, by signed events, which numbers were assigned and cancelled.
    #[arg(long, env = "TENIOS_RELAY_URL")]
    pub relay_url: Option<BaseUrl>,
    #[allow(clippy::doc_markdown, reason = "the help of the command line is no Markdown")]
    /// Name of a ConfigMap in the operator's own namespace with another URL for each namespace: the namespace is the key, the URL its value.
    #[arg(long, env = "TENIOS_RELAY_CONFIG_MAP", value_parser = config_map_name)]
    pub relay_config_map: Option<String>,
    /// File with the key that signs these events; read again for each of them.
    #[arg(long, env = "TENIOS_RELAY_KEY_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub relay_key_file: Option<PathBuf>,
    /// Extra trust roots for the URLs of the relay, as PEM; read again when they change.
    #[arg(long, env = "TENIOS_RELAY_CA_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub relay_ca_file: Option<PathBuf>,
    /// How long one delivery to the relay's URL may take.
    #[arg(long, env = "TENIOS_RELAY_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub relay_timeout: Duration,
    /// Where the ledger is kept: kubernetes, or the URL of a bucket or a directory that outlives the cluster (s3://, gs://, az:// or file:///).
    #[arg(long, env = "TENIOS_LEDGER", default_value = "kubernetes")]
    pub ledger: LedgerPlace,
    /// The operator's own namespace, which holds the ledger and the leader lease.
    #[arg(long, env = "TENIOS_NAMESPACE", default_value = "tenios-system")]
    pub namespace: Namespace,
    /// Namespace to watch; repeatable, or several separated by commas. Without it, all namespaces.
    #[arg(long, env = "TENIOS_WATCH_NAMESPACE")]
    pub watch_namespace: Vec<Namespaces>,
    /// Maximum number of order requests with the operator's own access key in a rolling window, as COUNT/TIME; each other key has a budget of the same size.
    #[arg(long, env = "TENIOS_ORDER_BUDGET", default_value = "100/24h", value_parser = budget)]
    pub order_budget: Budget,
    /// Maximum number of order requests per namespace in a rolling window, as COUNT/TIME.
    #[arg(long, env = "TENIOS_ORDER_BUDGET_PER_NAMESPACE", default_value = "20/24h", value_parser = budget)]
    pub order_budget_per_namespace: Budget,
    /// Maximum number of cancellation requests with the operator's own access key in a rolling window, as COUNT/TIME; each other key has a budget of the same size.
    #[arg(long, env = "TENIOS_CANCEL_BUDGET", default_value = "5/24h", value_parser = budget)]
    pub cancel_budget: Budget,
    /// Whether to elect one of several replicas as the leader.
    #[arg(long, env = "TENIOS_LEADER_ELECTION", default_value = "true", default_missing_value = "true", num_args = 0..=1, action = ArgAction::Set, value_parser = switch)]
    pub leader_election: bool,
    /// Duration of the leader lease: how long a crashed leader blocks the other replicas.
    #[arg(long, env = "TENIOS_LEASE_DURATION", default_value = "15s", value_parser = seconds)]
    pub lease_duration: Duration,
    /// Address that /livez and /readyz are served on.
    #[arg(long, env = "TENIOS_HEALTH_LISTEN", default_value = ":8081")]
    pub health_listen: Listen,
    /// Address that /metrics is served on.
    #[arg(long, env = "TENIOS_METRICS_LISTEN", default_value = ":8080")]
    pub metrics_listen: Listen,
    /// Log format.
    #[arg(long, env = "TENIOS_LOG_FORMAT", default_value = "json", value_parser = Trimmed(EnumValueParser::<LogFormat>::new()))]
    pub log_format: LogFormat,
    /// Log filter: a level (error, warn, info, debug, trace, off), TARGET=LEVEL for a part of the program, or a list of these separated by commas.
    #[arg(long, env = "TENIOS_LOG", default_value = "info")]
    pub log: LogFilter,
    /// Initial delay before an unmet dependency is checked again, or a request that was provably not processed is retried.
    #[arg(long, env = "TENIOS_RETRY_MIN", default_value = "5s", value_parser = duration)]
    pub retry_min: Duration,
    /// Maximum of that delay.
    #[arg(long, env = "TENIOS_RETRY_MAX", default_value = "5m", value_parser = duration)]
    pub retry_max: Duration,
    /// Initial delay before an unedited spec is retried after a refusal whose cause can go away.
    #[arg(long, env = "TENIOS_REFUSAL_RETRY_MIN", default_value = "10m", value_parser = duration)]
    pub refusal_retry_min: Duration,
    /// Maximum of that delay.
    #[arg(long, env = "TENIOS_REFUSAL_RETRY_MAX", default_value = "6h", value_parser = duration)]
    pub refusal_retry_max: Duration,
    /// Base URL of an OpenTelemetry collector for traces, as OTLP/HTTP in JSON. Without it, nothing is traced.
    #[arg(long, env = "TENIOS_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<BaseUrl>,
    /// File with headers for that collector, such as its key, as NAME: VALUE, one per line; read again for each export.
    #[arg(long, env = "TENIOS_OTLP_HEADERS_FILE", requires = "otlp_endpoint", value_parser = Trimmed(PathBufValueParser::new()))]
    pub otlp_headers_file: Option<PathBuf>,
    /// How long shutdown waits for requests in flight to finish and be recorded.
    #[arg(long, env = "TENIOS_DRAIN_TIMEOUT", default_value = "80s", value_parser = duration)]
    pub drain_timeout: Duration,
    /// File for ids that could not be stored before the process has to exit.
    #[arg(long, env = "TENIOS_TERMINATION_LOG", default_value = "/dev/termination-log", value_parser = Trimmed(PathBufValueParser::new()))]
    pub termination_log: PathBuf,
}

impl Options {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// What [`tenios_flags::explain`] makes one line of, or what was asked for, such as the help.
    pub fn read() -> Result<Self, clap::Error> {
        tenios_flags::read(Self::command().mut_subcommands(without_blank_variables))
    }
}

impl RunOptions {
    /// The namespaces to watch, each once; none stands for all.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.watch_namespace.iter().flat_map(Namespaces::iter).collect();
        names.into_iter().map(ToString::to_string).collect()
    }

    /// Whether anybody is to be told what happens to numbers.
    #[must_use]
    pub fn has_relay(&self) -> bool {
        self.relay_url.is_some() || self.relay_config_map.is_some()
    }

    /// What one flag alone can't tell.
    ///
    /// # Errors
    /// One line that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let plain = |url: &BaseUrl| url.is_plain() && !self.allow_http;
        if plain(&self.tenios_url) {
            return Err("--tenios-url: http:// needs --allow-http".into());
        }
        if self.push_base_url.as_ref().is_some_and(plain) {
            return Err("--push-base-url: http:// needs --allow-http".into());
        }
        if self.relay_url.as_ref().is_some_and(plain) {
            return Err("--relay-url: http:// needs --allow-http".into());
        }
        if self.has_relay() && self.relay_key_file.is_none() {
            return Err("--relay-key-file: required with --relay-url and --relay-config-map".into());
        }
        if self.otlp_headers_file.is_some() && self.otlp_endpoint.as_ref().is_some_and(plain) {
            return Err(
                "--otlp-endpoint: http:// together with --otlp-headers-file needs --allow-http".into()
            );
        }
        if self.push_base_url.is_some() && self.push_key_file.is_none() {
            return Err("--push-key-file: required with --push-base-url".into());
        }
        if self.drain_timeout < self.provider_timeout + self.send_within {
            return Err("--drain-timeout: must be at least --provider-timeout plus --send-within".into());
        }
        if self.retry_min > self.retry_max {
            return Err("--retry-min: must not be above --retry-max".into());
        }
        if self.refusal_retry_min > self.refusal_retry_max {
            return Err("--refusal-retry-min: must not be above --refusal-retry-max".into());
        }
        self.check_listeners()
    }

    fn check_listeners(&self) -> Result<(), String> {
        let listeners = [
            ("--push-listen", self.push_listen),
            ("--health-listen", self.health_listen),
            ("--metrics-listen", self.metrics_listen),
        ];
        for (n, (name, listen)) in listeners.iter().enumerate() {
            if let Some((other, _)) = listeners[..n].iter().find(|(_, other)| listen.collides(*other)) {
                return Err(format!("{name}: {listen} is already used by {other}"));
            }
        }
        Ok(())
    }
}
