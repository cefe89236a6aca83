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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Mechanism};
    use crate::sample::{ignored, incident, kill, nginx, process, signal, systemd};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    fn alive(signal: Signal) -> Facts {
        let mut facts = incident(nginx(), 400.0, vec![signal]);
        facts.outcome.kind = OutcomeKind::Survived;
        facts.outcome.after_s = Some(300.0);
        facts
    }

    #[test]
    fn asked_and_alive() {
        let killer = process(5, "kill 812");
        let verdict = judge(&alive(ignored(kill(100.0, SIGTERM, killer.clone()))), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Survived, Confidence::Certain));
        assert_eq!(verdict.culprit, Some(killer));
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) is still alive 5 min after SIGTERM from `kill 812` (pid 5, user id 1000), which it ignores."
        );
    }

    #[test]
    fn a_manager_a_terminal_and_a_kill() {
        let verdict = judge(&alive(kill(100.0, SIGTERM, systemd())), Show::Cmdline);
        assert_eq!(verdict.culprit, None);
        let verdict = judge(&alive(signal(100.0, SIGHUP, Mechanism::TtyHangup, None)), Show::Cmdline);
        assert!(verdict.summary.contains("a hangup of its terminal"), "{}", verdict.summary);
        assert_eq!((verdict.culprit, verdict.intent), (None, Intent::Automatic));
        let verdict = judge(&alive(kill(100.0, SIGKILL, process(5, "kill"))), Show::Cmdline);
        assert!(verdict.advice.unwrap().contains("/proc/812/stack"));
    }
}
