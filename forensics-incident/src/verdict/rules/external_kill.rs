use crate::attribution::is_own;
use crate::model::{Cause, Confidence, Intent, Mechanism, OutcomeKind, Process, Signal, Verdict};

use super::super::actors::{Role, role};
use super::super::case::{Case, by_what, quote, verdict};
use super::super::evidence;
use super::super::lineage::{behind, chain, run_from};

/// Another process signalled it, or wrote `cgroup.kill`.
///
/// Evidence: the decisive signal came from a system call of another process. Managers, container runtimes,
/// supervisors and relays are named and not blamed: who asked them is not in these records. Must not match
/// what the kernel sends on its own, whoever is running then.
pub(super) fn external_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let cause = match signal.mechanism {
        Mechanism::CgroupKill => Cause::CgroupKill,
        _ => Cause::ExternalKill,
    };
    let Some(sender) = &signal.sender else { return Some(nameless(case, signal, cause)) };
    if sender.is(case.target()) {
        return None;
    }
    let mut verdict = match role(sender, case.target()) {
        Some(role) => by_proxy(case, signal, sender, role, cause),
        None => by_itself(case, signal, sender, cause),
    };
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(evidence::earlier(case, signal));
    if raised_again(case, signal) {
        verdict.evidence.push(format!("It handled {} and then raised it again itself.", signal.signal));
    }
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, sender.is_service_manager());
    Some(verdict)
}

/// A handler that cleans up, restores the default and raises the signal again.
fn raised_again(case: &Case<'_>, signal: &Signal) -> bool {
    let again = |s: &Signal| s.signal_num == signal.signal_num && s.boot_ns >= signal.boot_ns;
    case.was_killed() && case.facts.signals.iter().any(|s| again(s) && is_own(s, case.target()))
}

/// Somebody decided it.
fn by_itself(case: &Case<'_>, signal: &Signal, sender: &Process, cause: Cause) -> Verdict {
    let from = format!("{}{}", case.actor(sender), run_from(case, sender));
    let name = case.target_name();
    let summary = match (case.facts.outcome.kind, cause) {
        (OutcomeKind::Killed, Cause::CgroupKill) => {
            format!("{name} was killed with its whole cgroup: {from} wrote cgroup.kill.")
        }
        (OutcomeKind::Killed, _) => format!("{} was sent to {name} by {from}.", signal.signal),
        _ => format!("{name} {} from {from}.", case.ended_by(signal)),
    };
    let mut verdict = verdict(cause, Intent::Deliberate, case.confidence(), summary);
    verdict.culprit = Some(sender.clone());
    verdict
}

/// Somebody told the sender to.
fn by_proxy(case: &Case<'_>, signal: &Signal, sender: &Process, role: Role, cause: Cause) -> Verdict {
    let name = case.target_name();
    // pid 1 calls itself /sbin/init; people know it by its kernel name.
    let by = match role {
        Role::Relay => case.brief(sender),
        _ => format!("{} (pid {})", quote(&sender.name), sender.pid),
    };
    let known = first_known(case, sender);
    let asked = match known {
        Some(actor) => format!("behind it stands {}", case.actor(actor)),
        None => "who asked for it was not seen".to_owned(),
    };
    let what = match (role, case.was_killed()) {
        (Role::Relay, _) => format!("{}, passed on by {by}", case.ended_by(signal)),
        (_, true) => format!("was stopped with {} by {by}, {}", signal.signal, role.noun()),
        (_, false) => format!("{} from {by}, {}", case.ended_by(signal), role.noun()),
    };
    let summary = format!("{name} {what}; {asked}.");
    let mut verdict = verdict(cause, Intent::Unknown, Confidence::Likely, summary);
    verdict.culprit = known.cloned();
    verdict
}

/// The first actor behind a sender that only does as it is told. What started a relay or a supervisor did not thereby
/// signal anyone, so only a runtime is followed: it is run by the command that asked.
fn first_known<'a>(case: &Case<'_>, sender: &'a Process) -> Option<&'a Process> {
    if role(sender, case.target()) != Some(Role::Runtime) {
        return None;
    }
    let acts_alone = |actor: &&&Process| role(actor, case.target()).is_none();
    behind(sender, case.target()).iter().find(acts_alone).copied()
}

/// The identity of the sender could not be read.
fn nameless(case: &Case<'_>, signal: &Signal, cause: Cause) -> Verdict {
    let what = by_what(signal);
    let summary = format!(
        "{} {} sent by another process with {what}; which one could not be read.",
        case.target_name(),
        case.ended_by(signal)
    );
    let mut verdict = verdict(cause, Intent::Unknown, Confidence::Likely, summary);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict
}
