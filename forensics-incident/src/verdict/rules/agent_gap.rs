use crate::model::{Cause, Confidence, Gap, Intent, Verdict};
use crate::text::span;

use super::super::case::{Case, verdict};

/// It ended while no agent was running.
///
/// Evidence: an agent noted that it was alive, and in the same boot the next one found it gone. Must not match when the
/// agent had recorded what ended it, nor when the host was started anew.
pub(super) fn agent_gap(case: &Case<'_>) -> Option<Verdict> {
    let aftermath = case.facts.aftermath.as_ref().filter(|aftermath| aftermath.gap == Gap::Agent)?;
    if case.decisive.is_some() {
        return None;
    }
    let within = span(aftermath.found - aftermath.last_seen);
    let summary = format!(
        "{} ended while no agent was running, at some time within {within}: who or what ended it was not seen.",
        case.target_name()
    );
    let mut verdict = verdict(Cause::AgentGap, Intent::Unknown, Confidence::Possible, summary);
    verdict.evidence = vec![
        format!(
            "The agent that watched it (pid {}) had noted that it was alive {within} before it was found gone.",
            aftermath.agent_pid
        ),
        "That agent ended without being stopped in an orderly way, so it wrote nothing more.".to_owned(),
    ];
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Aftermath, Facts};
    use crate::sample::{BOOT, incident, kill, nginx, process};
    use crate::verdict::{Show, judge};

    fn gap() -> Facts {
        let mut facts = incident(nginx(), 100.0, Vec::new());
        facts.aftermath = Some(Aftermath {
            gap: Gap::Agent,
            last_seen: BOOT + 100.0,
            found: BOOT + 160.0,
            agent_pid: 44,
            agent_stopped: false,
            journal: None,
            panic: None,
        });
        facts
    }

    #[test]
    fn nobody_is_named_for_what_nobody_saw() {
        let verdict = judge(&gap(), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::AgentGap, Confidence::Possible));
        assert_eq!((verdict.culprit, verdict.instigator), (None, None));
        assert!(
            verdict.summary.contains("while no agent was running, at some time within 1 min"),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn what_was_recorded_before_the_gap_explains_more() {
        let mut facts = gap();
        facts.signals = vec![kill(99.0, 9, process(5, "kill -9 812"))];
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExternalKill, Confidence::Likely));
    }
}
