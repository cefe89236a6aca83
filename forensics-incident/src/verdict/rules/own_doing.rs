use crate::model::{Cause, Intent, Mechanism, Signal, Verdict};

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
            "a timer that it had set for itself ran out, and it has no handler for that".to_owned(),
            "Look for alarm(2), setitimer(2) or timer_create(2) in it, or in what started it: timers outlive execve(2).",
        ),
        M::BrokenPipe => (
            Cause::BrokenPipe,
            Intent::Fault,
            format!("it wrote to {} that nobody reads any more", outlet(case, signal)),
            "Ignore SIGPIPE and handle EPIPE, or find out why the reader ended first.",
        ),
        _ => (
            Cause::AsyncIo,
            Intent::Fault,
            "it had asked for signals about a file or socket, and has no handler for them".to_owned(),
            "Install a handler before O_ASYNC or F_NOTIFY is set.",
        ),
    };
    let reason = match case.was_killed() {
        true => reason,
        false => reason
            .replace(", and it has no handler for that", "")
            .replace(", and has no handler for them", ""),
    };
    let mut verdict = explain(case, signal, cause, intent, &reason);
    verdict.culprit = Some(case.target().clone());
    verdict.advice = case.was_killed().then(|| advice.to_owned());
    Some(verdict)
}

/// What it wrote to.
fn outlet(case: &Case<'_>, signal: &Signal) -> String {
    match &signal.outlet {
        Some(outlet) => outlet.name(|process| case.actor(process)),
        None => "a pipe or socket".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Outlet, OutletKind};
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
    #[test]
    fn what_it_wrote_to() {
        let outlet = |descriptor, kind| Outlet { descriptor, kind, peer: None, address: None };
        for (outlet, words) in [
            (
                outlet(1, OutletKind::Pipe),
                "it wrote to its standard output, a pipe that nobody reads any more",
            ),
            (
                Outlet { peer: Some(somebody()), ..outlet(5, OutletKind::Unix) },
                "it wrote to descriptor 5, a socket to `somebody --running` (pid 77, user id 1000) that nobody reads any more",
            ),
            (
                Outlet { address: Some("192.0.2.1:443".to_owned()), ..outlet(7, OutletKind::Inet) },
                "it wrote to descriptor 7, a connection to 192.0.2.1:443 that nobody reads any more",
            ),
        ] {
            let mut facts = death(SIGPIPE, Mechanism::BrokenPipe, &[], &somebody());
            facts.signals[0].outlet = Some(outlet);
            let verdict = judged(&facts);
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!(verdict.culprit, Some(nginx()));
        }
    }
}
