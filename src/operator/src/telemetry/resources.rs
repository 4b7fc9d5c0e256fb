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
use tenios_ledger::{Key, Kind};

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

/// The resources of which this replica knows where they stand. There may be tens of thousands, in few namespaces and
/// fewer states, so that neither is kept for each of them.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    namespaces: HashMap<(Kind, String), HashMap<Box<str>, Place>>,
    states: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    state: usize,
    reason: Reason,
    since: Option<Timestamp>,
    expires: Option<Timestamp>,
    unwritten: Option<Reason>,
}

impl Tracked {
    /// Where this one stands now, nowhere if it is gone; the state in which it was before.
    pub(super) fn set(&mut self, key: &Key, resource: Option<TrackedResource>) -> Option<String> {
        let here = (key.kind, key.namespace.clone());
        let before = if let Some(TrackedResource { state, reason, since, expires, unwritten }) = resource {
            let known = self.states.iter().position(|known| *known == state);
            let state = known.unwrap_or_else(|| {
                self.states.push(state);
                self.states.len() - 1
            });
            let place = Place { state, reason, since, expires, unwritten };
            self.namespaces.entry(here).or_default().insert(key.name.as_str().into(), place)
        } else {
            let names = self.namespaces.get_mut(&here)?;
            let before = names.remove(key.name.as_str());
            if names.is_empty() {
                self.namespaces.remove(&here);
            }
            before
        };
        self.states.get(before?.state).cloned()
    }

    /// All of them.
    pub(super) fn keys(&self) -> Vec<Key> {
        let all = self.namespaces.iter().flat_map(|((kind, namespace), names)| {
            names.keys().map(|name| Key { kind: *kind, namespace: namespace.clone(), name: name.to_string() })
        });
        all.collect()
    }

    fn places(&self) -> impl Iterator<Item = (Kind, &str, Place)> {
        self.namespaces.iter().flat_map(|((kind, _), names)| {
            names.values().filter_map(|place| Some((*kind, self.states.get(place.state)?.as_str(), *place)))
        })
    }
}

/// See [`Tracked`].
#[derive(Debug, Default)]
pub(super) struct ResourceGauges(Mutex<Tracked>);

impl ResourceGauges {
    pub(super) fn lock(&self) -> MutexGuard<'_, Tracked> {
        self.0.lock()
    }
}

impl Collector for ResourceGauges {
    /// Of several thousand resources the oldest is sought at each scrape, and not at each change.
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let tracked = self.lock();
        let mut oldest = BTreeMap::new();
        let mut waiting = BTreeMap::new();
        let mut unwritten = BTreeMap::new();
        let mut first_expiry: Option<Timestamp> = None;
        for (kind, state, Place { reason, since, expires, unwritten: failed, .. }) in tracked.places() {
            let kind = kind.as_str();
            if let Some(since) = since {
                let known = oldest.entry((kind, state)).or_insert(since);
                *known = since.min(*known);
            }
            first_expiry = first_expiry.into_iter().chain(expires).min();
            if let Some(reason) = failed {
                *unwritten.entry(reason).or_insert(0) += 1;
            }
            if state == "Waiting" {
                *waiting.entry((kind, reason)).or_insert(0) += 1;
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
        if let Some(expires) = first_expiry {
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
