//! Whether what is watched could be listed: each watch for itself.

use std::time::{Duration, Instant};

use kube::runtime::watcher;
use parking_lot::Mutex;
use tokio::sync::watch;

use tenios_api::causes;
use tenios_ledger::Kind;

/// A watch that broke and works again says nothing until something changes. What can't be watched says so
/// again at least every 30 s, the longest wait of kube's back-off.
const REPEATED_WITHIN: Duration = Duration::from_secs(90);

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watching {
    Resources(Kind),
    /// That say whose a namespace is.
    Leases,
}

impl Watching {
    fn plural(self) -> &'static str {
        match self {
            Self::Resources(kind) => kind.plural(),
            Self::Leases => "leases",
        }
    }

    /// What it means that they can't be listed, and what to do.
    fn consequence(self) -> &'static str {
        match self {
            Self::Resources(_) => {
                "can't be listed, so nothing is done there; retrying. Check that the namespace exists and that a \
                 RoleBinding lets the operator read it, or remove it from --watch-namespace"
            }
            Self::Leases => {
                "can't be listed, so each Lease is read when it is needed, and a deletion is noticed late. The \
                 operator's role has to allow list and watch on Leases named tenios-operator-ledger"
            }
        }
    }
}

/// One watch: what it is of, whether it was listed, what keeps it from being.
#[derive(Debug)]
pub(super) struct Listing {
    of: Watching,
    /// All where there is none.
    namespace: Option<String>,
    listed: watch::Sender<bool>,
    broken: Mutex<Option<Broken>>,
}

#[derive(Debug)]
struct Broken {
    at: Instant,
    why: String,
}

impl Listing {
    pub(super) fn new(of: Watching, namespace: Option<String>) -> Self {
        Self { of, namespace, listed: watch::Sender::new(false), broken: Mutex::default() }
    }

    /// Waits until it was listed once.
    pub(super) async fn listed(&self) {
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    pub(super) fn is_listed(&self) -> bool {
        *self.listed.borrow()
    }

    /// Whether it was listed, or is known not to be possible now.
    pub(super) fn was_tried(&self) -> bool {
        self.is_listed() || self.broken.lock().is_some()
    }

    /// Whether it can't be listed or watched now, as far as is known.
    pub(super) fn is_missing(&self) -> bool {
        let broken = self.broken.lock();
        broken.as_ref().is_some_and(|broken| !self.is_listed() || broken.at.elapsed() < REPEATED_WITHIN)
    }

    /// The list is complete.
    pub(super) fn complete(&self) {
        self.listed.send_replace(true);
        if self.broken.lock().take().is_some() {
            tracing::info!(
                resources = self.of.plural(),
                namespace = self.namespace(),
                "listed and watched again"
            );
        }
    }

    /// Says so once for each reason.
    pub(super) fn failed(&self, error: &watcher::Error) {
        let why = error.to_string();
        let before = self.broken.lock().replace(Broken { at: Instant::now(), why: why.clone() });
        if before.is_some_and(|before| before.why == why) {
            return;
        }
        let means = if self.is_listed() { "a watch broke; restarting it" } else { self.of.consequence() };
        tracing::warn!(
            resources = self.of.plural(),
            namespace = self.namespace(),
            error = causes(error),
            "{means}"
        );
    }

    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("(all)")
    }
}
