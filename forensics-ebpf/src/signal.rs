//! `signal:signal_generate`: a signal is generated for somebody.
//!
//! It runs with the target's siglock held and interrupts off, for every signal of the host, so the way out for
//! signals that nobody watches comes first: two masks, one read, one lookup. Identical signals are counted
//! before any stack or record work.
//!
//! The kernel makes ten times more kinds of signal than system calls do, and `si_code` lies for half of them:
//! the program judges nothing. It records `current` as what it is, the process that was running, with the
//! kernel stack that tells whether that process was the sender.

use core::ptr::null_mut;

use aya_ebpf::{
    EbpfContext,
    bindings::task_struct,
    helpers::generated::{
        bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_current_task_btf, bpf_get_stack,
        bpf_ktime_get_boot_ns, bpf_ktime_get_ns, bpf_task_pt_regs,
    },
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use forensics_common::{
    FOLD_WINDOW_NS, FoldKey, FoldValue, Kind, MAX_CMDLINE, MAX_FRAMES, Outlet, SIGINFO_WORDS, SignalRecord,
    Stream, Target, signal_flags,
};

use crate::{
    atomic,
    caller::{self, Fault},
    emit, exit,
    globals::{config, have_task_pt_regs, offset},
    maps::{FOLDS, SIGNAL_SCRATCH},
    outlet, path, reach,
    read::{Unreadable, bytes, field, pointer, typed},
    registers, targets, task,
};

/// `si_code` of a signal sent by `kill(2)` (`include/uapi/asm-generic/siginfo.h`).
const SI_USER: i32 = 0;
/// `si_code` of a signal raised by the kernel.
const SI_KERNEL: i32 = 0x80;
/// `SEND_SIG_PRIV` (`include/linux/sched/signal.h`): in place of a pointer, "the kernel sends it".
const SEND_SIG_PRIV: u64 = 1;
/// Offset of `si_code` in `siginfo`, a UAPI structure, on every architecture but MIPS.
const SI_CODE: u32 = 8;
/// Of a child that ends.
const SIGCHLD: u32 = 17;
/// Of a process that writes where nobody reads.
const SIGPIPE: u32 = 13;
/// `SIG_IGN`; larger values are the addresses of handlers.
const SIG_IGN: u64 = 1;

/// The arguments of the tracepoint.
///
/// match-proto: `trace_signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int group, int result)`
struct Generated {
    signal: u32,
    /// A pointer, or `SEND_SIG_NOINFO` (0), or `SEND_SIG_PRIV` (1): never dereferenced directly.
    info: u64,
    /// The thread that the signal is for.
    task: u64,
    /// Not 0: for its whole process.
    group: u32,
    /// `TRACE_SIGNAL_*`.
    result: u32,
}

/// Hook variant that needs nothing but the tracepoint.
#[raw_tracepoint(tracepoint = "signal_generate")]
fn signal_raw(ctx: RawTracePointContext) -> i32 {
    let generated = Generated {
        signal: ctx.arg::<i32>(0) as u32,
        info: ctx.arg(1),
        task: ctx.arg(2),
        group: ctx.arg::<i32>(3) as u32,
        result: ctx.arg::<i32>(4) as u32,
    };
    observe(&ctx, &generated, || field(generated.task, offset!(task_tgid)));
    0
}

/// Hook variant through the kernel's type information, for kernels that refuse the raw one.
#[btf_tracepoint(function = "signal_generate")]
fn signal_btf(ctx: BtfTracePointContext) -> i32 {
    let generated = Generated {
        signal: ctx.arg::<i32>(0) as u32,
        info: ctx.arg(1),
        task: ctx.arg(2),
        group: ctx.arg::<i32>(3) as u32,
        result: ctx.arg::<i32>(4) as u32,
    };
    // SAFETY: the verifier knows the argument as a `struct task_struct *`, whose `tgid` is an `int`.
    observe(&ctx, &generated, || unsafe { typed(ctx.arg::<*const u8>(2), offset!(task_tgid)) });
    0
}

/// Filter, fold, record.
#[inline(always)]
fn observe(ctx: &impl EbpfContext, generated: &Generated, target_tgid: impl Fn() -> Result<u32, Unreadable>) {
    if generated.signal == SIGCHLD {
        exit::stand_in(ctx.as_ptr());
    }
    let bit = 1u64 << (generated.signal.wrapping_sub(1) & 63);
    if (config!(record_mask) | config!(unhandled_mask)) & bit == 0 {
        return;
    }
    // What the kernel sends is nobody's.
    let current =
        if generated.info != SEND_SIG_PRIV { reach::count(generated.signal, bit) } else { null_mut() };
    let Ok(tgid) = target_tgid() else { return };
    let watched = targets::find(tgid);
    if watched.is_none() && config!(all) == 0 {
        return;
    }
    if config!(record_mask) & bit == 0 && has_handler(generated.task, generated.signal) {
        return;
    }
    let watched = match watched {
        Some(target) => target,
        None => match enrol(tgid, generated.task) {
            Some(target) => target,
            None => return,
        },
    };
    let code = code_of(generated.info);
    // Nobody can send another process a positive code (do_rt_sigqueueinfo, kernel/signal.c): it is the
    // kernel's own, and who was running has no part in it.
    let sender = if code <= SI_USER { running(current) } else { Sender::KERNEL };
    let key = FoldKey {
        sender_start_ns: sender.start_ns,
        sender: sender.ids,
        target_tgid: tgid,
        code,
        syscall: sender.syscall,
        signal: generated.signal as u8,
        result: generated.result as u8,
        group: generated.group as u8,
        reserved: 0,
    };
    // SAFETY: the helper takes nothing. The other clock, of which records tell, takes twice as long.
    let awake = unsafe { bpf_ktime_get_ns() };
    let mut flags = 0;
    let mut folded = 0;
    let known = FOLDS.get_ptr_mut(key);
    if let Some(value) = known {
        // SAFETY: a value of a preallocated map. Only the count is shared between CPUs.
        let value = unsafe { &mut *value };
        let since = awake.wrapping_sub(value.reported_awake_ns);
        if since < FOLD_WINDOW_NS {
            value.last_ns = value.reported_ns + since;
            // SAFETY: as above.
            unsafe { atomic::add(&raw mut value.folded, 1) };
            account(watched);
            return;
        }
    }
    // SAFETY: the helper takes nothing.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    match known {
        Some(value) => {
            // SAFETY: as above.
            let value = unsafe { &mut *value };
            value.last_ns = now;
            value.reported_ns = now;
            value.reported_awake_ns = awake;
            folded = value.folded;
        }
        None => {
            let value = FoldValue { reported_ns: now, reported_awake_ns: awake, last_ns: now, folded: 0 };
            if FOLDS.insert(key, value, 0).is_err() {
                flags |= signal_flags::NOT_FOLDED;
            }
        }
    }
    let Some(scratch) = SIGNAL_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the scratch record of this CPU and program.
    unsafe {
        let record = &raw mut (*scratch).record;
        (*record).fold = key;
        (*record).folded = folded;
        (*record).code = code;
        (*record).flags = flags;
        fill_in(ctx, generated, now, record);
        let len = core::mem::offset_of!(SignalRecord, cmdline) as u32
            + ((*record).cmdline_len & (2 * MAX_CMDLINE as u32 - 1)).min(MAX_CMDLINE as u32);
        emit::send(ctx, record.cast(), len);
    }
    // That took its time: it may be gone, and its entry another's.
    if let Some(target) = targets::find(tgid) {
        account(target);
    }
}

