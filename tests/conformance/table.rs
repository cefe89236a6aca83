//! The table of scenarios, in the order of their programs.

use libc::{
    SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGIO, SIGKILL, SIGPIPE, SIGQUIT, SIGSEGV,
    SIGSYS, SIGTERM, SIGVTALRM, SIGXCPU, SIGXFSZ,
};

use super::Scenario;

/// Another process sent it by `kill(2)`.
const fn kill(row: u8, program: &'static str, name: &'static str, signal: i32) -> Scenario {
    Scenario::killed(row, program, name, signal, &["kill"], &["external-kill"])
}

/// Another process sent it by another system call.
const fn sent(row: u8, name: &'static str, signal: i32, mechanism: &'static [&'static str]) -> Scenario {
    Scenario::killed(row, "kills", name, signal, mechanism, &["external-kill"])
}

/// A program that chooses by a pattern.
const fn pattern(row: u8, name: &'static str, signal: i32) -> Scenario {
    Scenario::killed(row, "tools", name, signal, &["kill", "pidfd"], &["pattern-kill"])
        .plainer(&["external-kill"])
}

/// A supervisor that is told to.
const fn supervisor(name: &'static str) -> Scenario {
    Scenario::killed(60, "relays", name, SIGTERM, &["kill"], &["supervisor-stop"]).plainer(&["external-kill"])
}

/// The kernel raised it.
const fn raised(
    row: u8,
    program: &'static str,
    name: &'static str,
    signal: i32,
    mechanism: &'static [&'static str],
    cause: &'static [&'static str],
) -> Scenario {
    Scenario::killed(row, program, name, signal, mechanism, cause)
}

/// No event announces it.
const fn silent(
    row: u8,
    program: &'static str,
    name: &'static str,
    signal: i32,
    cause: &'static [&'static str],
) -> Scenario {
    Scenario::killed(row, program, name, signal, &[], cause).plainer(&["silent-kill"])
}

