use crate::{MAX_HIERARCHIES, NO_HIERARCHY};

/// What the agent decides, and may change while the programs run. Each member is read and written as a whole.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Signals that are recorded whatever the target does with them: bit N-1 for signal N.
    pub record_mask: u64,
    /// Signals that are recorded only when the target has no handler for them: language runtimes live on
    /// SIGSEGV and profilers on SIGPROF.
    pub unhandled_mask: u64,
    /// Not 0: every process is a target (`--all`).
    pub all: u64,
    /// Not 0: a program that starts becomes a target with these [`target_flags`](crate::target_flags), provisional
    /// until the agent has looked at its name.
    pub watch_execs: u64,
    /// Not 0: the processes of a cgroup that is made are targets, until the agent has looked at its path.
    pub watch_new_cgroups: u64,
    /// What a process that enters a cgroup whose processes are targets is beside a member:
    /// [`target_flags`](crate::target_flags).
    pub member_flags: u64,
    /// The kernel's numbers of the hierarchies that are looked at, by slot; [`NO_HIERARCHY`] where there is none.
    pub hierarchies: [u64; MAX_HIERARCHIES],
}

impl Config {
    /// Records nothing.
    pub const NOTHING: Self = Self {
        record_mask: 0,
        unhandled_mask: 0,
        all: 0,
        watch_execs: 0,
        watch_new_cgroups: 0,
        member_flags: 0,
        hierarchies: [NO_HIERARCHY; MAX_HIERARCHIES],
    };
}

const _: () = assert!(size_of::<Config>() == 48 + 8 * MAX_HIERARCHIES);
