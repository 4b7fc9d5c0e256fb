//! Logs, metrics, health.

pub mod health;
mod logs;
mod metrics;
mod resources;

pub use logs::{LogFormat, init};
pub use metrics::{Metrics, ProviderLabels};
pub use resources::Stand;
