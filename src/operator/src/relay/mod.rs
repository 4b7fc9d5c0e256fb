//! The relay: tells whoever an administrator names which number was assigned, adopted or cancelled, at least once.
//!
//! What is still to be told stands in the ledger ([`tenios_ledger::Announcement`]), so that neither the push receiver nor
//! a reconcile ever waits for a receiver. The replica that leads tells it. Each namespace has a lane of its own
//! ([`lanes`]), and an event is done once its receiver has answered 2xx and the ledger has taken note of that.

mod cloud_event;
mod lanes;
mod post;
mod receivers;
mod signing_key;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::telemetry::{Metrics, RelayResult};
use cloud_event::CloudEvent;
use lanes::{Ended, Lanes};
use post::Answer;
use tenios_api::causes;
use tenios_ledger::{Announcement, Key, Kind, LedgerCache};
use tenios_lifecycle::RetryPolicy;
use tenios_net::BaseUrl;

pub use post::{Post, SetUpError};
pub use receivers::Receivers;
pub use signing_key::{SigningKeyError, SigningKeyFile};

/// Deliveries at a time, each to another namespace's lane: a receiver that hangs is one of several.
const AT_ONCE: usize = 8;

/// Older than this it is not what an outage of minutes explains.
const OVERDUE: Duration = Duration::from_secs(3600);

/// See the module documentation.
pub struct Relay {
    ledger: Arc<LedgerCache>,
    receivers: Arc<Receivers>,
    post: Post,
    retry: RetryPolicy,
    metrics: Arc<Metrics>,
}

type Waiting = Vec<(Timestamp, Arc<Key>)>;

impl Relay {
    /// A relay of what this ledger has to tell. From now on the ledger takes note of it.
    #[must_use]
    pub fn new(
        ledger: Arc<LedgerCache>,
        receivers: Arc<Receivers>,
        post: Post,
        retry: RetryPolicy,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        let told = receivers.clone();
        ledger.announce(move |namespace| told.listens(namespace));
        metrics.expect_relay();
        Arc::new(Self { ledger, receivers, post, retry, metrics })
    }

    /// Tells what is to be told until `stop`; deliveries under way are finished or time out.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        self.ledger.listed().await;
        let mut lanes = Lanes::default();
        let mut under_way = JoinSet::new();
        loop {
            let waiting = self.waiting();
            lanes.keep(&waiting);
            let now = Instant::now();
            while under_way.len() < AT_ONCE
                && let Some(key) = lanes.next(&waiting, now)
            {
                let relay = self.clone();
                under_way.spawn(async move { (relay.deliver(&key).await, key) });
            }
            let due = lanes.due(&waiting, now).filter(|_| under_way.len() < AT_ONCE);
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.ledger.outbox_changed() => {}
                () = self.receivers.changed() => {}
                Some(ended) = under_way.join_next() => match ended {
                    Ok((ended, key)) => lanes.ended(&key, ended, Instant::now(), |n| self.retry.retry(n)),
                    // It panicked, which is no reason to hold up a lane for ever.
                    Err(_) => lanes.free_all(),
                },
                () = tokio::time::sleep_until(due.unwrap_or(now).into()), if due.is_some() => {}
            }
        }
        while under_way.join_next().await.is_some() {}
    }

    /// What is to be told where somebody listens.
    fn waiting(&self) -> Waiting {
        let mut waiting = self.ledger.unannounced();
        waiting.retain(|(_, key)| self.receivers.url(&key.namespace).is_some());
        waiting
    }

    /// Counts what is not told yet.
    pub fn count(&self) {
        let waiting = self.ledger.unannounced();
        let now = Timestamp::now();
        let mut waiting: Vec<_> =
            waiting.iter().filter(|(_, key)| self.receivers.listens(&key.namespace)).collect();
        let all = waiting.len();
        waiting.retain(|(since, _)| now.duration_since(*since).unsigned_abs() >= OVERDUE && *since < now);
        self.metrics.relay_undelivered(all, waiting.len());
    }

    async fn deliver(&self, key: &Key) -> Ended {
        let known = self.ledger.known(key);
        let announcement = Announcement::of(key.kind, &known.state);
        if let Some(announcement) = &announcement {
            // Its receiver was taken away since it was found to wait.
            let Some(url) = self.receivers.url(&key.namespace) else { return Ended::Unavailable };
            if let Err(ended) = self.tell(key, announcement, &url).await {
                return ended;
            }
        }
        match self.ledger.announced(key, announcement.as_ref()).await {
            Ok(()) => Ended::Told,
            Err(error) => {
                tracing::warn!(error = causes(&error), %key, "the ledger can't take note that an event was delivered; it is sent again");
                Ended::Unavailable
            }
        }
    }

    /// # Errors
    /// How it ended where the receiver did not take it.
    async fn tell(&self, key: &Key, announcement: &Announcement, url: &BaseUrl) -> Result<(), Ended> {
        let order = self.ledger.known(&key.of(Kind::Order));
        let event = CloudEvent::new(key, announcement, &order.state);
        let answer = self.post.send(url, &event).await;
        let key = key.of_resource();
        match answer {
            Answer::Taken => {
                self.metrics.relay_event(RelayResult::Delivered);
                tracing::info!(%key, id = event.id(), "the relay's receiver took an event");
                Ok(())
            }
            Answer::Refused(why) => {
                self.metrics.relay_event(RelayResult::Refused);
                tracing::error!(%key, id = event.id(), why, "the relay's receiver refuses an event; it is sent again later");
                Err(Ended::Refused)
            }
            Answer::Unavailable(why) => {
                self.metrics.relay_event(RelayResult::Unavailable);
                tracing::warn!(%key, id = event.id(), why, "the relay can't deliver an event; it is sent again later");
                Err(Ended::Unavailable)
            }
        }
    }
}

#[cfg(test)]
mod tests;
