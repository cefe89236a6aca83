use crate::attribution::is_own;
use crate::model::{Cause, Confidence, Intent, Mechanism, OutcomeKind, Signal, Verdict};
use crate::signals::{SIGALRM, SIGKILL};
use crate::text::span;

use super::super::actors::is_timeout;
use super::super::case::{Case, seconds_between, verdict};
use super::super::evidence;
use super::super::lineage::{behind, chain, link};
use super::super::timeout_args::{TimeoutArgs, parse};

/// `EXIT_TIMEDOUT` of coreutils.
const TIMED_OUT: i32 = 124;
/// Start times are as coarse as a clock tick, and `timeout` arms its timer just after the fork, seconds.
const EARLY_S: f64 = 0.05;
/// A busy machine fires late, seconds.
const LATE_S: f64 = 1.0;

/// `timeout(1)` expired: the target ran under it, or is the `timeout` itself.
///
/// Evidence: the signal came from an ancestor (or the group) that is `timeout`, is one that its arguments
/// call for, and came when its duration was over. Earlier than that, `timeout` only passed on what
/// somebody sent to it: that must not match.
pub(super) fn timeout_command(case: &Case<'_>) -> Option<Verdict> {
    // A timeout may itself run under another one.
    let as_timeout = is_timeout(case.target()).then(|| stopped_its_command(case)).flatten();
    as_timeout.or_else(|| stopped_by_timeout(case))
}

/// How the elapsed time fits the arguments.
enum Fit {
    /// As told.
    Agrees(String),
    /// Nothing contradicts it, and something could not be checked.
    Unchecked(String),
}

fn stopped_by_timeout(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref().filter(|sender| is_timeout(sender))?;
    let target = case.target();
    let is_child = target.ppid == Some(sender.pid) || target.parent().is_some_and(|parent| parent.is(sender));
    let to_group = signal.syscall_args.as_ref().and_then(|args| args.first()) == Some(&0);
    // The clock of busybox's timeout is a grandchild that signals the command it came from.
    let is_kin = is_child
        || to_group
        || sender.program() == "busybox"
        || target.ancestors.iter().any(|ancestor| ancestor.is(sender));
    if !is_kin {
        return None;
    }
    let args = parse(sender.args());
    // timeout arms its timer when it has forked its child, which may be long after its own start.
    let start = if is_child { target.start_boot_ns } else { sender.start_boot_ns };
    let elapsed = seconds_between(start, signal.boot_ns);
    let fit = fit(args.as_ref(), signal.signal_num, elapsed)?;
    let name = case.target_name();
    let allowed = match &args {
        Some(args) => format!(" after {}", span(args.duration_s)),
        None => String::new(),
    };
    let by = case.brief(sender);
    let summary = if case.was_killed() {
        format!("timeout(1) stopped {name} with {}{allowed}: {by} ran out.", signal.signal)
    } else {
        format!("timeout(1) ran out{allowed}: {name} {} from {by}.", case.ended_by(signal))
    };
    let mut verdict = expired(case.confidence(), summary, fit);
    verdict.culprit = Some(sender.clone());
    verdict.chain = chain(case, sender, signal);
    verdict.evidence.extend(evidence::of_signal(case, signal));
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    Some(verdict)
}

