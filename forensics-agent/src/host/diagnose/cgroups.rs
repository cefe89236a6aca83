//! Out of the cgroup that is about to be killed.
//!
//! Under systemd the worker asks the manager for a scope of its own: processes that move behind its back confuse it. Without
//! systemd it moves itself to the root of each hierarchy.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::kernel_log::wait_until;
use crate::host::cgroup_mounts::{paths, root_of};

/// Leaves the cgroup, and tells what did not work.
pub(super) fn leave(deadline: Instant) -> Vec<String> {
    let Ok(before) = fs::read_to_string("/proc/self/cgroup") else {
        return vec!["cannot read /proc/self/cgroup: this report may be cut off with its cgroup".to_owned()];
    };
    let is_root = rustix::process::geteuid().is_root();
    let to_roots = || move_to_roots(&before, &fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let result = if Path::new("/run/systemd/system").is_dir() {
        // A manager that answers too late moves it once more, which does no harm.
        ask_manager(is_root, &before, deadline).or_else(|why| {
            if is_root { to_roots().map_err(|also| format!("{why}; {also}")) } else { Err(why) }
        })
    } else if is_root {
        to_roots()
    } else if paths(&before).all(|(_, path)| path == "/") {
        Ok(())
    } else {
        Err("only root can leave a cgroup".to_owned())
    };
    match result {
        Ok(()) => Vec::new(),
        Err(why) => vec![format!("this report may be cut off when its own cgroup is killed: {why}")],
    }
}

/// Asks systemd for a transient scope that holds this process.
fn ask_manager(is_root: bool, before: &str, deadline: Instant) -> Result<(), String> {
    let program = ["/usr/bin/busctl", "/bin/busctl"].into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or_else(|| "busctl is not installed".to_owned())?;
    let pid = std::process::id().to_string();
    let name = format!("forensics-agent-diagnose-{pid}.scope");
    let mut command = Command::new(program);
    if !is_root {
        command.arg("--user");
    }
    command.args([
        "--quiet",
        "call",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        &name,
        "fail",
    ]);
    command.args(["3", "Description", "s", "forensics-agent diagnostic"]);
    command.args(["PIDs", "au", "1", &pid, "CollectMode", "s", "inactive-or-failed", "0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("{program} cannot be started: {error}"))?;
    // The rest of the time is for looking around.
    let allowed = deadline.saturating_duration_since(Instant::now()) / 4;
    let until = Instant::now() + allowed.min(Duration::from_secs(1));
    let Some(status) = wait_until(&mut child, until) else {
        let _ = child.kill();
        let _ = child.wait();
        return Err("systemd did not answer in time".to_owned());
    };
    if !status.success() {
        return Err("systemd refused a transient scope".to_owned());
    }
    // The manager answers when the job is queued.
    while Instant::now() < until {
        if fs::read_to_string("/proc/self/cgroup").is_ok_and(|now| now != before) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("systemd did not move it in time".to_owned())
}

/// Moves this process to the root of every hierarchy in which it is elsewhere.
fn move_to_roots(before: &str, mountinfo: &str) -> Result<(), String> {
    let mut failures = Vec::new();
    for (controllers, path) in paths(before).filter(|(_, path)| *path != "/") {
        let shown = if controllers.is_empty() { "the unified hierarchy" } else { controllers };
        let moved = match root_of(controllers, mountinfo) {
            Some(root) => fs::write(root.join("cgroup.procs"), "0").map_err(|error| error.to_string()),
            None => Err("its root is not mounted here".to_owned()),
        };
        if let Err(why) = moved {
            failures.push(format!("{path} of {shown} cannot be left: {why}"));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
30 23 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw
31 23 0:27 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,name=systemd
32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 23 0:29 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
";

    #[test]
    fn what_cannot_be_left_is_said() {
        assert_eq!(move_to_roots("0::/\n2:memory:/\n", MOUNTINFO), Ok(()));
        let why = move_to_roots("2:memory:/docker/ab\n", MOUNTINFO).unwrap_err();
        assert_eq!(why, "/docker/ab of memory cannot be left: its root is not mounted here");
    }
}
