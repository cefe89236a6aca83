//! The causes that people suspect first, each with the fact that excludes it. What was not looked at is not excluded.

use crate::model::{Cause, OutcomeKind, Pressure, Process, RuledOut, Signal, Verdict};
use crate::signals::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSYS, SIGTRAP};
use crate::text::span;

use super::case::Case;

/// Excludes what the rule has not spoken about already.
pub(super) fn complete(verdict: &mut Verdict, case: &Case<'_>) {
    let ended = matches!(case.facts.outcome.kind, OutcomeKind::Killed | OutcomeKind::Exited);
    if !ended {
        return;
    }
    let is_open = |cause: Cause, verdict: &Verdict| {
        verdict.cause != cause && verdict.ruled_out.iter().all(|other| other.cause != cause)
    };
    let because = [
        (Cause::Oom, out_of_memory(case, verdict.cause)),
        (Cause::SystemdStopTimeout, manager(case)),
        (Cause::SystemdWatchdog, manager(case)),
        (Cause::Crash, crash(case)),
    ];
    for (cause, because) in because {
        if let Some(because) = because.filter(|_| is_open(cause, verdict)) {
            verdict.ruled_out.push(RuledOut { cause, because });
        }
    }
    // The one that its signal brings to mind first.
    let first = case.facts.outcome.signal_num.filter(|&number| number == SIGABRT);
    verdict.ruled_out.sort_by_key(|other| match other.cause {
        Cause::SystemdWatchdog if first.is_some() => 0,
        _ => 1,
    });
}

/// The kernel's own count of its kills, else the signal.
fn out_of_memory(case: &Case<'_>, found: Cause) -> Option<String> {
    // These end it for want of memory too, and the kernel need not have killed anyone.
    if matches!(found, Cause::OomDaemon | Cause::SystemdOomPolicy) {
        return None;
    }
    let outcome = &case.facts.outcome;
    let counted = case.facts.pressure.as_ref().and_then(|pressure| no_kills(pressure, outcome.ts));
    counted.or_else(|| match outcome.signal_num {
        Some(number) if number != SIGKILL => {
            let name = outcome.signal.as_deref().unwrap_or("another signal");
            Some(format!("it died of {name}, and the out-of-memory killer sends SIGKILL"))
        }
        None if outcome.kind == OutcomeKind::Exited => {
            Some("the out-of-memory killer's SIGKILL cannot end in an exit status".to_owned())
        }
        _ => None,
    })
}

/// "the kernel counted no out-of-memory kill on this host in the 5 min 2 s before (oom_kill of /proc/vmstat)"
pub(super) fn no_kills(pressure: &Pressure, end_ts: f64) -> Option<String> {
    // Counted from before the end on, or nothing follows.
    let none = |grown: Option<(u64, f64)>| {
        grown.filter(|&(count, since)| count == 0 && since < end_ts).map(|(_, since)| since)
    };
    let (since, place, source) = match (none(pressure.oom_kills()), none(pressure.oom_kills_in_cgroup())) {
        (Some(since), _) => (since, "on this host", "oom_kill of /proc/vmstat"),
        (None, Some(since)) => (since, "in its cgroup", "oom_kill of the cgroup"),
        (None, None) => return None,
    };
    let before = span(end_ts - since);
    Some(format!("the kernel counted no out-of-memory kill {place} in the {before} before ({source})"))
}

/// A service manager times the stops and watches over the life signs of its units, by signals that it sends itself.
fn manager(case: &Case<'_>) -> Option<String> {
    let target = case.target();
    if let Some(sender) = case.decisive.and_then(|signal| signal.sender.as_ref()) {
        return (!sender.is_service_manager())
            .then(|| format!("its sender, pid {}, is not a service manager", sender.pid));
    }
    // Of what is not known to be outside of all units, nothing follows.
    if target.cgroup.is_some() && target.unit.is_none() {
        return Some("it belongs to no unit of a service manager".to_owned());
    }
    let by_manager = |signal: &Signal| signal.sender.as_ref().is_none_or(Process::is_service_manager);
    let complete = case.facts.lost.records == 0 && case.facts.outcome.kind == OutcomeKind::Exited;
    (complete && !case.facts.signals.iter().any(by_manager))
        .then(|| "no signal of a service manager was recorded, and none was lost".to_owned())
}

