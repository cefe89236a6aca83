//! Which of a target's signals ended it: the decisive one.
//!
//! The kernel records what was sent, not what a handler did with it, so a death by a signal is matched by
//! its number, and an exit by class and by time.

use crate::model::{Facts, Mechanism, OutcomeKind, Process, SendResult, Signal};
use crate::signals::{SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGKILL, SIGPWR, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

/// `SIGHUP` asks half of all services to reload: it explains an exit only this soon after it, seconds.
const HANGUP_BLAME_S: f64 = 10.0;
/// The same for a key typed at the terminal.
const KEY_BLAME_S: f64 = 10.0;
/// The same for signals that have no agreed meaning.
const OTHER_BLAME_S: f64 = 1.0;
/// Unix times as `f64` resolve about 0.24 µs; what is nearer than this is the same moment.
const SAME_MOMENT_S: f64 = 1e-6;

/// The end that a signal is looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// How the target ended.
    pub(crate) kind: OutcomeKind,
    /// The signal that it died of.
    pub(crate) signal: Option<u32>,
    /// When, Unix seconds.
    pub(crate) ts: f64,
    /// Nothing before this moment explains an exit or a survival, Unix seconds.
    pub(crate) since_ts: f64,
}

/// The decisive signal of facts that are already complete.
///
/// The assembly stored its choice as `after_s`, counted back from the end; without it, only a death by a
/// signal has a decisive one.
pub(crate) fn decisive_of(facts: &Facts) -> Option<&Signal> {
    let outcome = &facts.outcome;
    let since_ts = outcome.after_s.map_or(f64::INFINITY, |after| outcome.ts - after - SAME_MOMENT_S);
    let end = End { kind: outcome.kind, signal: outcome.signal_num, ts: outcome.ts, since_ts };
    decisive(end, &facts.target, facts.signals.iter()).map(|(_, signal, _)| signal)
}

/// The decisive signal, its index, and the Unix time from which the end is counted.
pub(crate) fn decisive<'a>(
    end: End,
    target: &Process,
    signals: impl Iterator<Item = &'a Signal>,
) -> Option<(usize, &'a Signal, f64)> {
    let seen = signals.enumerate().filter(|(_, s)| s.ts <= end.ts + SAME_MOMENT_S).collect::<Vec<_>>();
    let (index, signal) = match end.kind {
        OutcomeKind::Killed => killer(end.signal?, target, &seen),
        OutcomeKind::Exited => asked_to_exit(end, &seen),
        OutcomeKind::Survived => survived(end, target, &seen),
        OutcomeKind::Unknown => killer(SIGKILL, target, &seen).or_else(|| asked_to_exit(end, &seen)),
    }?;
    let last = last_ts_before(signal, end.ts);
    let from = match end.kind {
        OutcomeKind::Survived if signal.ts >= end.since_ts => signal.ts,
        OutcomeKind::Survived => last,
        _ if signal.signal_num == SIGKILL => signal.ts,
        _ => last,
    };
    Some((index, signal, from))
}

/// True when the signal reached the target, which then had to handle it or die.
pub(crate) fn arrived(signal: &Signal) -> bool {
    matches!(signal.result, SendResult::Delivered | SendResult::LostInfo)
}

/// True when the target sent the signal to itself.
pub(crate) fn is_own(signal: &Signal, target: &Process) -> bool {
    signal.mechanism.is_user_sent() && signal.sender.as_ref().is_some_and(|sender| sender.is(target))
}

/// The signal that killed: the first `SIGKILL`, since none after it can matter, or else the last one of
/// that number, since those before it must have been handled.
///
/// A handler that cleans up, restores the default and raises the signal again is no suicide: then the one
/// that came from elsewhere is decisive.
fn killer<'a>(number: u32, target: &Process, signals: &[(usize, &'a Signal)]) -> Option<(usize, &'a Signal)> {
    let mut same = signals.iter().copied().filter(|(_, s)| s.signal_num == number && arrived(s));
    if number == SIGKILL {
        return same.next();
    }
    let same = same.collect::<Vec<_>>();
    let last = same.iter().copied().max_by_key(|(_, s)| s.last_ns())?;
    if !is_own(last.1, target) {
        return Some(last);
    }
    let foreign = same.into_iter().filter(|(_, s)| !is_own(s, target)).max_by_key(|(_, s)| s.last_ns());
    Some(foreign.unwrap_or(last))
}

/// The last handled signal that explains an exit, a plain request to end before `SIGHUP`, before others.
fn asked_to_exit<'a>(end: End, signals: &[(usize, &'a Signal)]) -> Option<(usize, &'a Signal)> {
    let explains = |s: &Signal| {
        let last = last_ts_before(s, end.ts);
        let age = end.ts - last;
        let (class, longest) = blame(s)?;
        (arrived(s) && last >= end.since_ts && age <= longest).then_some((class, s.last_ns()))
    };
    let ranked = signals.iter().filter_map(|&(index, s)| Some((explains(s)?, (index, s))));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, found)| found)
}

/// How readily a handled signal explains an exit, and for how long, seconds.
fn blame(signal: &Signal) -> Option<(u8, f64)> {
    match signal.signal_num {
        // ^C at the prompt of a shell ends nothing.
        SIGINT | SIGQUIT if signal.mechanism == Mechanism::TtyInterrupt => Some((2, KEY_BLAME_S)),
        SIGTERM | SIGINT | SIGQUIT => Some((2, f64::INFINITY)),
        SIGHUP => Some((1, HANGUP_BLAME_S)),
        SIGUSR1 | SIGUSR2 | SIGABRT | SIGALRM | SIGPWR => Some((0, OTHER_BLAME_S)),
        // The real-time signals that the C library does not keep for itself.
        34..=64 if signal.mechanism.is_user_sent() => Some((0, OTHER_BLAME_S)),
        _ => None,
    }
}

/// The first request to end that came from elsewhere, the plainest before the others.
fn survived<'a>(end: End, target: &Process, signals: &[(usize, &'a Signal)]) -> Option<(usize, &'a Signal)> {
    let plainness = |s: &Signal| match s.signal_num {
        SIGKILL => Some(0),
        SIGTERM | SIGINT | SIGQUIT => Some(1),
        SIGHUP => Some(2),
        _ => None,
    };
    let asked = signals.iter().copied().filter(|(_, s)| {
        !is_own(s, target) && last_ts_before(s, end.ts) >= end.since_ts && plainness(s).is_some()
    });
    asked.min_by_key(|(_, s)| plainness(s))
}

/// Unix time of the last of identical signals, or of the first one when the last came after the end.
fn last_ts_before(signal: &Signal, end_ts: f64) -> f64 {
    let span = signal.last_ns().saturating_sub(signal.boot_ns) as f64 / 1e9;
    let last = signal.ts + span;
    if last <= end_ts + SAME_MOMENT_S { last } else { signal.ts }
}
