//! Sentences that several rules share: what was seen of a signal, of its sender, and around the end.

use crate::attribution::{arrived, is_own};
use crate::history::History;
use crate::model::{
    Cause, Mechanism, OutcomeKind, Process, ProcessSummary, RuledOut, Scope, SendResult, Signal,
};
use crate::signals::{SIGABRT, SIGKILL, requests_termination};
use crate::text::span;

use super::announcement;
use super::case::{Case, by_what, path, quote};
use super::{grace, groups, origins, reach, suspension};

/// A death this long after `SIGKILL` was held up, seconds.
const SLOW_DEATH_S: f64 = 1.0;
/// Earlier requests that are told one by one.
const MAX_EARLIER: usize = 3;

/// What the kernel recorded of a signal.
pub(super) fn of_signal(case: &Case<'_>, signal: &Signal) -> Vec<String> {
    let name = &signal.signal;
    let what = by_what(signal);
    let mut said = Vec::new();
    said.push(match &signal.sender {
        Some(sender) => format!("The kernel recorded {name} from pid {} by {what}.", sender.pid),
        None => format!("The kernel recorded {name} from {what}."),
    });
    if let Some(aim) = aim(signal) {
        said.push(aim);
    }
    said.extend(groups::membership(case, signal));
    said.extend(reach::sentence(case, signal));
    if signal.repeated > 0 {
        let many = signal.repeated.saturating_add(1);
        said.push(format!("It came {many} times within {}.", span(span_s(signal))));
    }
    if let (Some(claimed), Some(sender)) = (signal.claimed_pid, &signal.sender) {
        said.push(format!(
            "It claims to come from pid {claimed} (si_pid); in truth it came from pid {}.",
            sender.pid
        ));
    }
    let held_up = suspension::sentences(case, signal);
    if held_up.is_empty()
        && let Some(after) = case.facts.outcome.after_s.filter(|_| case.was_killed())
    {
        said.push(if after >= SLOW_DEATH_S && signal.signal_num == SIGKILL {
            format!("It died {} later: until then it was stopped, frozen, or inside the kernel.", span(after))
        } else {
            format!("It died {} later.", span(after))
        });
    }
    said.extend(held_up);
    said
}

/// What `kill(2)` was aimed at when it was not this process alone.
fn aim(signal: &Signal) -> Option<String> {
    let argument = signal.syscall_args.as_ref().and_then(|args| args.first().copied());
    match (signal.mechanism, argument) {
        (Mechanism::Kill, Some(0)) => Some("It went to the whole process group of its sender.".to_owned()),
        (Mechanism::Kill, Some(-1)) => {
            Some("It went to every process that its sender may signal.".to_owned())
        }
        (Mechanism::Kill, Some(group)) if group < 0 => {
            Some(format!("It went to the whole process group {}.", group.unsigned_abs()))
        }
        (Mechanism::CgroupKill, _) => Some("It went to every process of the cgroup.".to_owned()),
        _ if signal.mechanism.is_user_sent() && signal.scope == Scope::Thread => {
            Some(format!("It was directed at thread {}.", signal.target_tid))
        }
        _ => None,
    }
}

/// Who the sender is beyond its name: login, unit, container, kinship.
pub(super) fn of_sender(case: &Case<'_>, sender: &Process) -> Vec<String> {
    let target = case.target();
    let mut said = Vec::new();
    let login =
        sender.loginuid.filter(|&uid| uid != u32::MAX).map(|uid| format!("logged in as user id {uid}"));
    let place = [
        sender.unit.as_ref().map(|unit| format!("ran in {unit}")),
        sender.tty.as_ref().map(|tty| format!("sat on terminal {tty}")),
        login,
        sender.container_id.as_ref().map(|id| format!("ran in container {}", id.get(..12).unwrap_or(id))),
    ];
    let place = place.into_iter().flatten().collect::<Vec<_>>();
    if !place.is_empty() {
        said.push(format!("The sender {}.", list(&place)));
    }
    if sender.euid.is_some() && sender.uid.is_some() && sender.euid != sender.uid {
        said.push(format!("It acted with effective user id {}.", sender.euid.unwrap_or_default()));
    }
    said.extend(origins::evidence(case, sender));
    said.extend(shared_place(case, sender));
    if sender.ancestors.iter().any(|ancestor| ancestor.is(target)) {
        said.push("The sender was itself started by the target.".to_owned());
    }
    if target.parent().is_some_and(|parent| parent.is(sender)) {
        said.push("The sender is the target's own parent.".to_owned());
    }
    if let Some(pid) = target.ns_pid.filter(|&pid| pid != target.pid) {
        said.push(format!("In its own pid namespace the target is pid {pid}."));
    }
    said
}

/// What sender and target have in common, beyond the machine.
fn shared_place(case: &Case<'_>, sender: &Process) -> Option<String> {
    let target = case.target();
    let same = |one: &Option<String>, other: &Option<String>| one.is_some() && one == other;
    let unit = (same(&sender.unit, &target.unit) && sender.slice == target.slice)
        .then(|| format!("the unit {}", sender.unit.as_deref().unwrap_or_default()));
    let cgroup = || {
        let path =
            sender.cgroup.as_deref().filter(|&path| path != "/" && same(&sender.cgroup, &target.cgroup));
        path.map(|path| format!("the cgroup {}", quote(path)))
    };
    let session = sender.session.filter(|&session| session != 0 && target.session == Some(session));
    let shared: Vec<String> =
        unit.or_else(cgroup).into_iter().chain(session.map(|id| format!("the session {id}"))).collect();
    (!shared.is_empty()).then(|| format!("Sender and target share {}.", list(&shared)))
}

