//! TENIOS as its documentation describes it, for trying things out: `docs/operations.md#the-simulator`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use tenios_simulator::{Simulator, SimulatorOptions};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let options = match SimulatorOptions::read() {
        Ok(options) => options,
        Err(error) => return tenios_flags::tell(&error),
    };
    let (listen, options) = match options.start() {
        Ok(start) => start,
        Err(error) => {
            return end(tenios_flags::WRONG_CONFIGURATION, &format!("error: --tls-cert-file: {error}"));
        }
    };
    let terminated = tenios_http_server::terminated();
    match Simulator::start(listen, options).await {
        Ok(simulator) => {
            eprintln!("TENIOS simulator on {}", simulator.url());
            terminated.await;
            simulator.stop().await;
            ExitCode::SUCCESS
        }
        Err(error) => end(1, &format!("error: --listen: {error}")),
    }
}

fn end(code: u8, line: &str) -> ExitCode {
    eprintln!("{line}");
    ExitCode::from(code)
}
