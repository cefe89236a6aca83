use crate::attribution::arrived;
use crate::model::{Cause, Confidence, Intent, SendResult, Verdict};
use crate::signals::name;

use super::super::case::{Case, verdict};
use super::super::evidence;

/// It died of a signal that no event announced.
///
/// Evidence: the wait status names a signal of which no delivered event was seen. Five deaths are silent
/// by the kernel's design (seccomp strict mode and kill-thread, a tracer's injection, an oops); besides,
/// the record may be lost, or the signal older than the watch. Must not match when the signal was seen.
pub(super) fn silent_kill(case: &Case<'_>) -> Option<Verdict> {
    let number = case.facts.outcome.signal_num.filter(|_| case.was_killed() && case.decisive.is_none())?;
    let signal = name(number);
    let mut same = case.facts.signals.iter().filter(|seen| seen.signal_num == number && !arrived(seen));
    let pending = same.clone().any(|seen| seen.result == SendResult::AlreadyPending);
    let (confidence, guess) = guess(case, pending);
    let summary =
        format!("{} died of {signal}, and nobody was seen sending it: {guess}.", case.target_name());
    let mut verdict = verdict(Cause::SilentKill, Intent::Unknown, confidence, summary);
    verdict.evidence.push(format!("Its wait status says {signal}; no delivered {signal} was recorded."));
    if let Some(stack) = evidence::innermost(&case.facts.outcome.kernel_stack) {
        verdict.evidence.push(format!("It ended in the kernel at {stack}."));
    }
    if let Some(seen) = same.next() {
        let who = seen.sender.as_ref().map_or_else(|| "the kernel".to_owned(), |sender| case.actor(sender));
        verdict.evidence.push(format!("One {signal} from {who} was seen {}.", evidence::fate(seen)));
    }
    verdict.advice = Some(
        "The kernel log says more: look for `audit: type=1326` (seccomp), `Oops`, and `ptrace`.".to_owned(),
    );
    Some(verdict)
}

/// The explanation that fits what was seen. Frame names are those of `kernel/seccomp.c`, `kernel/exit.c`
/// and `kernel/signal.c`.
fn guess(case: &Case<'_>, pending: bool) -> (Confidence, &'static str) {
    let passed = |names: &[&str]| {
        let stack = &case.facts.outcome.kernel_stack;
        stack.iter().any(|frame| names.iter().any(|name| frame.starts_with(name)))
    };
    let traced = case.facts.context.as_ref().is_some_and(|context| context.tracer_pid.unwrap_or(0) != 0);
    if passed(&["__secure_computing", "__seccomp_filter", "seccomp_"]) {
        (Confidence::Likely, "its kernel stack says that seccomp ended it for a forbidden system call")
    } else if passed(&["make_task_dead", "oops_end", "rewind_stack_and_make_dead"]) {
        (Confidence::Likely, "its kernel stack says that the kernel itself failed (an oops) on its behalf")
    } else if passed(&["ptrace_stop", "ptrace_signal"]) || traced {
        (Confidence::Likely, "it was being traced, and a tracer can inject a signal without any event")
    } else if case.facts.lost.records > 0 {
        (Confidence::Possible, "records of signals at it were lost, this one may be among them")
    } else if pending {
        (Confidence::Possible, "one was already pending before the watch began")
    } else {
        (
            Confidence::Possible,
            "a tracer's injection, or a signal from before the watch began, would look like this",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Context, Signal};
    use crate::sample::{ignored, kill, killed, nginx, process};
    use crate::verdict::{Show, judge};

    #[test]
    fn what_fits() {
        for (frame, words, confidence) in [
            ("__secure_computing_strict", "seccomp", Confidence::Likely),
            ("__seccomp_filter", "seccomp", Confidence::Likely),
            ("make_task_dead", "oops", Confidence::Likely),
            ("ptrace_stop.part.0", "traced", Confidence::Likely),
            ("get_signal", "would look like this", Confidence::Possible),
        ] {
            let mut facts = killed(nginx(), 100.0, 9, Vec::new());
            facts.outcome.kernel_stack = vec!["do_exit".to_owned(), frame.to_owned()];
            let verdict = judge(&facts, Show::Cmdline);
            assert_eq!((verdict.cause, verdict.culprit), (Cause::SilentKill, None));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!(verdict.confidence, confidence, "{frame}");
        }
    }

    #[test]
    fn a_tracer_and_lost_records_fit_too() {
        let mut facts = killed(nginx(), 100.0, 9, Vec::new());
        facts.context = Some(Context { tracer_pid: Some(77), ..Context::default() });
        let verdict = judge(&facts, Show::Cmdline);
        assert!(verdict.summary.contains("inject"), "{}", verdict.summary);
        assert!(verdict.evidence.contains(&"It was being traced by (pid 77).".to_owned()));
        facts.context = None;
        facts.lost.records = 3;
        assert!(judge(&facts, Show::Cmdline).summary.contains("records of signals at it were lost"));
    }

    #[test]
    fn a_signal_that_did_not_arrive_announces_nothing() {
        let killer = || process(5, "kill -9 812");
        let facts = killed(nginx(), 100.0, 9, vec![ignored(kill(99.0, 9, killer()))]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::SilentKill);
        assert!(verdict.evidence.iter().any(|said| said.contains("was seen and was ignored")));
        let pending = Signal { result: SendResult::AlreadyPending, ..kill(99.0, 9, killer()) };
        let verdict = judge(&killed(nginx(), 100.0, 9, vec![pending]), Show::Cmdline);
        assert!(verdict.summary.contains("already pending"), "{}", verdict.summary);
        let another = judge(&killed(nginx(), 100.0, 9, vec![kill(99.0, 15, killer())]), Show::Cmdline);
        assert_eq!(another.cause, Cause::SilentKill);
    }

    #[test]
    fn an_announced_death_is_not_silent() {
        let facts = killed(nginx(), 100.0, 9, vec![kill(99.0, 9, process(5, "kill -9 812"))]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
