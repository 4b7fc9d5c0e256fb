//! What each flag takes: white space around it is dropped, and what makes no sense is refused in a sentence.

use std::ffi::OsStr;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use jiff::SignedDuration;

use crate::ledger::Budget;
use crate::net::{BaseUrl, trimmed};
use crate::push::PREFIX;

/// Beyond any purpose, and far below what makes a point in time overflow.
const LONGEST: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

/// Another parser, for the text without the white space around it.
#[derive(Clone)]
pub(super) struct Trimmed<P>(pub(super) P);

impl<P: TypedValueParser> TypedValueParser for Trimmed<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        flag: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, clap::Error> {
        let value = value.to_str().map_or(value, |text| OsStr::new(trimmed(text)));
        self.0.parse_ref(command, flag, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        self.0.possible_values()
    }
}

/// The same forms for every flag that is on or off.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match trimmed(text).to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Ok(false),
        _ => Err("expected true or false"),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        duration if duration < Duration::from_millis(1) => Err("must be 1ms or more".into()),
        duration => Ok(duration),
    }
}

/// What ends up in whole seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration < Duration::from_secs(1) => Err("must be 1s or more".into()),
        duration => Ok(duration),
    }
}

pub(super) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration =
        trimmed(text).parse().map_err(|_| "expected a time such as 500ms, 60s, 5m or 24h".to_owned())?;
    let duration = Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())?;
    if duration > LONGEST { Err("must not be above two years".into()) } else { Ok(duration) }
}

pub(super) fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || "expected COUNT/TIME such as 100/24h".to_owned();
    let (requests, window) = trimmed(text).split_once('/').ok_or_else(wrong)?;
    let requests = trimmed(requests);
    if requests.is_empty() || !requests.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let requests = match requests.parse() {
        Ok(0) => {
            return Err("must allow one request or more; to stop all orders, scale the operator to 0".into());
        }
        Ok(requests) => requests,
        Err(_) => return Err("allows more requests than can be counted".into()),
    };
    let window = duration(window).map_err(|why| format!("its time {why}"))?;
    let window = SignedDuration::try_from(window).map_err(|_| wrong())?;
    Ok(Budget { requests, window })
}

/// Where TENIOS is; what is sent is put behind it.
pub(super) fn tenios_url(text: &str) -> Result<BaseUrl, String> {
    let url = BaseUrl::from_str(text).map_err(|flaw| flaw.to_string())?;
    for method in [["number", "order"], ["verification", "create"]] {
        if url.has_segments(&method) {
            return Err(format!("must end before /{}, which is put behind it", method.join("/")));
        }
    }
    Ok(url)
}

/// Where the push receiver is; the path of each push is put behind it.
pub(super) fn push_base_url(text: &str) -> Result<BaseUrl, String> {
    let url = BaseUrl::from_str(text).map_err(|flaw| flaw.to_string())?;
    let path = PREFIX.trim_matches('/');
    if url.has_segments(&path.split('/').collect::<Vec<_>>()) {
        return Err(format!("must end before /{path}, which is put behind it"));
    }
    Ok(url)
}
