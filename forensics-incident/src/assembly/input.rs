//! What goes into the assembly and what comes out of it.

use crate::model::{Context, Marker, Missing, Process, ProcessKey, Signal};

/// One thing that was learnt, in the order in which the kernel recorded it.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all inputs are signals; they move once and are not stored"
)]
pub enum Input {
    /// A process is a target from now on.
    Watch {
        /// Its identity, complete, since SIGKILL leaves nothing to ask for.
        target: Process,
    },
    /// A target executed another program: same pid, new identity.
    Exec {
        /// The new identity; its key is that of the target.
        target: Process,
    },
    /// A process is no longer a target (a provisional match that was not confirmed).
    Unwatch {
        /// Which one.
        target: ProcessKey,
    },
    /// A signal was generated for a target.
    Signal(SignalRecord),
    /// A snapshot that was taken because of a termination request.
    Context {
        /// Whose.
        target: ProcessKey,
        /// What was seen.
        context: Box<Context>,
        /// What could not be read.
        missing: Vec<Missing>,
    },
    /// Something of a target could not be read.
    Missing {
        /// Whose.
        target: ProcessKey,
        /// What, with the field's name in the incident.
        missing: Missing,
    },
    /// A marker file of a target was seen; a later one of the same path replaces it, unless only one of them names the target.
    Marker {
        /// Whose.
        target: ProcessKey,
        /// What was seen, with its age at the moment of the push.
        marker: Marker,
    },
    /// A target ended.
    Exit(ExitRecord),
    /// A target is gone, and its end was not seen.
    Gone {
        /// Which one.
        target: ProcessKey,
        /// When that was noticed, `CLOCK_BOOTTIME` nanoseconds.
        boot_ns: u64,
        /// What it left for its parent, as wait(2) has it, when that was still there.
        wait_status: Option<u32>,
    },
}

/// A signal that was generated for a target.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalRecord {
    /// The target, as far as the record identifies it.
    pub target: Process,
    /// Identical signals (same sender, signal, code, result, scope, system call) share this number:
    /// the kernel reports one of them at most once a second and counts the others.
    pub fold_id: u64,
    /// How many identical ones were counted but not reported between the last report and this one.
    pub folded_before: u64,
    /// The signal itself, with `repeated` 0.
    pub signal: Signal,
    /// What could not be read for it, with field names relative to the signal.
    pub missing: Vec<Missing>,
}

/// The end of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct ExitRecord {
    /// Who ended.
    pub target: ProcessKey,
    /// When, `CLOCK_BOOTTIME` nanoseconds.
    pub boot_ns: u64,
    /// The wait status: exit code in bits 8 to 15, or the signal in bits 0 to 6 and 0x80 for a core.
    pub wait_status: u32,
    /// The last thread to end.
    pub tid: u32,
    /// Who traced it then.
    pub tracer: Option<Process>,
    /// Its name.
    pub thread: String,
    /// Id and name of the thread that called `exit_group(2)`, when one did.
    pub caller: Option<(u32, String)>,
    /// Kernel functions on its stack, innermost first.
    pub kernel_stack: Vec<String>,
    /// Signals at this target that the kernel counted since it became one; none when it was not counted.
    pub signals_seen: Option<u64>,
    /// Counts of identical signals that were not reported one by one.
    pub folds: Vec<Fold>,
}

/// Identical signals that were counted after the last one that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    /// Which, see [`SignalRecord::fold_id`].
    pub fold_id: u64,
    /// How many.
    pub count: u64,
    /// `CLOCK_BOOTTIME` of the last one, nanoseconds.
    pub last_boot_ns: u64,
}
