use serde::{Deserialize, Serialize};

/// What the kernel log says of this end. The log is text for people: what it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelLog {
    /// The report of the out-of-memory killer that chose the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<OomReport>,
    /// The system call for which seccomp ended the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompReport>,
}

/// A process that the out-of-memory killer chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its pid in the initial pid namespace.
    pub pid: u32,
    /// The kernel's name of it.
    pub name: String,
}

/// What the out-of-memory killer wrote (`mm/oom_kill.c` `dump_header()`, `__oom_kill_process()`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OomReport {
    /// The memory cgroup whose limit was reached; absent when the whole machine ran out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<String>,
    /// True when a limit of a memory cgroup was reached, false when the machine ran out.
    pub is_cgroup: bool,
    /// What the cgroup used, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<u64>,
    /// What it was allowed to use, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Name of the thread whose allocation found no memory; it is a bystander.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Whom the killer chose: the target, or one with which it had to end, being of its cgroup or sharing its memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
    /// Anonymous memory that the target held, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anon_rss: Option<u64>,
    /// Its `oom_score_adj`, -1000 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// The processes that held most, largest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub largest: Vec<Consumer>,
}

/// A process and the memory that it held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumer {
    /// Its pid in the initial pid namespace.
    pub pid: u32,
    /// The kernel's name of it.
    pub name: String,
    /// Resident memory, bytes.
    pub rss: u64,
}

/// An audit record of type 1326 (`kernel/auditsc.c` `audit_seccomp()`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompReport {
    /// The signal that the wait status shows: SIGKILL in strict mode, else SIGSYS.
    pub signal_num: u32,
    /// Name of the forbidden system call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// What the filter returned, as `SECCOMP_RET_*`; 0 ends the thread, which strict mode says too.
    pub action: u32,
}
