//! `kubectl tenios` on a real control plane, as the process that kubectl starts.

mod administrators;
mod backup;
mod cancel;
mod history;
mod status;
mod vs_apiserver;
mod write_commands;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use harness::{Identity, Program, TestNamespaces};

/// The plugin with a kubeconfig and a namespace.
#[derive(Clone)]
pub struct Plugin {
    kubeconfig: PathBuf,
    namespace: String,
    operator_namespace: String,
    environment: Vec<(String, String)>,
}

/// What it printed and how it ended.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Its stdout; fails the test if it failed.
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Its stderr; fails the test if it ended otherwise.
    pub fn ended(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

impl Plugin {
    /// An administrator's.
    pub async fn of(namespaces: &TestNamespaces) -> Self {
        Self::by(namespaces, &Identity::Admin).await
    }

    /// Somebody's.
    pub async fn by(namespaces: &TestNamespaces, identity: &Identity) -> Self {
        Self {
            kubeconfig: namespaces.control_plane.kubeconfig(identity).await,
            namespace: namespaces.namespace.clone(),
            operator_namespace: namespaces.operator_namespace.clone(),
            environment: Vec::new(),
        }
    }

    /// With another kubeconfig.
    pub fn at(self, kubeconfig: &std::path::Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned(), ..self }
    }

    /// With these variables.
    pub fn with(mut self, environment: &[(&str, &str)]) -> Self {
        let owned = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.environment.extend(owned);
        self
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Program::Plugin.command();
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(variable);
        }
        command.args(["-n", &self.namespace]).args(arguments).arg("--kubeconfig").arg(&self.kubeconfig);
        command.env("TENIOS_NAMESPACE", &self.operator_namespace);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.answering(arguments, "").await
    }

    /// With this on stdin.
    pub async fn answering(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        let input = input.to_owned();
        // Blocking: the simulator of the test goes on meanwhile.
        let running = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // What does not read it says why.
            let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = running.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}
