//! One process that can be stopped, paused, killed and started again.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::watchdog::{Watchdog, lock, signal};
use super::{Result, wait};

/// How a process is started, each time anew.
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    log: PathBuf,
    watchdog: Arc<Watchdog>,
    started: Mutex<Option<Started>>,
}

struct Started {
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    /// A process that isn't running yet; its output is appended to `NAME.log` in the directory of
    /// the watchdog.
    pub fn new(watchdog: &Arc<Watchdog>, name: &str, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.to_owned(),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log: watchdog.directory().join(format!("{name}.log")),
            watchdog: Arc::clone(watchdog),
            started: Mutex::new(None),
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it, with the same arguments as ever.
    pub fn start(&self) -> Result<()> {
        if self.is_running() {
            return Err(format!("{} is running already", self.name).into());
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Watchdog::command(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdout(log.try_clone()?).stderr(log);
        let mut child = self.watchdog.spawn(&mut command)?;
        drop(child.stdin.take());
        *lock(&self.started) = Some(Started { child, status: None });
        Ok(())
    }

    /// SIGKILL; returns when it is gone.
    pub async fn kill(&self) {
        if let Some(started) = lock(&self.started).as_mut() {
            let _ = started.child.kill();
        }
        self.exit_status(Duration::from_secs(60)).await;
    }

    /// SIGTERM; the process may take its time ([`Process::exit_status`] waits for it).
    pub fn terminate(&self) {
        signal("TERM", self.running_pid());
    }

    /// SIGTERM, and SIGKILL if it is still there after `patience`.
    pub async fn stop(&self, patience: Duration) {
        self.terminate();
        if wait::poll(patience, async || self.try_exit_status()).await.is_none() {
            self.kill().await;
        }
    }

    /// SIGSTOP: its sockets stay open and nobody answers.
    pub fn pause(&self) {
        signal("STOP", self.running_pid());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        signal("CONT", self.running_pid());
    }

    /// Waits for its end and says how it ended.
    pub async fn exit_status(&self, patience: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait::until(&what, patience, async || self.try_exit_status()).await
    }

    /// How it ended, if it did.
    pub fn try_exit_status(&self) -> Option<ExitStatus> {
        let mut slot = lock(&self.started);
        let started = slot.as_mut()?;
        if started.status.is_none() {
            started.status = started.child.try_wait().ok().flatten();
            if started.status.is_some() {
                self.watchdog.forget(started.child.id());
            }
        }
        started.status
    }

    /// Whether it was started and hasn't ended.
    pub fn is_running(&self) -> bool {
        self.pid().is_some() && self.try_exit_status().is_none()
    }

    /// The id of the process that was started last.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.started).as_ref().map(|started| started.child.id())
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most that was resident since it was started, in KiB.
    pub fn peak_kib(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Everything it has written so far, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The end of the log, for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// The file that [`Process::log`] reads.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn running_pid(&self) -> u32 {
        assert!(self.is_running(), "{} isn't running:\n{}", self.name, self.log_tail());
        self.pid().expect("it is running")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running()
            && let Some(Started { child, .. }) = lock(&self.started).as_mut()
        {
            let _ = child.kill();
            let _ = child.wait();
            self.watchdog.forget(child.id());
        }
    }
}
