//! `kubectl tenios`; kubectl finds it by its name.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    kubectl_tenios::main()
}
