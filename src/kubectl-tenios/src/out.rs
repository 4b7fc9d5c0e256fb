//! Standard output.

use std::io::{ErrorKind, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

use super::Failure;

/// What a program can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Json,
    Yaml,
}

/// Prints as it is. A reader that has seen enough (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::AlreadyReported),
        Err(error) => Err(Failure::failed(error)),
        Ok(()) => Ok(()),
    }
}

/// Prints for a program.
pub(super) fn print_as(format: Format, value: &impl Serialize) -> Result<(), Failure> {
    print(&match format {
        Format::Json => serde_json::to_string_pretty(value).map_err(Failure::failed)? + "\n",
        Format::Yaml => yaml(value)?,
    })
}

/// One document that every reader takes for the same: what YAML 1.1 or Go's parser would read as something else
/// than text is quoted.
pub(super) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(value, options).map_err(Failure::failed)
}

/// Whether a person looks at it.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether colours are wanted (<https://no-color.org>).
pub(super) fn is_coloured() -> bool {
    is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Text from the cluster, without what could steer a terminal.
pub(super) fn sanitize(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
