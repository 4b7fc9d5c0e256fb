//! What goes wrong on command.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::{Millis, PushSettings, Status};

/// A fault that waits for its request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The path of the requests that it meets, e.g. `/number/order`; `*` is any.
    pub path: String,
    /// What happens.
    pub action: Action,
    /// How many requests it meets; 0: all, until it is cleared.
    #[serde(default = "once")]
    pub times: u32,
    /// Only requests whose body has these values in these top-level fields.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, Value>,
}

fn once() -> u32 {
    1
}

impl Fault {
    /// One request on a path.
    #[must_use]
    pub fn once(path: &str, action: Action) -> Self {
        Self { path: path.into(), action, times: 1, matching: BTreeMap::new() }
    }

    /// This fault, only for requests with this value in this top-level field.
    #[must_use]
    pub fn when(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.matching.insert(field.into(), value.into());
        self
    }

    /// This fault, for that many requests (0: all).
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    fn meets(&self, path: &str, body: Option<&Value>) -> bool {
        (self.path == path || self.path == "*")
            && self.matching.iter().all(|(field, value)| body.and_then(|body| body.get(field)) == Some(value))
    }
}

/// What happens to a request. The first four go together with each other and with one of the rest:
/// a request takes the faults that meet it, up to the first one of the rest; those with a `match` come
/// first, otherwise in the order in which they were set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is read, and then nothing happens for so long.
    Delay {
        /// How long.
        ms: Millis,
    },
    /// The number is told in this way, rather than as the settings say; a missing field has its default,
    /// not its setting.
    Push(PushSettings),
    /// The answer's `order_id` is a JSON number.
    NumericOrderId,
    /// The answer has fields that nobody documented.
    ExtraFields,
    /// It is read, not processed, and the connection is reset.
    DropBefore,
    /// It is processed, and the connection is reset without an answer.
    DropAfter,
    /// It is not processed.
    StatusBefore(Canned),
    /// It is processed.
    StatusAfter(Canned),
    /// It is processed; the answer breaks off in the middle of its body.
    Cut,
    /// It is processed; the answer is 200 with an empty body.
    Empty,
    /// It is processed; the answer is 200 with this body.
    BodyAfter {
        /// As it is, JSON or not.
        body: String,
        /// `application/json` unless told.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// It is processed; the answer is its real one with padding.
    Huge {
        /// The padding's length.
        #[serde(default = "five_megabytes")]
        bytes: usize,
    },
    /// It is not processed but sent elsewhere.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        code: Status,
        /// The `Location`.
        location: String,
    },
    /// It is processed, and never answered; the client has to leave.
    Hang,
}

fn five_megabytes() -> usize {
    5_000_000
}

/// An answer from a can.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    /// The status.
    pub code: Status,
    /// The body: a text is sent as it is, anything else as JSON. Without it, an error body.
    #[serde(default)]
    pub body: Option<Value>,
    /// Headers, e.g. `Retry-After`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

impl Canned {
    /// Just a status.
    #[must_use]
    pub fn status(code: Status) -> Self {
        Self { code, body: None, headers: BTreeMap::new() }
    }
}

/// All that happens to one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) delay: Duration,
    pub(super) push: Option<PushSettings>,
    pub(super) numeric_order_id: bool,
    pub(super) extra_fields: bool,
    /// None of the four that go together.
    pub(super) last: Option<Action>,
}

impl Plan {
    pub(super) fn processes(&self) -> bool {
        !matches!(self.last, Some(Action::DropBefore | Action::StatusBefore(_) | Action::Redirect { .. }))
    }

    fn add(&mut self, action: Action) {
        match action {
            Action::Delay { ms } => self.delay += ms.into(),
            Action::Push(settings) => self.push = Some(settings),
            Action::NumericOrderId => self.numeric_order_id = true,
            Action::ExtraFields => self.extra_fields = true,
            last => self.last = Some(last),
        }
    }
}

/// The faults that wait, in the order in which they were set.
#[derive(Debug, Default)]
pub(super) struct Queue(Vec<Fault>);

impl Queue {
    pub(super) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn list(&self) -> &[Fault] {
        &self.0
    }

    /// Takes what meets a request. Faults with a match come before those without, so that a fault meant
    /// for one resource is not used up by a general one.
    pub(super) fn take(&mut self, path: &str, body: Option<&Value>) -> (Plan, Vec<Action>) {
        let mut plan = Plan::default();
        let mut taken = Vec::new();
        let (special, general): (Vec<usize>, Vec<usize>) =
            (0..self.0.len()).partition(|index| !self.0[*index].matching.is_empty());
        let mut used_up = Vec::new();
        for index in special.into_iter().chain(general) {
            let fault = &mut self.0[index];
            if plan.last.is_some() || !fault.meets(path, body) {
                continue;
            }
            taken.push(fault.action.clone());
            plan.add(fault.action.clone());
            match fault.times {
                0 => {}
                1 => used_up.push(index),
                _ => fault.times -= 1,
            }
        }
        used_up.sort_unstable();
        for index in used_up.into_iter().rev() {
            self.0.remove(index);
        }
        (plan, taken)
    }
}
