use crate::model::{Cause, Verdict};

use super::super::case::{Case, quote};
use super::super::word::Word;

/// The unit had run for as long as it may.
///
/// Evidence: the manager's signal and, when it began, `… reached runtime time limit. Stopping.` in the journal
/// (`service_dispatch_timer()`, `scope_dispatch_timer()` in systemd's `src/core`). A unit that then does not stop in time is
/// a case for the stop timeout. Must not match a unit that merely has such a limit, nor any other timeout: their result is the same.
pub(super) fn systemd_runtime_limit(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case)?;
    let reason =
        word.said_at(word.first.ts, |_, text| text.ends_with("reached runtime time limit. Stopping."))?;
    let limit = Word::setting("RuntimeMaxSec", word.state().and_then(|state| state.runtime_max));
    let summary = format!(
        "{} {}: {} had run for {limit}, as long as it may.",
        case.target_name(),
        if case.was_killed() {
            format!("was stopped with {}", word.signal.signal)
        } else {
            case.ended_by(word.signal)
        },
        quote(word.unit),
    );
    let mut verdict =
        word.verdict(case, Cause::SystemdRuntimeLimit, case.confidence(), summary, Some(reason));
    verdict.advice = Some(format!(
        "Nobody asked for it: RuntimeMaxSec= of {} did. Raise it, or let the unit start again by Restart=.",
        quote(word.unit)
    ));
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Facts, Timeout, UnitState};
    use crate::sample::{exited, kill, killed, nginx, process, systemd};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    const TEXT: &str = "Service reached runtime time limit. Stopping.";

    #[test]
    fn as_long_as_it_may() {
        let facts = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())]);
        let mut facts = with_word(facts, vec![said(99.999, TEXT)]);
        let runtime_max = Some(Timeout::Seconds(3600.0));
        facts.manager.as_mut().unwrap().before = Some(UnitState { runtime_max, ..UnitState::default() });
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdRuntimeLimit, Confidence::Certain));
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was stopped with SIGTERM: `nginx.service` had run for RuntimeMaxSec=1 h, as long as it may."
        );
        let handled = exited(nginx(), 101.0, 0, Some(1.0), vec![kill(100.0, SIGTERM, systemd())]);
        let verdict = judge(&with_word(handled, vec![said(99.999, TEXT)]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdRuntimeLimit, Confidence::Likely));
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        let stopped = || killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())]);
        assert_ne!(cause(with_word(stopped(), vec![said(90.0, TEXT)])), Cause::SystemdRuntimeLimit);
        assert_ne!(
            cause(with_word(stopped(), vec![said(100.0, "State 'stop-post' timed out. Killing.")])),
            Cause::SystemdRuntimeLimit
        );
        let by_person = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, process(5, "kill 812"))]);
        assert_eq!(cause(with_word(by_person, vec![said(99.999, TEXT)])), Cause::ExternalKill);
        // Too slow after that: the stop timeout killed it.
        let signals = vec![kill(90.0, SIGTERM, systemd()), kill(100.0, SIGKILL, systemd())];
        let messages = vec![said(89.999, TEXT), said(99.999, "State 'stop-sigterm' timed out. Killing.")];
        let facts = with_word(killed(nginx(), 100.1, SIGKILL, signals), messages);
        assert_eq!(cause(facts), Cause::SystemdStopTimeout);
    }
}
