//! The command line: it wires things and decides nothing.

#![forbid(unsafe_code)]

mod operate;

use std::process::ExitCode;

use clap::error::ErrorKind;
use tenios_operator::options::{self, Approval, Command, Options, SimulateOptions};
use tenios_operator::server::Tls;
use tenios_operator::simulator::{self, Simulator};

/// A wrong configuration.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => return explain(&error),
    };
    // The only TLS provider compiled in; kube and reqwest both take the process's default.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match options.command {
        Command::Crds => return print_crds(),
        Command::Run(run) => in_runtime(operate::run(*run)),
        Command::Simulate(simulate) => in_runtime(run_simulator(simulate)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(line)) => {
            eprintln!("error: {line}");
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(Failure::Runtime(line)) => {
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program ends.
pub enum Failure {
    /// One line that names the flag.
    Configuration(String),
    /// What went wrong later.
    Runtime(String),
}

/// One line that names the flag, on standard error; help and version as clap has them.
fn explain(error: &clap::Error) -> ExitCode {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        print!("{error}");
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", options::explain(error));
    ExitCode::from(WRONG_CONFIGURATION)
}

fn print_crds() -> ExitCode {
    match tenios_operator::api::crd::to_yaml() {
        Ok(yaml) => {
            print!("{yaml}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn in_runtime(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    // Two threads serve both a quiet operator and a busy one; each idle one more costs memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::Runtime(e.to_string()))?;
    runtime.block_on(work)
}

async fn run_simulator(options: SimulateOptions) -> Result<(), Failure> {
    let tls = match (&options.tls_cert_file, &options.tls_key_file) {
        (Some(cert), Some(key)) => Some(
            Tls::from_files(cert, key)
                .map_err(|e| Failure::Configuration(format!("--tls-cert-file: {e}")))?,
        ),
        _ => None,
    };
    let simulator = Simulator::start(
        options.listen,
        simulator::Options {
            approve_after: match options.approve_after {
                Approval::After(wait) => Some(wait),
                Approval::Never => None,
            },
            assign_after: options.assign_after,
            journal: options.journal,
            // As with a demo of the operator without TLS.
            plain_push: tls.is_none(),
            tls,
            push_ca_file: options.push_ca_file,
            ..simulator::Options::new(options.access_key)
        },
    )
    .await
    .map_err(|e| Failure::Runtime(format!("--listen: {e}")))?;
    eprintln!("TENIOS simulator on {}", simulator.url());
    operate::terminated().await;
    simulator.stop().await;
    Ok(())
}