/// Counts a signal at a target, for the record of its end to say how many there were. Not before the signal's own record is
/// made: the target may be ending on another CPU, and a signal whose record comes after that end would count as lost.
#[inline(always)]
fn account(target: *mut Target) {
    // SAFETY: a value of a preallocated map; at worst a reused one is counted up.
    unsafe { atomic::add(&raw mut (*target).signals, 1) };
}

/// Makes the first signal at a process its beginning as a target of `--all`, so that its end is recorded too.
#[inline(always)]
fn enrol(tgid: u32, task: u64) -> Option<*mut Target> {
    let start_boot_ns = task::key_of(task).map_or(0, |key| key.start_boot_ns);
    let target = Target { start_boot_ns, signals: 0, flags: 0, reserved: 0 };
    targets::insert(tgid, &target);
    targets::find(tgid)
}

/// `si_code`, from the pointer or what stands for it.
#[inline(always)]
fn code_of(info: u64) -> i32 {
    if info > SEND_SIG_PRIV {
        field(info, SI_CODE).unwrap_or(SI_USER)
    } else if info == SEND_SIG_PRIV {
        SI_KERNEL
    } else {
        SI_USER
    }
}

/// True when the process has a function of its own for the signal.
#[inline(always)]
fn has_handler(task: u64, signal: u32) -> bool {
    let Ok(sighand) = pointer(task, offset!(task_sighand)) else { return false };
    let at = sighand + u64::from(signal.wrapping_sub(1) & 63) * u64::from(offset!(k_sigaction_size));
    field::<u64>(at, offset!(sighand_handler)).is_ok_and(|handler| handler > SIG_IGN)
}

/// Who sends, as far as it makes signals identical.
struct Sender {
    /// When the thread started.
    start_ns: u64,
    /// Process id in the upper half, thread id in the lower.
    ids: u64,
    /// Number of the system call that it is in.
    syscall: u32,
}

impl Sender {
    const KERNEL: Self = Self { start_ns: 0, ids: 0, syscall: 0 };
}

