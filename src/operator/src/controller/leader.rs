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

/// One candidate.
pub struct Leader {
    api: Api<Lease>,
    identity: String,
    /// After this long without a renewal another replica takes over.
    duration: Duration,
    /// The holder and renew time last seen, and since when on our own clock: no clock is compared across
    /// machines.
    seen: Option<(LeaseSpec, Instant)>,
}

impl Leader {
    /// A candidate under a random identity.
    #[must_use]
    pub fn new(client: Client, namespace: &str, duration: Duration) -> Self {
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "tenios-operator".into());
        let identity = format!("{host}_{}", uuid::Uuid::new_v4().simple());
        Self { api: Api::namespaced(client, namespace), identity, duration, seen: None }
    }

    /// After this long without a successful renewal the leader stops, before others take over.
    fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Between two tries.
    fn period(&self) -> Duration {
        self.duration / 7
    }

    /// Waits until the lease is ours. False where `stop` came first.
    pub async fn acquire(&mut self, stop: &CancellationToken) -> bool {
        loop {
            if self.try_hold().await {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(self.period()) => {}
                () = stop.cancelled() => return false,
            }
        }
    }

    /// Renews until that fails for too long, or `stop`.
    pub async fn hold(&mut self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.period()) => {}
                () = stop.cancelled() => return,
            }
            if self.try_hold().await {
                renewed = Instant::now();
            } else if renewed.elapsed() >= self.deadline() || self.held_by_another() {
                return;
            }
        }
    }

    /// Gives the lease back, so that the next replica need not wait.
    pub async fn release(&mut self) {
        let Ok(Ok(Some(mut lease))) = within(self.api.get_opt(NAME)).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| s.holder_identity.as_ref() == Some(&self.identity))
        {
            spec.holder_identity = None;
            let _ = within(self.api.replace(NAME, &posting(), &lease)).await;
        }
    }

    fn held_by_another(&self) -> bool {
        let holder = self.seen.as_ref().and_then(|(spec, _)| spec.holder_identity.as_ref());
        holder.is_some_and(|holder| *holder != self.identity)
    }

    async fn try_hold(&mut self) -> bool {
        match within(self.hold_once()).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                tracing::warn!(error = causes(&error), "the leader lease can't be read or written");
                false
            }
            Err(_) => false,
        }
    }

    async fn hold_once(&mut self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(NAME).await? else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() },
                spec: Some(self.ours(LeaseSpec::default())),
            };
            return settled(self.api.create(&posting(), &lease).await);
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
        let next = self.ours(spec);
        lease.spec = Some(next.clone());
        let held = settled(self.api.replace(NAME, &posting(), &lease).await)?;
        if held {
            self.seen = Some((next, Instant::now()));
        }
        Ok(held)
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

fn settled(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

async fn within<F: Future>(future: F) -> Result<F::Output, tokio::time::error::Elapsed> {
    tokio::time::timeout(Duration::from_secs(5), future).await
}
