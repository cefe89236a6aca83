use crate::model::{Cause, Intent, Mechanism, Verdict};

use super::super::case::Case;
use super::super::kernel::{begin_with, explain, follow, raised, running};

/// The init of its pid namespace ended, and the kernel ended all others in it: the main process of a container.
///
/// Evidence: the kernel path; the running process is that init (`kernel/pid_namespace.c` `zap_pid_ns_processes()`).
/// Must not match an init that kills its processes before it ends.
pub(super) fn pid_namespace(case: &Case<'_>) -> Option<Verdict> {
    let signal = raised(case, &[Mechanism::PidNamespaceExit])?;
    let init = running(signal);
    let named = init.map_or_else(|| "which one is not known".to_owned(), |init| case.actor(init));
    let reason =
        format!("the init of its pid namespace, {named}, ended, and the kernel ended all others in it");
    let mut verdict = explain(case, signal, Cause::PidNamespaceExit, Intent::Automatic, &reason);
    if let Some(init) = init {
        begin_with(&mut verdict, case, init, "ended, the init of", "its pid namespace");
        verdict.advice = Some(format!("Find out why pid {} ended: watch that process too.", init.pid));
        follow(&mut verdict, case, signal, init);
    }
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{ignored, kill, killed, nginx, process};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn the_init_is_to_blame() {
        let facts = death(SIGKILL, Mechanism::PidNamespaceExit, &["zap_pid_ns_processes"], &somebody());
        let verdict = judged(&facts);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::PidNamespaceExit, Some(somebody())));
        assert!(verdict.summary.contains("the init of its pid namespace, `somebody"), "{}", verdict.summary);
        assert_eq!(verdict.chain.len(), 2);
    }

    #[test]
    fn who_killed_the_init_is_told() {
        let mut facts = death(SIGKILL, Mechanism::PidNamespaceExit, &["zap_pid_ns_processes"], &somebody());
        let killer = || process(5, "kill -9 77");
        facts.signals[0].relayed = Some(Box::new(kill(99.899, SIGKILL, killer())));
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.culprit, Some(somebody()));
        assert!(
            verdict
                .summary
                .ends_with("; `kill -9 77` (pid 5, user id 1000) had sent SIGKILL to it just before."),
            "{}",
            verdict.summary
        );
        assert_eq!(verdict.chain[0].actor, "`kill -9 77` (pid 5)");
        assert_eq!(verdict.chain.len(), 3);
        // What it ignored did not end it.
        facts.signals[0].relayed = Some(Box::new(ignored(kill(99.899, SIGTERM, killer()))));
        assert_eq!(judge(&facts, Show::Cmdline).chain.len(), 2);
    }

    #[test]
    fn an_init_that_kills_is_a_sender() {
        let facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, somebody())]);
        assert_ne!(judge(&facts, Show::Cmdline).cause, Cause::PidNamespaceExit);
    }
}
