//! Whether an end can be told without its manager's word.

use forensics_incident::model::{Cause, Facts, Mechanism, OutcomeKind, Process, Signal};
use forensics_incident::stop;
use forensics_incident::verdict::{Show, judge};

use crate::host::systemd::unit::UnitPath;

/// When the manager is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Before the incident is told.
    Now,
    /// For what it makes of the end.
    Later,
    /// Not at all.
    Nothing,
}

/// When the manager of a unit is needed for an incident. `log_tells` is false where the unit is not the target's own, `is_main`
/// true for its main process.
pub(super) fn need(facts: &Facts, place: &UnitPath, log_tells: bool, is_main: bool) -> Need {
    if facts.outcome.kind == OutcomeKind::Survived {
        return Need::Nothing;
    }
    if facts.signals.iter().any(is_of_manager) {
        return Need::Now;
    }
    if !log_tells || !place.is_service() {
        return Need::Nothing;
    }
    // A manager sees what it started and what it takes for the main process; of what else there is, most ends well, and often.
    let is_started =
        || facts.target.parent().map_or(facts.target.ppid == Some(1), Process::is_service_manager);
    let is_seen = is_main || is_started();
    // What nobody brought about, only its own words explain.
    match judge(facts, Show::Cmdline).cause {
        Cause::Crash => Need::Now,
        Cause::Exit if is_seen => Need::Now,
        _ if is_seen => Need::Later,
        _ => Need::Nothing,
    }
}

/// A signal of a manager, or of one who advises it, that ends processes.
pub(super) fn is_of_manager(signal: &Signal) -> bool {
    let by_kernel = !signal.mechanism.is_user_sent() && signal.mechanism != Mechanism::CgroupKill;
    let adviser = |sender: &Process| {
        matches!(sender.program(), "systemd-oomd" | "systemd-logind" | "earlyoom" | "nohang")
    };
    stop::ends(signal)
        && !by_kernel
        && signal.sender.as_ref().is_some_and(|one| one.is_service_manager() || adviser(one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::Scope;
    use crate::report::samples;

    fn place() -> UnitPath {
        UnitPath::named("gw", Scope::System).expect("a unit")
    }

    fn exited(parent: Process) -> Facts {
        let mut facts = samples::pkill().facts;
        facts.signals.clear();
        facts.outcome.kind = OutcomeKind::Exited;
        facts.outcome.exit_code = Some(1);
        facts.outcome.after_s = None;
        facts.target.ppid = Some(parent.pid);
        facts.target.ancestors = vec![parent];
        facts
    }

    fn systemd() -> Process {
        Process { pid: 1, name: "systemd".to_owned(), ..Process::default() }
    }

    #[test]
    fn only_what_the_manager_started_is_asked_about() {
        let worker = Process { pid: 77, name: "gw".to_owned(), ..Process::default() };
        assert_eq!(need(&exited(systemd()), &place(), true, false), Need::Now);
        assert_eq!(need(&exited(worker.clone()), &place(), true, false), Need::Nothing);
        assert_eq!(
            need(&exited(worker.clone()), &place(), true, true),
            Need::Now,
            "a daemon in the background"
        );
        assert_eq!(need(&exited(systemd()), &place(), false, false), Need::Nothing, "a command of one's own");
        let mut killed = samples::pkill().facts;
        killed.target.ancestors = vec![systemd()];
        assert_eq!(need(&killed, &place(), true, false), Need::Later);
        killed.target.ancestors = vec![worker];
        assert_eq!(need(&killed, &place(), true, false), Need::Nothing);
    }

    #[test]
    fn a_manager_must_speak_of_its_own_signals() {
        let mut facts = samples::pkill().facts;
        for signal in &mut facts.signals {
            signal.sender = Some(systemd());
        }
        assert_eq!(need(&facts, &place(), false, false), Need::Now);
        facts.outcome.kind = OutcomeKind::Survived;
        assert_eq!(need(&facts, &place(), true, false), Need::Nothing);
    }
}
