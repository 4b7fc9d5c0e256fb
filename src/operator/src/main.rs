//! The command line: it wires things and decides nothing.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use tenios_operator::operate::{self, Failure};
use tenios_operator::options::{Options, Subcommand};

fn main() -> ExitCode {
    let options = match Options::read() {
        Ok(options) => options,
        Err(error) => return tenios_flags::tell(&error),
    };
    // The only TLS provider compiled in; kube and reqwest both take the process's default.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = match options.command {
        Subcommand::Crds => return print_crds(),
        Subcommand::Run(run) => in_runtime(operate::run(*run)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(line)) => {
            eprintln!("error: {line}");
            ExitCode::from(tenios_flags::WRONG_CONFIGURATION)
        }
        Err(Failure::Runtime(line)) => {
            eprintln!("error: {line}");
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> ExitCode {
    match tenios_api::crd::to_yaml() {
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
