//! Who plays the operator, and where its ledger is: one replica, or two, or one whose ledger is on object storage.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use harness::{ControlPlane, OperatorOptions, checkout};

/// One replica, or what stands beside it. Faults meet the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topology {
    Alone,
    /// Waits for the lease, and takes the pushes of the one that leads.
    Standby,
    /// Both believe that they lead.
    Rivals,
    /// As a standby, with its clock an hour ahead.
    StandbyAhead,
    /// As a standby, with its clock an hour behind.
    StandbyBehind,
    /// As rivals, with the second one's clock an hour behind.
    RivalsBehind,
    /// One replica, its ledger on object storage.
    Outside,
    /// Two clusters with the same manifests on one such ledger.
    Clusters,
    /// The same, and one begins when the other one is lost.
    Moved,
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alone => "",
            Self::Standby => "+standby",
            Self::Rivals => "+rivals",
            Self::StandbyAhead => "+standby-ahead",
            Self::StandbyBehind => "+standby-behind",
            Self::RivalsBehind => "+rivals-behind",
            Self::Outside => "+store",
            Self::Clusters => "+clusters",
            Self::Moved => "+moved",
        })
    }
}

impl Topology {
    pub const ALL: [Self; 9] = [
        Self::Alone,
        Self::Standby,
        Self::Rivals,
        Self::StandbyAhead,
        Self::StandbyBehind,
        Self::RivalsBehind,
        Self::Outside,
        Self::Clusters,
        Self::Moved,
    ];

    /// Whether there is a second operator.
    pub fn has_second(self) -> bool {
        !matches!(self, Self::Alone | Self::Outside)
    }

    /// Whether the ledger is on object storage.
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Outside) || self.is_shared()
    }

    /// Whether the second operator is in another cluster.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Clusters | Self::Moved)
    }

    pub fn elects(self) -> bool {
        !matches!(self, Self::Rivals | Self::RivalsBehind) && !self.is_shared()
    }

    /// Options of either replica.
    pub fn flags(self, options: OperatorOptions) -> OperatorOptions {
        if self.elects() { options } else { options.args(["--leader-election=false"]) }
    }

    /// The second replica's clock.
    pub fn clock(self, plane: &ControlPlane, options: OperatorOptions) -> OperatorOptions {
        let ahead = match self {
            Self::Alone | Self::Standby | Self::Rivals | Self::Outside | Self::Clusters | Self::Moved => {
                return options;
            }
            Self::StandbyAhead => "3600",
            Self::StandbyBehind | Self::RivalsBehind => "-3600",
        };
        let library = library(plane).to_string_lossy().into_owned();
        options.env("LD_PRELOAD", &library).env("CLOCK_AHEAD", ahead)
    }
}

/// Built once: ring needs a C compiler, so there is one.
fn library(plane: &ControlPlane) -> &'static PathBuf {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = plane.directory().join("clock.so");
        let mut compiler = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()));
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(checkout("tests/faults/clock.c"));
        assert!(compiler.status().is_ok_and(|status| status.success()), "clock.c can't be compiled");
        library
    })
}
