//! How long earlier stops of a unit took.

use crate::model::{Facts, ObservedDrain, OutcomeKind, Process};
use crate::signals::{SIGABRT, SIGKILL};
use crate::stop;

/// True when it matters to an end: its manager asked, and then killed it.
pub fn matters_to(facts: &Facts) -> bool {
    stop::of_manager(facts)
        .is_some_and(|(first, last)| first.signal_num != SIGKILL && last.signal_num == SIGKILL)
}

/// What earlier ends say of those of `facts`' unit; none when none of them was such a stop.
pub fn observed<'a>(facts: &Facts, earlier: impl IntoIterator<Item = &'a Facts>) -> Option<ObservedDrain> {
    // Users may have units of the same name as the system's, each in a slice of its own.
    let is_same =
        |one: &&Facts| (&one.target.unit, &one.target.slice) == (&facts.target.unit, &facts.target.slice);
    let took = earlier.into_iter().filter(is_same).filter_map(took_s);
    took.fold(None, |known: Option<ObservedDrain>, took_s| {
        let ObservedDrain { stops, longest_s } = known.unwrap_or(ObservedDrain { stops: 0, longest_s: 0.0 });
        Some(ObservedDrain { stops: stops + 1, longest_s: longest_s.max(took_s) })
    })
}

/// Seconds from the only request of the manager to the end of a main process that answered it.
fn took_s(facts: &Facts) -> Option<f64> {
    let (first, last) = stop::of_manager(facts)?;
    let is_main = facts.target.parent().is_some_and(Process::is_service_manager);
    let answered = match facts.outcome.kind {
        OutcomeKind::Exited => true,
        OutcomeKind::Killed => facts.outcome.signal_num == Some(first.signal_num),
        _ => false,
    };
    // What else came meanwhile may have ended it.
    let is_alone =
        !facts.signals.iter().any(|signal| stop::ends(signal) && signal.last_ns() > first.last_ns());
    let is_asked = !matches!(first.signal_num, SIGKILL | SIGABRT) && std::ptr::eq(first, last);
    (is_main && answered && is_alone && is_asked).then(|| (facts.outcome.ts - first.ts).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Signal;
    use crate::sample::{exited, kill, killed, nginx, process, systemd};
    use crate::signals::SIGTERM;

    fn main_process() -> Process {
        Process { ancestors: vec![systemd()], unit: Some("nginx.service".to_owned()), ..nginx() }
    }

    #[test]
    fn only_stops_that_were_answered_count() {
        let stop = |took: f64, more: Option<Signal>| {
            let signals = std::iter::once(kill(100.0, SIGTERM, systemd())).chain(more).collect();
            exited(main_process(), 100.0 + took, 0, Some(took), signals)
        };
        let mut by_person = stop(9.0, None);
        by_person.signals = vec![kill(100.0, SIGTERM, process(5, "kill 812"))];
        let mut worker = stop(8.0, None);
        worker.target.ancestors.clear();
        let mut of_user = stop(7.0, None);
        of_user.target.slice = Some("app.slice".to_owned());
        let aborted = stop(90.0, Some(kill(189.0, SIGABRT, systemd())));
        let helped = stop(50.0, Some(kill(149.0, SIGTERM, process(5, "kill 812"))));
        let forced = killed(
            main_process(),
            190.0,
            SIGKILL,
            vec![kill(100.0, SIGTERM, systemd()), kill(190.0, SIGKILL, systemd())],
        );
        assert!(matters_to(&forced) && !matters_to(&by_person) && !matters_to(&aborted));
        let earlier =
            [stop(1.5, None), stop(4.0, None), by_person, worker, of_user, aborted, helped, forced.clone()];
        let Some(ObservedDrain { stops: 2, longest_s }) = observed(&forced, &earlier) else {
            panic!("{:?}", observed(&forced, &earlier))
        };
        assert!((longest_s - 4.0).abs() < 1e-9, "{longest_s}");
        assert_eq!(observed(&forced, &earlier[2..]), None);
    }
}
