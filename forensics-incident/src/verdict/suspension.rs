//! A target that was stopped or frozen when the signal came: it could act on it, or die of it, only later.

use crate::model::{OutcomeKind, Signal, SuspendedBy, Suspension};
use crate::signals::{SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
use crate::text::span;

use super::case::{Case, path, quote};

/// Sooner than this nothing was held up, seconds.
const HELD_UP_S: f64 = 0.05;

/// What held the target up, who had stopped it, and what let it go on.
pub(super) fn sentences(case: &Case<'_>, signal: &Signal) -> Vec<String> {
    let Some(Suspension { by, cgroup }) = &case.facts.kill.suspension else { return Vec::new() };
    let outcome = &case.facts.outcome;
    let Some(after) = outcome.after_s.filter(|&after| after >= HELD_UP_S) else { return Vec::new() };
    let what = match (outcome.kind, by) {
        (OutcomeKind::Survived, SuspendedBy::Stop) => {
            "and it takes signals only when it is continued (SIGCONT)".to_owned()
        }
        (OutcomeKind::Survived, SuspendedBy::Freezer) => {
            "and it takes signals only when that is thawed".to_owned()
        }
        (OutcomeKind::Killed, _) => format!("so that it died {} later", span(after)),
        (OutcomeKind::Exited | OutcomeKind::Unknown, _) => format!("so that it ended {} later", span(after)),
    };
    match by {
        SuspendedBy::Freezer => {
            let cgroup = cgroup
                .as_deref()
                .map_or_else(|| "Its cgroup".to_owned(), |path| format!("Its cgroup {}", quote(path)));
            vec![format!("{cgroup} was frozen when the signal came, {what}.")]
        }
        SuspendedBy::Stop => {
            let mut said = vec![format!("It was stopped when the signal came, {what}.")];
            said.extend(stopped(case, signal));
            said.extend(continued(case, signal));
            said
        }
    }
}

/// Who had stopped it.
fn stopped(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let stops = |s: &&Signal| {
        matches!(s.signal_num, SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU) && s.boot_ns <= signal.boot_ns
    };
    let stop = case.facts.signals.iter().rfind(stops)?;
    let before = span(signal.ts - stop.ts);
    Some(format!("{} had come {before} before, from {}.", stop.signal, who(case, stop)))
}

/// Who let it go on.
fn continued(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let goes_on = |s: &&Signal| s.signal_num == SIGCONT && s.boot_ns > signal.boot_ns;
    let go = case.facts.signals.iter().find(goes_on)?;
    let after = span(go.ts - signal.ts);
    Some(format!("SIGCONT came {after} after it, from {}.", who(case, go)))
}

fn who(case: &Case<'_>, signal: &Signal) -> String {
    signal.sender.as_ref().map_or_else(|| path(signal.mechanism).to_owned(), |sender| case.actor(sender))
}

#[cfg(test)]
mod tests {
    use crate::model::{Facts, Kill, OutcomeKind, SuspendedBy, Suspension};
    use crate::sample::{exited, incident, kill, killed, nginx, process};
    use crate::signals::{SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
    use crate::verdict::{Show, judge};

    fn said(by: SuspendedBy, facts: Facts) -> String {
        let cgroup = (by == SuspendedBy::Freezer).then(|| "/box".to_owned());
        let act = Kill { suspension: Some(Suspension { by, cgroup }), ..Kill::default() };
        judge(&Facts { kill: act, ..facts }, Show::Cmdline).evidence.join("\n")
    }

    #[test]
    fn frozen_until_the_thaw() {
        let facts = killed(nginx(), 130.0, SIGKILL, vec![kill(100.0, SIGKILL, process(5, "kill -9 812"))]);
        let told = said(SuspendedBy::Freezer, facts);
        assert!(
            told.contains("Its cgroup `/box` was frozen when the signal came, so that it died 30 s later."),
            "{told}"
        );
        assert!(!told.contains("until then it was stopped, frozen, or"), "{told}");
    }

    #[test]
    fn stopped_until_somebody_let_it_go_on() {
        let killer = || process(5, "kill 812");
        let signals = vec![
            kill(40.0, SIGSTOP, process(6, "kill -STOP 812")),
            kill(100.0, SIGTERM, killer()),
            kill(130.0, SIGCONT, process(7, "kill -CONT 812")),
        ];
        let told = said(SuspendedBy::Stop, exited(nginx(), 130.1, 0, Some(30.1), signals));
        for sentence in [
            "It was stopped when the signal came, so that it ended 30.1 s later.",
            "SIGSTOP had come 1 min before, from `kill -STOP 812` (pid 6, user id 1000).",
            "SIGCONT came 30 s after it, from `kill -CONT 812` (pid 7, user id 1000).",
        ] {
            assert!(told.contains(sentence), "{sentence}: {told}");
        }
        let mut alive = incident(nginx(), 400.0, vec![kill(100.0, SIGTERM, killer())]);
        (alive.outcome.kind, alive.outcome.after_s) = (OutcomeKind::Survived, Some(300.0));
        let told = said(SuspendedBy::Stop, alive);
        assert!(told.contains("only when it is continued (SIGCONT)"), "{told}");
    }

    #[test]
    fn near_misses() {
        let at_once =
            killed(nginx(), 100.001, SIGKILL, vec![kill(100.0, SIGKILL, process(5, "kill -9 812"))]);
        let told = said(SuspendedBy::Stop, at_once.clone());
        assert!(!told.contains("stopped"), "SIGKILL ends what is stopped: {told}");
        let slow = killed(nginx(), 130.0, SIGKILL, vec![kill(100.0, SIGKILL, process(5, "kill -9 812"))]);
        let told = judge(&slow, Show::Cmdline).evidence.join("\n");
        assert!(
            told.contains("until then it was stopped, frozen, or inside the kernel"),
            "nothing is known: {told}"
        );
    }
}
