//! How flags and environment variables are read, for the operator and the simulator alike: white space around a
//! value is dropped, and what makes no sense is refused in one line that names the flag.

#![forbid(unsafe_code)]

mod value;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, FromArgMatches};
use tenios_net::trimmed;

pub use value::{Trimmed, duration, duration_or_zero, seconds, switch};

/// Where an empty variable is refused. Elsewhere it counts as not set; here that would mean another provider,
/// another ledger or more namespaces than somebody meant to name.
const NEVER_EMPTY: [&str; 4] = ["TENIOS_URL", "TENIOS_LEDGER", "TENIOS_NAMESPACE", "TENIOS_WATCH_NAMESPACE"];

/// What was asked for on the command line and in the environment.
///
/// # Errors
/// What [`explain`] makes one line of, or what was asked for, such as the help.
pub fn read<O: FromArgMatches>(command: Command) -> Result<O, clap::Error> {
    O::from_arg_matches(&command.try_get_matches()?)
}

/// A variable that is set to nothing counts as not set, but for those where that would mean another provider,
/// another ledger or more namespaces.
#[must_use]
pub fn without_blank_variables(command: Command) -> Command {
    let blank = |name: &str| {
        std::env::var(name).is_ok_and(|value| trimmed(&value).is_empty()) && !NEVER_EMPTY.contains(&name)
    };
    command.mut_args(|flag| match flag.get_env().and_then(|name| name.to_str()) {
        Some(name) if blank(name) => flag.env(None::<&'static str>),
        _ => flag,
    })
}

/// A wrong configuration.
pub const WRONG_CONFIGURATION: u8 = 2;

/// Tells what was not understood, by [`explain`] on standard error; help and version as clap has them.
#[must_use]
pub fn tell(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", explain(error));
    ExitCode::from(WRONG_CONFIGURATION)
}

/// One line that names the flag. It does not repeat a value that was not understood: a password may stand in it.
#[must_use]
pub fn explain(error: &clap::Error) -> String {
    if let (ErrorKind::ValueValidation, Some(ContextValue::String(flag)), Some(why)) =
        (error.kind(), error.get(ContextKind::InvalidArg), std::error::Error::source(error))
    {
        let name = flag.split_once(' ').map_or(flag.as_str(), |(name, _)| name);
        return format!("error: {name}: {why}");
    }
    let text = error.to_string();
    let end = text.find("\n\nUsage").or_else(|| text.find("\n\nFor more")).unwrap_or(text.len());
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}
