//! Kernel records become what the assembly takes in: stacks get names, processes get their command lines, and
//! whoever happened to be running is told from whoever sent the signal.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
};

use aya::maps::{HashMap as BpfHashMap, MapData};
use forensics_common::{FoldKey, FoldValue, OutletKind as WrittenTo, TaskInfo, signal_flags};
use forensics_incident::{
    assembly::{ExitRecord, Fold, SignalRecord},
    model::{Mechanism, Missing, Outlet, OutletKind, Process, ProcessKey, Scope, SendResult, SiCode, Signal},
    signals,
};

use super::{faults, processes::Processes, symbols::Symbols};
use crate::host::syscalls;
use crate::kernel::{
    mechanism::{self, Classification, Current},
    records::{self, ExitEvent, SignalEvent},
};

/// System calls that write to their first argument.
const WRITES: [&str; 6] = ["write", "writev", "pwritev2", "sendto", "sendmsg", "sendmmsg"];
/// Kinds of identical signals that are followed for one target.
const MAX_FOLDS: usize = 512;

/// Offset of `si_pid` in `siginfo`, of `si_addr` too (`include/uapi/asm-generic/siginfo.h`).
const SI_FIELDS_WORD: usize = 2;

/// Turns kernel records into inputs of the assembly.
pub(super) struct Enricher {
    /// Who processes are.
    pub(super) processes: Processes,
    symbols: Symbols,
    folds: BpfHashMap<MapData, FoldKey, FoldValue>,
    /// What of the kernel's counts was accounted for, by target.
    counted: HashMap<u32, HashMap<FoldKey, u64>>,
    unix_minus_boot_s: f64,
}

impl Enricher {
    /// Takes the sources of evidence.
    pub(super) fn new(
        processes: Processes,
        symbols: Symbols,
        folds: BpfHashMap<MapData, FoldKey, FoldValue>,
        unix_minus_boot_s: f64,
    ) -> Self {
        Self { processes, symbols, folds, counted: HashMap::new(), unix_minus_boot_s }
    }

    /// A signal. `known` is the target as it was known before.
    pub(super) fn signal(&mut self, event: &SignalEvent, known: Option<&Process>) -> SignalRecord {
        let mut missing = Vec::new();
        let (classification, stack) = self.classify(&event.stack, event.signal);
        let Classification { mechanism, syscall, current: role, .. } = classification;
        let sent = role == Current::Sender;
        if event.flags & signal_flags::STACK_FAULT != 0 {
            missing.push(absent("kernel_stack", "the kernel gave no stack"));
        } else if self.symbols.are_hidden() {
            missing.push(absent("mechanism", "the kernel does not tell the names of its functions"));
        }

        let role = if sent { "sender" } else { "current" };
        let mut running = self.processes.of_task(
            &event.current,
            event.cmdline.as_ref(),
            event.cgroup.as_deref(),
            &mut missing,
            role,
        );
        running.ancestors = self.processes.ancestors(running.key(), &event.ancestors);
        if event.flags & signal_flags::CMDLINE_FAULT != 0 && running.argv.is_none() {
            missing.push(absent(&format!("{role}.argv"), "its memory was not resident"));
        }
        let claimed_pid = claimed_pid(event);
        let (sender, current) = if sent { (Some(running), None) } else { (None, Some(running)) };

        // Registers of another system call are none of this one: those of a 32-bit caller, or read at a wrong place.
        let is_it = |number: i64| {
            u32::try_from(number).ok().map(|number| syscalls::name(syscalls::NATIVE, number)) == syscall
        };
        let args =
            event.syscall.filter(|(number, _)| syscall.is_some() && is_it(*number)).map(|(_, args)| {
                // A system call takes the lower half of an `int` argument and leaves the rest undefined.
                args.iter()
                    .take(argument_count(syscall.as_deref()))
                    .map(|&arg| i64::from(arg as i32))
                    .collect::<Vec<_>>()
            });
        let args = args.filter(|args| !args.is_empty());
        let is_fault = faults::is_fault(event);
        let signal = Signal {
            ts: self.unix(event.boot_ns),
            boot_ns: event.boot_ns,
            signal: signals::name(event.signal),
            signal_num: event.signal,
            si_code: SiCode(si_code_name(event.signal, event.code)),
            mechanism,
            scope: if event.group { Scope::Process } else { Scope::Thread },
            target_tid: event.target.tid,
            result: send_result(event.result),
            syscall,
            syscall_args: args,
            sender,
            current,
            kernel_stack: stack,
            fault_address: event
                .siginfo
                .filter(|_| is_fault)
                .and_then(|info| info.get(SI_FIELDS_WORD).copied()),
            fault_access: faults::access(event),
            instruction_pointer: event.user_ip.filter(|_| is_fault),
            stack_pointer: event.user_sp.filter(|_| is_fault),
            code_location: None,
            forbidden_syscall: event.siginfo.and_then(|info| forbidden_syscall(event, &info)),
            outlet: None,
            claimed_pid,
            relayed: None,
            repeated: 0,
            last_boot_ns: None,
        };
        let signal = Signal { outlet: self.outlet(event, &signal), ..signal };
        let target = known.cloned().unwrap_or_else(|| self.target_of(&event.target));
        let counted = self.counted.entry(event.target.tgid).or_default();
        let before = if counted.len() < MAX_FOLDS || counted.contains_key(&event.fold) {
            counted.insert(event.fold, event.folded).unwrap_or(0)
        } else {
            0
        };
        SignalRecord {
            target,
            fold_id: fold_id(&event.fold),
            // A smaller count than before is that of a new entry: the old one was evicted.
            folded_before: event.folded.checked_sub(before).unwrap_or(event.folded),
            signal,
            missing,
        }
    }

