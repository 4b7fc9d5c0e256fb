//! An entry as it is written down, in the cluster and outside.

use serde_json::Value;

use super::{Entry, Event, Key, Kind, Position, State, WriterId};
use tenios_api::decode::decode_redacted;
use tenios_api::ledger_entry::{LedgerEntrySpec, StoredUpTo};

/// The entry as it is written down.
///
/// # Errors
/// When it can't be said in JSON.
pub fn to_spec(entry: &Entry) -> Result<LedgerEntrySpec, String> {
    let json = |e: serde_json::Error| e.to_string();
    let events =
        entry.events.iter().map(serde_json::to_value).collect::<Result<Vec<Value>, _>>().map_err(json)?;
    Ok(LedgerEntrySpec {
        kind: entry.key.kind.as_str().into(),
        namespace: entry.key.namespace.clone(),
        name: entry.key.name.clone(),
        revision: entry.revision,
        writers: entry.writers.iter().rev().map(WriterId::to_string).collect(),
        snapshot: serde_json::to_value(&entry.snapshot).map_err(json)?,
        events,
        store: entry.position.as_ref().map(|position| StoredUpTo {
            id: position.store.clone(),
            sequence: position.sequence,
            revision: position.revision,
        }),
    })
}

/// The entry that was written down so, without a version.
///
/// # Errors
/// The field that this version of the operator can't read, and why.
pub fn from_spec(spec: &LedgerEntrySpec) -> Result<Entry, String> {
    let kind = Kind::parse(&spec.kind).ok_or("spec.kind is unknown")?;
    let snapshot: State =
        decode_redacted(spec.snapshot.clone()).map_err(|why| format!("spec.snapshot.{why}"))?;
    let events: Vec<Event> =
        decode_redacted(Value::Array(spec.events.clone())).map_err(|why| format!("spec.events{why}"))?;
    let mut writers: Vec<WriterId> = spec.writers.iter().map_while(|text| WriterId::parse(text)).collect();
    writers.reverse();
    Ok(Entry {
        key: Key { kind, namespace: spec.namespace.clone(), name: spec.name.clone() },
        revision: spec.revision,
        version: None,
        writers,
        snapshot,
        events,
        position: spec.store.as_ref().map(|store| Position {
            store: store.id.clone(),
            sequence: store.sequence,
            revision: store.revision,
        }),
    })
}
