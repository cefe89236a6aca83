use crate::model::{Cause, Intent, Mechanism, RuledOut, Signal, Verdict};
use crate::signals::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use crate::text::span;

use super::super::case::{Case, verdict};
use super::super::evidence;
use super::super::lineage::link;

/// Addresses below this are a null pointer with an offset (the kernel maps nothing there,
/// `vm.mmap_min_addr`).
const NULL_PAGE: u64 = 0x1000;

/// The program failed: a processor exception, or `abort(3)`.
///
/// Evidence: a death by SEGV BUS ILL FPE TRAP that a fault path of the kernel raised (a failed `execve(2)` and
/// broken memory included), or by an ABRT that it sent itself. Must not match the same numbers sent by `kill(1)`, nor an ABRT from a watchdog.
pub(super) fn crash(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|_| case.was_killed())?;
    let name = case.target_name();
    let reason = reason(case, signal)?;
    let summary = format!("{name} crashed with {}: {reason}.", signal.signal);
    let mut verdict = verdict(Cause::Crash, Intent::Fault, case.confidence(), summary);
    if signal.mechanism != Mechanism::MemoryFailure {
        verdict.culprit = Some(case.target().clone());
    }
    verdict.chain = vec![link(name, "crashed with", signal.signal.clone())];
    verdict.evidence = facts(case, signal);
    if signal.sender.is_none() {
        verdict.ruled_out.push(RuledOut {
            cause: Cause::ExternalKill,
            because: "no process sent the signal; the kernel raised it for what the program did".to_owned(),
        });
    }
    verdict.advice = Some(if case.facts.outcome.core_dumped {
        format!(
            "Read the core dump: `coredumpctl info {}`, or where kernel.core_pattern puts it.",
            case.target().pid
        )
    } else {
        "Let it dump a core next time: `ulimit -c unlimited`, or LimitCORE=infinity in its unit.".to_owned()
    });
    Some(verdict)
}

/// What went wrong, in words; none when the signal is no crash.
fn reason(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let crashes = matches!(signal.signal_num, SIGSEGV | SIGBUS | SIGILL | SIGFPE | SIGTRAP);
    match signal.mechanism {
        Mechanism::Fault if crashes => Some(fault(signal)),
        Mechanism::ExecFailure => Some("execve(2) failed when its old program was already gone".to_owned()),
        Mechanism::MemoryFailure => Some("its memory has a hardware error".to_owned()),
        _ if signal.signal_num == SIGABRT && case.own_signal().is_some() => {
            Some("it called abort(), as a failed assertion or an unhandled error does".to_owned())
        }
        _ => None,
    }
}

/// What a processor exception was about, by the `si_code` that the fault path of the kernel sets.
fn fault(signal: &Signal) -> String {
    let at = signal
        .fault_address
        .map_or_else(|| "an address".to_owned(), |address| format!("address {address:#x}"));
    let null = signal.fault_address.is_some_and(|address| address < NULL_PAGE);
    match signal.si_code.0.as_str() {
        "SEGV_MAPERR" if null => format!("it used a null pointer ({at})"),
        "SEGV_MAPERR" => format!("it used {at}, where it has no memory"),
        "SEGV_ACCERR" => format!("it used {at} in a way that the memory there does not permit"),
        "BUS_ADRERR" => {
            format!("it used {at} in a mapped file that has no data there (cut short, or unreadable)")
        }
        "BUS_ADRALN" => format!("it used {at}, which is not aligned"),
        "FPE_INTDIV" => "it divided by zero".to_owned(),
        _ => match signal.signal_num {
            SIGSEGV | SIGBUS => "it used memory that it may not use".to_owned(),
            SIGILL => "it reached an instruction that the processor does not have".to_owned(),
            SIGFPE => "its arithmetic failed".to_owned(),
            _ => "it ran into a breakpoint that no debugger handled".to_owned(),
        },
    }
}

fn facts(case: &Case<'_>, signal: &Signal) -> Vec<String> {
    let mut said = evidence::of_signal(case, signal);
    if let Some(pointer) = signal.instruction_pointer {
        said.push(format!("The instruction was at {pointer:#x}, in thread {}.", signal.target_tid));
    }
    if let Some(age) = case.age_s(signal.boot_ns) {
        said.push(format!("It had been running for {}.", span(age)));
    }
    said
}
