//! Where the ledger is.

use std::str::FromStr;

use tenios_ledger_object_store::LedgerUrl;
use tenios_net::trimmed;

/// Where the ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In the cluster alone.
    Kubernetes,
    /// On object storage, with a copy in the cluster.
    Store(LedgerUrl),
}

impl FromStr for LedgerPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match trimmed(text) {
            "kubernetes" => Ok(Self::Kubernetes),
            url => url
                .parse()
                .map(Self::Store)
                .map_err(|why| format!("neither kubernetes nor the URL of a ledger: {why}")),
        }
    }
}
