//! Commands that a test waits for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::harness::{checkout, operator};

/// The operator under test.
pub fn operator() -> PathBuf {
    std::env::var_os("TENIOS_OPERATOR").map_or_else(|| operator::BINARY.into(), PathBuf::from)
}

/// Whether it is a release build, of which alone the size says anything.
pub fn is_release() -> bool {
    std::env::var_os("TENIOS_OPERATOR").is_some()
}

/// The plugin under test.
pub fn plugin() -> PathBuf {
    let built = || env!("CARGO_BIN_EXE_kubectl-tenios").into();
    std::env::var_os("TENIOS_PLUGIN").map_or_else(built, PathBuf::from)
}

/// A script of this checkout.
pub fn script(path: &str) -> Command {
    let mut command = Command::new(checkout(path));
    command.env("TENIOS_OPERATOR", operator()).env("TENIOS_PLUGIN", plugin());
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

/// Runs it to its end and gives its stdout; fails the test if it failed.
pub fn done(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    output.stdout
}

/// The same, as text.
pub fn said(command: &mut Command) -> String {
    String::from_utf8(done(command)).unwrap()
}

/// Unpacks an archive into a directory that it makes.
pub fn unpack(archive: &Path, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let tar = ["--extract", "--preserve-permissions", "--file"];
    done(Command::new("tar").args(tar).arg(archive).arg("--directory").arg(directory));
}

/// Lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
