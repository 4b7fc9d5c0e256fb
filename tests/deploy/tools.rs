//! helm and kubeconform, as a person would run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use harness::{Output, checkout};

/// Where the tools are, and the CRDs of others that the chart makes objects of.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let mut build = Command::new(checkout("tests/deploy-tools/build"));
        let output = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        assert!(output.status.success(), "tests/deploy-tools/build failed");
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
    })
}

/// helm, which neither reads nor leaves anything in the home directory.
pub fn helm(arguments: &[&str]) -> Output {
    run(helm_command().args(arguments))
}

/// helm as the user of that kubeconfig, in a namespace.
pub fn helm_at(kubeconfig: &Path, namespace: &str, arguments: &[&str]) -> Output {
    run(helm_command().env("KUBECONFIG", kubeconfig).args(["--namespace", namespace]).args(arguments))
}

fn helm_command() -> Command {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm");
    let mut helm = Command::new(directory().join("helm"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(variable, &home);
    }
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        // The apiserver is on loopback.
        helm.env_remove(variable);
    }
    helm
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output {
        command: format!("{command:?}"),
        success: output.status.success(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}
