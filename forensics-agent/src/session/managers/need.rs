//! Whether an end can be told without its manager's word.

use forensics_incident::model::{Cause, Facts, Mechanism, OutcomeKind, Process, Signal};
use forensics_incident::signals::{SIGABRT, requests_termination};
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

/// When the manager of a unit is needed for an incident. `log_tells` is false where the unit is not the target's own.
pub(super) fn need(facts: &Facts, place: &UnitPath, log_tells: bool) -> Need {
    if facts.outcome.kind == OutcomeKind::Survived {
        return Need::Nothing;
    }
    if facts.signals.iter().any(is_of_manager) {
        return Need::Now;
    }
    if !log_tells || !place.is_service() {
        return Need::Nothing;
    }
    // What nobody brought about, only its own words explain.
    match judge(facts, Show::Cmdline).cause {
        Cause::Exit | Cause::Crash => Need::Now,
        _ => Need::Later,
    }
}

/// A signal of a manager, or of one who advises it, that ends processes.
fn is_of_manager(signal: &Signal) -> bool {
    let ends = requests_termination(signal.signal_num) || signal.signal_num == SIGABRT;
    let by_kernel = !signal.mechanism.is_user_sent() && signal.mechanism != Mechanism::CgroupKill;
    let adviser = |sender: &Process| matches!(sender.program(), "systemd-oomd" | "systemd-logind");
    ends && !by_kernel && signal.sender.as_ref().is_some_and(|one| one.is_service_manager() || adviser(one))
}