    /// What the target wrote to, when nobody read it.
    fn outlet(&mut self, event: &SignalEvent, signal: &Signal) -> Option<Outlet> {
        let outlet = event.outlet.filter(|_| signal.mechanism == Mechanism::BrokenPipe)?;
        // Only of a call whose first argument is the descriptor, and whose registers are those of this kind of process.
        let number = event.syscall.and_then(|(number, _)| u32::try_from(number).ok())?;
        let name = signal.syscall.as_deref().filter(|name| WRITES.contains(name))?;
        if syscalls::name(syscalls::NATIVE, number) != name {
            return None;
        }
        let peer = Some(outlet.peer_pid).filter(|&pid| pid != 0 && pid != event.target.tgid);
        let port = u16::from_be(outlet.port);
        let (kind, address) = match WrittenTo::of(outlet.kind)? {
            WrittenTo::Pipe => (OutletKind::Pipe, None),
            WrittenTo::Unix => (OutletKind::Unix, None),
            WrittenTo::Inet => {
                let [a, b, c, d, ..] = outlet.address;
                (OutletKind::Inet, Some(SocketAddr::from(([a, b, c, d], port))))
            }
            WrittenTo::Inet6 => (OutletKind::Inet, Some(SocketAddr::from((outlet.address, port)))),
        };
        let address = address.filter(|address| !address.ip().is_unspecified());
        Some(Outlet {
            descriptor: outlet.descriptor,
            kind,
            peer: peer.and_then(|pid| self.processes.by_pid(pid)),
            address: address.map(|address| address.to_string()),
        })
    }

    /// What a kernel stack tells, and its frames that have to do with the record.
    fn classify(&mut self, addresses: &[u64], signal: u32) -> (Classification, Vec<String>) {
        let mut symbols = self.symbols.names(addresses);
        let classification = mechanism::classify(&symbols, signal);
        symbols.truncate(classification.frames.end);
        symbols.drain(..classification.frames.start.min(symbols.len()));
        (classification, symbols)
    }

    /// The end of a target. The counts of its signals are read and given back.
    pub(super) fn exit(&mut self, event: &ExitEvent) -> ExitRecord {
        let (_, kernel_stack) = self.classify(&event.stack, 0);
        ExitRecord {
            target: ProcessKey { pid: event.task.tgid, start_boot_ns: event.task.start_boot_ns },
            boot_ns: event.boot_ns,
            wait_status: event.wait_status.unwrap_or(0),
            tid: event.task.tid,
            tracer: Some(event.task.tracer)
                .filter(|&pid| pid != 0)
                .and_then(|pid| self.processes.by_pid(pid)),
            thread: records::text(&event.task.comm),
            caller: event.caller.clone(),
            kernel_stack,
            signals_seen: event.signals,
            folds: self.take_folds(event.task.tgid),
        }
    }

    /// What was counted for a target and not reported; its entries are removed.
    fn take_folds(&mut self, tgid: u32) -> Vec<Fold> {
        let mut folds = Vec::new();
        for (key, before) in self.counted.remove(&tgid).unwrap_or_default() {
            if let Ok(value) = self.folds.get(&key, 0) {
                let count = value.folded.checked_sub(before).unwrap_or(value.folded);
                if count > 0 {
                    folds.push(Fold { fold_id: fold_id(&key), count, last_boot_ns: value.last_ns });
                }
            }
            let _ = self.folds.remove(&key);
        }
        folds
    }

    /// Lets go of a target whose end was not recorded.
    pub(super) fn forget(&mut self, tgid: u32) {
        self.take_folds(tgid);
    }