/// The suite.
pub const SCENARIOS: &[Scenario] = &[
    kill(1, "kills", "kill", SIGKILL),
    kill(1, "kills", "kill_program", SIGTERM),
    kill(1, "kills", "kill_of_a_shell", SIGKILL),
    kill(2, "kills", "group", SIGKILL),
    kill(2, "kills", "own_group", SIGTERM),
    kill(3, "kills", "broadcast", SIGKILL),
    sent(4, "tkill", SIGKILL, &["tkill"]),
    sent(4, "tgkill", SIGKILL, &["tgkill"]),
    sent(5, "sigqueue_forged", SIGTERM, &["sigqueue"]),
    sent(5, "tgsigqueue", SIGKILL, &["tgsigqueue"]),
    sent(6, "pidfd", SIGTERM, &["pidfd"]),
    kill(13, "kills", "abort_by_another", SIGABRT),
    kill(26, "kills", "inside_a_pid_namespace", SIGKILL),
    kill(53, "kills", "stopped", SIGTERM),
    kill(53, "kills", "frozen", SIGKILL),
    kill(53, "kills", "frozen_v2", SIGTERM),
    kill(54, "kills", "escalation", SIGKILL),
    kill(54, "kills", "politely_by_another", SIGKILL),
    kill(54, "kills", "already_pending", SIGTERM),
    Scenario::exited(54, "kills", "drained", 0, &["external-kill"]).after(SIGTERM, &["kill"]),
    Scenario::exited(54, "kills", "innocent", 3, &["exit"]),
    kill(64, "kills", "renamed_thread", SIGKILL),
    pattern(7, "pkill_part_of_a_word", SIGKILL).needs(&["pkill"]),
    pattern(7, "pkill_whole_words", SIGTERM).needs(&["pkill"]),
    pattern(8, "pgrep_and_xargs", SIGKILL).needs(&["pgrep", "xargs"]),
    pattern(8, "killall", SIGKILL).needs(&["killall"]),
    pattern(8, "fuser", SIGKILL).needs(&["fuser"]),
    Scenario::killed(9, "tools", "stale_pidfile", SIGTERM, &["kill"], &["stale-pid-kill", "external-kill"]),
    Scenario::killed(10, "tools", "timeout", SIGTERM, &["kill"], &["timeout-command"])
        .plainer(&["external-kill"]),
    Scenario::killed(10, "tools", "timeout_kills_after", SIGKILL, &["kill"], &["timeout-command"])
        .plainer(&["external-kill"]),
    kill(56, "tools", "cron", SIGTERM).needs(&["cron", "unshare"]).words("scheduled job"),
    kill(56, "tools", "logrotate", SIGHUP).needs(&["logrotate"]).words("logrotate"),
    kill(61, "tools", "cleaner_of_a_build", SIGKILL),
    kill(59, "relays", "shell_trap", SIGTERM).needs(&["bash"]).words("passed it on"),
    kill(59, "relays", "shell_trap_kills_harder", SIGKILL).needs(&["bash"]).words("passed it on"),
    kill(59, "relays", "two_relays", SIGTERM).needs(&["bash"]).words("passed it on"),
    kill(59, "relays", "tini", SIGTERM).needs(&["tini"]).words("passed it on"),
    kill(59, "relays", "dumb_init", SIGTERM).needs(&["dumb-init"]).words("passed it on"),
    kill(59, "relays", "sudo", SIGTERM).needs(&["sudo"]).words("passed it on"),
    kill(59, "relays", "timeout_told_to_end", SIGTERM).words("passed it on"),
    supervisor("runit_stops").needs(&["runsv", "sv"]).words("its own supervisor"),
    supervisor("runit_told_to_end").needs(&["runsv"]).words("passed it on"),
    supervisor("supervisord_stops").needs(&["supervisord", "supervisorctl"]).words("its own supervisor"),
    raised(14, "memory", "cgroup_kill", SIGKILL, &["cgroup-kill"], &["cgroup-kill"]).words("cgroup.kill"),
    raised(16, "memory", "out_of_memory", SIGKILL, &["oom"], &["oom"]).words("out-of-memory killer"),
    raised(17, "memory", "limit_lowered", SIGKILL, &["oom"], &["oom"]).words("lowered the memory limit"),
    raised(18, "memory", "whole_group", SIGKILL, &["oom"], &["oom"]).words("memory.oom.group"),
    raised(18, "memory", "shared_memory", SIGKILL, &["oom"], &["oom"]).words("whose memory it shared"),
    raised(19, "whole", "oom_of_all", SIGKILL, &["oom"], &["oom"]).words("the machine ran out of memory"),
    Scenario::killed(21, "whole", "earlyoom", SIGTERM, &["kill", "pidfd"], &["oom-daemon"])
        .needs(&["earlyoom"])
        .words("a daemon that frees memory"),
    Scenario::killed(
        21,
        "whole",
        "systemd_oomd",
        SIGKILL,
        &["kill", "pidfd", "cgroup-kill"],
        &["oom-daemon"],
    )
    .needs(&["systemd-run"])
    .words("a daemon that frees memory"),
    // The kernel does not record who asked.
    raised(22, "whole", "sysrq_oom", SIGKILL, &["sysrq"], &["unknown"]).words("SysRq"),
    raised(51, "whole", "memory_failure", SIGBUS, &["memory-failure"], &["crash"]).words("hardware error"),
    raised(23, "kin", "parent_process", SIGKILL, &["parent-death"], &["parent-death"])
        .words("had sent SIGKILL to it"),
    raised(24, "kin", "parent_thread", SIGTERM, &["parent-death"], &["parent-death"]).words("thread"),
    raised(25, "kin", "namespace_init", SIGKILL, &["pid-namespace-exit"], &["pid-namespace-exit"])
        .words("namespace"),
    raised(25, "kin", "namespace_init_killed", SIGKILL, &["pid-namespace-exit"], &["pid-namespace-exit"])
        .words("had sent SIGKILL to it"),
    Scenario::killed(46, "kin", "debugger_kill", SIGKILL, &["kill", "tkill", "tgkill"], &["debugger"])
        .plainer(&["external-kill"])
        .needs(&["gdb"]),
    silent(47, "kin", "tracer_that_injects", SIGTERM, &["debugger"]).words("trace"),
    silent(47, "kin", "debugger_signal", SIGTERM, &["debugger"]).needs(&["gdb"]).words("trace"),
    // At a stop for a system call the kernel sends it, in the tracee.
    raised(47, "kin", "strace_injects", SIGTERM, &["ptrace"], &["debugger"])
        .needs(&["strace"])
        .words("trace"),
    raised(48, "kin", "tracer_that_ends", SIGKILL, &["ptrace"], &["debugger"]).words("EXITKILL"),
    // Which program sent it, nobody can tell from the signal, so that a cause is not asked for.
    raised(49, "kin", "bpf_program", SIGKILL, &["bpf"], &["unknown"])
        .needs(&["bpftrace", "unshare"])
        .words("BPF program"),
    raised(27, "terminals", "terminal_closed", SIGHUP, &["tty-hangup"], &["terminal-hangup"])
        .words("closed by"),
    raised(27, "terminals", "terminal_program_killed", SIGHUP, &["tty-hangup"], &["terminal-hangup"])
        .words("had sent SIGKILL to it"),
    Scenario::killed(28, "terminals", "shell_passes_hangup_on", SIGHUP, &["kill"], &["terminal-hangup"])
        .needs(&["bash"])
        .words("passed the hangup on"),
    raised(29, "terminals", "leader_that_ends", SIGHUP, &["session-leader-exit"], &["terminal-hangup"])
        .words("had sent SIGKILL to it"),
    raised(30, "terminals", "orphaned_group", SIGHUP, &["orphaned-pgrp"], &["terminal-hangup"])
        .words("was stopped"),
    raised(31, "terminals", "interrupt_key", SIGINT, &["tty-interrupt"], &["terminal-interrupt"]).words("^C"),
    raised(31, "terminals", "quit_key", SIGQUIT, &["tty-interrupt"], &["terminal-interrupt"]).words("^\\"),
    raised(32, "terminals", "virtual_hangup", SIGHUP, &["tty-hangup"], &["terminal-hangup"])
        .words("was hung up by"),
    raised(34, "ending", "interval_timer", SIGALRM, &["timer"], &["timer"]).words("timer"),
    raised(35, "ending", "posix_timer", SIGTERM, &["timer"], &["timer"]).words("timer"),
    raised(36, "ending", "virtual_timer", SIGVTALRM, &["timer"], &["timer"]).words("timer"),
    raised(37, "ending", "cpu_soft", SIGXCPU, &["cpu-limit"], &["resource-limit"]).words("RLIMIT_CPU"),
    raised(37, "ending", "cpu_hard", SIGKILL, &["cpu-limit"], &["resource-limit"]).words("RLIMIT_CPU"),
    // Compilers merge the checks of both limits on time; the limits themselves tell.
    raised(38, "ending", "real_time", SIGXCPU, &["rt-limit", "cpu-limit"], &["resource-limit"])
        .words("RLIMIT_RTTIME"),
    raised(39, "ending", "file_size", SIGXFSZ, &["file-size-limit"], &["resource-limit"])
        .words("RLIMIT_FSIZE"),
    raised(40, "ending", "broken_pipe", SIGPIPE, &["broken-pipe"], &["broken-pipe"])
        .words("a pipe that nobody"),
    raised(40, "ending", "broken_socket", SIGPIPE, &["broken-pipe"], &["broken-pipe"])
        .words("a socket of AF_UNIX that"),
    raised(40, "ending", "broken_connection", SIGPIPE, &["broken-pipe"], &["broken-pipe"])
        .words("a connection to 127.0.0.1:"),
    raised(41, "ending", "segmentation", SIGSEGV, &["fault"], &["crash"]).words("0x8"),
    raised(41, "ending", "bus", SIGBUS, &["fault"], &["crash"]).words("0x"),
    raised(41, "ending", "illegal", SIGILL, &["fault"], &["crash"]).words("instruction"),
    raised(41, "ending", "division", SIGFPE, &["fault"], &["crash"]).words("divi"),
    raised(42, "ending", "abort", SIGABRT, &["tgkill"], &["crash"]).words("abort"),
    raised(43, "ending", "exec_too_large", SIGSEGV, &["exec-failure"], &["crash"]).words("exec"),
    // Before 5.16 a filter ended the last thread without a signal.
    raised(44, "ending", "seccomp_filter", SIGSYS, &["seccomp"], &["seccomp"])
        .may_be_silent()
        .plainer(&["silent-kill"])
        .words("getppid"),
    silent(45, "ending", "seccomp_strict", SIGKILL, &["seccomp"]),
    raised(50, "ending", "async_io", SIGIO, &["async-io"], &["async-io"]).words("SIGIO"),
    raised(55, "ending", "its_own_hand", SIGKILL, &["tgkill"], &["self-kill"]),
    raised(55, "ending", "shell_kills_itself", SIGKILL, &["kill"], &["self-kill"]),
    Scenario::exited(55, "ending", "exit_0", 0, &["exit"]),
    Scenario::exited(55, "ending", "exit_137", 137, &["exit"]).words("SIGKILL"),
    Scenario::exited(55, "ending", "exit_143", 143, &["exit"]).words("SIGTERM"),
];
