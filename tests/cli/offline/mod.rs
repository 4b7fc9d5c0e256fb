//! `kubectl tenios` without a cluster.

mod area_codes;
mod cluster;
mod generate;
mod validate;

use std::path::Path;
use std::process::Stdio;

use harness::Scratch;

/// What a command printed and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// `kubectl-tenios ARGUMENTS` in this directory, with something on stdin.
pub fn plugin(directory: &Path, arguments: &[&str], input: &str) -> Said {
    plugin_with(directory, &[], arguments, input)
}

/// In this environment.
pub fn plugin_with(directory: &Path, environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Said {
    let mut command = harness::Program::Plugin.command();
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(variable);
    }
    let mut child = command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What does not read it says why.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn wrong_usage_ends_with_2_and_help_with_0() {
    let directory = Scratch::new();
    for (arguments, code) in [
        (vec!["no-such-command"], 2),
        (vec!["validate"], 2),
        (vec!["approve"], 2),
        (vec!["adopt", "service/x", "--order-id", "1"], 2),
        (vec!["adopt", "pno/x", "--phone-number", "0221"], 2),
        (vec!["adopt", "pno/x", "--phone-number", "+49"], 2),
        (vec!["adopt", "pno/x", "--phone-number", "+49 221 1234567"], 2),
        (vec!["generate", "-f", "x.csv", "--link-to", "+49"], 2),
        (vec!["approve", ""], 2),
        (vec!["approve", "../x"], 2),
        (vec!["approve", "pno/x"], 2),
        (vec!["retry", "pno/..", "--attempt", "1"], 2),
        (vec!["status", "-n", "a/b"], 2),
        (vec!["status", "--as-group", "a"], 2),
        (vec!["status", "--request-timeout", "soon"], 2),
        (vec!["retry", "pno/x"], 2),
        (vec!["generate", "-f", "x.csv", "--link-to", "Not A Name"], 2),
        (vec!["completion", "word-processor"], 2),
        (vec!["generate", "-f", "no-such-file.csv"], 1),
        (vec!["validate", "-f", "no-such-file.yaml"], 1),
        (vec!["status", "--kubeconfig", "no-such-file"], 1),
        (vec!["--help"], 0),
        (vec!["--version"], 0),
    ] {
        let said = plugin(directory.path(), &arguments, "");
        assert_eq!(said.code, Some(code), "{arguments:?}: {}{}", said.stdout, said.stderr);
    }
}

#[test]
fn completion_knows_the_subcommands() {
    let directory = Scratch::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = plugin(directory.path(), &["completion", shell], "").stdout;
        assert!(script.contains("approve") && script.contains("kubectl-tenios"), "{shell}:\n{script}");
    }
}
