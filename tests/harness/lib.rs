//! A real control plane for tests and the demo: kube-apiserver, kube-controller-manager and etcd
//! as plain processes on loopback, each of which can be stopped, paused and killed; the operator
//! as one more process beside them, under the rules that `deploy/base` ships.
//!
//! Everything that is started hangs on a [`watchdog`], so neither a process nor a file outlives
//! the process that started it, however that one ends.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    reason = "a test that can't set up its testbed fails"
)]
#![allow(clippy::must_use_candidate, reason = "for the tests alone")]

pub mod audit;
pub mod certificates;
pub mod control_plane;
pub mod finished;
pub mod http;
pub mod identity;
pub mod kubectl;
pub mod link;
pub mod operator;
pub mod ports;
pub mod process;
pub mod program;
pub mod provider;
pub mod proxy;
pub mod s3;
pub mod scratch;
pub mod shipped_manifests;
pub mod splitmix64;
pub mod test_namespaces;
pub mod wait;
pub mod watchdog;

pub use audit::{Audit, Mark, Request, Requests};
pub use control_plane::ControlPlane;
pub use identity::Identity;
pub use kubectl::{Kubectl, Output};
pub use link::Link;
pub use operator::{Operator, OperatorOptions};
pub use process::Process;
pub use program::Program;
pub use proxy::Proxy;
pub use scratch::Scratch;
pub use splitmix64::SplitMix64;
pub use test_namespaces::TestNamespaces;

/// Whatever went wrong while setting up, as text.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
/// A result whose error is only ever shown to a person.
pub type Result<T> = std::result::Result<T, Failure>;

/// A path inside the checkout.
pub fn checkout(path: &str) -> std::path::PathBuf {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the tests are in the checkout").join(path)
}
