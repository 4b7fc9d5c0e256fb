//! One shell for a page: a variable that is set in one block is there in the next.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// No command takes longer, with what it waits for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running shell; what it and its commands print goes to a file.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    ended: Receiver<()>,
    printed: PathBuf,
}

impl Shell {
    pub fn start(directory: &Path, environment: &[(&str, String)]) -> Self {
        let printed = directory.join("printed");
        let output = std::fs::File::create(&printed).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc"]).current_dir(directory);
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            // The apiserver is on loopback.
            bash.env_remove(variable);
        }
        bash.envs(environment.iter().map(|(name, value)| (*name, value)));
        bash.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output);
        let mut child = bash.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        // The pipe tells of ends only.
        input.write_all(b"set -eo pipefail; exec 3>&1 1>&2\n").unwrap();
        let mut ends = BufReader::new(child.stdout.take().unwrap());
        let (end, ended) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while ends.read_line(&mut line).is_ok_and(|length| length > 0) && end.send(()).is_ok() {
                line.clear();
            }
        });
        Self { child, input, ended, printed }
    }

    /// Runs commands to their end.
    ///
    /// # Errors
    /// What was printed, when one of them failed or takes too long.
    pub fn run(&mut self, commands: &str) -> Result<(), String> {
        let before = std::fs::metadata(&self.printed).map_or(0, |file| file.len());
        let script = self.printed.with_file_name("commands");
        std::fs::write(&script, format!("set -x\n{commands}\n{{ set +x; }} 2>/dev/null\n")).unwrap();
        // A shell that has ended says so below. Nobody is asked anything: there is no one to answer.
        let _ = writeln!(self.input, ". ./commands < /dev/null; echo >&3");
        if self.ended.recv_timeout(PATIENCE).is_ok() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&std::fs::read(&self.printed).unwrap()).into_owned();
        let what = if self.child.try_wait().unwrap().is_some() { "failed" } else { "did not end" };
        Err(format!("{what}:\n{}", text.get(usize::try_from(before).unwrap()..).unwrap_or(&text)))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
