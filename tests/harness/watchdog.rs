//! Ends what the test process started, also when that one was killed.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::Result;

/// Reads one line per child (`PID` started, `-PID` reaped) from a pipe that only the test process
/// holds. When the pipe closes, for whatever reason, kills the process groups that are left and
/// removes the directory. The directory is made here, so that there is no moment in which it
/// exists without somebody to remove it.
const GUARD: &str = r#"
trap '' INT TERM HUP
mkdir -m 700 "$1" || exit 1
echo ready
pids=
while read -r line; do
    case $line in
    -*)
        left=
        for pid in $pids; do [ "$pid" = "${line#-}" ] || left="$left $pid"; done
        pids=$left
        ;;
    *) pids="$pids $line" ;;
    esac
done
for pid in $pids; do kill -KILL "-$pid" 2>/dev/null; done
tries=0
until rm -rf "$1" 2>/dev/null && [ ! -e "$1" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || exit 1
    sleep 0.05
done
"#;

/// Holds a child back until the watchdog knows it; a test process that is killed in between
/// closes the pipe, and the child ends by itself.
const GATE: &str = r#"read -r go && exec "$@""#;

/// A directory and the processes that belong to it; all go when this is dropped, or when the
/// process that holds it ends.
pub struct Watchdog {
    directory: PathBuf,
    pipe: Mutex<Option<ChildStdin>>,
    guard: Mutex<Child>,
}

impl Watchdog {
    /// Makes a fresh directory and starts guarding it.
    pub fn start() -> Result<Self> {
        let name = format!("tenios-{}", uuid::Uuid::new_v4().simple());
        let directory = std::env::temp_dir().join(name);
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "tenios-watchdog"])
            .arg(&directory)
            // Out of the terminal's foreground group: Ctrl-C must not end it before its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipe = guard.stdin.take();
        let mut answer = String::new();
        if let Some(stdout) = guard.stdout.take() {
            BufReader::new(stdout).read_line(&mut answer)?;
        }
        if answer.trim() != "ready" {
            return Err(format!("can't create {}", directory.display()).into());
        }
        Ok(Self { directory, pipe: Mutex::new(pipe), guard: Mutex::new(guard) })
    }

    /// The directory that goes away with the watchdog.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A command to be completed and given to [`Watchdog::spawn`].
    pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", GATE, "sh"]).arg(program);
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            // Everything here is on loopback.
            command.env_remove(variable);
        }
        command
    }

    /// Starts a command made by [`Watchdog::command`], in a process group of its own. Its stdin is
    /// open until the caller drops it.
    pub fn spawn(&self, command: &mut Command) -> Result<Child> {
        let mut child = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        self.tell(&child.id().to_string())?;
        if let Some(stdin) = child.stdin.as_mut() {
            stdin.write_all(b"go\n")?;
        }
        Ok(child)
    }

    /// To be called once a child was waited for: its id may be given to somebody else.
    pub fn forget(&self, pid: u32) {
        // A watchdog that is already gone has nothing to forget.
        let _ = self.tell(&format!("-{pid}"));
    }

    /// Kills what is left, removes the directory and waits until both is done.
    pub fn finish(&self) {
        drop(lock(&self.pipe).take());
        let _ = lock(&self.guard).wait();
    }

    fn tell(&self, line: &str) -> Result<()> {
        let mut pipe = lock(&self.pipe);
        let pipe = pipe.as_mut().ok_or("the control plane was shut down")?;
        Ok(pipe.write_all(format!("{line}\n").as_bytes())?)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Sends a signal to the process group of a child, through the shell: std offers only SIGKILL.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("sh")
        .args(["-c", r#"kill "-$1" "-$2""#, "sh", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "can't send SIG{name} to process {pid}");
}

/// A lock that a panicking test doesn't take from the others.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