/// Requests to end that came before the decisive signal.
pub(super) fn earlier(case: &Case<'_>, decisive: &Signal) -> Vec<String> {
    let asked = case.facts.signals.iter().filter(|signal| {
        requests_termination(signal.signal_num)
            && signal.boot_ns < decisive.boot_ns
            && !is_own(signal, case.target())
    });
    let sentence = |signal: &Signal| {
        let before = span(decisive.ts - signal.ts);
        let who = match (&signal.sender, &decisive.sender) {
            (Some(one), Some(other)) if grace::is_same_sender(one, other) => "the same sender".to_owned(),
            (Some(one), _) => case.actor(one),
            (None, _) => path(signal.mechanism).to_owned(),
        };
        format!("{} from {who} came {before} before {}.", signal.signal, fate(signal))
    };
    let mut said: Vec<String> = asked.clone().take(MAX_EARLIER).map(sentence).collect();
    said.extend(asked.rev().find_map(|signal| grace::allowed(signal, decisive)));
    said
}

/// A handler that cleans up, restores the default and raises the signal again.
pub(super) fn raised_again(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let again = |s: &Signal| s.signal_num == signal.signal_num && s.boot_ns >= signal.boot_ns;
    let raised = case.facts.signals.iter().any(|s| again(s) && is_own(s, case.target()));
    (case.was_killed() && raised)
        .then(|| format!("It handled {} and then raised it again itself.", signal.signal))
}

/// What became of a signal that did not end the target.
pub(super) fn fate(signal: &Signal) -> &'static str {
    match signal.result {
        SendResult::Ignored => "and was ignored",
        SendResult::AlreadyPending => "and was already pending",
        SendResult::Overflow => "and was dropped, the queue being full",
        SendResult::Delivered | SendResult::LostInfo => "and did not end it",
    }
}

/// What people suspect first, where the signal itself excludes it.
pub(super) fn ruled_out(signal: &Signal, by_manager: bool) -> Vec<RuledOut> {
    let Some(sender) = &signal.sender else { return Vec::new() };
    let mut out = Vec::new();
    if signal.signal_num == SIGKILL && !signal.kernel_stack.is_empty() {
        let because = format!(
            "the SIGKILL came from {} of pid {}; the out-of-memory killer is not on its kernel stack",
            by_what(signal),
            sender.pid
        );
        out.push(RuledOut { cause: Cause::Oom, because });
    }
    let timeout = match signal.signal_num {
        SIGKILL => Some(Cause::SystemdStopTimeout),
        SIGABRT => Some(Cause::SystemdWatchdog),
        _ => None,
    };
    if let Some(cause) = timeout.filter(|_| !by_manager) {
        let because = format!("its sender, pid {}, is not a service manager", sender.pid);
        out.push(RuledOut { cause, because });
    }
    out
}

/// The innermost frames of a kernel stack.
pub(super) fn innermost(stack: &[String]) -> Option<String> {
    let frames = stack.iter().take(4).map(String::as_str).collect::<Vec<_>>();
    (!frames.is_empty()).then(|| quote(&frames.join(" < ")))
}

/// What stands beside every cause: lost records, markers, tracers, cores.
pub(super) fn around(case: &Case<'_>) -> Vec<String> {
    let facts = case.facts;
    let mut said = Vec::new();
    if facts.outcome.core_dumped {
        said.push("The kernel dumped its core.".to_owned());
    }
    said.extend(announcement::of_markers(case));
    said.extend(facts.history.as_ref().map(History::sentence));
    if let Some(context) = &facts.context
        && let Some(pid) = context.tracer_pid.filter(|&pid| pid != 0)
    {
        let name = context.tracer.as_ref().and_then(|ProcessSummary { name, .. }| name.as_deref());
        let name = name.map_or_else(String::new, |name| format!("{} ", quote(name)));
        said.push(format!("It was being traced by {name}(pid {pid})."));
    }
    match facts.lost.records {
        0 => {}
        1 => said
            .push("1 signal at it was counted whose record was lost: it may have been the cause.".to_owned()),
        lost => said.push(format!(
            "{lost} signals at it were counted whose records were lost: one of them may have been the cause."
        )),
    }
    said
}

/// Requests to end that did not end it, told when it ended by itself.
pub(super) fn unblamed(case: &Case<'_>) -> Vec<String> {
    let facts = case.facts;
    let asked = facts.signals.iter().filter(|signal| requests_termination(signal.signal_num));
    let sentence = |signal: &Signal| {
        let who = signal.sender.as_ref().map_or_else(|| path(signal.mechanism).to_owned(), |p| case.actor(p));
        let before = span((facts.outcome.ts - signal.ts - span_s(signal)).max(0.0));
        let why = if arrived(signal) && facts.outcome.kind == OutcomeKind::Exited {
            "too long ago to be the reason"
        } else {
            fate(signal)
        };
        format!("{} from {who} came {before} before the end, {why}.", signal.signal)
    };
    asked.take(MAX_EARLIER).map(sentence).collect()
}

/// Seconds from the first to the last of identical signals.
fn span_s(signal: &Signal) -> f64 {
    signal.last_ns().saturating_sub(signal.boot_ns) as f64 / 1e9
}

/// "a, b and c"
fn list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
