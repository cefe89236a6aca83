use serde::{Deserialize, Serialize};

use super::Process;

/// What is known of the act that ended the target, beyond its signal: where the sender had its number from, and
/// whom else it met.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kill {
    /// Files that held the number which the sender gave to `kill(2)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pidfiles: Vec<Pidfile>,
    /// Processes that had this number before the one that has it now, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<EarlierHolder>,
    /// The process group that the signal was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<ProcessGroup>,
    /// How many more signals of the same number its sender had made at other processes when the incident was complete. Counted
    /// are SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGKILL and SIGTERM, from Linux 5.15 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<u64>,
    /// What kept the target from acting on the signal when that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspension: Option<Suspension>,
    /// Loaded BPF programs that can send a signal, when one of them did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bpf_programs: Vec<BpfProgram>,
    /// Names in the environment of the target by which CI systems find what a job leaves behind; never their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub job_cookies: Vec<String>,
}

impl Kill {
    /// True when nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A file that holds the number of the target, or of its process group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pidfile {
    /// Where it is, as the sender sees it.
    pub path: String,
    /// The number on its first line.
    pub pid: u32,
    /// Unix time of its last change, seconds: whoever started later cannot be meant by it.
    pub modified: f64,
    /// The process that names it: the sender, or one that it descends from. Absent for a file in `/run` that nobody
    /// is known to have read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named_by: Option<u32>,
    /// The script of that process in which it is named, when it does not stand on its command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

/// A process that is gone and whose number another one has now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EarlierHolder {
    /// Who; its nearest ancestor is the one that made it, where that is known.
    pub process: Process,
    /// When it ended, `CLOCK_BOOTTIME` nanoseconds, when that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_boot_ns: Option<u64>,
}

/// A process group that was signalled as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessGroup {
    /// Its number: the pid of the process that made it.
    pub id: u32,
    /// That process; its ancestors are those that the record has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Process>,
}

/// A process that could not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// What kept it.
    pub by: SuspendedBy,
    /// Its cgroup, when that was frozen: the path in the hierarchy of the freezer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
}

/// The ways to keep a process from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuspendedBy {
    /// `SIGSTOP` and its kin: state `T`.
    Stop,
    /// The freezer of its cgroup.
    Freezer,
}

/// A loaded BPF program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BpfProgram {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name, at most 15 bytes; empty when it has none.
    pub name: String,
    /// Its type, as `kprobe`.
    pub kind: String,
    /// When it was loaded, `CLOCK_BOOTTIME` nanoseconds.
    pub loaded_boot_ns: u64,
    /// The processes that hold it, or a link to it, open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<Process>,
}
