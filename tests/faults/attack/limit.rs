//! The chart's limit of memory, where this machine lets a test set one.

use std::fs;
use std::path::Path;

const LIMIT: &str = "134217728";

/// Whether the process is under the limit from now on.
pub fn confine(pid: u32) -> bool {
    let group = format!("tenios-faults-{pid}");
    let second = Path::new("/sys/fs/cgroup").join(&group);
    let first = Path::new("/sys/fs/cgroup/memory").join(&group);
    confine_in(&second, "memory.max", pid) || confine_in(&first, "memory.limit_in_bytes", pid)
}

/// The group stays until the machine starts again; it is empty when the process has ended.
fn confine_in(group: &Path, file: &str, pid: u32) -> bool {
    let set = fs::create_dir(group).is_ok()
        && group.join(file).exists()
        && fs::write(group.join(file), LIMIT).is_ok()
        && fs::write(group.join("cgroup.procs"), pid.to_string()).is_ok();
    if !set {
        let _ = fs::remove_dir(group);
    }
    set
}
