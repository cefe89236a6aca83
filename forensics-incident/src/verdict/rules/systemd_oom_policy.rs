use crate::model::{Cause, Confidence, Verdict};

use super::super::case::{Case, quote};
use super::super::word::Word;

/// `SD_MESSAGE_UNIT_OUT_OF_MEMORY` of `systemd/sd-messages.h`.
const OUT_OF_MEMORY: &str = "fe6faa94e7774663a0da52717891d8ef";

/// The manager stopped the rest of a unit of which one process was killed for memory (`OOMPolicy=`).
///
/// Evidence: the manager's signal and, when it began, its word that the out-of-memory killer killed a process of this
/// unit; the unit's result alone makes it likely. Must not match the process that the kernel killed, nor a unit that goes on
/// (`OOMPolicy=continue`) and is stopped for another reason later.
pub(super) fn systemd_oom_policy(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case)?;
    let policy = word.state().and_then(|state| state.oom_policy.as_deref());
    if policy == Some("continue") {
        return None;
    }
    let reason =
        word.said_at(word.first.ts, |message, _| message.message_id.as_deref() == Some(OUT_OF_MEMORY));
    if reason.is_none() && word.result() != Some("oom-kill") {
        return None;
    }
    let policy = policy.map_or_else(|| "OOMPolicy=".to_owned(), |policy| format!("OOMPolicy={policy}"));
    let summary = format!(
        "{} {} with its unit {}: another process of the unit was killed for lack of memory, and {policy} ends the rest.",
        case.target_name(),
        if case.was_killed() {
            format!("was stopped by {}", word.signal.signal)
        } else {
            case.ended_by(word.signal)
        },
        quote(word.unit),
    );
    let confidence = if reason.is_some() { case.confidence() } else { Confidence::Likely };
    let mut verdict = word.verdict(case, Cause::SystemdOomPolicy, confidence, summary, reason);
    // It was: of another process.
    verdict.ruled_out.retain(|other| other.cause != Cause::Oom);
    verdict.advice = Some(format!(
        "Find out which process took the memory (`journalctl -k -g 'Killed process'`); with OOMPolicy=continue the others of {} live on.",
        quote(word.unit)
    ));
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, ManagerMessage, Mechanism, UnitState};
    use crate::sample::{kill, killed, nginx, signal, systemd};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    fn out_of_memory(at: f64) -> ManagerMessage {
        let message_id = Some(OUT_OF_MEMORY.to_owned());
        ManagerMessage { message_id, ..said(at, "A process of this unit has been killed by the OOM killer.") }
    }

    fn stopped() -> Facts {
        killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())])
    }

    fn with_policy(mut facts: Facts, policy: &str) -> Facts {
        let oom_policy = Some(policy.to_owned());
        facts.manager.as_mut().unwrap().before = Some(UnitState { oom_policy, ..UnitState::default() });
        facts
    }

    #[test]
    fn the_rest_of_a_unit() {
        let facts = with_policy(with_word(stopped(), vec![out_of_memory(99.99)]), "stop");
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdOomPolicy, Confidence::Certain));
        assert!(verdict.summary.contains("OOMPolicy=stop ends the rest"), "{}", verdict.summary);
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        let goes_on = with_policy(with_word(stopped(), vec![out_of_memory(99.99)]), "continue");
        assert_ne!(cause(goes_on), Cause::SystemdOomPolicy);
        assert_ne!(cause(with_word(stopped(), vec![out_of_memory(50.0)])), Cause::SystemdOomPolicy);
        let by_kernel = killed(nginx(), 100.1, SIGKILL, vec![signal(100.0, SIGKILL, Mechanism::Oom, None)]);
        assert_eq!(cause(with_word(by_kernel, vec![out_of_memory(100.0)])), Cause::Oom);
    }
}
