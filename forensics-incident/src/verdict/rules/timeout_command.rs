use crate::attribution::{arrived, is_own};
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
    // When its time was over before, what it passes on is somebody else's.
    if matches!(fit, Fit::Unchecked(_)) && signal.relayed.as_deref().is_some_and(arrived) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Process};
    use crate::sample::{exited, ignored, kill, killed, nginx, ns, process, signal, under};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    /// `cmdline` that started in the hundredth second under `timeout`.
    fn child_of(timeout: &Process, cmdline: &str) -> Process {
        let child = Process { start_boot_ns: ns(100.0), ..process(812, cmdline) };
        under(child, &[timeout.clone(), process(4402, "-bash")])
    }

    fn killed_by(timeout: &str, elapsed: f64, number: u32) -> Verdict {
        let timeout = process(800, timeout);
        let at = 100.0 + elapsed;
        let sent = kill(at, number, timeout.clone());
        judge(&killed(child_of(&timeout, "sleep 9"), at, number, vec![sent]), Show::Cmdline)
    }

    #[test]
    fn the_child_of_an_expired_timeout() {
        let verdict = killed_by("timeout 1 sleep 9", 1.002, SIGTERM);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TimeoutCommand, Confidence::Certain));
        assert_eq!(
            verdict.summary,
            "timeout(1) stopped `sleep` (pid 812) with SIGTERM after 1 s: `timeout 1 sleep 9` (pid 800) ran out."
        );
        assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(800));
        assert!(verdict.evidence.contains(&"timeout was given 1 s, and 1 s had passed.".to_owned()));
    }

    /// The command outlived its time, and somebody signals timeout, which passes it on.
    #[test]
    fn what_is_passed_on_later_is_somebody_elses() {
        let timeout = process(800, "timeout 60 backup");
        let operator = process(4431, "kill 800");
        let relayed = Some(Box::new(kill(399.9, SIGTERM, operator.clone())));
        let sent = Signal { relayed, ..kill(400.0, SIGTERM, timeout.clone()) };
        let died = killed(child_of(&timeout, "backup"), 400.1, SIGTERM, vec![sent]);
        let verdict = judge(&died, Show::Cmdline);
        assert_ne!(verdict.cause, Cause::TimeoutCommand, "{}", verdict.summary);
        assert_eq!(verdict.culprit, Some(operator));
    }

    #[test]
    fn what_the_time_says() {
        use Cause::{ExternalKill, TimeoutCommand};
        use Confidence::{Certain, Likely};
        for (timeout, elapsed, number, cause, confidence) in [
            ("timeout 10 x", 10.3, SIGTERM, TimeoutCommand, Certain),
            ("timeout 10 x", 9.99, SIGTERM, TimeoutCommand, Certain),
            ("timeout 10 x", 60.0, SIGTERM, TimeoutCommand, Likely),
            ("timeout -s KILL 10 x", 10.0, SIGKILL, TimeoutCommand, Certain),
            ("timeout -k 5 10 x", 15.0, SIGKILL, TimeoutCommand, Certain),
            ("timeout -k 5 10 x", 10.0, SIGTERM, TimeoutCommand, Certain),
            // The wrapper may have changed its title or lost its arguments.
            ("timeout", 10.0, SIGTERM, TimeoutCommand, Likely),
            ("busybox timeout 10 x", 10.0, SIGTERM, TimeoutCommand, Certain),
            // Somebody signalled timeout, which passed it on.
            ("timeout 10 x", 3.0, SIGTERM, ExternalKill, Likely),
            ("timeout 10 x", 10.0, SIGKILL, ExternalKill, Likely),
            ("timeout -k 5 10 x", 7.0, SIGKILL, ExternalKill, Likely),
            ("timeout 0 x", 10.0, SIGTERM, ExternalKill, Likely),
        ] {
            let verdict = killed_by(timeout, elapsed, number);
            assert_eq!(
                (verdict.cause, verdict.confidence),
                (cause, confidence),
                "{timeout} {elapsed} {number}"
            );
            assert_eq!(verdict.culprit.is_some(), cause == TimeoutCommand);
        }
    }

    #[test]
    fn a_stranger_called_timeout() {
        let stranger = process(800, "timeout 1 sleep 9");
        let sent = kill(1000.0, SIGTERM, stranger);
        let verdict = judge(&killed(nginx(), 1000.0, SIGTERM, vec![sent]), Show::Cmdline);
        assert_eq!(verdict.cause, Cause::ExternalKill);
    }

    #[test]
    fn a_child_that_handles_the_request() {
        let timeout = process(800, "timeout 1 server");
        let sent = kill(101.0, SIGTERM, timeout.clone());
        let facts = exited(child_of(&timeout, "server"), 101.5, 0, Some(0.5), vec![sent]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::TimeoutCommand, Confidence::Likely));
        assert!(
            verdict.summary.contains("exited with status 0, 500 ms after SIGTERM"),
            "{}",
            verdict.summary
        );
    }

    fn timeout(cmdline: &str) -> Process {
        Process { start_boot_ns: ns(100.0), ..under(process(800, cmdline), &[process(4402, "-bash")]) }
    }

    fn alarm(at: f64) -> Signal {
        signal(at, SIGALRM, Mechanism::Timer, None)
    }

    fn group_copy(of: &Process, at: f64, number: u32) -> Signal {
        Signal { syscall_args: Some(vec![0, i64::from(number)]), ..kill(at, number, of.clone()) }
    }

    #[test]
    fn the_timeout_itself() {
        let target = timeout("timeout 1 sleep 9");
        let copy = ignored(group_copy(&target, 101.0, SIGTERM));
        for signals in [vec![alarm(101.0), copy.clone()], vec![copy]] {
            let after = signals.first().filter(|s| s.signal_num == SIGALRM).map(|_| 0.1);
            let verdict = judge(&exited(target.clone(), 101.1, 124, after, signals), Show::Cmdline);
            assert_eq!((verdict.cause, verdict.confidence), (Cause::TimeoutCommand, Confidence::Certain));
            assert_eq!(verdict.summary, "timeout(1) stopped `sleep 9` after 1 s.");
            assert_eq!(verdict.chain[0].actor, "`-bash` (pid 4402)");
        }
    }

    #[test]
    fn the_timeout_that_had_to_kill() {
        let target = timeout("timeout -k 1 1 stubborn");
        let signals = vec![
            alarm(101.0),
            ignored(group_copy(&target, 101.0, SIGTERM)),
            group_copy(&target, 102.0, SIGKILL),
        ];
        let verdict = judge(&killed(target, 102.0, SIGKILL, signals), Show::Cmdline);
        assert_eq!(verdict.cause, Cause::TimeoutCommand);
        assert_eq!(
            verdict.summary,
            "timeout(1) stopped `stubborn` after 1 s with SIGKILL, and itself with it."
        );
    }

    #[test]
    fn what_only_looks_like_an_expired_timeout() {
        let target = timeout("timeout 100 sh x");
        let bare = judge(&exited(target.clone(), 101.0, 124, None, Vec::new()), Show::Cmdline);
        assert_eq!(bare.cause, Cause::Exit, "its command exited with 124");
        let killer = process(5, "kill 800");
        let signals = vec![
            kill(110.0, SIGTERM, killer.clone()),
            ignored(group_copy(&target, 110.0, SIGTERM)),
            signal(110.1, SIGTERM, Mechanism::Tgkill, Some(target.clone())),
        ];
        let relayed = judge(&killed(target.clone(), 110.1, SIGTERM, signals.clone()), Show::Cmdline);
        assert_eq!((relayed.cause, relayed.culprit), (Cause::ExternalKill, Some(killer)));
        let facts: Facts = exited(target, 110.1, 143, Some(0.1), signals[..2].to_vec());
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
