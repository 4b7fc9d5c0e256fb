//! Logs, metrics, health.

pub mod health;
mod logs;
mod metrics;

pub use logs::{LogFormat, init};
pub use metrics::{Metrics, ProviderLabels};
