//! What became of one request: exactly one of four.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::refusal::{arrived, presentable, refusal, shown};
use super::{ANSWER_LIMIT, decode};
use tenios_api::Endpoint;
use tenios_api::printable::one_line;
use tenios_api::valid::is_id;
use tenios_ledger::Refusal;

/// Characters of an answer that are shown where nothing can be read from it.
const SAID: usize = 256;

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
        /// Seconds that the provider asked to wait; 0 where it asks to come back and names no time. None where the
        /// request did not get there.
        retry_after: Option<u32>,
    },
    /// Nobody can tell (promise 3).
    Unknown {
        /// What was seen.
        why: String,
    },
}

/// An answer, read as far as the bound.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Body,
}

/// The body of an answer: what arrived, and how it ended.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) end: End,
}

pub(super) enum End {
    Whole,
    TooLarge,
    Broken(String),
    /// Nobody said how long it would be, and the connection was still open when the time was over.
    LeftOpen,
}

impl Answer {
    /// What it says, where all of it arrived. One that was left open may be whole: JSON tells.
    pub(super) fn text(&self) -> Option<String> {
        match self.body.end {
            End::Whole | End::LeftOpen => decode::text(&self.body.bytes, ANSWER_LIMIT),
            End::TooLarge | End::Broken(_) => None,
        }
    }

    /// What arrived, for a person.
    pub(super) fn arrived(&self) -> Option<String> {
        arrived(&self.body)
    }
}

/// Sorts an answer by the table of `docs/provider-api.md#what-each-answer-proves` (promise 3). `id_field` is the field that an
/// accepted request is answered with, and `redact` takes out of a text what it quotes of the request.
pub(super) fn classify(
    answer: &Answer,
    id_field: &str,
    now: Timestamp,
    redact: impl Fn(&str) -> String,
) -> Outcome {
    let status = answer.status;
    let retry_after = answer.retry_after.as_deref().and_then(|text| parse_retry_after(text, now));
    let id = accepted(answer, id_field);
    let seen = match status {
        200..=299 => match id {
            Ok(id) => return Outcome::Accepted { id },
            Err(why) => format!("HTTP {status} {why}"),
        },
        // Whoever gives an id has taken something, whatever a proxy made of the status, and however it is written.
        _ if id.is_ok() || names_an_id(&answer.body, id_field) => {
            format!("HTTP {status}, yet with {id_field}")
        }
        429 => return not_processed(status, retry_after),
        503 if answer.retry_after.is_some() => return not_processed(status, retry_after),
        300..=399 => format!("HTTP {status}: a redirect, which is not followed"),
        // Time-outs and conflicts of whatever stands in between say nothing about the provider.
        400..=499 if !matches!(status, 408 | 409 | 425 | 499) => {
            return Outcome::Refused(presentable(&refusal(answer), redact));
        }
        _ => format!("HTTP {status}, which does not say whether the request was processed"),
    };
    // A person has to find out what became of it, and this may be all there is to go by.
    let said = answer.arrived().map(|text| shown(&text, SAID, redact));
    let said = said.map(|text| format!("; the answer says: {text}")).unwrap_or_default();
    Outcome::Unknown { why: format!("{seen}{said}") }
}

fn not_processed(status: u16, retry_after: Option<u32>) -> Outcome {
    let why = format!("HTTP {status}: TENIOS asks to retry later");
    Outcome::NotProcessed { why, retry_after: Some(retry_after.unwrap_or(0)) }
}

/// The id, or why there is none.
fn accepted(answer: &Answer, id_field: &str) -> Result<String, String> {
    match &answer.body.end {
        End::Whole | End::LeftOpen => {}
        End::TooLarge => return Err("with an oversized answer".into()),
        End::Broken(why) => return Err(format!("but its answer broke off: {why}")),
    }
    let is_date = id_field == Endpoint::CancelNumber.id_field();
    let json = answer.text().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    // The documents show text; the provider's own client reads a number (`docs/provider-api.md`).
    let id = match json.as_ref().map(|json| &json[id_field]) {
        Some(Value::String(text)) => {
            text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned()
        }
        Some(Value::Number(number)) => {
            decode::whole(number).ok_or_else(|| format!("without a readable {id_field}"))?
        }
        Some(Value::Array(parts)) if is_date => {
            date_of(parts).ok_or_else(|| format!("without a readable {id_field}"))?
        }
        Some(_) => return Err(format!("without a readable {id_field}")),
        None => return Err("with an unreadable answer".into()),
    };
    if is_date && (1..=LONGEST_DATE).contains(&id.chars().count()) {
        return Ok(day(&id));
    }
    if !is_id(&id) {
        return Err(format!("with an unusable {id_field}"));
    }
    Ok(id)
}

/// Characters of a date in words.
const LONGEST_DATE: usize = 64;

