//! Logs on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::Traces;

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Starts logging with a `tracing` filter, and tracing what it lets through.
///
/// # Errors
/// When the filter can't be read.
pub fn init(format: LogFormat, filter: &str, traces: Option<Traces>) -> Result<(), String> {
    let filter = EnvFilter::builder().parse(filter).map_err(|e| e.to_string())?;
    // Bodies and headers carry secrets (promise 21), and some of these crates log them at trace level;
    // kube's own span around each reconcile repeats ours.
    let quiet = QUIET.map(|target| format!("{target}=warn"));
    // It logs whole answers that it can't parse as warnings.
    let quiet = quiet.into_iter().chain(["kube_client=error".to_owned()]);
    let filter = quiet.fold(filter, |filter, directive| match directive.parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Json => {
            let json = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
            json.finish().with(traces).init();
        }
        LogFormat::Text => builder.finish().with(traces).init(),
    }
    Ok(())
}

const QUIET: [&str; 7] = ["hyper", "hyper_util", "h2", "reqwest", "rustls", "tower", "tower_http"];
