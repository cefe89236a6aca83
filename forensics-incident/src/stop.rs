//! How a service manager ends a target: by one signal, or by several in a row.

use crate::model::{Facts, Process, Signal, Timeout, UnitState};
use crate::signals::{SIGABRT, SIGHUP, requests_termination};

/// A manager gives this long between two signals at least, seconds, whatever is known of the unit: what is further apart belongs
/// to two stops.
const LEAST_PATIENCE_S: f64 = 300.0;
/// Where it would wait for ever, what is further apart than this is another matter all the same, seconds.
const MOST_PATIENCE_S: f64 = 3600.0;
/// A busy manager is late by this part of its timeout.
const SLACK: f64 = 0.1;

/// True for a signal by which managers, and people, end processes.
pub fn ends(signal: &Signal) -> bool {
    requests_termination(signal.signal_num) || signal.signal_num == SIGABRT
}

/// A signal of a service manager that is to end a target. Its SIGHUP may be a reload; one that ends a target comes with others,
/// or is the last.
pub fn is_of_manager(signal: &Signal) -> bool {
    ends(signal) && signal.sender.as_ref().is_some_and(Process::is_service_manager)
}

/// The last signal of a manager that was to end the target, and the one with which that manager began.
pub fn of_manager(facts: &Facts) -> Option<(&Signal, &Signal)> {
    let last = facts.signals.iter().rev().find(|signal| is_of_manager(signal))?;
    Some((begun(facts, last), last))
}

/// The signal with which the sender of `last` began what ended with it.
pub fn begun<'a>(facts: &'a Facts, last: &'a Signal) -> &'a Signal {
    let manager = facts.manager.as_ref();
    let state = manager.and_then(|manager| manager.before.as_ref().or(manager.after.as_ref()));
    let patience_s = patience_s(state);
    let is_same = |signal: &&Signal| match (&signal.sender, &last.sender) {
        (Some(one), Some(other)) => one.is(other) && signal.boot_ns <= last.boot_ns,
        _ => false,
    };
    let mut first = last;
    for signal in facts.signals.iter().rev().filter(is_same).filter(|signal| is_of_manager(signal)) {
        if first.ts - signal.ts > patience_s {
            break;
        }
        if signal.signal_num != SIGHUP {
            first = signal;
        }
    }
    first
}

fn patience_s(state: Option<&UnitState>) -> f64 {
    let told = state.into_iter().flat_map(|state| [state.timeout_stop, state.timeout_abort]).flatten();
    let seconds =
        told.map(|timeout: Timeout| timeout.seconds().map_or(MOST_PATIENCE_S, |s| s * (1.0 + SLACK)));
    seconds.fold(LEAST_PATIENCE_S, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManagerFacts;
    use crate::sample::{kill, killed, nginx, process, systemd};
    use crate::signals::{SIGKILL, SIGTERM};

    fn facts(signals: Vec<Signal>) -> Facts {
        killed(nginx(), 40_000.1, SIGKILL, signals)
    }

    fn begun_at(facts: &Facts) -> f64 {
        of_manager(facts).map_or(0.0, |(first, _)| first.ts - crate::sample::BOOT)
    }

    #[test]
    fn a_reload_is_no_beginning() {
        let stop = vec![
            kill(10_000.0, SIGHUP, systemd()),
            kill(39_900.0, SIGHUP, systemd()),
            kill(39_910.0, SIGTERM, systemd()),
            kill(39_950.0, SIGTERM, process(7, "kill 812")),
            kill(40_000.0, SIGKILL, systemd()),
        ];
        assert!((begun_at(&facts(stop)) - 39_910.0).abs() < 1e-3);
        assert!(of_manager(&facts(vec![kill(1.0, SIGKILL, process(7, "kill -9 812"))])).is_none());
    }

    #[test]
    fn two_stops_are_two() {
        let signals = vec![kill(38_000.0, SIGTERM, systemd()), kill(40_000.0, SIGKILL, systemd())];
        let mut facts = facts(signals);
        assert!((begun_at(&facts) - 40_000.0).abs() < 1e-3);
        let timeout_stop = Some(Timeout::Seconds(2000.0));
        facts.manager = Some(ManagerFacts {
            before: Some(UnitState { timeout_stop, ..UnitState::default() }),
            unit: "nginx.service".to_owned(),
            scope: "system".to_owned(),
            invocation_id: None,
            after: None,
            messages: Vec::new(),
            shutdown: None,
            linger: None,
            parent: None,
        });
        assert!((begun_at(&facts) - 38_000.0).abs() < 1e-3, "as long as its timeout allows");
    }
}
