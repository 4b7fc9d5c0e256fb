//! What the folded events told, in few words, for people who ask for the history of a resource. Nothing is decided by it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{AttemptId, Event, Refusal};
use tenios_api::PhoneNumber;

/// How it began, so many lines are kept for ever.
const FIRST_KEPT: usize = 8;

/// Of the rest the newest, so many in all.
const LINES_KEPT: usize = 32;

/// Characters of [`Line::why`]. Answers of the provider are longer.
const WHY_KEPT: usize = 256;

/// Lines, oldest first. Bounded, whatever happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Past {
    lines: Vec<Line>,
    #[serde(skip_serializing_if = "is_zero")]
    omitted: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// [`Event::Intended`], and no outcome is recorded.
    Intended,
    /// [`Event::Accepted`]
    Accepted,
    /// [`Event::Refused`]
    Refused,
    /// [`Event::NotProcessed`]
    NotProcessed,
    /// [`Event::Unknown`]
    Unknown,
    /// [`Event::NotPlaced`]
    NotPlaced,
    /// [`Event::Adopted`]
    Adopted,
    /// [`Event::Assigned`] or [`Event::Pushed`]
    Pushed,
    /// [`Event::Rebuilt`]
    Rebuilt,
    /// The ledger was set back, as by a restore, and the operator wrote back what it still knew: at this time or later.
    WrittenBack,
    /// Recorded by another version of the operator.
    #[serde(other)]
    Other,
}

/// One thing that happened, perhaps several times in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// What happened.
    pub what: What,
    /// When; the last time.
    pub at: Timestamp,
    /// When it happened first, where that was more than once in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    /// How often in a row.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: u64,
    /// The request; the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// The verification id or order id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<PhoneNumber>,
    /// What was seen, or the provider's answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

fn once() -> u64 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_once(times: &u64) -> bool {
    *times == 1
}

impl Line {
    fn new(what: What, at: Timestamp, attempt: Option<AttemptId>) -> Self {
        Self { what, at, first: None, times: 1, attempt, id: None, number: None, why: String::new() }
    }

    /// What this event tells.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let new = |what, at: &Timestamp, attempt: &AttemptId| Self::new(what, *at, Some(attempt.clone()));
        match event {
            Event::Intended { attempt, at, .. } => new(What::Intended, at, attempt),
            Event::Accepted { attempt, at, id } => {
                Self { id: Some(id.clone()), ..new(What::Accepted, at, attempt) }
            }
            Event::Refused { attempt, at, refusal } => {
                Self { why: answer(refusal), ..new(What::Refused, at, attempt) }
            }
            Event::NotProcessed { attempt, at, why, .. } => {
                Self { why: shortened(why), ..new(What::NotProcessed, at, attempt) }
            }
            Event::Unknown { attempt, at, why } => {
                Self { why: shortened(why), ..new(What::Unknown, at, attempt) }
            }
            Event::NotPlaced { attempt, at } => new(What::NotPlaced, at, attempt),
            Event::Adopted { at, id, number, .. } => {
                Self { id: id.clone(), number: number.clone(), ..Self::new(What::Adopted, *at, None) }
            }
            Event::Assigned { attempt, at, order_id, number } => {
                let (id, number) = (Some(order_id.clone()), Some(number.clone()));
                Self { id, number, ..new(What::Pushed, at, attempt) }
            }
            Event::Pushed { attempt, at, order_id, number } => {
                Self { id: order_id.clone(), number: number.clone(), ..new(What::Pushed, at, attempt) }
            }
            Event::Rebuilt { at, attempt, id, number, .. } => {
                let (id, number) = (id.clone(), number.clone());
                Self { id, number, ..Self::new(What::Rebuilt, *at, attempt.clone()) }
            }
        }
    }

    /// Whether this is what became of that request.
    fn settles(&self, before: &Self) -> bool {
        let is_outcome =
            matches!(self.what, What::Accepted | What::Refused | What::NotProcessed | What::Unknown);
        is_outcome && before.what == What::Intended && before.times == 1 && self.attempt == before.attempt
    }

    /// Whether it is the same once more, as when a request is tried again for weeks.
    fn repeats(&self, before: &Self) -> bool {
        let told = |line: &Self| (line.what, line.id.clone(), line.number.clone(), line.why.clone());
        told(self) == told(before)
    }
}

fn answer(refusal: &Refusal) -> String {
    let message = Some(&refusal.message).filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    let fields = Some(&refusal.fields).filter(|fields| !fields.is_empty());
    let fields = fields.map(|fields| format!(" ({})", fields.join(", "))).unwrap_or_default();
    shortened(&format!("{}{message}{fields}", refusal.code))
}

fn shortened(text: &str) -> String {
    text.chars().take(WHY_KEPT).collect()
}

impl Past {
    /// What happened, oldest first.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// How many lines are not kept any more.
    #[must_use]
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Nothing happened, as far as is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// This happened next.
    pub(super) fn push(&mut self, event: &Event) {
        let mut line = Line::of(event);
        self.lines.pop_if(|before| line.settles(before));
        if let Some(before) = self.lines.pop_if(|before| line.repeats(before)) {
            line.first = before.first.or(Some(before.at));
            line.times = line.times.saturating_add(before.times);
        }
        self.keep(line);
    }

    /// The ledger was set back after this time, and gets back what it lost. Once for several times in a row.
    pub(super) fn wrote_back(&mut self, after: Timestamp) {
        self.lines.pop_if(|before| before.what == What::WrittenBack);
        self.keep(Line::new(What::WrittenBack, after, None));
    }

    fn keep(&mut self, line: Line) {
        self.lines.push(line);
        if self.lines.len() > LINES_KEPT {
            self.lines.remove(FIRST_KEPT);
            self.omitted = self.omitted.saturating_add(1);
        }
    }
}
