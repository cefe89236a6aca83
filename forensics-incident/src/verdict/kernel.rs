//! What the rules for signals of the kernel share.

use crate::attribution::arrived;
use crate::model::{Cause, Confidence, Intent, Mechanism, Process, RuledOut, Signal, Verdict};
use crate::signals::requests_termination;
use crate::text::span;

use super::actors::is_kernel_thread;
use super::case::{Case, by_what, path, seconds_between, verdict};
use super::evidence;
use super::lineage::link;

/// The decisive signal when the kernel raised it in one of these ways.
pub(super) fn raised<'a>(case: &Case<'a>, mechanisms: &[Mechanism]) -> Option<&'a Signal> {
    case.decisive.filter(|signal| mechanisms.contains(&signal.mechanism))
}

/// Who was running when the signal was raised, unless a kernel thread was. Only the rule knows whether that one
/// brought it about or is a bystander, who must not even be named.
pub(super) fn running(signal: &Signal) -> Option<&Process> {
    signal.sender.as_ref().or(signal.current.as_ref()).filter(|process| !is_kernel_thread(process))
}

/// True when one of these functions, compiler suffixes aside, is on the kernel stack.
pub(super) fn passed(signal: &Signal, names: &[&str]) -> bool {
    signal.kernel_stack.iter().any(|frame| names.iter().any(|name| frame.starts_with(name)))
}

/// The verdict on a signal of the kernel: `reason` completes the sentence "`nginx` (pid 812) died of SIGHUP: ".
pub(super) fn explain(
    case: &Case<'_>,
    signal: &Signal,
    cause: Cause,
    intent: Intent,
    reason: &str,
) -> Verdict {
    let name = case.target_name();
    let summary = format!("{name} {}: {reason}.", case.ended_by(signal));
    let confidence = if cause == Cause::Unknown { Confidence::Possible } else { case.confidence() };
    let mut verdict = verdict(cause, intent, confidence, summary);
    let action = format!("sent {} to", signal.signal);
    verdict.chain = vec![link(format!("the kernel, by {}", path(signal.mechanism)), &action, name)];
    verdict.evidence = evidence::of_signal(case, signal);
    if let Some(stack) = evidence::innermost(&signal.kernel_stack) {
        verdict.evidence.push(format!("The kernel came there by {stack}."));
    }
    verdict.evidence.extend(evidence::earlier(case, signal));
    if signal.sender.is_none() && cause != Cause::Unknown {
        let because = "no process sent the signal; the kernel raised it by itself".to_owned();
        verdict.ruled_out.push(RuledOut { cause: Cause::ExternalKill, because });
    }
    verdict
}

/// Puts what a process did before what the kernel did for it.
pub(super) fn begin_with(
    verdict: &mut Verdict,
    case: &Case<'_>,
    actor: &Process,
    action: &str,
    object: &str,
) {
    verdict.culprit = Some(actor.clone());
    verdict.chain.insert(0, link(case.brief(actor), action, object.to_owned()));
}

/// Follows the chain one more step: who had ended the process whose end had the kernel raise the signal.
///
/// Only when something that ends processes had reached it shortly before; what else may have ended it was not seen.
pub(super) fn follow(verdict: &mut Verdict, case: &Case<'_>, signal: &Signal, ended: &Process) {
    let fatal = |before: &&Signal| arrived(before) && requests_termination(before.signal_num);
    let Some(before) = signal.relayed.as_deref().filter(fatal) else { return };
    let name = case.brief(ended);
    let from = match &before.sender {
        Some(sender) => format!("pid {} by {}", sender.pid, by_what(before)),
        None => by_what(before),
    };
    let ago = seconds_between(before.boot_ns, signal.boot_ns).unwrap_or_default();
    verdict.evidence.push(format!(
        "{name} had itself received {} from {from}, {} before.",
        before.signal,
        span(ago)
    ));
    let Some(sender) = before.sender.as_ref().filter(|sender| !sender.is(ended)) else { return };
    let told = verdict.summary.trim_end_matches('.').to_owned();
    verdict.summary = format!("{told}; {} had sent {} to it just before.", case.actor(sender), before.signal);
    verdict.chain.insert(0, link(case.brief(sender), &format!("sent {} to", before.signal), name));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::sample::{killed, nginx, process, signal};
    use crate::verdict::{Show, judge};

    /// Somebody who must not be blamed unless the rule says so.
    pub(in crate::verdict) fn somebody() -> Process {
        process(77, "somebody --running")
    }

    /// A death of `nginx` by a signal of the kernel while `current` was running.
    pub(in crate::verdict) fn death(
        number: u32,
        mechanism: Mechanism,
        stack: &[&str],
        current: &Process,
    ) -> Facts {
        let mut raised = signal(99.9, number, mechanism, None);
        raised.current = Some(current.clone());
        raised.kernel_stack = stack.iter().map(ToString::to_string).collect();
        killed(nginx(), 100.0, number, vec![raised])
    }

    /// The verdict on it; a bystander is not named anywhere.
    pub(in crate::verdict) fn judged(facts: &Facts) -> Verdict {
        let verdict = judge(facts, Show::Cmdline);
        if verdict.culprit.is_none() {
            assert!(!format!("{verdict:?}").contains("--running"), "a bystander is named: {verdict:?}");
        }
        verdict
    }
}
