//! Where the resources stand, counted and aged when Prometheus asks.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use tenios_api::Reason;
use tenios_ledger::Key;

/// Where one resource stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedResource {
    /// `.status.state`, or `Unreadable`.
    pub state: String,
    /// The reason of `Ready`.
    pub reason: Reason,
    /// Since when it is in this state; none where that can't be known.
    pub since: Option<Timestamp>,
    /// When its document stops being valid; none where nobody said so.
    pub expires: Option<Timestamp>,
    /// Why its number is not in the `ConfigMap` where it is wanted; none where it is, or is wanted nowhere.
    pub unwritten: Option<Reason>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct StateLabels {
    pub(super) kind: &'static str,
    pub(super) state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UnwrittenLabels {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    kind: &'static str,
    reason: String,
}

/// The resources of which this replica knows where they stand.
#[derive(Debug, Default)]
pub(super) struct ResourceGauges(Mutex<HashMap<Key, TrackedResource>>);

impl ResourceGauges {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Key, TrackedResource>> {
        self.0.lock()
    }
}

impl Collector for ResourceGauges {
    /// Of several thousand resources the oldest is sought at each scrape, and not at each change.
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let tracked = self.lock();
        let mut oldest = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        let mut expires: Option<Timestamp> = None;
        let mut unwritten = BTreeMap::new();
        for (key, resource) in tracked.iter() {
            let kind = key.kind.as_str();
            if let Some(since) = resource.since {
                let known = oldest.entry((kind, resource.state.as_str())).or_insert(since);
                *known = since.min(*known);
            }
            expires = expires.into_iter().chain(resource.expires).min();
            if let Some(reason) = resource.unwritten {
                *unwritten.entry(reason).or_insert(0) += 1;
            }
            if resource.state == "Waiting" {
                *waiting.entry((kind, resource.reason)).or_insert(0) += 1;
            }
        }
        let mut ages = encoder.encode_descriptor(
            "resources_oldest_timestamp_seconds",
            "Unix time at which the resource that has been in this state longest entered it",
            None,
            MetricType::Gauge,
        )?;
        for ((kind, state), since) in oldest {
            let labels = StateLabels { kind, state: state.to_owned() };
            ConstGauge::new(since.as_second()).encode(ages.encode_family(&labels)?)?;
        }
        let mut counts = encoder.encode_descriptor(
            "resources_waiting",
            "Resources in the state Waiting by reason",
            None,
            MetricType::Gauge,
        )?;
        for ((kind, reason), count) in waiting {
            let labels = ReasonLabels { kind, reason: reason.to_string() };
            ConstGauge::<i64>::new(count).encode(counts.encode_family(&labels)?)?;
        }
        let mut counts = encoder.encode_descriptor(
            "numbers_not_written",
            "Assigned numbers that could not be written into the ConfigMap of spec.writeNumberTo, by reason",
            None,
            MetricType::Gauge,
        )?;
        for (reason, count) in unwritten {
            let labels = UnwrittenLabels { reason: reason.to_string() };
            ConstGauge::<i64>::new(count).encode(counts.encode_family(&labels)?)?;
        }
        if let Some(expires) = expires {
            let gauge = ConstGauge::new(expires.as_second());
            gauge.encode(encoder.encode_descriptor(
                "document_valid_until_timestamp_seconds",
                "Unix time at which the document that expires first does so, by spec.document.validUntil",
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }
}
