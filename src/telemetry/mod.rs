//! Logs, metrics, health.

mod metrics;

pub use metrics::{Metrics, ProviderLabels};