/// The day of a date with a time, `2027-01-31 00:00:00`; anything else as it came, on one line.
fn day(text: &str) -> String {
    let day = text.get(..10).filter(|day| day.parse::<jiff::civil::Date>().is_ok());
    let is_alone = |day: &&str| !text[day.len()..].starts_with(|c: char| c.is_alphanumeric() && c != 'T');
    day.filter(is_alone).map_or_else(|| one_line(text), str::to_owned)
}

/// Year, month and day, as Java libraries write a date by default.
fn date_of(parts: &[Value]) -> Option<String> {
    let [year, month, day] = parts else { return None };
    let part = |value: &Value| value.as_i64().and_then(|n| i16::try_from(n).ok());
    let [month, day] = [month, day].map(|value| part(value).and_then(|n| i8::try_from(n).ok()));
    jiff::civil::Date::new(part(year)?, month?, day?).ok().map(|date| date.to_string())
}

/// Whether an answer has the field of the id with something in it, in whatever shape and however it ended. Such a one
/// must not be taken for a refusal, after which the same is sent once more.
fn names_an_id(body: &Body, id_field: &str) -> bool {
    const NOTHING: [&str; 6] = ["null", "nil", "none", "false", "undefined", "nan"];
    let same_name = |text: &str| -> String {
        text.chars().filter(|c| !matches!(c, '_' | '-')).flat_map(char::to_lowercase).collect()
    };
    let (text, name) =
        (same_name(&decode::as_far_as_it_goes(&body.bytes, ANSWER_LIMIT)), same_name(id_field));
    let encloses = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | '[' | ']' | '{' | '(');
    text.match_indices(&name).any(|(at, _)| {
        let behind = text[at + name.len()..].trim_start_matches(encloses);
        let Some(value) = behind.strip_prefix([':', '=', '>']) else { return false };
        let value = value.trim_start_matches(|c| encloses(c) || matches!(c, ':' | '>'));
        let word = &value[..value.find(|c: char| !c.is_alphanumeric()).unwrap_or(value.len())];
        !word.is_empty() && !NOTHING.contains(&word)
    })
}

/// Seconds from now: RFC 9110 section 10.2.3 has both a number of seconds and a date, which section 5.6.7 has in three
/// forms.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<u32> {
    let text = text.trim();
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        return Some(seconds.ceil() as u32);
    }
    let obsolete = |form| jiff::civil::DateTime::strptime(form, text).ok()?.to_zoned(TimeZone::UTC).ok();
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().or_else(|| {
        let zoned = obsolete("%A, %d-%b-%y %H:%M:%S GMT").or_else(|| obsolete("%a %b %e %H:%M:%S %Y"));
        zoned.map(|zoned| zoned.timestamp())
    })?;
    u32::try_from(at.duration_since(now).as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p16_a_cancellation_that_was_answered_has_its_date_in_whatever_form() {
        for (date, recorded) in [
            (r#""2027-01-31""#, Some("2027-01-31")),
            (r#""2027-01-31 00:00:00""#, Some("2027-01-31")),
            (r#""2027-01-31T00:00:00+01:00""#, Some("2027-01-31")),
            (r#""31. März 2027""#, Some("31. März 2027")),
            ("[2027,1,31]", Some("2027-01-31")),
            ("1801353600", Some("1801353600")),
            ("[2027,13,31]", None),
            (r#""""#, None),
            ("null", None),
        ] {
            let bytes = format!(r#"{{"cancellation_date":{date}}}"#).into_bytes();
            let answer = Answer { status: 200, retry_after: None, body: Body { bytes, end: End::Whole } };
            let outcome = classify(&answer, "cancellation_date", Timestamp::UNIX_EPOCH, str::to_owned);
            let recorded = recorded.map(|id| Outcome::Accepted { id: id.into() });
            match recorded {
                Some(accepted) => assert_eq!(outcome, accepted, "{date}"),
                None => assert!(matches!(outcome, Outcome::Unknown { .. }), "{date}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_retry_after_may_be_a_date() {
        let now: Timestamp = "2026-11-22T09:00:00Z".parse().unwrap_or_default();
        assert_eq!(parse_retry_after("Sun, 22 Nov 2026 09:02:00 GMT", now), Some(120));
        assert_eq!(parse_retry_after("Sunday, 22-Nov-26 09:02:00 GMT", now), Some(120));
        assert_eq!(parse_retry_after("Sun Nov 22 09:02:00 2026", now), Some(120));
        assert_eq!(parse_retry_after(" 7 ", now), Some(7));
        assert_eq!(parse_retry_after("120.5", now), Some(121));
        assert_eq!(parse_retry_after("99999999999", now), Some(u32::MAX));
        assert_eq!(parse_retry_after("-1", now), None);
        assert_eq!(parse_retry_after("Sun, 22 Nov 2026 08:00:00 GMT", now), None);
        assert_eq!(parse_retry_after("soon", now), None);
    }
}
