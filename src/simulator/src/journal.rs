//! What arrived and what was told, without a secret.

use std::fs::File;
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::fault::Action;
use tenios_api::digest::sha256;

/// The fields of a request that stand in the journal as digests.
const SECRET: [&str; 3] = ["access_key", "push_secret", "document_data"];

/// A request that arrived, whole or not. In a journal file it is one line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct JournalEntry {
    /// When its head had arrived.
    pub time: Timestamp,
    /// Its method.
    pub method: String,
    /// Its path, without a query.
    pub path: String,
    /// Whether all of its body arrived.
    pub complete: bool,
    /// Bytes of its body, where it arrived whole.
    pub bytes: usize,
    /// The body, if it is JSON, with `sha256:` digests (of the text in the field) in place of `access_key`,
    /// `push_secret` and `document_data`.
    pub body: Option<Value>,
    /// Whether it was processed: a drop or a status "before" prevents that.
    pub processed: bool,
    /// What was answered, or would have been but for the fault. None while there is no answer yet.
    pub answer: Option<Answered>,
    /// The faults that it met.
    pub faults: Vec<Action>,
    /// The header `traceparent`, where it came with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// Its body, shortened to 4 kB where it is no JSON.
    pub body: Value,
}

/// One try to tell a number.
#[derive(Clone, Debug, Serialize)]
pub struct PushEntry {
    /// When it was sent.
    pub time: Timestamp,
    /// Where to.
    pub url: String,
    /// The `order_id` that was told.
    pub order_id: Value,
    /// The `phonenumber` that was told.
    pub phonenumber: Value,
    /// The receiver's status; none where no answer came.
    pub status: Option<u16>,
}

/// A copy with digests in place of secrets, wherever in it they are.
pub(super) fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.iter().map(redacted_field).collect::<Map<_, _>>()),
        Value::Array(values) => Value::Array(values.iter().map(redacted).collect()),
        other => other.clone(),
    }
}

fn redacted_field((name, value): (&String, &Value)) -> (String, Value) {
    let value = match value {
        value if !SECRET.contains(&name.as_str()) => redacted(value),
        Value::String(text) => Value::String(sha256(text)),
        other => Value::String(sha256(other.to_string())),
    };
    (name.clone(), value)
}

/// The journal: all of it in memory, and each finished entry in a file, if there is one.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: Vec<JournalEntry>,
    file: Option<File>,
    // Grows by each reset, so that an answer that comes after one is not noted on another request.
    era: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    era: u64,
    index: usize,
}

impl Journal {
    pub(super) fn new(file: Option<File>) -> Self {
        Self { entries: Vec::new(), file, era: 0 }
    }

    pub(super) fn begin(&mut self, entry: JournalEntry) -> Position {
        self.entries.push(entry);
        Position { era: self.era, index: self.entries.len() - 1 }
    }

    pub(super) fn amend(&mut self, position: Position, change: impl FnOnce(&mut JournalEntry)) {
        if position.era == self.era
            && let Some(entry) = self.entries.get_mut(position.index)
        {
            change(entry);
        }
    }

    /// Appends an entry to the file.
    pub(super) fn finish(&mut self, position: Position) {
        if position.era != self.era {
            return;
        }
        let (Some(entry), Some(file)) = (self.entries.get(position.index), &mut self.file) else {
            return;
        };
        let written = serde_json::to_string(entry)
            .map_err(std::io::Error::from)
            .and_then(|line| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            tracing::error!(%error, "the journal cannot be written");
        }
    }

    pub(super) fn entries(&self) -> &[JournalEntry] {
        &self.entries
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.era += 1;
    }
}
