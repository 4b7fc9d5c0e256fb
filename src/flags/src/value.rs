//! What a flag takes.

use std::ffi::OsStr;
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};
use jiff::SignedDuration;
use tenios_net::trimmed;

/// Beyond any purpose, and far below what makes a point in time overflow.
const LONGEST: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

/// Another parser, for the text without the white space around it.
#[derive(Clone)]
pub struct Trimmed<P>(pub P);

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
///
/// # Errors
/// What would be accepted.
pub fn switch(text: &str) -> Result<bool, &'static str> {
    match trimmed(text).to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Ok(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Ok(false),
        _ => Err("expected true or false"),
    }
}

/// A time of 1 ms or more, and of two years at most.
///
/// # Errors
/// What would be accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        duration if duration < Duration::from_millis(1) => Err("must be 1ms or more".into()),
        duration => Ok(duration),
    }
}

/// The same, of 1 s or more: what ends up in whole seconds.
///
/// # Errors
/// What would be accepted.
pub fn seconds(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        duration if duration < Duration::from_secs(1) => Err("must be 1s or more".into()),
        duration => Ok(duration),
    }
}

/// A time of two years at most.
///
/// # Errors
/// What would be accepted.
pub fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let signed: SignedDuration =
        trimmed(text).parse().map_err(|_| "expected a time such as 500ms, 60s, 5m or 24h".to_owned())?;
    let duration = Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())?;
    if duration > LONGEST { Err("must not be above two years".into()) } else { Ok(duration) }
}
