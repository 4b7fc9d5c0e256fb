//! The programs of this workspace, as the tests run them.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use crate::checkout;

/// A program of this workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `tenios-operator`
    Operator,
    /// `kubectl-tenios`
    Plugin,
    /// `tenios-simulator`
    Simulator,
}

/// Beside the tests, in the directory of their profile. Cargo names a program to the tests of its own package only,
/// and builds it only for them.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let tests = std::env::current_exe().expect("a test knows where it is");
    let deps = tests.parent().expect("a test is in target/PROFILE/deps");
    let directory = deps.parent().expect("a test is in target/PROFILE/deps").to_owned();
    // Not below cargo: whoever runs the tests so has built the programs, too.
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = directory.ends_with("release").then_some("--release");
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--locked", "--workspace", "--bins"]).args(release);
        // ring's build script runs again whenever these change, and with it all of TLS is compiled again.
        let ours = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|begin| name.starts_with(begin));
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        names.filter(|name| ours(name)).for_each(|name| {
            build.env_remove(name);
        });
        let status = build.current_dir(checkout("")).status().expect("cargo starts");
        assert!(status.success(), "the programs under test don't compile");
    }
    directory
});

impl Program {
    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "tenios-operator",
            Self::Plugin => "kubectl-tenios",
            Self::Simulator => "tenios-simulator",
        }
    }

    /// As built from this checkout, with the profile of the tests.
    pub fn path(self) -> PathBuf {
        DIRECTORY.join(self.name())
    }

    /// A command that runs it.
    pub fn command(self) -> Command {
        Command::new(self.path())
    }
}

/// What the image sets in the environment: the allocator's settings.
pub fn image_environment() -> Vec<(String, String)> {
    let dockerfile = std::fs::read_to_string(checkout("deploy/image/Dockerfile")).expect("the Dockerfile");
    let set = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")).flat_map(str::split_whitespace);
    let pairs = set.filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The operator under test: another one where `TENIOS_OPERATOR` names it, such as the release build.
pub fn operator_under_test() -> PathBuf {
    std::env::var_os("TENIOS_OPERATOR").map_or_else(|| Program::Operator.path(), PathBuf::from)
}
