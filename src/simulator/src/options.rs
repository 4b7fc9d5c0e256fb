//! The flags of `tenios-simulator`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, PathBufValueParser};
use clap::{CommandFactory, Parser};

use tenios_flags::{Trimmed, duration_or_zero};
use tenios_http_server::{Tls, TlsError};
use tenios_net::trimmed;

/// A simulator of the TENIOS Number Order API, for tests and experiments.
#[derive(Debug, Parser)]
#[command(name = "tenios-simulator", version)]
pub struct SimulatorOptions {
    /// Address to listen on.
    #[arg(long, env = "TENIOS_LISTEN", default_value = "127.0.0.1:8787", value_parser = socket)]
    listen: SocketAddr,
    /// The access key of its account.
    #[arg(long, env = "TENIOS_ACCESS_KEY", hide_env_values = true, value_parser = Trimmed(NonEmptyStringValueParser::new()))]
    access_key: String,
    /// Delay before a new document is approved; `never` leaves the approval to /_simulator/.
    #[arg(long, env = "TENIOS_APPROVE_AFTER", default_value = "0s", value_parser = approval)]
    approve_after: Approval,
    /// Delay before the number of a new order is assigned and pushed.
    #[arg(long, env = "TENIOS_ASSIGN_AFTER", default_value = "2s", value_parser = duration_or_zero)]
    assign_after: Duration,
    /// File to record every request in, one JSON object per line.
    #[arg(long, env = "TENIOS_JOURNAL", value_parser = Trimmed(PathBufValueParser::new()))]
    journal: Option<PathBuf>,
    /// Certificate chain, as PEM; without it, plain HTTP.
    #[arg(long, env = "TENIOS_TLS_CERT_FILE", requires = "tls_key_file", value_parser = Trimmed(PathBufValueParser::new()))]
    tls_cert_file: Option<PathBuf>,
    /// Private key, as PEM.
    #[arg(long, env = "TENIOS_TLS_KEY_FILE", requires = "tls_cert_file", value_parser = Trimmed(PathBufValueParser::new()))]
    tls_key_file: Option<PathBuf>,
    /// Extra trust roots for the push, as PEM.
    #[arg(long, env = "TENIOS_PUSH_CA_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    push_ca_file: Option<PathBuf>,
}

/// When the simulator approves a document.
#[derive(Clone, Copy, Debug)]
enum Approval {
    /// So long after its creation.
    After(Duration),
    /// When told to.
    Never,
}

impl SimulatorOptions {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// What [`tenios_flags::explain`] makes one line of, or what was asked for, such as the help.
    pub fn read() -> Result<Self, clap::Error> {
        tenios_flags::read(tenios_flags::without_blank_variables(Self::command()))
    }

    /// Where it listens, and how it starts.
    ///
    /// # Errors
    /// The certificate or its key cannot be used.
    pub fn start(self) -> Result<(SocketAddr, crate::Options), TlsError> {
        let tls = match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(cert), Some(key)) => Some(Tls::from_files(cert, key)?),
            _ => None,
        };
        let options = crate::Options {
            approve_after: match self.approve_after {
                Approval::After(wait) => Some(wait),
                Approval::Never => None,
            },
            assign_after: self.assign_after,
            journal: self.journal,
            // As with a demo of the operator without TLS.
            plain_push: tls.is_none(),
            tls,
            push_ca_file: self.push_ca_file,
            ..crate::Options::new(self.access_key)
        };
        Ok((self.listen, options))
    }
}

/// Unlike the operator, the simulator says where it listens, so that port 0 is one.
fn socket(text: &str) -> Result<SocketAddr, &'static str> {
    trimmed(text).parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:8787")
}

fn approval(text: &str) -> Result<Approval, String> {
    if trimmed(text) == "never" { Ok(Approval::Never) } else { duration_or_zero(text).map(Approval::After) }
}
