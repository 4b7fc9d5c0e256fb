//! What became of one request: exactly one of four.

use jiff::Timestamp;

use crate::ledger::Refusal;

/// What became of one request to the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Taken: this is the id.
    Accepted {
        /// The verification id or order id.
        id: String,
    },
    /// Answered with a refusal: nothing was placed.
    Refused(Refusal),
    /// Provably not processed: the request did not leave completely, or the provider says so.
    NotProcessed {
        /// What was seen.
        why: String,
        /// Seconds that the provider asked to wait.
        retry_after: Option<u32>,
    },
    /// Nobody can tell (promise 3).
    Unknown {
        /// What was seen.
        why: String,
    },
}

impl Outcome {
    /// The label of `tenios_provider_requests_total`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused(_) => "refused",
            Self::NotProcessed { .. } => "not_processed",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// An answer, read as far as the bound.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    Whole(Vec<u8>),
    TooLarge,
    Broken(String),
}

/// Sorts an answer by the table of `docs/provider-api.md#what-each-answer-proves` (promise 3). `id_field` is the field that an
/// accepted request is answered with.
pub(super) fn classify(answer: &Answer, id_field: &str, now: Timestamp) -> Outcome {
    let status = answer.status;
    let retry_after = answer.retry_after.as_deref().and_then(|text| parse_retry_after(text, now));
    match status {
        200..=299 => accepted(answer, id_field),
        429 => not_processed(status, retry_after),
        503 if answer.retry_after.is_some() => not_processed(status, retry_after),
        // Time-outs and conflicts of whatever stands in between, which say nothing about the provider.
        408 | 409 | 425 | 499 => {
            unknown(format!("HTTP {status}, which does not tell whether the request was processed"))
        }
        400..=499 => Outcome::Refused(refusal(status, &answer.body)),
        300..=399 => unknown(format!("HTTP {status}: a redirect, which is not followed")),
        _ => unknown(format!("HTTP {status}, which does not tell whether the request was processed")),
    }
}

fn unknown(why: String) -> Outcome {
    Outcome::Unknown { why }
}

fn not_processed(status: u16, retry_after: Option<u32>) -> Outcome {
    Outcome::NotProcessed { why: format!("HTTP {status}: the provider asks to try again later"), retry_after }
}

fn accepted(answer: &Answer, id_field: &str) -> Outcome {
    let status = answer.status;
    let body = match &answer.body {
        Body::Whole(body) => body,
        Body::TooLarge => return unknown(format!("HTTP {status} with an answer too large to be one")),
        Body::Broken(why) => return unknown(format!("HTTP {status}, but its answer broke off: {why}")),
    };
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else {
        return unknown(format!("HTTP {status} with an unreadable answer"));
    };
    // The documents show text; the provider's own client reads a number (`docs/provider-api.md`).
    let id = match &json[id_field] {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return unknown(format!("HTTP {status} without a readable {id_field}")),
    };
    if id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()) {
        return unknown(format!("HTTP {status} with a {id_field} that can't be one"));
    }
    Outcome::Accepted { id }
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct ErrorBody {
    error_code: Option<String>,
    error_message: Option<String>,
    fields: Vec<String>,
}

fn refusal(status: u16, body: &Body) -> Refusal {
    let body: ErrorBody = match body {
        Body::Whole(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        Body::TooLarge | Body::Broken(_) => ErrorBody::default(),
    };
    let code = body.error_code.filter(|code| is_code(code)).unwrap_or_else(|| format!("HTTP_{status}"));
    Refusal {
        can_pass: can_pass(status, &code),
        code,
        message: body.error_message.unwrap_or_default(),
        fields: body.fields,
    }
}

/// A refusal as it may be recorded and shown. `hide` takes what the provider quoted of the request out of
/// a text. It comes after what can't be shown was left out and before the bounds: either could keep a secret
/// from being recognised.
pub(super) fn presentable(refusal: &Refusal, hide: impl Fn(&str) -> String) -> Refusal {
    let shown = |text: &str, limit| hide(&printable(text)).chars().take(limit).collect();
    Refusal {
        code: shown(&refusal.code, 128),
        message: shown(&refusal.message, 512),
        fields: refusal.fields.iter().take(16).map(|field| shown(field, 64)).collect(),
        can_pass: refusal.can_pass,
    }
}

fn is_code(code: &str) -> bool {
    (1..=128).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic())
}

/// The documented refusals whose cause lies outside the request: the document gets approved, the link
/// target becomes suitable, the key or the URL gets mended. Of an undocumented one nobody knows.
fn can_pass(status: u16, code: &str) -> bool {
    match code {
        "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID" | "NUMBER_ORDER_WRONG_LINK_NUMBER" | "BAD_CREDENTIALS" => {
            true
        }
        _ => matches!(status, 403 | 404),
    }
}

/// What can be shown: it ends up in conditions and logs.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Seconds from now: RFC 9110 section 10.2.3 has both a number of seconds and a date.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<u32> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(seconds);
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u32::try_from(at.duration_since(now).as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_after_may_be_a_date() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap_or_default();
        assert_eq!(parse_retry_after("Sun, 22 Nov 2026 09:02:00 GMT", now), Some(120));
        assert_eq!(parse_retry_after(" 7 ", now), Some(7));
        assert_eq!(parse_retry_after("Sun, 22 Nov 2026 08:00:00 GMT", now), None);
        assert_eq!(parse_retry_after("soon", now), None);
    }
}
