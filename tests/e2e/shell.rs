//! Commands that a test waits for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use harness::{Program, checkout};

/// The operator under test.
pub fn operator() -> PathBuf {
    static OPERATOR: OnceLock<PathBuf> = OnceLock::new();
    OPERATOR.get_or_init(|| under_test("TENIOS_OPERATOR", Program::Operator)).clone()
}

/// The plugin under test.
pub fn plugin() -> PathBuf {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| under_test("TENIOS_PLUGIN", Program::Plugin)).clone()
}

/// Whether that is the static one of a release.
pub fn has_released_plugin() -> bool {
    std::env::var_os("TENIOS_PLUGIN").is_some()
}

/// What the variable names; else what was built with the tests, without its debug information: 80 of 100 MB,
/// which every test would pack.
fn under_test(variable: &str, built: Program) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let stripped = Path::new(env!("CARGO_TARGET_TMPDIR")).join(built.name());
    done(Command::new("strip").arg("--strip-debug").arg(built.path()).arg("-o").arg(&stripped));
    stripped
}

/// Whether it is a release build, of which alone the size says anything.
pub fn is_release() -> bool {
    std::env::var_os("TENIOS_OPERATOR").is_some()
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
