//! Records of the kernel programs: what they say, and how their bytes are read.
//!
//! The bytes come from our own programs, but through shared memory: nothing in them is believed before its
//! length was checked, and no bit pattern becomes an enum without `TryFrom`.

mod command_line;
mod decode;

#[cfg(test)]
mod tests;

use forensics_common::{Ancestor, CgroupEvent, CgroupKey, FoldKey, Outlet, SIGINFO_WORDS, TaskInfo};
use forensics_incident::model::ProcessKey;

pub use command_line::CommandLine;
pub use decode::{DecodeError, decode, process_key, program, task_key, text};

/// One record, decoded.
#[derive(Debug, Clone)]
pub enum Record {
    /// A signal was generated for a target.
    Signal(Box<SignalEvent>),
    /// The last thread of a target ended.
    Exit(ExitEvent),
    /// A followed target made a child.
    Fork(ForkEvent),
    /// A target, or one that may become one, runs another program.
    Exec(ExecEvent),
    /// A process sent a manager or a container engine what may be a request.
    Request(Box<RequestEvent>),
    /// Something happened to a cgroup.
    Cgroup(CgroupChange),
}

/// Where a record stands in its sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The CPU that wrote it.
    pub cpu: u32,
    /// Index of the program's sequence on that CPU.
    pub stream: u32,
    /// Number in that sequence, from 1.
    pub seq: u64,
    /// When it was made, `CLOCK_BOOTTIME` nanoseconds.
    pub boot_ns: u64,
}

/// A signal was generated for a target.
#[derive(Debug, Clone)]
pub struct SignalEvent {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// Under which identical ones are counted.
    pub fold: FoldKey,
    /// How many identical ones were counted and not reported, ever.
    pub folded: u64,
    /// `struct kernel_siginfo`, when the kernel was given one.
    pub siginfo: Option<[u64; SIGINFO_WORDS]>,
    /// The system call that `current` is in, and its first arguments.
    pub syscall: Option<(i64, [u64; 4])>,
    /// User-space instruction pointer of `current`.
    pub user_ip: Option<u64>,
    /// User-space stack pointer of `current`.
    pub user_sp: Option<u64>,
    /// The last processor exception of the target thread and what the processor said of it, for signals of the kernel.
    pub trap: Option<(u64, u64)>,
    /// What the call of `current` wrote to, for `SIGPIPE`.
    pub outlet: Option<Outlet>,
    /// The process that the signal is for.
    pub target: TaskInfo,
    /// The process that was running.
    pub current: TaskInfo,
    /// Signal number.
    pub signal: u32,
    /// `si_code`.
    pub code: i32,
    /// Aimed at the process rather than at one thread.
    pub group: bool,
    /// `TRACE_SIGNAL_*`.
    pub result: u32,
    /// `signal_flags` bits.
    pub flags: u32,
    /// Ancestors of `current`, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// Return addresses in the kernel, innermost first.
    pub stack: Vec<u64>,
    /// Path of the cgroup of `current`.
    pub cgroup: Option<String>,
    /// Command line of `current`, when it could be read.
    pub cmdline: Option<CommandLine>,
}

/// The last thread of a target ended.
#[derive(Debug, Clone)]
pub struct ExitEvent {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// The process; `tid` is its last thread.
    pub task: TaskInfo,
    /// Signals counted for it since it is watched; none when it was not a target before.
    pub signals: Option<u64>,
    /// Wait status, when it could be read.
    pub wait_status: Option<u32>,
    /// `target_flags` bits.
    pub target_flags: u32,
    /// Id and name of the thread that called `exit_group(2)`, when one did.
    pub caller: Option<(u32, String)>,
    /// Return addresses in the kernel, innermost first.
    pub stack: Vec<u64>,
}

/// A followed target made a child.
#[derive(Debug, Clone)]
pub struct ForkEvent {
    /// Who.
    pub parent: ProcessKey,
    /// The child.
    pub child: ProcessKey,
    /// Id of the child's cgroup in the unified hierarchy; 0 when it was not looked at.
    pub cgroup_id: u64,
    /// Name of the child.
    pub comm: String,
    /// `target_flags` bits.
    pub flags: u32,
}

/// A process sent a manager or a container engine what may be a request.
#[derive(Debug, Clone)]
pub struct RequestEvent {
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub boot_ns: u64,
    /// Who.
    pub sender: TaskInfo,
    /// Process id of who listens at the socket, when it could be read.
    pub listener: Option<u32>,
    /// It was recorded when it had been sent, so that what came of it may have been recorded before.
    pub afterwards: bool,
    /// The path that the socket is bound to.
    pub socket: String,
    /// The beginning of what was sent.
    pub message: Vec<u8>,
    /// Ancestors of the sender, nearest first.
    pub ancestors: Vec<Ancestor>,
    /// Path of the cgroup of the sender.
    pub cgroup: Option<String>,
    /// Command line of the sender, when it could be read.
    pub cmdline: Option<CommandLine>,
}

/// A process runs another program.
#[derive(Debug, Clone)]
pub struct ExecEvent {
    /// Who.
    pub process: ProcessKey,
    /// `target_flags` bits.
    pub target_flags: u32,
    /// What it runs.
    pub program: Program,
}

/// What a process runs, as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Name of the process after the exec.
    pub comm: String,
    /// Path of the executable in its mount namespace, when it could be read whole.
    pub path: Option<String>,
    /// Its arguments, when they could be read.
    pub cmdline: Option<CommandLine>,
    /// Real user id.
    pub uid: u32,
    /// Its parent then.
    pub parent: Option<ProcessKey>,
    /// Id of its cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// The pid in its own pid namespace, when that is not the initial one.
    pub ns_pid: Option<u32>,
    /// When, `CLOCK_BOOTTIME` nanoseconds.
    pub exec_boot_ns: u64,
}

/// A cgroup came or went, or somebody entered or left one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupChange {
    /// What happened.
    pub event: CgroupEvent,
    /// The cgroup.
    pub cgroup: CgroupKey,
    /// Who entered or left.
    pub process: Option<ProcessKey>,
    /// Name of the process.
    pub comm: String,
    /// What the process is as a target now: `target_flags` bits; 0 when it is none any more.
    pub flags: u32,
    /// The path from the root of the hierarchy, when it is whole.
    pub path: Option<String>,
}
