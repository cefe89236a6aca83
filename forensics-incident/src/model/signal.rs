use serde::{Deserialize, Serialize};

use super::{CodeLocation, FaultAccess, Outlet, Process};

/// One signal that was generated for the target, as the kernel saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Unix time of the (first) signal, seconds.
    pub ts: f64,
    /// `CLOCK_BOOTTIME` of the (first) signal, nanoseconds.
    pub boot_ns: u64,
    /// Name, as `SIGTERM`.
    pub signal: String,
    /// Number, 1 to 64.
    pub signal_num: u32,
    /// `si_code` by name. It is the sender's claim and lies for half of the mechanisms.
    pub si_code: SiCode,
    /// How the signal came to be, decided by the kernel stack.
    pub mechanism: Mechanism,
    /// Aimed at the whole process or at one thread.
    pub scope: Scope,
    /// The thread that the signal was generated for.
    pub target_tid: u32,
    /// What the kernel did with it.
    pub result: SendResult,
    /// The system call that sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// Arguments of that call, as signed numbers: `kill(-pgid)` shows the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall_args: Option<Vec<i64>>,
    /// The process that truly sent it; null when the kernel raised it on its own.
    pub sender: Option<Process>,
    /// Who happened to be running, when that is not the sender. Never to be blamed for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Process>,
    /// Kernel functions that led here, innermost first, cut at the first interrupt entry.
    #[serde(default)]
    pub kernel_stack: Vec<String>,
    /// The address that a fault or a seccomp trap was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_address: Option<u64>,
    /// What the faulting instruction did with the memory at that address, where the processor says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_access: Option<FaultAccess>,
    /// User-space stack pointer of the faulting thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack_pointer: Option<u64>,
    /// In which file the faulting instruction is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_location: Option<CodeLocation>,
    /// User-space instruction pointer of the faulting thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_pointer: Option<u64>,
    /// The system call that a seccomp filter did not let pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbidden_syscall: Option<String>,
    /// What the process wrote to when the kernel raised `SIGPIPE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlet: Option<Outlet>,
    /// The pid that the sender claims in `si_pid`, when it is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_pid: Option<u32>,
    /// The signal that the sender had itself received shortly before, when it may have passed that one on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relayed: Option<Box<Signal>>,
    /// How many identical signals were folded into this one (0: it came once).
    #[serde(default)]
    pub repeated: u64,
    /// `CLOCK_BOOTTIME` of the last identical signal, when it was repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_boot_ns: Option<u64>,
}

impl Signal {
    /// When the last of the identical signals came, `CLOCK_BOOTTIME` nanoseconds.
    pub fn last_ns(&self) -> u64 {
        self.last_boot_ns.unwrap_or(self.boot_ns)
    }
}

/// `si_code` of a signal. Values from `include/uapi/asm-generic/siginfo.h`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SiCode(pub String);

/// How a signal came to be. Decided by the kernel stack, not by `si_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// `kill(2)`
    Kill,
    /// `tkill(2)`
    Tkill,
    /// `tgkill(2)`
    Tgkill,
    /// `rt_sigqueueinfo(2)`
    Sigqueue,
    /// `rt_tgsigqueueinfo(2)`
    Tgsigqueue,
    /// `pidfd_send_signal(2)`
    Pidfd,
    /// A write to `cgroup.kill`.
    CgroupKill,
    /// The out-of-memory killer.
    Oom,
    /// `PR_SET_PDEATHSIG`: the parent ended.
    ParentDeath,
    /// The init of the target's pid namespace ended.
    PidNamespaceExit,
    /// ^C, ^\ or ^Z typed at the terminal.
    TtyInterrupt,
    /// The terminal went away.
    TtyHangup,
    /// The leader of the terminal's session ended.
    SessionLeaderExit,
    /// The last process that could continue a stopped group ended.
    OrphanedPgrp,
    /// `alarm(2)`, `setitimer(2)`, `timer_create(2)`
    Timer,
    /// `RLIMIT_CPU`
    CpuLimit,
    /// `RLIMIT_RTTIME`
    RtLimit,
    /// `RLIMIT_FSIZE`
    FileSizeLimit,
    /// A write to a pipe or socket that nobody reads.
    BrokenPipe,
    /// A processor exception.
    Fault,
    /// A seccomp filter.
    Seccomp,
    /// A tracer.
    Ptrace,
    /// `execve(2)` failed past the point of no return.
    ExecFailure,
    /// `bpf_send_signal()`
    Bpf,
    /// `O_ASYNC`, leases and other `SIGIO` sources.
    AsyncIo,
    /// A hardware memory error.
    MemoryFailure,
    /// The magic SysRq key.
    Sysrq,
    /// A kernel path that is not known; the stack is kept.
    Unknown,
}

impl Mechanism {
    /// True when a process made the signal with a system call of its own will, so that the running
    /// process is its sender.
    pub fn is_user_sent(self) -> bool {
        matches!(
            self,
            Self::Kill
                | Self::Tkill
                | Self::Tgkill
                | Self::Sigqueue
                | Self::Tgsigqueue
                | Self::Pidfd
                | Self::CgroupKill
        )
    }
}

/// Whether a signal is aimed at a process or at one of its threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Any thread of the process may take it.
    Process,
    /// One thread must take it; its default action still ends the whole process.
    Thread,
}

/// What the kernel did with a generated signal (`TRACE_SIGNAL_*` in `include/trace/events/signal.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SendResult {
    /// Queued for the target.
    Delivered,
    /// The target ignores it, or is already exiting.
    Ignored,
    /// The same signal was already pending.
    AlreadyPending,
    /// The queue was full and the signal was dropped.
    Overflow,
    /// Delivered, but its details were lost for want of memory.
    LostInfo,
}
