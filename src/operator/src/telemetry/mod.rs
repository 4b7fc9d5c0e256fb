//! Logs, metrics, traces, health.

mod counted;
pub mod health;
mod labels;
mod lines;
mod logs;
mod metrics;
mod otlp;
mod otlp_headers;
mod resources;
mod traces;

pub use counted::Counted;
pub use labels::{AppendResult, PushResult, ReconcileError, RelayResult, RequestOutcome};
pub use logs::{LogFilter, LogFormat, init};
pub use metrics::Metrics;
pub use otlp::Exporter;
pub use otlp_headers::OtlpHeadersFile;
pub use resources::TrackedResource;
pub use traces::{Traces, traced, traceparent, traces};

/// What the targets of the program's own crates begin with.
const OWN: &str = "tenios_";
