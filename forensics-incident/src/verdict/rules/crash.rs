use crate::model::{Cause, Intent, Mechanism, RuledOut, Signal, Verdict};
use crate::signals::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP};
use crate::text::span;

use super::super::case::{Case, verdict};
use super::super::evidence;
use super::super::fault;
use super::super::last_words::last_words;
use super::super::lineage::link;

/// The program failed: a processor exception, or `abort(3)`.
///
/// Evidence: a death by SEGV BUS ILL FPE TRAP that a fault path of the kernel raised (a failed `execve(2)` and
/// broken memory included), or by an ABRT that it sent itself. Must not match the same numbers sent by `kill(1)`, nor an ABRT from a watchdog.
pub(super) fn crash(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|_| case.was_killed())?;
    let name = case.target_name();
    let reason = reason(case, signal)?;
    let summary = format!("{name} crashed with {}{}: {reason}.", signal.signal, fault::place(signal));
    let mut verdict = verdict(Cause::Crash, Intent::Fault, case.confidence(), summary);
    if signal.mechanism != Mechanism::MemoryFailure {
        verdict.culprit = Some(case.target().clone());
    }
    verdict.chain = vec![link(name, "crashed with", signal.signal.clone())];
    verdict.evidence = facts(case, signal);
    verdict.evidence.extend(last_words(case));
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
        Mechanism::Fault if crashes => Some(fault::reason(signal)),
        Mechanism::ExecFailure => Some("execve(2) failed when its old program was already gone".to_owned()),
        Mechanism::MemoryFailure => Some("its memory has a hardware error".to_owned()),
        _ if signal.signal_num == SIGABRT && case.own_signal().is_some() => {
            Some("it called abort(), as a failed assertion or an unhandled error does".to_owned())
        }
        _ => None,
    }
}

fn facts(case: &Case<'_>, signal: &Signal) -> Vec<String> {
    let mut said = evidence::of_signal(case, signal);
    said.extend(fault::instruction(signal));
    if let Some(age) = case.age_s(signal.boot_ns) {
        said.push(format!("It had been running for {}.", span(age)));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, SiCode};
    use crate::sample::{exited, kill, killed, nginx, process, signal};
    use crate::verdict::{Show, judge};

    fn fault_of(number: u32, code: &str, address: Option<u64>) -> Signal {
        Signal {
            si_code: SiCode(code.to_owned()),
            fault_address: address,
            instruction_pointer: Some(0x4010),
            current: Some(nginx()),
            ..signal(100.0, number, Mechanism::Fault, None)
        }
    }

    #[test]
    fn faults() {
        for (number, code, address, words) in [
            (SIGSEGV, "SEGV_MAPERR", Some(8), "null pointer (address 0x8)"),
            (SIGSEGV, "SEGV_MAPERR", Some(0xdead_0000), "address 0xdead0000, where it has no memory"),
            (SIGSEGV, "SEGV_ACCERR", Some(0x1000), "does not permit"),
            (SIGSEGV, "SI_KERNEL", None, "memory that it may not use"),
            (SIGBUS, "BUS_ADRERR", Some(0x7000), "mapped file"),
            (SIGFPE, "FPE_INTDIV", None, "divided by zero"),
            (SIGILL, "ILL_ILLOPN", None, "instruction"),
            (SIGTRAP, "TRAP_BRKPT", None, "breakpoint"),
        ] {
            let facts = killed(nginx(), 100.0, number, vec![fault_of(number, code, address)]);
            let verdict = judge(&facts, Show::Cmdline);
            assert_eq!((verdict.cause, verdict.confidence), (Cause::Crash, Confidence::Certain));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!((verdict.intent, verdict.culprit), (Intent::Fault, Some(nginx())));
        }
    }

    #[test]
    fn abort() {
        let own = signal(100.0, SIGABRT, Mechanism::Tgkill, Some(nginx()));
        let mut facts = killed(nginx(), 100.0, SIGABRT, vec![own]);
        facts.outcome.core_dumped = true;
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::Crash);
        assert!(verdict.summary.contains("abort()"), "{}", verdict.summary);
        assert!(verdict.advice.unwrap().contains("coredumpctl info 812"));
    }

    #[test]
    fn a_handler_that_raises_the_fault_again_is_still_a_crash() {
        let again = signal(100.1, SIGSEGV, Mechanism::Tgkill, Some(nginx()));
        let facts = killed(nginx(), 100.1, SIGSEGV, vec![fault_of(SIGSEGV, "SEGV_MAPERR", Some(0)), again]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::Crash);
    }

    #[test]
    fn broken_memory_is_not_its_fault() {
        let sent = signal(100.0, SIGBUS, Mechanism::MemoryFailure, None);
        let verdict = judge(&killed(nginx(), 100.0, SIGBUS, vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Crash, None));
    }

    #[test]
    fn near_misses() {
        let killer = || process(5, "kill -SEGV 812");
        for number in [SIGSEGV, SIGABRT] {
            let sent =
                judge(&killed(nginx(), 100.0, number, vec![kill(100.0, number, killer())]), Show::Cmdline);
            assert_eq!(sent.cause, Cause::ExternalKill);
        }
        let raised = signal(100.0, SIGSEGV, Mechanism::Tgkill, Some(nginx()));
        let raised = judge(&killed(nginx(), 100.0, SIGSEGV, vec![raised]), Show::Cmdline);
        assert_eq!(raised.cause, Cause::SelfKill);
        let handled = fault_of(SIGSEGV, "SEGV_MAPERR", Some(0));
        assert_eq!(judge(&exited(nginx(), 101.0, 1, None, vec![handled]), Show::Cmdline).cause, Cause::Exit);
    }
}
