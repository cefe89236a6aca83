//! The rules, one file per cause, in the order in which they are asked.

mod agent_gap;
mod container_stop;
mod crash;
mod debugger;
mod earlier_boot;
mod exit;
mod external_kill;
mod host_shutdown;
mod kernel_act;
mod limits;
mod oom;
mod oom_daemon;
mod own_doing;
mod parent_death;
mod pattern_kill;
mod pid_namespace;
mod planned_stop;
mod relayed;
mod seccomp;
mod self_kill;
mod session_end;
mod silent_kill;
mod stale_pid_kill;
mod supervisor_stop;
mod survived;
mod systemd_dependency;
mod systemd_oom_policy;
mod systemd_runtime_limit;
mod systemd_stop;
mod systemd_stop_timeout;
mod systemd_watchdog;
mod takeover;
mod terminal;
mod timeout_command;
mod unseen;

use crate::model::Verdict;

use super::case::Case;

pub(super) use unseen::unseen;

/// One way to explain an incident.
#[derive(Debug)]
pub(super) struct Rule {
    /// The cause that it is about, for tests.
    #[cfg(test)]
    pub(super) name: &'static str,
    /// The explanation, when its evidence is there.
    pub(super) judge: fn(&Case<'_>) -> Option<Verdict>,
}

macro_rules! rules {
    ($($name:ident),* $(,)?) => {
        [$(Rule { #[cfg(test)] name: stringify!($name), judge: $name::$name }),*]
    };
}

/// From the most specific to the plainest. What no agent saw is told from what the next one found. Deaths that only the kernel log or a tracer explains come before the one
/// that names no cause; the others go by the decisive signal, and an exit without one is nobody's act but its own.
/// What a manager did for a reason that it tells comes before what a marker announced.
pub(super) const RULES: [Rule; 34] = rules![
    earlier_boot,
    agent_gap,
    survived,
    seccomp,
    debugger,
    silent_kill,
    timeout_command,
    crash,
    self_kill,
    systemd_watchdog,
    systemd_stop_timeout,
    systemd_runtime_limit,
    systemd_oom_policy,
    host_shutdown,
    session_end,
    systemd_dependency,
    systemd_stop,
    container_stop,
    takeover,
    planned_stop,
    relayed,
    oom_daemon,
    stale_pid_kill,
    pattern_kill,
    supervisor_stop,
    external_kill,
    oom,
    parent_death,
    pid_namespace,
    terminal,
    limits,
    own_doing,
    kernel_act,
    exit,
];
