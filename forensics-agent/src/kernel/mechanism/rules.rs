//! The table: which functions on a stack tell how a signal came to be.
//!
//! The first rule that fits decides, so the order matters: what signals on behalf of something else (a BPF
//! program, a control file) comes before the ways that it may use. Compilers inline differently, so every
//! rule names several functions of the same path, of which one is enough.

use forensics_incident::{model::Mechanism, signals::*};

use super::Current;

/// One way in which a signal comes to be. Empty lists ask for nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) mechanism: Mechanism,
    /// One of these functions is on the stack.
    pub(super) any: &'static [&'static str],
    /// And one of these too.
    pub(super) and: &'static [&'static str],
    /// One of these called the [`SENDING`] functions.
    pub(super) origin: &'static [&'static str],
    /// The signal is one of these.
    pub(super) signals: &'static [u32],
    pub(super) current: Current,
    /// The mechanism that the same stack may stand for.
    pub(super) or: Option<Mechanism>,
    /// The stack is inside this system call.
    pub(super) inside: Option<&'static str>,
    /// The system call that these functions belong to, when no frame names one.
    pub(super) implies: Option<&'static str>,
}

impl Rule {
    const fn new(mechanism: Mechanism, current: Current) -> Self {
        Self {
            mechanism,
            any: &[],
            and: &[],
            origin: &[],
            signals: &[],
            current,
            or: None,
            inside: None,
            implies: None,
        }
    }

    const fn any(self, any: &'static [&'static str]) -> Self {
        Self { any, ..self }
    }

    const fn and(self, and: &'static [&'static str]) -> Self {
        Self { and, ..self }
    }

    const fn origin(self, origin: &'static [&'static str]) -> Self {
        Self { origin, ..self }
    }

    const fn signals(self, signals: &'static [u32]) -> Self {
        Self { signals, ..self }
    }

    const fn or(self, other: Mechanism) -> Self {
        Self { or: Some(other), ..self }
    }

    const fn inside(self, call: &'static str) -> Self {
        Self { inside: Some(call), ..self }
    }

    const fn implies(self, call: &'static str) -> Self {
        Self { implies: Some(call), ..self }
    }

    /// Whether a stack fits: its functions, the first of them that is not [`SENDING`], the system call that
    /// it is inside, and the signal.
    pub(super) fn fits(&self, stack: &[&str], origin: Option<&str>, call: Option<&str>, signal: u32) -> bool {
        let holds = |set: &[&str]| set.is_empty() || stack.iter().any(|name| set.contains(name));
        (self.signals.is_empty() || self.signals.contains(&signal))
            && (self.inside.is_none() || self.inside == call)
            && (self.origin.is_empty() || origin.is_some_and(|name| self.origin.contains(&name)))
            && holds(self.any)
            && holds(self.and)
    }
}

/// The functions of `kernel/signal.c` that every way ends in. `__send_signal` and `__group_send_sig_info` are
/// those of 5.10; newer kernels have `__send_signal_locked` and `send_signal_locked`.
pub(super) const SENDING: &[&str] = &[
    "__send_signal_locked",
    "__send_signal",
    "send_signal_locked",
    "send_signal",
    "__group_send_sig_info",
    "do_send_sig_info",
    "group_send_sig_info",
    "send_sig_info",
    "send_sig",
];

/// `kernel/signal.c`: signals that a task cannot escape, raised for what it just did.
const FORCING: &[&str] = &[
    "force_sig_info_to_task",
    "force_sig_info",
    "force_sig",
    "force_fatal_sig",
    "force_exit_sig",
    "force_sigsegv",
    "force_sig_fault",
    "force_sig_fault_to_task",
    "force_sig_fault_trapno",
    "force_sig_bnderr",
    "force_sig_pkuerr",
    "force_sig_ptrace_errno_trap",
    "arm64_force_sig_fault",
    "send_sig_fault",
    "send_sig_fault_trapno",
];

/// `kernel/time/posix-cpu-timers.c`: in the tick, or in task work where CONFIG_POSIX_CPU_TIMERS_TASK_WORK is set.
const CPU_TIMERS: &[&str] = &[
    "check_rlimit",
    "check_cpu_itimer",
    "check_process_timers",
    "check_thread_timers",
    "handle_posix_cpu_timers",
    "posix_cpu_timers_work",
    "run_posix_cpu_timers",
];

