use crate::model::{Cause, Confidence, Intent, Mechanism, Process, Signal, Verdict};
use crate::signals::{SIGKILL, name};

use super::super::case::{Case, verdict};
use super::super::kernel::{begin_with, explain, passed, raised};
use super::super::lineage::link;

/// A tracer ended it: `PTRACE_O_EXITKILL`, a kill by who had attached, or a signal that was injected.
///
/// Evidence: the kernel path, where the running process is the tracer only in its own calls and when it ends; who traced
/// it at its end; the attaching (a SIGSTOP of ptrace), which names the tracer. A tracer injects without any event, so that a
/// silent death of a process that was traced is likely its doing, provided that no record was lost. Must not match a kill by
/// anyone else while it was traced.
pub(super) fn debugger(case: &Case<'_>) -> Option<Verdict> {
    if let Some(signal) = raised(case, &[Mechanism::Ptrace]) {
        return Some(by_ptrace(case, signal));
    }
    match case.decisive {
        Some(signal) => by_kill(case, signal, attached(case)?),
        None => injected(case),
    }
}

/// The kernel sent it on behalf of a tracer.
fn by_ptrace(case: &Case<'_>, signal: &Signal) -> Verdict {
    let ended = passed(signal, &["exit_ptrace"]);
    let tracer =
        signal.sender.as_ref().or(signal.current.as_ref().filter(|_| ended)).or_else(|| tracer(case));
    let named = tracer.map_or_else(|| "which one is not known".to_owned(), |tracer| case.actor(tracer));
    let reason = match ended {
        true => format!(
            "its tracer, {named}, ended and had asked that its tracees end with it (PTRACE_O_EXITKILL)"
        ),
        false => format!("its tracer, {named}, ended it"),
    };
    let mut verdict = explain(case, signal, Cause::Debugger, Intent::Deliberate, &reason);
    verdict.evidence.extend(traced_by(case));
    if let Some(tracer) = tracer {
        begin_with(
            &mut verdict,
            case,
            tracer,
            if ended { "ended, the tracer of" } else { "traced" },
            &case.target_name(),
        );
    }
    verdict
}

/// Who attached and then killed, as `kill` of gdb does.
fn by_kill(case: &Case<'_>, signal: &Signal, tracer: &Process) -> Option<Verdict> {
    let killed = case.was_killed() && signal.signal_num == SIGKILL && signal.mechanism.is_user_sent();
    signal.sender.as_ref().filter(|sender| killed && sender.is(tracer))?;
    let named = case.actor(tracer);
    let reason = format!("{named}, which had attached to it as a debugger does, killed it");
    let mut verdict = explain(case, signal, Cause::Debugger, Intent::Deliberate, &reason);
    verdict.culprit = Some(tracer.clone());
    verdict.chain = vec![
        link(case.brief(tracer), "attached to", case.target_name()),
        link(case.brief(tracer), &format!("sent {} to", signal.signal), case.target_name()),
    ];
    Some(verdict)
}

/// A death that no event announced, of a process that somebody traced.
fn injected(case: &Case<'_>) -> Option<Verdict> {
    let number =
        case.facts.outcome.signal_num.filter(|_| case.was_killed() && case.facts.lost.records == 0)?;
    let tracer = tracer(case)?;
    let signal = name(number);
    let (target, named) = (case.target_name(), case.actor(tracer));
    let summary = format!(
        "{target} died of {signal}, and nobody was seen sending it: most likely its tracer, {named}, injected it."
    );
    let mut verdict = verdict(Cause::Debugger, Intent::Deliberate, Confidence::Likely, summary);
    verdict.culprit = Some(tracer.clone());
    verdict.chain = vec![link(case.brief(tracer), "attached to", target)];
    verdict.evidence = vec![format!("Its wait status says {signal}; no delivered {signal} was recorded.")];
    verdict.evidence.extend(traced_by(case));
    verdict.evidence.push("A tracer injects signals without any event.".to_owned());
    Some(verdict)
}