/// The target is `timeout`: when its time is over it signals its command, then its own group, and exits with 124; after
/// `-k`, `SIGKILL` to its own group ends it as well.
fn stopped_its_command(case: &Case<'_>) -> Option<Verdict> {
    let target = case.target();
    let args = parse(target.args());
    let outcome = &case.facts.outcome;
    let killed_itself = outcome.signal_num == Some(SIGKILL) && case.own_signal().is_some();
    if !killed_itself && outcome.kind != OutcomeKind::Exited {
        return None;
    }
    // A command may exit with 124 for reasons of its own: only the event of the timer tells.
    let (signal, number) = match (expiry(case, args.as_ref()), killed_itself) {
        (_, true) => (case.decisive?, SIGKILL),
        (Some(signal), false) => (signal, args.as_ref().map_or(SIGALRM, |args| args.signal)),
        (None, false) => return None,
    };
    let fit = fit(args.as_ref(), number, case.age_s(signal.boot_ns))?;
    let command = args.as_ref().and_then(|args| case.arguments(args.command));
    let command = command.unwrap_or_else(|| "its command".to_owned());
    let allowed = args.as_ref().map_or_else(String::new, |args| format!(" after {}", span(args.duration_s)));
    let harder = if killed_itself { " with SIGKILL, and itself with it" } else { "" };
    let summary = format!("timeout(1) stopped {command}{allowed}{harder}.");
    let mut verdict = expired(Confidence::Certain, summary, fit);
    verdict.culprit = Some(target.clone());
    let parents = behind(target, target);
    if let Some(parent) = parents.first() {
        verdict.chain.push(link(case.brief(parent), "ran", case.brief(target)));
    }
    verdict.chain.push(link(case.brief(target), "ran out of time and stopped", command));
    verdict.evidence.extend(evidence::of_signal(case, signal));
    if outcome.exit_code == Some(TIMED_OUT) {
        verdict
            .evidence
            .push("It exited with 124, its status for a command that ran out of time.".to_owned());
    }
    Some(verdict)
}

/// The signal that shows the timer of the target `timeout` running out: its `SIGALRM`, or the copy of its
/// signal that it sends to its own group.
///
/// When somebody else signals it, it sends that copy too: then its exit tells nothing of a timer.
fn expiry<'a>(case: &Case<'a>, args: Option<&TimeoutArgs<'_>>) -> Option<&'a Signal> {
    let target = case.target();
    let timer = |s: &&Signal| s.signal_num == SIGALRM && s.mechanism == Mechanism::Timer;
    let wanted = args.map(|args| args.signal);
    let copy = |s: &&Signal| is_own(s, target) && wanted.is_none_or(|wanted| s.signal_num == wanted);
    let signals = &case.facts.signals;
    let relayed = |own: &&Signal| {
        let foreign =
            |s: &Signal| s.signal_num == own.signal_num && !is_own(s, target) && s.boot_ns <= own.boot_ns;
        signals.iter().any(foreign)
    };
    signals.iter().find(timer).or_else(|| signals.iter().filter(copy).find(|own| !relayed(own)))
}

/// Compares the time of a signal with what `timeout` was told; none when it cannot have been its timer.
fn fit(args: Option<&TimeoutArgs<'_>>, signal: u32, elapsed: Option<f64>) -> Option<Fit> {
    let Some(args) = args else {
        return Some(Fit::Unchecked(
            "The arguments of timeout are not known, so its duration is not checked.".to_owned(),
        ));
    };
    let last = args.kill_after_s.filter(|_| signal == SIGKILL && args.signal != SIGKILL);
    if signal != args.signal && last.is_none() {
        return None;
    }
    let due = args.duration_s + last.unwrap_or(0.0);
    let told = match last {
        Some(more) => format!("{} and {} more", span(args.duration_s), span(more)),
        None => span(args.duration_s),
    };
    let Some(elapsed) = elapsed else {
        return Some(Fit::Unchecked(format!("timeout was given {told}; when it started is not known.")));
    };
    let since = format!("timeout was given {told}, and {} had passed", span(elapsed));
    if elapsed < due - EARLY_S {
        None
    } else if elapsed <= due + LATE_S.max(due / 50.0) {
        Some(Fit::Agrees(format!("{since}.")))
    } else {
        Some(Fit::Unchecked(format!("{since}, which is more.")))
    }
}

/// The verdict of an expired timer, as sure as the time fits.
fn expired(surest: Confidence, summary: String, fit: Fit) -> Verdict {
    let (confidence, sentence) = match fit {
        Fit::Agrees(sentence) => (surest, sentence),
        Fit::Unchecked(sentence) => (Confidence::Likely, sentence),
    };
    let mut verdict = verdict(Cause::TimeoutCommand, Intent::Automatic, confidence, summary);
    verdict.evidence.push(sentence);
    verdict.advice = Some("Give timeout(1) more time, or find out what took the command so long.".to_owned());
    verdict
}
