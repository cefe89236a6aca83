use crate::model::{Cause, Intent, Mechanism, Verdict};

use super::super::case::Case;
use super::super::kernel::{explain, raised};

/// The default action of a signal that it brought on itself: a timer that it set, a pipe that nobody reads, I/O about
/// which it asked for signals.
///
/// Evidence: the kernel path. Whoever was interrupted by the timer, or wrote to the file, is a bystander. Must not
/// match the same signals when somebody sent them.
pub(super) fn own_doing(case: &Case<'_>) -> Option<Verdict> {
    use Mechanism as M;
    let signal = raised(case, &[M::Timer, M::BrokenPipe, M::AsyncIo])?;
    let (cause, intent, reason, advice) = match signal.mechanism {
        M::Timer => (
            Cause::Timer,
            Intent::Automatic,
            "a timer that it had set for itself ran out, and it has no handler for that",
            "Look for alarm(2), setitimer(2) or timer_create(2) in it, or in what started it: timers outlive execve(2).",
        ),
        M::BrokenPipe => (
            Cause::BrokenPipe,
            Intent::Fault,
            "it wrote to a pipe or socket that nobody reads any more",
            "Ignore SIGPIPE and handle EPIPE, or find out why the reader ended first.",
        ),
        _ => (
            Cause::AsyncIo,
            Intent::Fault,
            "it had asked for signals about a file or socket, and has no handler for them",
            "Install a handler before O_ASYNC or F_NOTIFY is set.",
        ),
    };
    let reason = match case.was_killed() {
        true => reason.to_owned(),
        false => reason
            .replace(", and it has no handler for that", "")
            .replace(", and has no handler for them", ""),
    };
    let mut verdict = explain(case, signal, cause, intent, &reason);
    verdict.culprit = Some(case.target().clone());
    verdict.advice = case.was_killed().then(|| advice.to_owned());
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{kill, killed, nginx};
    use crate::signals::{SIGALRM, SIGIO, SIGPIPE};
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn it_brought_it_on_itself() {
        use Mechanism as M;
        for (number, mechanism, cause) in [
            (SIGALRM, M::Timer, Cause::Timer),
            (SIGPIPE, M::BrokenPipe, Cause::BrokenPipe),
            (SIGIO, M::AsyncIo, Cause::AsyncIo),
        ] {
            let verdict = judged(&death(number, mechanism, &[], &somebody()));
            assert_eq!((verdict.cause, verdict.culprit.as_ref()), (cause, Some(&nginx())));
            assert!(!format!("{verdict:?}").contains("--running"), "{verdict:?}");
            let sent = killed(nginx(), 100.0, number, vec![kill(99.9, number, somebody())]);
            assert_eq!(judge(&sent, Show::Cmdline).cause, Cause::ExternalKill);
        }
    }
}
