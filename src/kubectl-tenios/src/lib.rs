//! `kubectl tenios`: what a person says and asks, one file for each subcommand.
//!
//! It is a client of the apiserver like any other and has no power beyond its user's. Exit codes: 0 done,
//! 1 failed, 2 wrong usage.

#![forbid(unsafe_code)]

mod adopt;
mod approve;
pub mod area_codes;
mod ask;
pub mod branches;
mod cancel;
mod cluster;
pub mod encoding;
mod export;
mod find;
mod generate;
mod git;
mod history;
mod ledger;
mod manifest;
mod metadata;
mod out;
mod resolve;
mod retry;
pub mod rules;
mod said_by;
mod schema;
mod status;
mod table;
mod target;
pub mod validate;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use cluster::ClusterOptions;

use tenios_api::verification::Approval;
use tenios_api::{PhoneNumber, causes};

/// Inspect TENIOS phone number orders, and make the decisions that need a person.
#[derive(Debug, Parser)]
#[command(name = "kubectl-tenios", bin_name = "kubectl tenios", version)]
struct Options {
    #[command(flatten)]
    cluster: ClusterOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show verifications and orders, and what needs action.
    Status(status::StatusOptions),
    /// Record that the TENIOS portal shows the document as approved.
    Approve(approve::ApprovalOptions),
    /// Record that the TENIOS portal shows the document as rejected.
    Reject(approve::ApprovalOptions),
    /// Record an id or number that already exists, so that nothing is sent.
    Adopt(adopt::AdoptOptions),
    /// Declare that an attempt with an unknown outcome placed nothing, so that a new request is sent.
    Retry(retry::RetryOptions),
    /// Show what happened to a verification or an order, when, and by whom.
    History(history::HistoryOptions),
    /// Ask TENIOS to cancel the number of an order, which can't be undone.
    Cancel(cancel::CancelOptions),
    /// Print manifests that restore everything in another cluster without ordering anything.
    Export(export::ExportOptions),
    /// Validate manifests without a cluster.
    Validate(validate::ValidateOptions),
    /// Generate manifests from a table of branches.
    Generate(generate::GenerateOptions),
    /// Inspect the operator's ledger (for the operator's administrators).
    Ledger(ledger::LedgerOptions),
    /// Print a completion script.
    Completion {
        /// The shell.
        #[arg(value_parser = clap::value_parser!(Shell))]
        shell: Shell,
    },
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// It was tried, and this is what came of it.
    Failed(String),
    /// The apiserver could not be asked.
    Connection(String),
    /// It makes no sense as it was asked.
    Usage(String),
    /// Everything was said already.
    AlreadyReported,
}

impl Failure {
    fn failed(what: impl std::fmt::Display) -> Self {
        Self::Failed(what.to_string())
    }

    fn usage(what: impl std::fmt::Display) -> Self {
        Self::Usage(what.to_string())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::failed(&status.message),
            error => Self::Connection(causes(&error)),
        }
    }
}

/// No number with its country code is shorter; E.164 itself names no least length.
const SHORTEST_NUMBER: usize = "+1234567".len();

/// A number as a person types it. What is as short as a country code was cut by a shell or an editor.
fn phone_number(text: &str) -> Result<String, String> {
    let number = PhoneNumber::try_from(text).map_err(|error| format!("{text:?} {error}"))?;
    if text.len() < SHORTEST_NUMBER {
        return Err(format!("{text:?} is too short: give the whole number, such as +4922112345678"));
    }
    Ok(number.into())
}

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let options = Options::parse();
    let result = match options.command {
        Command::Completion { shell } => completion(shell),
        Command::Validate(validate) => validate::run(&validate),
        Command::Generate(generate) => generate::run(&generate, options.cluster.namespace().as_deref()),
        command => in_cluster(command, &options.cluster),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::AlreadyReported) => ExitCode::from(1),
        Err(Failure::Failed(line) | Failure::Connection(line)) => {
            eprintln!("error: {line}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(line)) => {
            eprintln!("error: {line}");
            ExitCode::from(2)
        }
    }
}

fn in_cluster(command: Command, options: &ClusterOptions) -> Result<(), Failure> {
    // The only TLS provider compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::failed)?.block_on(async {
        let cluster = options.connect()?;
        let said = match command {
            Command::Status(options) => status::run(&options, &cluster).await,
            Command::Approve(options) => approve::run(&options, Approval::Approved, &cluster).await,
            Command::Reject(options) => approve::run(&options, Approval::Rejected, &cluster).await,
            Command::Adopt(options) => adopt::run(&options, &cluster).await,
            Command::Retry(options) => retry::run(&options, &cluster).await,
            Command::History(options) => history::run(&options, &cluster).await,
            Command::Cancel(options) => cancel::run(&options, &cluster).await,
            Command::Export(options) => export::run(&options, &cluster).await,
            Command::Ledger(options) => ledger::run(&options, &cluster).await,
            Command::Validate(_) | Command::Generate(_) | Command::Completion { .. } => Ok(()),
        };
        said.map_err(|failure| match failure {
            Failure::Connection(why) => {
                Failure::Failed(format!("the API server at {} could not be reached: {why}", cluster.address))
            }
            other => other,
        })
    })
}

fn completion(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = Options::command().bin_name("kubectl-tenios");
    clap_complete::generate(shell, &mut command, "kubectl-tenios", &mut script);
    let script = String::from_utf8_lossy(&script);
    // For bash, clap_complete writes a dash in a name in two ways and finds no subcommand: clap-rs/clap#6421.
    out::print(&script.replace("kubectl__subcmd__tenios", "kubectl__tenios"))
}