/// A program that fails dies of a signal of the kernel, or of its own SIGABRT; one that exits may have caught it.
fn crash(case: &Case<'_>) -> Option<String> {
    let number = case.facts.outcome.signal_num.filter(|_| case.was_killed())?;
    let raised_by_faults = [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS];
    let signal = case.decisive?;
    match &signal.sender {
        Some(sender) if !sender.is(case.target()) => {
            Some(format!("the {} was sent by pid {}, not raised by the kernel", signal.signal, sender.pid))
        }
        _ if raised_by_faults.contains(&number) => None,
        _ => Some(format!("no fault raises {}", signal.signal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CgroupReading, Mechanism, MemoryEvents, Reading};
    use crate::sample::{BOOT, exited, incident, kill, killed, nginx, process, signal, systemd};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    /// Counts before and at the end: of the host, and of the cgroup.
    fn pressure(host: [u64; 2], cgroup: [u64; 2]) -> Option<Pressure> {
        let reading = |ts, host, cgroup| {
            let events = MemoryEvents { oom_kill: Some(cgroup), ..MemoryEvents::default() };
            let cgroup = CgroupReading { memory_events: Some(events), ..CgroupReading::default() };
            Some(Reading { ts, oom_kills: Some(host), cgroup: Some(cgroup), ..Reading::default() })
        };
        let (before, end) =
            (reading(BOOT + 40.0, host[0], cgroup[0]), reading(BOOT + 100.0, host[1], cgroup[1]));
        Some(Pressure { before, request: None, end })
    }

    fn because(verdict: &Verdict, cause: Cause) -> Option<&str> {
        verdict.ruled_out.iter().find(|other| other.cause == cause).map(|other| other.because.as_str())
    }

    #[test]
    fn the_kernels_own_count() {
        for (host, cgroup, words) in [
            ([3, 3], [0, 0], Some("no out-of-memory kill on this host in the 1 min before")),
            ([3, 5], [1, 1], Some("no out-of-memory kill in its cgroup in the 1 min before")),
            ([3, 4], [1, 2], None),
        ] {
            // Read for the first time when all was over.
            let mut late = killed(nginx(), 30.0, SIGKILL, Vec::new());
            late.pressure = pressure(host, cgroup);
            assert_eq!(because(&judge(&late, Show::Cmdline), Cause::Oom), None);
            // Silent, so that nothing but the counts can tell.
            let mut facts = killed(nginx(), 100.0, SIGKILL, Vec::new());
            facts.pressure = pressure(host, cgroup);
            let verdict = judge(&facts, Show::Cmdline);
            let said = because(&verdict, Cause::Oom);
            assert_eq!(said.is_some(), words.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().contains(words.unwrap_or_default()), "{said:?}");
        }
    }

    #[test]
    fn what_the_signal_excludes() {
        let sent = |number| {
            judge(&killed(nginx(), 100.0, number, vec![kill(99.9, number, process(5, "x"))]), Show::Cmdline)
        };
        let term = sent(SIGTERM);
        assert_eq!(
            because(&term, Cause::Oom),
            Some("it died of SIGTERM, and the out-of-memory killer sends SIGKILL")
        );
        assert_eq!(
            because(&term, Cause::Crash),
            Some("the SIGTERM was sent by pid 5, not raised by the kernel")
        );
        for cause in [Cause::SystemdStopTimeout, Cause::SystemdWatchdog] {
            assert_eq!(because(&term, cause), Some("its sender, pid 5, is not a service manager"));
        }
        assert_eq!(sent(SIGABRT).ruled_out.first().map(|other| other.cause), Some(Cause::SystemdWatchdog));
        let timer =
            judge(&killed(nginx(), 100.0, 14, vec![signal(99.9, 14, Mechanism::Timer, None)]), Show::Cmdline);
        assert_eq!(because(&timer, Cause::Crash), Some("no fault raises SIGALRM"));
    }

    #[test]
    fn what_was_not_looked_at_is_not_excluded() {
        // Nobody knows where it ran, nothing was counted, and nobody was seen sending the signal.
        let silent = judge(&killed(nginx(), 100.0, SIGKILL, Vec::new()), Show::Cmdline);
        assert_eq!(silent.ruled_out, []);
        let managed =
            judge(&killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, systemd())]), Show::Cmdline);
        assert_eq!(because(&managed, Cause::SystemdStopTimeout), None);
        assert_eq!(because(&managed, Cause::SystemdWatchdog), None);
        let gone = judge(&incident(nginx(), 100.0, Vec::new()), Show::Cmdline);
        assert_eq!(gone.ruled_out, [], "how it ended was not seen");
        // A handler may have caught a fault.
        let exit = judge(&exited(nginx(), 100.0, 1, None, Vec::new()), Show::Cmdline);
        assert_eq!(because(&exit, Cause::Crash), None);
    }

    #[test]
    fn units_and_what_belongs_to_none() {
        let at = |cgroup: Option<&str>, unit: Option<&str>| Process {
            cgroup: cgroup.map(str::to_owned),
            unit: unit.map(str::to_owned),
            ..nginx()
        };
        let excluded = |target: Process, lost| {
            let mut facts = exited(target, 100.0, 1, None, Vec::new());
            facts.lost.records = lost;
            because(&judge(&facts, Show::Cmdline), Cause::SystemdWatchdog).map(str::to_owned)
        };
        let no_unit = Some("it belongs to no unit of a service manager".to_owned());
        assert_eq!(excluded(at(Some("/user/x"), None), 1), no_unit);
        let none_seen = Some("no signal of a service manager was recorded, and none was lost".to_owned());
        assert_eq!(excluded(at(Some("/system.slice/a.service"), Some("a.service")), 0), none_seen);
        assert_eq!(excluded(at(Some("/system.slice/a.service"), Some("a.service")), 1), None);
        assert_eq!(excluded(at(None, None), 1), None);
    }

    #[test]
    fn the_cause_itself_is_never_ruled_out() {
        let oom = signal(99.9, SIGKILL, Mechanism::Oom, None);
        let mut facts = killed(nginx(), 100.0, SIGKILL, vec![oom]);
        // Such counts would be a contradiction; the kernel's record of the signal counts more.
        facts.pressure = pressure([3, 3], [1, 1]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, because(&verdict, Cause::Oom)), (Cause::Oom, None));
    }
}
