//! What the kernel says of a process.

use std::fs;

use harness::Process;

/// Clock ticks of `/proc/PID/stat` in a second, on every Linux of today.
const TICKS: f64 = 100.0;

/// Seconds of processor that it has taken since it was started.
pub fn cpu_seconds(process: &Process) -> f64 {
    let Some(pid) = process.pid() else { return 0.0 };
    precise(pid).or_else(|| coarse(pid)).unwrap_or_default()
}

/// In nanoseconds, and without threads that have ended: the operator has none that do.
fn precise(pid: u32) -> Option<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        sum += text.split_whitespace().next()?.parse::<f64>().ok()?;
    }
    (sum > 0.0).then_some(sum / 1e9)
}

fn coarse(pid: u32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some((next()? + next()?) / TICKS)
}

/// MiB.
pub fn resident(process: &Process) -> f64 {
    process.resident_kib().map_or(0.0, mib)
}

/// The most that was resident since it was started, in MiB.
pub fn peak(process: &Process) -> f64 {
    process.peak_kib().map_or(0.0, mib)
}

#[allow(clippy::cast_precision_loss, reason = "memory of today")]
fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The machine as the report names it: processors and memory, nothing else.
pub fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let gib =
        total.and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok()).map(|kib| kib >> 20);
    format!(
        "{processors} processors ({}), {} GiB",
        model.map_or("unknown", |(_, model)| model.trim()),
        gib.unwrap_or_default()
    )
}
