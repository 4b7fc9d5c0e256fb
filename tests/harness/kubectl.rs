//! kubectl, as a person would run it.

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use super::watchdog::Watchdog;

/// kubectl with a kubeconfig, and a namespace if it is to have one.
#[derive(Clone)]
pub struct Kubectl {
    pub(super) program: PathBuf,
    pub(super) kubeconfig: PathBuf,
    pub(super) namespace: Option<String>,
    pub(super) watchdog: Arc<Watchdog>,
}

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Whether it exited with 0.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Output {
    /// Its stdout; fails the test if the command failed.
    pub fn expect_success(self) -> String {
        assert!(self.success, "{} failed:\n{}{}", self.command, self.stdout, self.stderr);
        self.stdout
    }

    /// Its stderr; fails the test if the command didn't fail.
    pub fn expect_failure(self) -> String {
        assert!(!self.success, "{} should have failed, but said:\n{}", self.command, self.stdout);
        self.stderr
    }
}

impl Kubectl {
    /// The same in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self.clone() }
    }

    /// The kubeconfig file it uses.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// `kubectl ARGUMENTS`.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "").await
    }

    /// Waits until these CRDs are served: `-f FILE`, or `crd --all`.
    pub async fn established(&self, which: &[&str]) -> Output {
        let wait = [&["wait", "--for=condition=Established", "--timeout=60s"], which].concat();
        loop {
            let output = self.run(&wait).await;
            // kubectl gives up on an object that has no conditions yet.
            if output.success || !output.stderr.contains(".status.conditions accessor error") {
                return output;
            }
        }
    }

    /// `kubectl apply -f -` of manifests, YAML or JSON.
    pub async fn apply(&self, manifests: &str) -> Output {
        self.run_with_input(&["apply", "-f", "-"], manifests).await
    }

    /// `kubectl ARGUMENTS` with something on stdin.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let kubectl = self.clone();
        let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let input = input.to_owned();
        // Blocking: the simulator and the clients of the test go on meanwhile.
        let running = tokio::task::spawn_blocking(move || kubectl.run_blocking(&arguments, &input));
        running.await.expect("kubectl can be started")
    }

    fn run_blocking(&self, arguments: &[String], input: &str) -> Output {
        let mut command = Watchdog::command(&self.program);
        command.env("KUBECONFIG", &self.kubeconfig);
        command.env("KUBECACHEDIR", self.watchdog.directory().join("kubectl-cache"));
        if let Some(namespace) = &self.namespace {
            command.args(["--namespace", namespace]);
        }
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.watchdog.spawn(&mut command).expect("kubectl starts");
        let pid = child.id();
        if let Some(mut stdin) = child.stdin.take() {
            // A kubectl that ended early doesn't read it; its own message says why.
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().expect("kubectl ends");
        self.watchdog.forget(pid);
        Output {
            command: format!("kubectl {}", arguments.join(" ")),
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
