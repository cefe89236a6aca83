//! Whether a process may run: `SIGSTOP`, and the freezers of both versions of cgroups.

use std::path::Path;

use forensics_incident::model::{Process, SuspendedBy, Suspension};

use super::proc::{ProcDir, Stat, same_start};

/// More than the files hold that are read here.
const CAP: usize = 16 << 10;
/// Where the hierarchies are mounted: the unified one, and that of the freezer of version 1.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const FREEZER: &str = "/sys/fs/cgroup/freezer";

/// What keeps a process from running now; none when nothing does, or when it is gone.
pub fn of(process: &Process) -> Option<Suspension> {
    let dir = ProcDir::open(process.pid).ok()?;
    let mut buffer = Vec::new();
    dir.read(c"cgroup", &mut buffer, CAP).ok()?;
    if let Some(cgroup) = frozen(&String::from_utf8_lossy(&buffer)) {
        return Some(Suspension { by: SuspendedBy::Freezer, cgroup: Some(cgroup) });
    }
    dir.read(c"stat", &mut buffer, CAP).ok()?;
    let stat = Stat::parse(&buffer).filter(|stat| same_start(process.start_boot_ns, stat.start_ticks))?;
    (stat.state == 'T').then_some(Suspension { by: SuspendedBy::Stop, cgroup: None })
}

/// The cgroup of a process that is frozen, from the text of `/proc/PID/cgroup`.
fn frozen(cgroups: &str) -> Option<String> {
    cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        // The root cannot be frozen.
        let inside = path.strip_prefix('/').filter(|inside| !inside.is_empty())?;
        let is_frozen = match (id, controllers) {
            // Also set when a cgroup above is frozen: Documentation/admin-guide/cgroup-v2.rst.
            ("0", "") => UNIFIED.iter().any(|root| {
                read(&Path::new(root).join(inside).join("cgroup.events"))
                    .is_some_and(|text| text.contains("frozen 1"))
            }),
            (_, controllers) if controllers.split(',').any(|name| name == "freezer") => {
                read(&Path::new(FREEZER).join(inside).join("freezer.state"))
                    .is_some_and(|text| text.trim() != "THAWED")
            }
            _ => false,
        };
        is_frozen.then(|| path.to_owned())
    })
}

/// A file of the kernel's, which is short and never blocks.
fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::host::proc::read_process;

    #[test]
    fn a_stopped_process() {
        let mut child =
            Command::new("sleep").arg("1000").stdin(Stdio::null()).spawn().expect("sleep is there");
        let process = read_process(child.id()).expect("it is there");
        let runs = of(&process);
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("it is ours");
        // The parent is told when it has stopped.
        rustix::process::waitid(rustix::process::WaitId::Pid(pid), rustix::process::WaitIdOptions::STOPPED)
            .expect("it is ours");
        let stopped = of(&process);
        let other = of(&Process { start_boot_ns: 10_000_000, ..process });
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert_eq!(runs, None);
        assert_eq!(stopped, Some(Suspension { by: SuspendedBy::Stop, cgroup: None }));
        assert_eq!(other, None, "the pid of another process");
    }

    #[test]
    fn odd_texts() {
        for text in ["", "junk", "0::/", "3:freezer:/", "0::/no/such", "3:freezer:/no/such\n", "3:freezer"] {
            assert_eq!(frozen(text), None, "{text}");
        }
    }
}