/// `fs/exec.c`
const EXEC: &[&str] = &[
    "begin_new_exec",
    "flush_old_exec", // until 5.7
    "load_elf_binary",
    "search_binary_handler",
    "exec_binprm",
    "bprm_execve",
    "do_execveat_common",
    "__do_execve_file", // until 5.8
    "kernel_execve",
];

use Current::{Bystander, Cause, Sender};

pub(super) const RULES: &[Rule] = &[
    // A child's end or stop, told to its parent: no mechanism that kills, unless clone(2) asked for another
    // signal than SIGCHLD. kernel/signal.c
    Rule::new(Mechanism::Unknown, Cause).any(&["do_notify_parent", "do_notify_parent_cldstop"]),
    // kernel/trace/bpf_trace.c: at once, or from irq_work when interrupts were off.
    Rule::new(Mechanism::Bpf, Bystander).any(&[
        "do_bpf_send_signal",
        "bpf_send_signal_common",
        "bpf_send_signal",
        "bpf_send_signal_thread",
        "bpf_send_signal_task", // since 6.13
        "____bpf_send_signal",
        "____bpf_send_signal_thread",
    ]),
    // fs/fcntl.c; kill_fasync() is called by pipes, sockets, terminals, leases, perf, input and more.
    Rule::new(Mechanism::AsyncIo, Cause).any(&[
        "send_sigio",
        "send_sigio_to_task",
        "send_sigurg",
        "send_sigurg_to_task",
        "sk_send_sigurg", // net/core/sock.c
        "kill_fasync",
        "kill_fasync_rcu",
        "dnotify_handle_event", // fs/notify/dnotify/dnotify.c
        "kill_pid_usb_asyncio", // kernel/signal.c, for drivers/usb/core/devio.c
        "__do_notify",          // ipc/mqueue.c: mq_notify(3)
    ]),
    // kernel/cgroup/cgroup.c, since 5.14.
    Rule::new(Mechanism::CgroupKill, Sender).any(&["cgroup_kill_write", "cgroup_kill", "__cgroup_kill"]),
    // A fork into a cgroup that is being killed: the forker did not ask for it.
    Rule::new(Mechanism::CgroupKill, Bystander).any(&["cgroup_post_fork"]),
    // drivers/tty/sysrq.c by a write to /proc/sysrq-trigger; the OOM kill of `f` runs in a worker.
    Rule::new(Mechanism::Sysrq, Sender)
        .any(&["send_sig_all", "sysrq_handle_term", "sysrq_handle_kill"])
        .and(&["write_sysrq_trigger"]),
    Rule::new(Mechanism::Sysrq, Bystander).any(&[
        "send_sig_all",
        "sysrq_handle_term",
        "sysrq_handle_kill",
        "moom_callback",
        "__do_SAK", // drivers/tty/tty_io.c: the secure attention key
        "do_SAK_work",
    ]),
    // mm/memcontrol.c: the limit was lowered below what is in use; v2, then v1.
    Rule::new(Mechanism::Oom, Cause)
        .any(&["mem_cgroup_out_of_memory", "out_of_memory", "oom_kill_process", "__oom_kill_process"])
        .and(&["memory_max_write", "mem_cgroup_resize_max", "mem_cgroup_write"]),
    // mm/oom_kill.c: whoever allocates just then is no killer.
    Rule::new(Mechanism::Oom, Bystander).any(&[
        "__oom_kill_process",
        "oom_kill_process",
        "oom_kill_memcg_member",
        "out_of_memory",
        "mem_cgroup_out_of_memory",
        "mem_cgroup_oom_synchronize",
        "pagefault_out_of_memory",
    ]),
    // mm/memory-failure.c, arch/x86/kernel/cpu/mce/core.c
    Rule::new(Mechanism::MemoryFailure, Bystander).any(&[
        "force_sig_mceerr",
        "send_sig_mceerr",
        "memory_failure",
        "kill_proc",
        "kill_procs",
        "kill_accessing_process",
        "kill_me_maybe",
        "kill_me_now",
        "kill_me_never",
        "hwpoison_user_mappings",
    ]),
    // kernel/seccomp.c; `seccomp_send_sigsys` in 5.10. Without SIGSYS it is a tracer that is told.
    Rule::new(Mechanism::Seccomp, Cause)
        .any(&[
            "force_sig_seccomp",
            "seccomp_send_sigsys",
            "__seccomp_filter",
            "__secure_computing",
            "__secure_computing_strict",
        ])
        .signals(&[SIGSYS]),
    // fs/exec.c bprm_execve(): the old program is gone and the new one cannot start.
    Rule::new(Mechanism::ExecFailure, Cause).any(EXEC).and(FORCING),
    // kernel/ptrace.c: the tracer's own call.
    Rule::new(Mechanism::Ptrace, Sender).any(&[
        "ptrace_attach",
        "ptrace_request",
        "ptrace_resume",
        "arch_ptrace",
    ]),
    // PTRACE_O_EXITKILL: the running task is the tracer that ends.
    Rule::new(Mechanism::Ptrace, Cause).any(&["exit_ptrace"]),
    // A signal that the tracer injected or caused at a stop of the tracee, which is the running task:
    // include/linux/ptrace.h ptrace_event(), ptrace_report_syscall(), kernel/signal.c ptrace_signal().
    Rule::new(Mechanism::Ptrace, Bystander).origin(&[
        "ptrace_event",
        "ptrace_signal",
        "get_signal",
        "ptrace_report_syscall",
        "ptrace_report_syscall_entry",
        "ptrace_report_syscall_exit",
        "ptrace_report_syscall_permit_entry",
        "report_single_step",
        "arch_syscall_exit_tracehook",
        "syscall_trace_enter",
        "syscall_trace_leave",
        "syscall_exit_work",
        "report_syscall", // arch/arm64/kernel/ptrace.c
        "report_syscall_enter",
        "report_syscall_exit",
        "syscall_trace_exit",
    ]),
    Rule::new(Mechanism::Ptrace, Bystander).origin(EXEC).signals(&[SIGTRAP]),
    // kernel/pid_namespace.c
    Rule::new(Mechanism::PidNamespaceExit, Cause).any(&["zap_pid_ns_processes"]),
    // drivers/tty/tty_jobctrl.c disassociate_ctty(1); it hangs up a real terminal, so that this comes before
    // the hangup.
    Rule::new(Mechanism::SessionLeaderExit, Cause).any(&["disassociate_ctty"]).and(&["do_exit"]),
    // drivers/tty/n_tty.c below an ioctl: TIOCSTI pushes the character; drivers/tty/pty.c: TIOCSIG.
    Rule::new(Mechanism::TtyInterrupt, Sender)
        .any(&[
            "isig",
            "__isig",
            "n_tty_receive_signal_char",
            "pty_signal",
            "pty_unix98_ioctl",
            "pty_bsd_ioctl",
        ])
        .and(&["tty_ioctl"]),
    // drivers/tty/n_tty.c from the worker that carries what was typed.
    Rule::new(Mechanism::TtyInterrupt, Bystander).any(&[
        "isig",
        "__isig",
        "n_tty_receive_signal_char",
        "n_tty_receive_break",
    ]),
    // drivers/tty/tty_io.c: the running task closed the master, or called vhangup(2), TIOCVHANGUP, TIOCNOTTY.
    Rule::new(Mechanism::TtyHangup, Cause)
        .any(&["__tty_hangup", "tty_signal_session_leader", "tty_vhangup", "disassociate_ctty"])
        .and(&["tty_release", "pty_close", "tty_ioctl", "tty_jobctrl_ioctl", "tty_vhangup_self"]),
    // The carrier was lost or the device went away: tty_hangup() has a worker do it.
    Rule::new(Mechanism::TtyHangup, Bystander).any(&[
        "__tty_hangup",
        "do_tty_hangup",
        "tty_signal_session_leader",
        "tty_vhangup",
        "tty_vhangup_session",
        "disassociate_ctty",
    ]),
    // kernel/exit.c exit_notify(), reparent_leader()
    Rule::new(Mechanism::OrphanedPgrp, Cause).any(&["kill_orphaned_pgrp"]),
    Rule::new(Mechanism::OrphanedPgrp, Cause).any(&["__kill_pgrp_info"]).and(&[
        "reparent_leader",
        "forget_original_parent",
        "exit_notify",
        "do_exit",
    ]),
    // kernel/time/itimer.c, posix-timers.c, posix-cpu-timers.c, alarmtimer.c. send_sigqueue() serves only
    // POSIX timers; it became posixtimer_send_sigqueue() in 6.13.
    Rule::new(Mechanism::Timer, Bystander).any(&[
        "it_real_fn",
        "posix_timer_fn",
        "posix_timer_event",
        "posix_timer_queue_signal",
        "posixtimer_send_sigqueue",
        "send_sigqueue",
        "cpu_timer_fire",
        "check_cpu_itimer",
        "alarm_handle_timer",
        "alarmtimer_fired",
    ]),
    Rule::new(Mechanism::Timer, Bystander).any(CPU_TIMERS).signals(&[SIGVTALRM, SIGPROF]),
    // kernel/time/posix-cpu-timers.c: RLIMIT_RTTIME is checked per thread, RLIMIT_CPU per process. GCC
    // inlines both into posix_cpu_timers_work(); then scheduling policy and limits have to tell.
    Rule::new(Mechanism::RtLimit, Bystander).any(&["check_thread_timers"]).signals(&[SIGXCPU, SIGKILL]),
    Rule::new(Mechanism::CpuLimit, Bystander).any(&["check_process_timers"]).signals(&[SIGXCPU, SIGKILL]),
    Rule::new(Mechanism::CpuLimit, Bystander)
        .any(CPU_TIMERS)
        .signals(&[SIGXCPU, SIGKILL])
        .or(Mechanism::RtLimit),
    // Processor exceptions, bad signal frames, restartable sequences: arch/*/mm/fault.c, arch/*/kernel/traps.c
    Rule::new(Mechanism::Fault, Cause).any(FORCING),
    // kernel/signal.c: the six system calls, then their bodies, where a wrapper's call became a jump.
    Rule::new(Mechanism::Kill, Sender).inside("kill"),
    Rule::new(Mechanism::Tkill, Sender).inside("tkill"),
    Rule::new(Mechanism::Tgkill, Sender).inside("tgkill"),
    Rule::new(Mechanism::Sigqueue, Sender).inside("rt_sigqueueinfo"),
    Rule::new(Mechanism::Tgsigqueue, Sender).inside("rt_tgsigqueueinfo"),
    Rule::new(Mechanism::Pidfd, Sender).inside("pidfd_send_signal"),
    Rule::new(Mechanism::Pidfd, Sender).any(&["do_pidfd_send_signal"]).implies("pidfd_send_signal"),
    Rule::new(Mechanism::Tgsigqueue, Sender).any(&["do_rt_tgsigqueueinfo"]).implies("rt_tgsigqueueinfo"),
    Rule::new(Mechanism::Sigqueue, Sender).any(&["do_rt_sigqueueinfo"]).implies("rt_sigqueueinfo"),
    Rule::new(Mechanism::Tgkill, Sender).any(&["do_tkill", "do_send_specific"]).or(Mechanism::Tkill),
    Rule::new(Mechanism::Kill, Sender).any(&["kill_something_info"]).implies("kill"),
    // kernel/exit.c forget_original_parent()
    Rule::new(Mechanism::ParentDeath, Cause).origin(&["forget_original_parent", "exit_notify", "do_exit"]),
    // Any file system may check the limit (fs/read_write.c generic_write_check_limits(), fs/attr.c
    // inode_newsize_ok()), and any pipe or protocol may find nobody reading (fs/pipe.c, fs/splice.c,
    // net/core/stream.c sk_stream_error(), net/unix/af_unix.c): with the ways above excluded, the signal tells.
    // The SENDING functions are asked for so that a stack without names stays unknown.
    Rule::new(Mechanism::FileSizeLimit, Cause).any(SENDING).signals(&[SIGXFSZ]),
    Rule::new(Mechanism::BrokenPipe, Cause).any(SENDING).signals(&[SIGPIPE]),
    // The stops at the entry and the exit of system calls again, inlined into the entry code (Linux 7.2 on x86): everybody else who
    // sends a signal there does it in a function of the call.
    Rule::new(Mechanism::Ptrace, Bystander).origin(&["do_syscall_64"]),
];
