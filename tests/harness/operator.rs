//! The operator as a process.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::provider::ACCESS_KEY;
use super::{ControlPlane, Process, http, ports, program, wait};

/// Times that a test can wait for; see [`OperatorOptions::hurried`].
const HURRIED: [(&str, &str); 7] = [
    ("--retry-min", "100ms"),
    ("--retry-max", "1s"),
    ("--refusal-retry-min", "300ms"),
    ("--refusal-retry-max", "3s"),
    ("--lease-duration", "5s"),
    ("--provider-timeout", "3s"),
    ("--send-within", "2s"),
];

/// How it is to run. [`OperatorOptions::new`] gives: plain HTTP to the provider, an access key,
/// pushes with a key, a text log at debug level, and otherwise the shipped defaults.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    tenios_url: String,
    access_key: Option<String>,
    push_key: Option<String>,
    push_base_url: Option<String>,
    watch_everything: bool,
    hurried: bool,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl OperatorOptions {
    /// The defaults, against a provider at that URL.
    pub fn new(tenios_url: &str) -> Self {
        Self {
            tenios_url: tenios_url.to_owned(),
            access_key: Some(ACCESS_KEY.to_owned()),
            push_key: Some("push-key-for-tests".to_owned()),
            push_base_url: None,
            watch_everything: false,
            hurried: false,
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// The operator's own access key, or none.
    #[must_use]
    pub fn access_key(self, key: Option<&str>) -> Self {
        Self { access_key: key.map(str::to_owned), ..self }
    }

    /// The push keys, one a line; `None` means no push at all.
    #[must_use]
    pub fn push_key(self, key: Option<&str>) -> Self {
        Self { push_key: key.map(str::to_owned), ..self }
    }

    /// Where the provider sends pushes, if that isn't the operator's own port.
    #[must_use]
    pub fn push_base_url(self, url: &str) -> Self {
        Self { push_base_url: Some(url.to_owned()), ..self }
    }

    /// No `--watch-namespace`.
    #[must_use]
    pub fn watch_everything(self) -> Self {
        Self { watch_everything: true, ..self }
    }

    /// For a test that waits for a retry, a time-out or a lease of its own accord. All others run at the
    /// shipped pace: a wake that is lost must not be hidden by the next retry.
    #[must_use]
    pub fn hurried(self) -> Self {
        Self { hurried: true, ..self }
    }

    /// Further arguments. The harness gives no flag that stands here already.
    #[must_use]
    pub fn args<A: Into<String>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn has(&self, flag: &str) -> bool {
        let prefix = format!("{flag}=");
        self.arguments.iter().any(|argument| argument == flag || argument.starts_with(&prefix))
    }

    /// A flag, unless it stands there already.
    pub fn set_unless_given(&mut self, flag: &str, value: impl std::fmt::Display) {
        if !self.has(flag) {
            self.arguments.push(format!("{flag}={value}"));
        }
    }
}

/// A running (or stopped) operator; derefs to its [`Process`]. It ends when dropped.
pub struct Operator {
    /// The process: `kill`, `pause`, `resume`, `terminate`, `start` again, `log`.
    pub process: Process,
    /// Where it takes pushes.
    pub push_port: u16,
    /// `/livez` and `/readyz`.
    pub health_port: u16,
    /// `/metrics`.
    pub metrics_port: u16,
    access_key_file: PathBuf,
    push_key_file: PathBuf,
}

impl Deref for Operator {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Operator {
    /// Prepares one; it isn't started.
    pub fn new(
        control_plane: &ControlPlane,
        namespace: &str,
        watched: &str,
        kubeconfig: &Path,
        mut options: OperatorOptions,
    ) -> Self {
        let name = format!("operator-{}", uuid::Uuid::new_v4().simple());
        let file = |suffix: &str| control_plane.directory().join(format!("{name}.{suffix}"));
        let (access_key_file, push_key_file) = (file("access-key"), file("push-key"));
        let [push_port, health_port, metrics_port] = [(); 3].map(|()| ports::free());

        if let Some(key) = &options.access_key {
            write(&access_key_file, key);
            options.set_unless_given("--access-key-file", access_key_file.display());
        }
        if let Some(key) = &options.push_key {
            write(&push_key_file, key);
            options.set_unless_given("--push-key-file", push_key_file.display());
            let own = format!("http://127.0.0.1:{push_port}");
            let url = options.push_base_url.clone().unwrap_or(own);
            options.set_unless_given("--push-base-url", url);
        }
        if !options.watch_everything {
            options.set_unless_given("--watch-namespace", watched);
        }
        options.set_unless_given("--namespace", namespace);
        options.set_unless_given("--tenios-url", options.tenios_url.clone());
        options.set_unless_given("--push-listen", format_args!("127.0.0.1:{push_port}"));
        options.set_unless_given("--health-listen", format_args!("127.0.0.1:{health_port}"));
        options.set_unless_given("--metrics-listen", format_args!("127.0.0.1:{metrics_port}"));
        if options.hurried {
            for (flag, time) in HURRIED {
                options.set_unless_given(flag, time);
            }
        }
        options.set_unless_given("--log-format", "text");
        options.set_unless_given("--log", "info,tenios_operator=debug");
        if !options.has("--allow-http") {
            options.arguments.push("--allow-http".to_owned());
        }

        let process = control_plane
            .process(&name, program::operator_under_test())
            .args(["run"])
            .args(options.arguments);
        let process = process.env("KUBECONFIG", kubeconfig);
        let process =
            options.environment.into_iter().fold(process, |process, (name, value)| process.env(name, value));
        Self { process, push_port, health_port, metrics_port, access_key_file, push_key_file }
    }

    /// Waits until `/readyz` says 200; fails the test with the log if the process ends before.
    pub async fn wait_ready(&self) {
        let ready = wait::poll(Duration::from_secs(90), async || {
            if let Some(status) = self.process.try_exit_status() {
                panic!("the operator ended ({status}):\n{}", self.process.log_tail());
            }
            self.is_ready().await.then_some(())
        });
        assert!(ready.await.is_some(), "the operator isn't ready:\n{}", self.process.log_tail());
    }

    /// What `/readyz` says right now.
    pub async fn is_ready(&self) -> bool {
        http::get(self.health_port, "/readyz").await.is_ok_and(|answer| answer.status == 200)
    }

    /// What `/metrics` says right now.
    pub async fn metrics(&self) -> String {
        let answer = http::get(self.metrics_port, "/metrics").await.expect("the operator serves metrics");
        assert_eq!(answer.status, 200, "/metrics: {}", answer.body);
        answer.body
    }

    /// Starts it again with the same arguments and ports, and waits until it is ready.
    pub async fn restart(&self) {
        self.process.start().expect("the operator starts");
        self.wait_ready().await;
    }

    /// Replaces the access key in its file, as a mounted Secret would.
    pub fn rotate_access_key(&self, key: &str) {
        write(&self.access_key_file, key);
    }

    /// Replaces the push keys in their file.
    pub fn rotate_push_keys(&self, keys: &str) {
        write(&self.push_key_file, keys);
    }
}

fn write(path: &Path, content: &str) {
    std::fs::write(path, content).expect("a file in the control plane's directory");
}
