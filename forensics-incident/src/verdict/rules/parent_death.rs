use crate::model::{Cause, Intent, Mechanism, Verdict};

use super::super::case::Case;
use super::super::kernel::{begin_with, explain, follow, passed, raised, running};

/// Its parent ended, and it had asked for a signal then (`PR_SET_PDEATHSIG`).
///
/// Evidence: the kernel path; the running process is the parent that ends. The signal comes when the thread ends that
/// made the process, be the parent alive or not: a process passes `do_group_exit`, a thread that merely returns does
/// not (`kernel/exit.c`). Must not match a parent that sends a signal before it ends.
pub(super) fn parent_death(case: &Case<'_>) -> Option<Verdict> {
    let signal = raised(case, &[Mechanism::ParentDeath])?;
    let parent = running(signal);
    let named = parent.map_or_else(|| "which one is not known".to_owned(), |parent| case.actor(parent));
    let only_a_thread =
        parent.is_some_and(|parent| parent.tid.is_some()) && !passed(signal, &["do_group_exit"]);
    let reason = if only_a_thread {
        format!(
            "the thread of {named} that had started it ended, which counts as the death of its parent (PR_SET_PDEATHSIG)"
        )
    } else {
        format!("its parent, {named}, ended, and it had asked for this signal then (PR_SET_PDEATHSIG)")
    };
    let mut verdict = explain(case, signal, Cause::ParentDeath, Intent::Automatic, &reason);
    if let Some(parent) = parent {
        let action = if only_a_thread { "ended the thread that had started" } else { "ended, the parent of" };
        begin_with(&mut verdict, case, parent, action, &case.target_name());
        verdict.evidence.push(match parent.tid {
            Some(tid) if only_a_thread => {
                format!("Only thread {tid} of pid {} ended; the process did not end with it.", parent.pid)
            }
            _ => format!("The whole process {} was ending.", parent.pid),
        });
        if !only_a_thread {
            follow(&mut verdict, case, signal, parent);
        }
    }
    if only_a_thread {
        verdict.advice = Some(
            "Start such children from a thread that lives as long as the process, as the main thread does."
                .to_owned(),
        );
    }
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Process;
    use crate::sample::{kill, killed, nginx};
    use crate::signals::SIGTERM;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn the_process_or_only_its_thread() {
        let thread = Process { tid: Some(78), ..somebody() };
        for (parent, stack, words, advised) in [
            (&somebody(), &["do_exit", "do_group_exit"][..], "its parent, `somebody", false),
            (&thread, &["do_exit", "do_group_exit"], "its parent, `somebody", false),
            (&somebody(), &["do_exit", "__x64_sys_exit"], "its parent, `somebody", false),
            (&thread, &["do_exit", "__x64_sys_exit"], "the thread of `somebody", true),
        ] {
            let verdict = judged(&death(SIGTERM, Mechanism::ParentDeath, stack, parent));
            assert_eq!((verdict.cause, verdict.culprit.as_ref()), (Cause::ParentDeath, Some(parent)));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!(verdict.advice.is_some(), advised);
        }
    }

    #[test]
    fn a_parent_that_signals_is_a_sender() {
        let facts = killed(nginx(), 100.0, SIGTERM, vec![kill(99.9, SIGTERM, somebody())]);
        assert_ne!(judge(&facts, Show::Cmdline).cause, Cause::ParentDeath);
    }
}