/// The running thread. It is needed for every signal at a target, so that it is read by plain loads where the kernel knows the
/// types: each call of a helper costs as much as ten of them. `current` is it, or null where nobody has asked yet.
#[inline(always)]
fn running(current: *mut task_struct) -> Sender {
    if have_task_pt_regs() {
        // SAFETY: the helpers return typed pointers to the running task and to its registers; the members are a `u64` and
        // three of at least the size of an `int`.
        return unsafe {
            let current = if current.is_null() { bpf_get_current_task_btf() } else { current };
            let task = current as *const u8;
            let tgid = typed::<u32>(task, offset!(task_tgid)).unwrap_or(0);
            let tid = typed::<u32>(task, offset!(task_pid)).unwrap_or(0);
            let regs = bpf_task_pt_regs(current) as *const u8;
            Sender {
                start_ns: typed(task, offset!(task_start)).unwrap_or(0),
                ids: u64::from(tgid) << 32 | u64::from(tid),
                syscall: typed(regs, offset!(regs_syscall)).unwrap_or(0),
            }
        };
    }
    // SAFETY: the helpers take nothing.
    let (current, ids) = unsafe { (bpf_get_current_task(), bpf_get_current_pid_tgid()) };
    Sender {
        start_ns: field(current, offset!(task_start)).unwrap_or(0),
        ids,
        syscall: field(registers::of_user(current), offset!(regs_syscall)).unwrap_or(0),
    }
}

/// Everything else of the record.
///
/// # Safety
///
/// `record` points to the scratch record.
#[inline(always)]
unsafe fn fill_in(ctx: &impl EbpfContext, generated: &Generated, now: u64, record: *mut SignalRecord) {
    // SAFETY: the caller vouches for the pointer, for all that follows.
    let record = unsafe { &mut *record };
    // SAFETY: the helper takes nothing and returns the address of the running task.
    let current = unsafe { bpf_get_current_task() };
    let regs = registers::of_user(current);
    // SAFETY: as above.
    unsafe { emit::begin(&raw mut record.header, Kind::Signal, Stream::Signal, now) };
    record.signal = generated.signal;
    record.group = generated.group;
    record.result = generated.result;

    if generated.info > SEND_SIG_PRIV {
        // SAFETY: as above.
        let copied =
            unsafe { bytes::<{ SIGINFO_WORDS * 8 }>(generated.info, 0, (&raw mut record.siginfo).cast()) };
        if copied.is_ok() {
            record.flags |= signal_flags::HAVE_SIGINFO;
        }
    }

    // SAFETY: as above.
    unsafe {
        task::describe(generated.task, &raw mut record.target);
        task::describe(current, &raw mut record.current);
    }

    record.syscall_nr = -1;
    if let Ok(number) = field::<i32>(regs, offset!(regs_syscall)) {
        record.flags |= signal_flags::HAVE_REGS;
        record.syscall_nr = i64::from(number);
        record.syscall_args[0] = field(regs, offset!(regs_arg0)).unwrap_or(0);
        record.syscall_args[1] = field(regs, offset!(regs_arg1)).unwrap_or(0);
        record.syscall_args[2] = field(regs, offset!(regs_arg2)).unwrap_or(0);
        record.syscall_args[3] = field(regs, offset!(regs_arg3)).unwrap_or(0);
        record.user_ip = field(regs, offset!(regs_ip)).unwrap_or(0);
        record.user_sp = field(regs, offset!(regs_sp)).unwrap_or(0);
    }

    record.outlet = Outlet::NONE;
    if generated.signal == SIGPIPE {
        // SAFETY: the destination is a field of the record.
        unsafe { outlet::describe(record.syscall_args[0] as u32, &raw mut record.outlet) };
    }

    if record.code > SI_USER
        && let Ok(trap) = field(generated.task, offset!(thread_trap))
        && let Ok(error) = field(generated.task, offset!(thread_error))
    {
        record.flags |= signal_flags::HAVE_TRAP;
        record.trap = trap;
        record.trap_error = error;
    }

    // SAFETY: the destination is a field of the record.
    let (count, complete) = unsafe { caller::ancestry(current, &raw mut record.ancestors) };
    record.ancestor_count = count;
    if complete {
        record.flags |= signal_flags::ANCESTRY_COMPLETE;
    }

    record.frame_count = 0;
    // SAFETY: the buffer is as large as is said.
    let got =
        unsafe { bpf_get_stack(ctx.as_ptr(), (&raw mut record.stack).cast(), (MAX_FRAMES * 8) as u32, 0) };
    if got > 0 {
        record.frame_count = got as u32 / 8;
    } else {
        record.flags |= signal_flags::STACK_FAULT;
    }

    record.cgroup_path_len = 0;
    if let Ok(node) = task::cgroup_of(current) {
        // SAFETY: the destination is a field of the record.
        let walk = unsafe { path::of_kernfs(node, &raw mut record.cgroup_path) };
        record.cgroup_path_len = walk.len;
        if walk.complete {
            record.flags |= signal_flags::CGROUP_COMPLETE;
        }
    }

    // SAFETY: the destination is a field of the record, with the room of `SignalScratch` behind it.
    let cmdline = unsafe { caller::command_line(current, &raw mut record.cmdline) };
    record.cmdline_len = cmdline.len;
    record.cmdline_full_len = cmdline.full_len;
    record.flags |= match cmdline.fault {
        None => 0,
        Some(Fault::Unreadable) => signal_flags::CMDLINE_FAULT,
        Some(Fault::NoMemory) => signal_flags::NO_MEMORY,
    };
}
