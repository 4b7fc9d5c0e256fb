//! The lease that picks one replica to do the work. It saves work and nothing else: two replicas that
//! both believe to lead still can't order twice, because the ledger decides who may send.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Client;
use kube::api::Api;
use tokio_util::sync::CancellationToken;

use super::posting;
use tenios_api::causes;

const NAME: &str = "tenios-operator";

const RELEASED_WITHIN: Duration = Duration::from_secs(5);

/// One candidate.
pub struct Leader {
    api: Api<Lease>,
    identity: String,
    /// After this long without a renewal another replica takes over.
    duration: Duration,
    /// The holder and renew time last seen, and since when on our own clock: no clock is compared across
    /// machines.
    seen: Option<(LeaseSpec, Instant)>,
    /// As it was answered to the last renewal. Whoever wrote it since made its resource version another one, so that
    /// it need not be read before the next.
    held: Option<Lease>,
}

impl Leader {
    /// A candidate under a random identity.
    #[must_use]
    pub fn new(client: Client, namespace: &str, duration: Duration) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "tenios-operator".into());
        let identity = format!("{host}_{}", uuid::Uuid::new_v4().simple());
        Self { api: Api::namespaced(client, namespace), identity, duration, seen: None, held: None }
    }

    /// After this long without a successful renewal the leader stops, before others take over.
    fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Between two renewals: a third leaves time for two more tries before the deadline.
    fn period(&self) -> Duration {
        self.duration / 3
    }

    /// Until the next try after one that failed.
    fn pause(&self) -> Duration {
        self.duration / 7
    }

    /// For one try: one that hangs must not be the only one before the deadline.
    fn patience(&self) -> Duration {
        (self.duration / 5).max(Duration::from_secs(1))
    }

    /// Waits until the lease is ours. False where `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            if self.try_hold().await {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(self.pause()) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews until that fails for too long, or `stop`.
    pub async fn hold(&mut self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        let mut wait = self.period();
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            wait = self.pause();
            if self.try_hold().await {
                (renewed, wait) = (Instant::now(), self.period());
            } else if renewed.elapsed() >= self.deadline() || self.held_by_another() {
                return;
            }
        }
    }

    /// Gives the lease back, so that the next replica need not wait.
    pub async fn release(&mut self) {
        let Ok(Ok(Some(mut lease))) = within(RELEASED_WITHIN, self.api.get_opt(NAME)).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| s.holder_identity.as_ref() == Some(&self.identity))
        {
            spec.holder_identity = None;
            let _ = within(RELEASED_WITHIN, self.api.replace(NAME, &posting(), &lease)).await;
        }
    }

    fn held_by_another(&self) -> bool {
        let holder = self.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_ref());
        holder.is_some_and(|holder| *holder != self.identity)
    }

    async fn try_hold(&mut self) -> bool {
        match within(self.patience(), self.hold_once()).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::warn!(error = causes(&error), "the leader lease can't be read or written");
                false
            }
            Err(_) => false,
        }
    }

    async fn hold_once(&mut self) -> Result<bool, kube::Error> {
        // Taken: where the answer does not come, it is not known what is stored, and it is read.
        if let Some(held) = self.held.take()
            && self.write(held).await?
        {
            return Ok(true);
        }
        let Some(lease) = self.api.get_opt(NAME).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() },
                spec: Some(self.ours(LeaseSpec::default())),
            };
            self.held = settled(self.api.create(&posting(), &lease).await)?;
            return Ok(self.held.is_some());
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), Instant::now()));
        }
        let lapsed = self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() >= self.duration);
        let free = spec.holder_identity.as_ref().is_none_or(|h| h.is_empty() || *h == self.identity);
        if !free && !lapsed {
            return Ok(false);
        }
        self.write(lease).await
    }

    /// Makes it ours, or ours for longer, if it is still as it is here.
    async fn write(&mut self, mut lease: Lease) -> Result<bool, kube::Error> {
        let next = self.ours(lease.spec.take().unwrap_or_default());
        lease.spec = Some(next.clone());
        self.held = settled(self.api.replace(NAME, &posting(), &lease).await)?;
        if self.held.is_some() {
            self.seen = Some((next, Instant::now()));
        }
        Ok(self.held.is_some())
    }

    fn ours(&self, before: LeaseSpec) -> LeaseSpec {
        let now = MicroTime(jiff::Timestamp::now());
        let same = before.holder_identity.as_ref() == Some(&self.identity);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs().max(1)).ok(),
            acquire_time: if same { before.acquire_time } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!same)),
            ..before
        }
    }
}

/// None where somebody else wrote it first, or it is gone.
fn settled(result: Result<Lease, kube::Error>) -> Result<Option<Lease>, kube::Error> {
    match result {
        Ok(lease) => Ok(Some(lease)),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, tokio::time::error::Elapsed> {
    tokio::time::timeout(limit, future).await
}
