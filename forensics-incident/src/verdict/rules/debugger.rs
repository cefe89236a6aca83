use crate::model::{Cause, Confidence, Intent, Mechanism, Process, Signal, Verdict};
use crate::signals::{SIGKILL, name};

use super::super::case::{Case, verdict};
use super::super::kernel::{begin_with, explain, passed, raised};
use super::super::lineage::link;

/// A tracer ended it: `PTRACE_O_EXITKILL`, a kill by who had attached, or a signal that was injected.
///
/// Evidence: the kernel path, where the running process is the tracer only in its own calls and when it ends; the
/// attaching (a SIGSTOP of ptrace), which names the tracer. A tracer injects without any event, so that a silent death
/// after it had attached is likely its doing. Must not match a kill by anyone else while it was traced.
pub(super) fn debugger(case: &Case<'_>) -> Option<Verdict> {
    if let Some(signal) = raised(case, &[Mechanism::Ptrace]) {
        return Some(by_ptrace(case, signal));
    }
    let tracer = attached(case)?;
    match case.decisive {
        Some(signal) => by_kill(case, signal, tracer),
        None => injected(case, tracer),
    }
}

/// The kernel sent it on behalf of a tracer.
fn by_ptrace(case: &Case<'_>, signal: &Signal) -> Verdict {
    let ended = passed(signal, &["exit_ptrace"]);
    let tracer =
        signal.sender.as_ref().or(signal.current.as_ref().filter(|_| ended)).or_else(|| attached(case));
    let named = tracer.map_or_else(|| "which one is not known".to_owned(), |tracer| case.actor(tracer));
    let reason = match ended {
        true => format!(
            "its tracer, {named}, ended and had asked that its tracees end with it (PTRACE_O_EXITKILL)"
        ),
        false => format!("its tracer, {named}, ended it"),
    };
    let mut verdict = explain(case, signal, Cause::Debugger, Intent::Deliberate, &reason);
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

/// A death that no event announced, of a process to which somebody had attached.
fn injected(case: &Case<'_>, tracer: &Process) -> Option<Verdict> {
    let number = case.facts.outcome.signal_num.filter(|_| case.was_killed())?;
    let signal = name(number);
    let (target, named) = (case.target_name(), case.actor(tracer));
    let summary = format!(
        "{target} died of {signal}, and nobody was seen sending it: most likely its tracer, {named}, injected it."
    );
    let mut verdict = verdict(Cause::Debugger, Intent::Deliberate, Confidence::Likely, summary);
    verdict.culprit = Some(tracer.clone());
    verdict.chain = vec![link(case.brief(tracer), "attached to", target)];
    verdict.evidence = vec![
        format!("Its wait status says {signal}; no delivered {signal} was recorded."),
        format!(
            "Pid {} had attached to it by ptrace(2), and a tracer injects signals without any event.",
            tracer.pid
        ),
    ];
    Some(verdict)
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
    fn near_misses() {
        let other =
            killed(nginx(), 100.0, SIGKILL, vec![attach(), kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        assert_eq!(judge(&other, Show::Cmdline).cause, Cause::ExternalKill, "traced, but killed by another");
        let never_attached = judge(&killed(nginx(), 100.0, SIGTERM, Vec::new()), Show::Cmdline);
        assert_eq!(never_attached.cause, Cause::SilentKill);
    }
}
