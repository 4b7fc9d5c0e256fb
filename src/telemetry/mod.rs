//! Logs, metrics, health.

pub mod health;
mod logs;
mod metrics;
mod resources;
mod traces;

pub use logs::{LogFormat, init};
pub use metrics::{Metrics, ProviderLabels};
pub use resources::Stand;
pub use traces::{Exporter, Traces, traced, traceparent, traces};
