use serde::{Deserialize, Serialize};

use super::{Facts, OutcomeKind, Process, Signal};
use crate::signals::{SIGKILL, requests_termination};

/// How long a unit took to stop when it was asked to, as earlier incidents of the same store have it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ObservedDrain {
    /// So many stops of its main process that it survived long enough to end by itself.
    pub stops: u64,
    /// The longest of them, seconds from the request to the end.
    pub longest_s: f64,
}

impl ObservedDrain {
    /// Of earlier ends of one unit; none when none of them was a stop that needed no SIGKILL.
    pub fn of<'a>(earlier: impl IntoIterator<Item = &'a Facts>) -> Option<Self> {
        let took = earlier.into_iter().filter_map(took_s);
        took.fold(None, |known: Option<Self>, took_s| {
            let Self { stops, longest_s } = known.unwrap_or(Self { stops: 0, longest_s: 0.0 });
            Some(Self { stops: stops + 1, longest_s: longest_s.max(took_s) })
        })
    }

    /// True when it matters to an end: its manager lost its patience with it.
    pub fn concerns(facts: &Facts) -> bool {
        let killed = |signal: &Signal| signal.signal_num == SIGKILL && is_of_manager(signal);
        asked(facts).is_some_and(|asked| asked.signal_num != SIGKILL) && facts.signals.iter().any(killed)
    }
}

/// Seconds from the request of the manager to the end of a main process that needed no other.
fn took_s(facts: &Facts) -> Option<f64> {
    let is_main = facts.target.parent().is_some_and(Process::is_service_manager);
    let ended = matches!(facts.outcome.kind, OutcomeKind::Exited | OutcomeKind::Killed);
    let was_killed = facts.signals.iter().any(|signal| signal.signal_num == SIGKILL)
        || facts.outcome.signal_num == Some(SIGKILL);
    let asked = asked(facts).filter(|_| is_main && ended && !was_killed)?;
    Some((facts.outcome.ts - asked.ts).max(0.0))
}

/// The first request of the manager to end.
fn asked(facts: &Facts) -> Option<&Signal> {
    facts.signals.iter().find(|signal| requests_termination(signal.signal_num) && is_of_manager(signal))
}

fn is_of_manager(signal: &Signal) -> bool {
    signal.sender.as_ref().is_some_and(Process::is_service_manager)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{exited, kill, killed, nginx, process, systemd};
    use crate::signals::SIGTERM;

    fn main_process() -> Process {
        Process { ancestors: vec![systemd()], ..nginx() }
    }

    #[test]
    fn only_stops_that_needed_no_force_count() {
        let stop = |took: f64| {
            exited(main_process(), 100.0 + took, 0, Some(took), vec![kill(100.0, SIGTERM, systemd())])
        };
        let mut by_person = stop(9.0);
        by_person.signals = vec![kill(100.0, SIGTERM, process(5, "kill 812"))];
        let mut worker = stop(8.0);
        worker.target.ancestors.clear();
        let forced = killed(
            main_process(),
            190.0,
            SIGKILL,
            vec![kill(100.0, SIGTERM, systemd()), kill(190.0, SIGKILL, systemd())],
        );
        assert!(ObservedDrain::concerns(&forced) && !ObservedDrain::concerns(&by_person));
        let earlier = [stop(1.5), stop(4.0), by_person, worker, forced];
        let Some(ObservedDrain { stops: 2, longest_s }) = ObservedDrain::of(&earlier) else {
            panic!("{:?}", ObservedDrain::of(&earlier))
        };
        assert!((longest_s - 4.0).abs() < 1e-9, "{longest_s}");
        assert_eq!(ObservedDrain::of(&earlier[2..]), None);
    }
}
