//! The switches: whatever `docs/provider-api.md` calls unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A status code that a final answer can have: 200 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Status(StatusCode);

impl From<StatusCode> for Status {
    fn from(code: StatusCode) -> Self {
        Self(code)
    }
}

impl From<Status> for StatusCode {
    fn from(status: Status) -> Self {
        status.0
    }
}

impl From<Status> for u16 {
    fn from(status: Status) -> Self {
        status.0.as_u16()
    }
}

impl TryFrom<u16> for Status {
    type Error = String;

    fn try_from(code: u16) -> Result<Self, String> {
        match StatusCode::from_u16(code) {
            Ok(status) if (200..600).contains(&code) => Ok(Self(status)),
            _ => Err(format!("{code} is no status of a final answer (200 to 599)")),
        }
    }
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Millis(pub u64);

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(millis.0)
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// An error answer: a status and the documented body `{"error_code", "error_message", "fields"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The status.
    pub status: Status,
    /// The body's `error_code`.
    pub error_code: String,
    /// The body's `error_message`.
    pub error_message: String,
    /// The body's `fields`.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// What a wrong access key is answered with; both have been documented.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKey {
    /// 403
    #[default]
    Forbidden,
    /// 400 with `BAD_CREDENTIALS`
    BadCredentials,
}

/// How an `order_id` stands in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderIdType {
    /// As documented.
    #[default]
    Text,
    /// As the provider's own Java client expects it.
    Number,
}

/// When the push of an order leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushTime {
    /// `assign_after` after the order's request.
    #[default]
    AfterAnswer,
    /// Before the order's request is answered.
    BeforeAnswer,
    /// Not by itself: only on command.
    Never,
}

/// How an order's number is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushSettings {
    /// When.
    pub when: PushTime,
    /// Waits this long between assigning the number and telling it.
    pub delay_ms: Millis,
    /// How many times it is told, each time whatever the receiver answered.
    pub copies: u32,
    /// How many further tries a push has that no 2xx answered.
    pub retries: u32,
    /// The wait before the first further try; it doubles each time.
    pub retry_ms: Millis,
    /// How long a receiver may take.
    pub timeout_ms: Millis,
    /// The `Content-Type`; empty leaves it out.
    pub content_type: String,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            when: PushTime::default(),
            delay_ms: Millis(0),
            copies: 1,
            retries: 5,
            retry_ms: Millis(200),
            timeout_ms: Millis(10_000),
            content_type: "application/json".into(),
        }
    }
}

/// All switches. In JSON (`PUT /_simulator/settings`) a missing field keeps its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A new document is approved after this time; `None`: only on command.
    pub approve_after_ms: Option<Millis>,
    /// A new order gets its number after this time.
    pub assign_after_ms: Millis,
    /// See [`BadKey`].
    pub bad_key: BadKey,
    /// What an order of a pending or rejected document is answered with.
    pub unapproved: Refusal,
    /// Whether `zip` is required: the parameter table omits it, every example has it.
    pub require_zip: bool,
    /// Whether `document_data` must be padded, unwrapped base64 of something that has `%PDF-` in its first 1,024 bytes.
    pub check_document_data: bool,
    /// See [`OrderIdType`].
    pub order_id: OrderIdType,
    /// Fields that are added to each accepting answer.
    pub extra_fields: BTreeMap<String, Value>,
    /// See [`PushSettings`].
    pub push: PushSettings,
    /// Days from a cancellation's request to its date.
    pub cancel_notice_days: u16,
    /// Whether a second cancellation of the same number is answered like the first, or refused.
    pub cancel_again: bool,
    /// Requests with a larger body are answered 413.
    pub max_body_bytes: usize,
    /// More requests than that within a second are answered 429 with `Retry-After: 1`, and not processed.
    pub most_per_second: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            approve_after_ms: None,
            assign_after_ms: Millis(2000),
            bad_key: BadKey::default(),
            unapproved: super::refusal::verification_id(),
            require_zip: true,
            check_document_data: true,
            order_id: OrderIdType::default(),
            extra_fields: BTreeMap::new(),
            push: PushSettings::default(),
            cancel_notice_days: 30,
            cancel_again: true,
            max_body_bytes: 20 * 1024 * 1024,
            most_per_second: None,
        }
    }
}

impl Settings {
    /// These settings with the fields of `changes` (an object; `push` may be partial too) put in.
    pub(super) fn merged(&self, changes: Value) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let Value::Object(mut changes) = changes else {
            return Err("settings are a JSON object".into());
        };
        if let (Some(Value::Object(push)), Some(part)) =
            (whole.get_mut("push"), changes.get("push").and_then(Value::as_object))
        {
            push.extend(part.clone());
            changes.remove("push");
        }
        if let Value::Object(whole) = &mut whole {
            whole.extend(changes);
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }
}
