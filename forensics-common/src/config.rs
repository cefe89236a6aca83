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
}

impl Config {
    /// Records nothing.
    pub const NOTHING: Self = Self { record_mask: 0, unhandled_mask: 0, all: 0, watch_execs: 0 };
}

const _: () = assert!(size_of::<Config>() == 32);