    /// A target that was not known before its first record.
    pub(super) fn target_of(&mut self, info: &TaskInfo) -> Process {
        let mut process = self.processes.of_task(info, None, None, &mut Vec::new(), "target");
        process.tid = None;
        Processes::locate(&mut process, info);
        process.ancestors = self.processes.ancestors(process.key(), &[]);
        process
    }

    fn unix(&self, boot_ns: u64) -> f64 {
        boot_ns as f64 / 1e9 + self.unix_minus_boot_s
    }
}

fn absent(field: &str, why: &str) -> Missing {
    Missing { field: field.to_owned(), why: why.to_owned() }
}

/// Identical signals of one target share this number.
fn fold_id(key: &FoldKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// The pid that the sender claims, when that is not its own: `rt_sigqueueinfo(2)` lets it write any.
fn claimed_pid(event: &SignalEvent) -> Option<u32> {
    // SI_USER, SI_QUEUE, SI_TKILL and what else is negative carry `si_pid`; timers and SIGIO do not.
    if !matches!(event.code, 0 | -1 | -6) {
        return None;
    }
    let claimed = (*event.siginfo?.get(SI_FIELDS_WORD)? & 0xffff_ffff) as u32;
    // The kernel fills in the sender's pid as the target's namespace sees it, 0 when it does not.
    let own = [event.current.tgid, event.current.ns_tgid, 0];
    (!own.contains(&claimed)).then_some(claimed)
}

/// The system call that a seccomp filter trapped: `si_syscall` and `si_arch` stand in one word behind `si_call_addr`.
fn forbidden_syscall(event: &SignalEvent, info: &[u64]) -> Option<String> {
    /// `SYS_SECCOMP` of `include/uapi/asm-generic/siginfo.h`.
    const SYS_SECCOMP: i32 = 1;
    let word = *info.get(SI_FIELDS_WORD + 1)?;
    let trapped = event.signal == signals::SIGSYS && event.code == SYS_SECCOMP;
    trapped.then(|| syscalls::name((word >> 32) as u32, word as u32))
}

/// How many arguments of a system call mean something.
fn argument_count(syscall: Option<&str>) -> usize {
    match syscall {
        Some("kill" | "tkill" | "rt_sigqueueinfo" | "pidfd_send_signal") => 2,
        Some("tgkill" | "rt_tgsigqueueinfo") => 3,
        _ => 0,
    }
}

/// `TRACE_SIGNAL_*` of `include/trace/events/signal.h`.
fn send_result(result: u32) -> SendResult {
    match result {
        0 => SendResult::Delivered,
        1 => SendResult::Ignored,
        2 => SendResult::AlreadyPending,
        3 => SendResult::Overflow,
        _ => SendResult::LostInfo,
    }
}

/// Names of `include/uapi/asm-generic/siginfo.h`.
fn si_code_name(signal: u32, code: i32) -> String {
    let name = match (signal, code) {
        (_, 0) => "SI_USER",
        (_, 0x80) => "SI_KERNEL",
        (_, -1) => "SI_QUEUE",
        (_, -2) => "SI_TIMER",
        (_, -3) => "SI_MESGQ",
        (_, -4) => "SI_ASYNCIO",
        (_, -5) => "SI_SIGIO",
        (_, -6) => "SI_TKILL",
        (_, -7) => "SI_DETHREAD",
        (_, -60) => "SI_ASYNCNL",
        (signals::SIGSEGV, 1) => "SEGV_MAPERR",
        (signals::SIGSEGV, 2) => "SEGV_ACCERR",
        (signals::SIGSEGV, 3) => "SEGV_BNDERR",
        (signals::SIGSEGV, 4) => "SEGV_PKUERR",
        (signals::SIGBUS, 1) => "BUS_ADRALN",
        (signals::SIGBUS, 2) => "BUS_ADRERR",
        (signals::SIGBUS, 3) => "BUS_OBJERR",
        (signals::SIGBUS, 4) => "BUS_MCEERR_AR",
        (signals::SIGBUS, 5) => "BUS_MCEERR_AO",
        (signals::SIGILL, 1) => "ILL_ILLOPC",
        (signals::SIGILL, 2) => "ILL_ILLOPN",
        (signals::SIGFPE, 1) => "FPE_INTDIV",
        (signals::SIGFPE, 2) => "FPE_INTOVF",
        (signals::SIGTRAP, 1) => "TRAP_BRKPT",
        (signals::SIGTRAP, 2) => "TRAP_TRACE",
        (signals::SIGSYS, 1) => "SYS_SECCOMP",
        (_, code) => return format!("si_code {code}"),
    };
    name.to_owned()
}
