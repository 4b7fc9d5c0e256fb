//! An entry as the index keeps it. Nearly all entries are at rest, some for years, and there may be tens of thousands;
//! unpacked, one with its state takes some ten times as much.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compact;
use super::{CachedEntry, Entry, Event, Key, Position, State, Version, WriterId};

/// An entry without its key, which the index has beside it.
#[derive(Debug)]
pub(super) enum Packed {
    /// As compressed JSON.
    Small(Box<[u8]>),
    /// As it is: what can't be packed so that it comes out the same. None is known.
    Whole(CachedEntry),
}

/// What most entries are like: an order with its number.
const LIKE: &[u8] = include_bytes!("packed.dictionary");

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(rename = "r")]
    revision: u64,
    #[serde(rename = "v")]
    version: Option<String>,
    #[serde(rename = "w")]
    writers: Vec<u64>,
    #[serde(rename = "s")]
    snapshot: Option<State>,
    #[serde(rename = "e")]
    events: Vec<Event>,
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
}

impl Packed {
    pub(super) fn new(entry: &Entry, state: &State) -> Self {
        let small = pack(entry).filter(|small| {
            unpack(small, &entry.key).is_some_and(|same| same == *entry && same.state() == *state)
        });
        match small {
            Some(small) => Self::Small(small),
            None => {
                Self::Whole(CachedEntry { entry: Arc::new(entry.clone()), state: Arc::new(state.clone()) })
            }
        }
    }

    pub(super) fn known(&self, key: &Key) -> CachedEntry {
        match self {
            Self::Small(small) => {
                #[allow(clippy::expect_used, reason = "it came out the same when it was packed")]
                let entry = unpack(small, key).expect("an entry is unpacked as it was packed");
                let state = Arc::new(entry.state());
                CachedEntry { entry: Arc::new(entry), state }
            }
            Self::Whole(known) => known.clone(),
        }
    }
}

fn pack(entry: &Entry) -> Option<Box<[u8]>> {
    let kept = Kept {
        revision: entry.revision,
        version: entry.version.as_ref().map(|version| version.as_str().to_owned()),
        writers: entry.writers.iter().map(|writer| writer.bits()).collect(),
        snapshot: (entry.snapshot != State::default()).then(|| entry.snapshot.clone()),
        events: entry.events.clone(),
        position: entry.position.clone(),
    };
    Some(compact::pack(&serde_json::to_vec(&kept).ok()?, LIKE))
}

fn unpack(small: &[u8], key: &Key) -> Option<Entry> {
    let kept: Kept = serde_json::from_slice(&compact::unpack(small, LIKE)?).ok()?;
    Some(Entry {
        key: key.clone(),
        revision: kept.revision,
        version: kept.version.map(Version::new),
        writers: kept.writers.into_iter().map(WriterId::from_bits).collect(),
        snapshot: kept.snapshot.unwrap_or_default(),
        events: kept.events,
        position: kept.position,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Kind;

    fn entry(events: &[serde_json::Value]) -> Entry {
        let key = Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() };
        let events: Vec<Event> = serde_json::from_value(json!(events)).unwrap();
        let empty = Entry { version: Some(Version::new("7/0f1e".into())), ..Entry::empty(key) };
        events.into_iter().fold(empty, |entry, event| entry.with(&[event], WriterId::random()))
    }

    fn ordered() -> Vec<serde_json::Value> {
        let attempt = "a38ce47e042608b007af2b5dd76e800f";
        let terms = json!({
            "verificationId": "85c4e429-dacb-4254-b5be-1f40479cb4ea", "numberType": "GEOGRAPHIC", "areaCode": "0221",
            "account": "9f86d081884c7d65",
        });
        vec![
            json!({"type": "Intended", "attempt": attempt, "at": "2026-11-26T18:11:43.426053107Z", "terms": terms}),
            json!({"type": "Accepted", "attempt": attempt, "at": "2026-11-26T18:11:44.1Z", "id": "300024"}),
            json!({"type": "Assigned", "attempt": attempt, "at": "2026-11-26T18:11:45Z", "orderId": "300024", "number": "+4922110000024"}),
        ]
    }

    #[test]
    fn an_entry_at_rest_is_small_and_comes_out_as_it_was() {
        let refused = |n: u32| {
            json!({
                "type": "Refused", "attempt": format!("{n:032x}"), "at": "2026-11-26T18:11:44Z",
                "refusal": {"code": "400", "message": "Stra\u{df}e \"5\"", "fields": ["/address/street"]},
            })
        };
        let intended = |n: u32| {
            let mut event = ordered()[0].clone();
            event["attempt"] = json!(format!("{n:032x}"));
            event
        };
        let many: Vec<_> = (0..30).flat_map(|n| [intended(n), refused(n)]).collect();
        for events in [Vec::new(), ordered(), many] {
            let entry = entry(&events);
            let packed = Packed::new(&entry, &entry.state());
            assert!(matches!(packed, Packed::Small(_)), "{} events", events.len());
            let known = packed.known(&entry.key);
            assert_eq!((&*known.entry, &*known.state), (&entry, &entry.state()));
        }
    }

    #[test]
    fn what_an_order_at_rest_takes_is_bounded() {
        let entry = entry(&ordered());
        let Packed::Small(small) = Packed::new(&entry, &entry.state()) else { panic!("it is not packed") };
        // Measured: about 400 bytes; before, with its state, over 4,000.
        assert!(small.len() < 500, "{} bytes", small.len());
    }
}