/// Who traced it at its end, else who had attached last.
fn tracer<'a>(case: &Case<'a>) -> Option<&'a Process> {
    case.facts.outcome.tracer.as_ref().or_else(|| attached(case))
}

/// How that is known.
fn traced_by(case: &Case<'_>) -> Vec<String> {
    let at_its_end = case.facts.outcome.tracer.as_ref();
    let at_its_end = at_its_end.map(|tracer| format!("Pid {} traced it when it ended.", tracer.pid));
    let before = attached(case).map(|tracer| format!("Pid {} had attached to it by ptrace(2).", tracer.pid));
    before.into_iter().chain(at_its_end).collect()
}

/// Who attached last: `PTRACE_ATTACH` stops the target with a SIGSTOP (`kernel/ptrace.c` `ptrace_attach()`).
fn attached<'a>(case: &Case<'a>) -> Option<&'a Process> {
    let mut signals = case.facts.signals.iter().rev();
    let attach = signals.find(|signal| signal.mechanism == Mechanism::Ptrace && signal.sender.is_some())?;
    attach.sender.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{kill, killed, nginx, process, signal};
    use crate::signals::{SIGSTOP, SIGTERM};
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    fn gdb() -> Process {
        process(77, "gdb -p 812")
    }

    fn attach() -> Signal {
        signal(90.0, SIGSTOP, Mechanism::Ptrace, Some(gdb()))
    }

    #[test]
    fn a_tracer_that_ends() {
        let verdict = judged(&death(SIGKILL, Mechanism::Ptrace, &["exit_ptrace", "do_exit"], &somebody()));
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Debugger, Some(somebody())));
        assert!(verdict.summary.contains("EXITKILL"), "{}", verdict.summary);
    }

    #[test]
    fn the_tracee_itself_is_no_tracer() {
        let verdict = judged(&death(SIGKILL, Mechanism::Ptrace, &["ptrace_event"], &nginx()));
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Debugger, None));
    }

    #[test]
    fn a_kill_by_who_attached() {
        let facts = killed(nginx(), 100.0, SIGKILL, vec![attach(), kill(99.9, SIGKILL, gdb())]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Debugger, Some(gdb())));
    }

    #[test]
    fn an_injection_is_likely_at_most() {
        let verdict = judge(&killed(nginx(), 100.0, SIGTERM, vec![attach()]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Debugger, Confidence::Likely));
        assert_eq!(verdict.culprit, Some(gdb()));
    }

    #[test]
    fn who_traced_it_at_its_end() {
        let mut facts = death(SIGTERM, Mechanism::Ptrace, &["ptrace_report_syscall"], &nginx());
        facts.outcome.tracer = Some(gdb());
        let verdict = judged(&facts);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Debugger, Some(gdb())));
        assert!(verdict.evidence.contains(&"Pid 77 traced it when it ended.".to_owned()));
        // No event, and nobody was seen attaching: PTRACE_SEIZE sends no signal.
        let mut facts = killed(nginx(), 100.0, SIGTERM, Vec::new());
        facts.outcome.tracer = Some(gdb());
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Debugger, Confidence::Likely));
        assert_eq!(verdict.culprit, Some(gdb()));
        facts.lost.records = 1;
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::SilentKill);
        // Somebody looked on.
        let mut facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        facts.outcome.tracer = Some(gdb());
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }

    #[test]
    fn near_misses() {
        let other =
            killed(nginx(), 100.0, SIGKILL, vec![attach(), kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        assert_eq!(judge(&other, Show::Cmdline).cause, Cause::ExternalKill, "traced, but killed by another");
        let never_attached = judge(&killed(nginx(), 100.0, SIGTERM, Vec::new()), Show::Cmdline);
        assert_eq!(never_attached.cause, Cause::SilentKill);
    }
}
