//! The maps, all preallocated: nothing is allocated under a lock of the kernel.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use forensics_common::{
    CgroupKey, CgroupRecord, Counter, ExecEntry, ExecRecord, ExitCaller, ExitRecord, FoldKey, FoldValue,
    MAX_CMDLINE, REACH_PLACES, Reach, RequestRate, RequestRecord, SignalRecord, Stream, Target, TaskKey,
    WATCH_PAGE,
};

/// Records on their way to the agent. One ring for all CPUs, since one ring keeps causal order. It has room for
/// the signals and ends of 240 processes at once; the agent maps it twice, so its size counts double there.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 19, 0);

/// The watched processes, by process id.
#[map]
pub(crate) static TARGETS: HashMap<u32, Target> = HashMap::with_max_entries(16_384, 0);

/// The cgroups whose processes are targets; the value says nothing.
#[map]
pub(crate) static CGROUPS: HashMap<CgroupKey, u32> = HashMap::with_max_entries(8_192, 0);

/// Who may be watched, a byte for each process id; the agent sizes it by `kernel.pid_max` and writes to it through shared
/// memory.
#[map]
pub(crate) static WATCHED: Array<[u8; WATCH_PAGE]> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Counts of identical signals.
#[map]
pub(crate) static FOLDS: LruHashMap<FoldKey, FoldValue> = LruHashMap::with_max_entries(8_192, 0);

/// How many signals each sender made lately, by [`forensics_common::reach_place`].
#[map]
pub(crate) static REACHES: Array<Reach> = Array::with_max_entries(REACH_PLACES, 0);

/// What each process executed last.
#[map]
pub(crate) static LEDGER: LruHashMap<TaskKey, ExecEntry> = LruHashMap::with_max_entries(4_096, 0);

/// From each process to the one that made it, whatever became of that one since.
#[map]
pub(crate) static LINEAGE: LruHashMap<TaskKey, TaskKey> = LruHashMap::with_max_entries(16_384, 0);

/// Threads that called `exit_group(2)` in targets of which other threads are left, by process id.
#[map]
pub(crate) static EXIT_CALLERS: LruHashMap<u32, ExitCaller> = LruHashMap::with_max_entries(1_024, 0);

/// The last sequence number of each [`Stream`].
#[map]
pub(crate) static SEQUENCES: PerCpuArray<u64> = PerCpuArray::with_max_entries(Stream::COUNT, 0);

/// What was counted, by [`Counter`].
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::COUNT, 0);

/// A signal record with room behind its command line: the verifier bounds each of the two parts in which it is
/// read, but not their sum.
#[repr(C)]
pub(crate) struct SignalScratch {
    pub(crate) record: SignalRecord,
    slack: [u8; MAX_CMDLINE],
}

/// Where a record is put together. Each program has its own, and the kernel does not run a program inside
/// itself on one CPU, so nobody else writes to it.
#[map]
pub(crate) static SIGNAL_SCRATCH: PerCpuArray<SignalScratch> = PerCpuArray::with_max_entries(1, 0);

/// See [`SIGNAL_SCRATCH`].
#[map]
pub(crate) static EXIT_SCRATCH: PerCpuArray<ExitRecord> = PerCpuArray::with_max_entries(1, 0);

/// See [`SIGNAL_SCRATCH`]. What stands in for the program may run while it is preempted.
#[map]
pub(crate) static STAND_IN_SCRATCH: PerCpuArray<ExitRecord> = PerCpuArray::with_max_entries(1, 0);

/// See [`SIGNAL_SCRATCH`].
#[map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<ExecRecord> = PerCpuArray::with_max_entries(1, 0);

/// As [`SignalScratch`].
#[repr(C)]
pub(crate) struct RequestScratch {
    pub(crate) record: RequestRecord,
    slack: [u8; MAX_CMDLINE],
}

/// See [`SIGNAL_SCRATCH`]. Only one of the programs that see requests is attached, or several that cannot be preempted.
#[map]
pub(crate) static REQUEST_SCRATCH: PerCpuArray<RequestScratch> = PerCpuArray::with_max_entries(1, 0);

/// How many requests each process made lately.
#[map]
pub(crate) static REQUEST_RATES: LruHashMap<TaskKey, RequestRate> = LruHashMap::with_max_entries(1_024, 0);

/// See [`SIGNAL_SCRATCH`].
#[map]
pub(crate) static CGROUP_SCRATCH: PerCpuArray<CgroupRecord> = PerCpuArray::with_max_entries(1, 0);

/// Counts on this CPU.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: a slot of a per-CPU array; a program that interrupts us may at worst lose one count of a
        // diagnostic counter.
        unsafe { *slot += 1 };
    }
}
