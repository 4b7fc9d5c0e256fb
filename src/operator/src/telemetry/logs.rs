//! Logs on standard error.

use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::{OWN, Traces, lines};

/// Format of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// What is logged: a level, `TARGET=LEVEL` for modules, or several of both. Errors are logged wherever nothing
/// says `off`.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter(Targets);

/// Why a text is no [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// Nothing there.
    #[error("is empty: expected error, warn, info, debug, trace or off")]
    Empty,
    /// Neither a level nor a target.
    #[error("{0:?} is not a level: expected error, warn, info, debug, trace or off, or TARGET=LEVEL")]
    Level(String),
    /// What stands before the `=` is no path of a module.
    #[error("{0:?} is not a target: expected the path of a module such as tenios_operator::push")]
    Target(String),
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let directives: Vec<&str> =
            text.split(',').map(tenios_net::trimmed).filter(|d| !d.is_empty()).collect();
        if directives.is_empty() {
            return Err(LogFilterError::Empty);
        }
        let all = Targets::new().with_default(LevelFilter::ERROR);
        directives.into_iter().try_fold(all, with_directive).map(Self)
    }
}

fn with_directive(targets: Targets, directive: &str) -> Result<Targets, LogFilterError> {
    match directive.split_once('=') {
        Some((target, level)) => {
            let (target, level) = (target.trim_end(), level_of(level.trim_start())?);
            if !is_path(target) {
                return Err(LogFilterError::Target(target.to_owned()));
            }
            Ok(if is_quiet(target) { targets } else { targets.with_target(crates(target), level) })
        }
        // Alone, a target is logged whole, as `tracing` has it; others look like a misspelled level.
        None if directive.starts_with(OWN) => Ok(targets.with_target(crates(directive), LevelFilter::TRACE)),
        None => Ok(targets.with_default(level_of(directive)?)),
    }
}

/// Of a module.
fn is_path(text: &str) -> bool {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    text.split("::").all(is_name)
}

/// The program's name stands for all crates that it is made of; others are named one by one.
fn crates(target: &str) -> &str {
    if target == env!("CARGO_CRATE_NAME") { OWN } else { target }
}

fn level_of(text: &str) -> Result<LevelFilter, LogFilterError> {
    match text.to_ascii_lowercase().as_str() {
        "warning" => Ok(LevelFilter::WARN),
        "" => Err(LogFilterError::Level(String::new())),
        level => level.parse().map_err(|_| LogFilterError::Level(text.to_owned())),
    }
}

/// Bodies and headers carry secrets (promise 21), and some of these crates log them at trace level; kube's own
/// span around each reconcile repeats ours.
const QUIET: [&str; 7] = ["hyper", "hyper_util", "h2", "reqwest", "rustls", "tower", "tower_http"];

/// It logs whole answers that it can't parse as warnings.
const QUIETEST: &str = "kube_client";

fn is_quiet(target: &str) -> bool {
    let name = target.split("::").next().unwrap_or(target);
    QUIET.contains(&name) || name == QUIETEST
}

/// Starts logging, and tracing what the filter lets through.
pub fn init(format: LogFormat, filter: LogFilter, traces: Option<Traces>) {
    let most = filter.0.default_level().unwrap_or(LevelFilter::ERROR);
    let quiet = QUIET.map(|target| (target, most.min(LevelFilter::WARN)));
    let filter = filter.0.with_targets(quiet).with_target(QUIETEST, most.min(LevelFilter::ERROR));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Json => registry.with(lines::json(std::io::stderr)).with(traces).init(),
        LogFormat::Text => registry.with(lines::text(std::io::stderr)).with(traces).init(),
    }
}
