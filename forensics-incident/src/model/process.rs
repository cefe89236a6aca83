use serde::{Deserialize, Serialize};

/// What identifies a process across pid reuse: its pid and the moment it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessKey {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Start of the process, nanoseconds of `CLOCK_BOOTTIME`; 0 when it could not be read.
    pub start_boot_ns: u64,
}

/// `/proc/PID/stat` gives start times in `USER_HZ` ticks of 10 ms, rounded down (`fs/proc/array.c`,
/// `nsec_to_clock_t`), while kernel records carry nanoseconds.
const TICK_NS: u64 = 10_000_000;

impl ProcessKey {
    /// True when both name one process. An unknown start matches on the pid alone, and a start in whole ticks
    /// matches any start within its tick.
    pub fn is(self, other: Self) -> bool {
        let rounds_to =
            |tick: u64, exact: u64| tick.is_multiple_of(TICK_NS) && exact / TICK_NS == tick / TICK_NS;
        let (a, b) = (self.start_boot_ns, other.start_boot_ns);
        self.pid == other.pid && (a == b || a == 0 || b == 0 || rounds_to(a, b) || rounds_to(b, a))
    }
}

/// A process as it was known at the moment of the record: a target, a sender, an ancestor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// The thread that acted, when it is not the group leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tid: Option<u32>,
    /// Pid of the parent at the moment of the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ppid: Option<u32>,
    /// Process group id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgid: Option<u32>,
    /// Start of the process, nanoseconds of `CLOCK_BOOTTIME`.
    #[serde(default)]
    pub start_boot_ns: u64,
    /// The kernel's name of the process (`comm`), at most 15 bytes.
    pub name: String,
    /// Path of the executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
    /// The command line, one element per argument.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// The command line quoted for a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// True when the tail of the command line was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline_truncated: Option<bool>,
    /// Real user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Effective user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub euid: Option<u32>,
    /// The audit login uid: who logged in, whatever `sudo` made of it since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loginuid: Option<u32>,
    /// Session id, see `setsid(2)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u32>,
    /// Controlling terminal, as `pts/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
    /// Path in the unified cgroup hierarchy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// The systemd unit that owns the cgroup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The systemd slice that holds the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Container id found in the cgroup path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// What the engine calls that container; of targets only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
    /// The pid in the process's own pid namespace, when that is not the initial one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ns_pid: Option<u32>,
    /// Ancestors, nearest first, each without ancestors of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Process>,
}

impl Process {
    /// The identity that survives pid reuse.
    pub fn key(&self) -> ProcessKey {
        ProcessKey { pid: self.pid, start_boot_ns: self.start_boot_ns }
    }

    /// True when both are the same process, see [`ProcessKey::is`].
    pub fn is(&self, other: &Process) -> bool {
        self.key().is(other.key())
    }

    /// The parent, when it is known.
    pub fn parent(&self) -> Option<&Process> {
        self.ancestors.first()
    }

    /// The arguments; empty when they are not known.
    pub fn args(&self) -> &[String] {
        self.argv.as_deref().unwrap_or_default()
    }

    /// The program's base name: of the executable, else of `argv[0]`, else the kernel's name.
    pub fn program(&self) -> &str {
        let path = self.exe.as_deref().or_else(|| self.args().first().map(String::as_str));
        let path = path.map(|p| p.strip_suffix(" (deleted)").unwrap_or(p));
        match path.and_then(|p| p.rsplit('/').next()) {
            Some(base) if !base.is_empty() => base,
            _ => &self.name,
        }
    }

    /// The user whose manager runs its unit, as everything below `user@UID.service`; none for the system's, and where it has none.
    pub fn unit_user(&self) -> Option<u32> {
        let (_, below) = self.cgroup.as_deref()?.split_once("/user@")?;
        let (user, below) = below.split_once(".service/")?;
        // systemd puts `_` before a name that the kernel might claim for a file of its own (`cg_escape`).
        let is_unit = |part: &str| Some(part.strip_prefix('_').unwrap_or(part)) == self.unit.as_deref();
        below.split('/').any(is_unit).then(|| user.parse().ok()).flatten()
    }

    /// True for systemd: pid 1, or a user's manager. The name alone is not enough, anyone may take it.
    pub fn is_service_manager(&self) -> bool {
        let systemd_path = |exe: &str| {
            let exe = exe.strip_suffix(" (deleted)").unwrap_or(exe);
            exe.starts_with("/usr/lib/systemd/") || exe.starts_with("/lib/systemd/")
        };
        // In a container its parent is the container's pid 1. Nobody else is in this cgroup of a user.
        let by_place = || {
            let path = self.cgroup.as_deref().unwrap_or_default();
            path.contains("/user@") && path.ends_with(".service/init.scope")
        };
        let by_name = self.name == "systemd" && (self.ppid == Some(1) || by_place());
        self.pid == 1
            || self.exe.as_deref().map_or(by_name, |exe| {
                // At the end of a shutdown it becomes another program.
                systemd_path(exe) && matches!(self.program(), "systemd" | "systemd-shutdown")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_in_ticks_is_the_same_process() {
        let key = |pid, start_boot_ns| ProcessKey { pid, start_boot_ns };
        assert!(key(7, 1_230_000_000).is(key(7, 1_237_654_321)));
        assert!(key(7, 0).is(key(7, 55)));
        assert!(!key(7, 1_230_000_000).is(key(7, 1_240_000_001)), "the next tick");
        assert!(!key(7, 1_230_000_001).is(key(7, 1_237_654_321)), "two exact starts");
        assert!(!key(7, 5).is(key(8, 5)));
    }
}
