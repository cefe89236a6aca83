use crate::model::{Cause, Confidence, Intent, OutcomeKind, Process, SendResult, Signal, Verdict};
use crate::signals::{SIGHUP, SIGKILL};
use crate::text::span;

use super::super::actors::role;
use super::super::case::{Case, path, verdict};
use super::super::evidence;
use super::super::lineage::{chain, run_from};

/// It was asked to end and is still alive when the window closes.
///
/// Evidence: a request by someone else, and no end within the window. Must not match any end.
pub(super) fn survived(case: &Case<'_>) -> Option<Verdict> {
    if case.facts.outcome.kind != OutcomeKind::Survived {
        return None;
    }
    let name = case.target_name();
    let Some(signal) = case.decisive else {
        let summary = format!("{name} is still alive.");
        return Some(verdict(Cause::Survived, Intent::Unknown, Confidence::Certain, summary));
    };
    let after = case.facts.outcome.after_s.map_or_else(|| "long".to_owned(), span);
    let from = match &signal.sender {
        Some(sender) => format!("{}{}", case.actor(sender), run_from(case, sender)),
        None => path(signal.mechanism).to_owned(),
    };
    let summary =
        format!("{name} is still alive {after} after {} from {from}{}.", signal.signal, why(signal));
    let intent = if signal.sender.is_some() { Intent::Deliberate } else { Intent::Automatic };
    let mut verdict = verdict(Cause::Survived, intent, Confidence::Certain, summary);
    let blamed = |sender: &&Process| role(sender, case.target()).is_none();
    verdict.culprit = signal.sender.as_ref().filter(blamed).cloned();
    verdict.evidence = evidence::of_signal(case, signal);
    if let Some(sender) = &signal.sender {
        verdict.chain = chain(case, sender, signal);
        verdict.evidence.extend(evidence::of_sender(case, sender));
    }
    verdict.advice = (signal.signal_num == SIGKILL).then(|| {
        format!("See where in the kernel it hangs: `cat /proc/{}/stack`, state D in `ps`.", case.target().pid)
    });
    Some(verdict)
}

/// Why it lives, when the signal says so.
fn why(signal: &Signal) -> &'static str {
    match (signal.result, signal.signal_num) {
        (SendResult::Ignored, _) => ", which it ignores",
        (_, SIGHUP) => "; many services take that as a call to reload",
        (_, SIGKILL) => "; it must hang in the kernel, or be frozen",
        _ => "",
    }
}
