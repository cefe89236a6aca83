//! Which ends there were, and what explains each, as far as logs can.

use forensics_incident::model::Confidence;
use serde::Serialize;

use super::{Finding, Kind, Subject};

/// Findings about one end come within this time, seconds.
const ONE_END_S: f64 = 5.0;
/// Ends that are told, the latest.
const MAX_DEATHS: usize = 20;
/// Findings that stand with one end.
const MAX_AROUND: usize = 12;
/// How long before an end lines about it are of interest, seconds.
const LINES_S: f64 = 10.0;
/// How long before an end a command or a change of packages may have led to it, seconds.
const ASKED_S: f64 = 120.0;
/// A shutdown takes so long at most, seconds.
const SHUTDOWN_S: f64 = 600.0;

/// The source of what the subject and its manager said.
const SAID: &str = "the journal, ";

/// One end, and what explains it best. Never with certainty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Death {
    /// Unix time, seconds.
    pub ts: f64,
    /// What explains it, one sentence.
    pub explanation: String,
    /// Likely, or only possible.
    pub confidence: Confidence,
    /// What that rests on, oldest first.
    pub findings: Vec<Finding>,
}

/// A kind of finding that explains an end: how long before and after the end it may stand, seconds.
struct Reason {
    kind: Kind,
    before: f64,
    after: f64,
    says: &'static str,
}

const fn reason(kind: Kind, before: f64, after: f64, says: &'static str) -> Reason {
    Reason { kind, before, after, says }
}

/// The more specific ones first.
const REASONS: [Reason; 8] = [
    reason(Kind::Signal, 5.0, 0.1, "a signal to it, or a forbidden system call, was recorded"),
    reason(Kind::Oom, 10.0, 5.0, "the out-of-memory killer took it"),
    reason(Kind::Watchdog, 120.0, 0.1, "its manager's watchdog ran out"),
    reason(Kind::RuntimeLimit, 120.0, 0.1, "it ran for longer than its manager allows"),
    reason(Kind::StopTimeout, 30.0, 0.1, "it took longer to stop than its manager allows"),
    reason(Kind::Crash, 5.0, 10.0, "it crashed"),
    reason(Kind::Shutdown, SHUTDOWN_S, 5.0, "the host was going down"),
    reason(Kind::Stop, SHUTDOWN_S, 0.1, "its manager was told to stop it"),
];

/// The ends among findings, oldest first, each explained.
pub fn conclude(subject: &Subject, findings: &[Finding]) -> Vec<Death> {
    let mut ends: Vec<&Finding> = Vec::new();
    for finding in findings.iter().filter(|finding| is_end(subject, finding, findings)) {
        // A manager tells of each end once; the kernel and a dump tell of the same one.
        let told_once = matches!(finding.kind, Kind::Killed | Kind::Exited | Kind::Boot);
        let is_other = |last: &&Finding| told_once || finding.ts - last.ts > ONE_END_S;
        if ends.last().is_none_or(is_other) {
            ends.push(finding);
        }
    }
    // What led to an end explains no later one.
    let before = std::iter::once(f64::NEG_INFINITY).chain(ends.iter().map(|end| end.ts));
    let explained = ends.iter().zip(before).map(|(end, after)| explain(subject, end, after, findings));
    explained.skip(ends.len().saturating_sub(MAX_DEATHS)).collect()
}

/// Of a process, everything but its own lines names its end. Of a unit, its manager does; and a host that starts without
/// having been shut down.
fn is_end(subject: &Subject, finding: &Finding, all: &[Finding]) -> bool {
    match (subject, finding.kind) {
        (_, Kind::Killed | Kind::Exited) => true,
        (Subject::Process(_), kind) => matches!(kind, Kind::Signal | Kind::Oom | Kind::Crash),
        (Subject::Unit(place), Kind::Boot) => {
            let before = || all.iter().rev().filter(|other| other.ts < finding.ts);
            let shut_down =
                |other: &Finding| other.kind == Kind::Shutdown && other.ts >= finding.ts - SHUTDOWN_S;
            // What it said last, or what its manager said of it, is how it was when the host went down.
            let mut own = before().filter(|other| {
                let is_said = matches!(other.kind, Kind::Line | Kind::Stop | Kind::Killed | Kind::Exited);
                is_said && other.source.starts_with(SAID)
            });
            let gone = [format!("Stopped {}", place.unit), format!("{}: Deactivated", place.unit)];
            let was_alive = own.next().is_some_and(|last| {
                last.kind == Kind::Line && !gone.iter().any(|words| last.text.starts_with(words.as_str()))
            });
            was_alive && !before().any(shut_down)
        }
        _ => false,
    }
}

/// Explains an end by what came later than `since`, Unix seconds.
fn explain(subject: &Subject, end: &Finding, since: f64, all: &[Finding]) -> Death {
    let within = |before: f64, after: f64| {
        let span = end.ts - before..=end.ts + after;
        all.iter().filter(move |finding| span.contains(&finding.ts) && finding.ts > since)
    };
    let found = REASONS.iter().find_map(|reason| {
        let fits = |finding: &&Finding| finding.kind == reason.kind && is_own(subject, finding);
        within(reason.before, reason.after).rfind(fits).map(|finding| (reason, finding))
    });
    // What may be about another process of the host is no more than possible.
    let other = || {
        REASONS.iter().find_map(|reason| {
            let fits = |finding: &&Finding| finding.kind == reason.kind;
            within(reason.before, reason.after).rfind(fits).map(|finding| (reason, finding))
        })
    };
    let (confidence, explanation) = match (end.kind, found, other()) {
        (Kind::Boot, ..) => {
            (Confidence::Possible, "the host started anew, and no shutdown is recorded before".to_owned())
        }
        (_, Some((reason, finding)), _) => {
            let asked = within(ASKED_S, 0.0).rfind(|other| asks(other)).filter(|_| reason.kind == Kind::Stop);
            let asked = asked.map_or_else(String::new, |asked| {
                let what = if asked.kind == Kind::Packages {
                    "packages were being changed"
                } else {
                    "a command was run"
                };
                format!("; {what} shortly before, says {}", asked.source)
            });
            (Confidence::Likely, format!("{}, says {}{asked}", reason.says, finding.source))
        }
        (_, None, Some((reason, finding))) => {
            (Confidence::Possible, format!("{} about that time, says {}", reason.says, finding.source))
        }
        (Kind::Exited, None, None) => {
            (Confidence::Likely, format!("it exited by itself, says {}", end.source))
        }
        _ => (Confidence::Possible, format!("somebody killed it, by {}; no record says who", end.source)),
    };
    let basis = found.or_else(other).map(|(_, finding)| finding);
    let tells = |finding: &&Finding| match finding.kind {
        Kind::Line => finding.ts >= end.ts - LINES_S,
        Kind::Boot => false,
        Kind::Command | Kind::Packages => (end.ts - ASKED_S..=end.ts).contains(&finding.ts),
        _ => is_own(subject, finding),
    };
    let mut findings: Vec<Finding> = within(SHUTDOWN_S, ONE_END_S)
        .filter(|finding| *finding != end && Some(*finding) != basis)
        .filter(tells)
        .cloned()
        .collect();
    findings.drain(..findings.len().saturating_sub(MAX_AROUND));
    findings.extend([Some(end), basis].into_iter().flatten().cloned());
    findings.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    findings.dedup();
    Death { ts: end.ts, explanation, confidence, findings }
}

/// True for what may have had a manager stop a unit: scripts of packages do, and so do people.
fn asks(finding: &Finding) -> bool {
    matches!(finding.kind, Kind::Command | Kind::Packages)
}

/// True for what names the subject. The kernel's lines name processes, and seldom units; packages and their scripts name neither.
fn is_own(subject: &Subject, finding: &Finding) -> bool {
    match (finding.kind, subject) {
        (Kind::Oom | Kind::Crash | Kind::Signal, Subject::Unit(place)) => finding.text.contains(&place.unit),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::{Scope, UnitPath};

    fn found(ts: f64, kind: Kind, text: &str) -> Finding {
        Finding { ts, kind, source: "a log".to_owned(), text: text.to_owned() }
    }

    fn unit() -> Subject {
        Subject::Unit(UnitPath::named("gw", Scope::System).expect("a unit"))
    }

    fn one(subject: &Subject, findings: &[Finding]) -> Death {
        let mut deaths = conclude(subject, findings);
        assert_eq!(deaths.len(), 1, "{deaths:?}");
        deaths.remove(0)
    }

    #[test]
    fn nothing_is_certain() {
        let end =
            || found(1000.0, Kind::Killed, "gw.service: Main process exited, code=killed, status=9/KILL");
        for (kind, text, confidence, words) in [
            (
                Kind::Oom,
                "task_memcg=/system.slice/gw.service",
                Confidence::Likely,
                "out-of-memory killer took it",
            ),
            (Kind::Oom, "Killed process 812 (mysqld)", Confidence::Possible, "about that time"),
            (Kind::Stop, "Stopping gw.service", Confidence::Likely, "told to stop it"),
            (Kind::Watchdog, "Watchdog timeout", Confidence::Likely, "watchdog ran out"),
            // Scripts of packages have the manager stop units, and kill none.
            (Kind::Packages, "apt-get upgrade", Confidence::Possible, "no record says who"),
            (Kind::Line, "bye", Confidence::Possible, "no record says who"),
        ] {
            let death = one(&unit(), &[found(998.0, kind, text), end()]);
            assert_eq!(death.confidence, confidence, "{text}");
            assert!(death.explanation.contains(words), "{text}: {}", death.explanation);
        }
    }

    #[test]
    fn an_exit_is_its_own_unless_it_was_told() {
        let end = || found(1000.0, Kind::Exited, "status=1/FAILURE");
        assert!(one(&unit(), &[end()]).explanation.contains("exited by itself"));
        let stop = || found(995.0, Kind::Stop, "Stopping");
        assert!(one(&unit(), &[stop(), end()]).explanation.ends_with("told to stop it, says a log"));
        let death = one(&unit(), &[found(990.0, Kind::Packages, "upgrade gw"), stop(), end()]);
        assert!(death.explanation.contains("packages were being changed shortly before"), "{death:?}");
    }

    #[test]
    fn a_boot_without_a_shutdown() {
        let boot = || found(1000.0, Kind::Boot, "the host started");
        let said =
            |kind, text: &str| Finding { source: format!("{SAID}systemd"), ..found(900.0, kind, text) };
        let alive = || said(Kind::Line, "Started gw.service");
        assert!(one(&unit(), &[alive(), boot()]).explanation.contains("no shutdown is recorded"));
        let orderly = [alive(), found(990.0, Kind::Shutdown, "down"), boot()];
        assert!(conclude(&unit(), &orderly).is_empty());
        assert!(conclude(&unit(), &[boot()]).is_empty(), "it was not there");
        assert!(conclude(&unit(), &[said(Kind::Line, "Stopped gw.service - x"), boot()]).is_empty());
        let both = conclude(&unit(), &[alive(), boot(), found(1001.0, Kind::Killed, "killed")]);
        assert_eq!(both.len(), 2, "the end of the host is not that of the next run");
    }

    #[test]
    fn what_led_to_an_end_explains_no_later_one() {
        let findings = [
            found(999.0, Kind::Signal, "gw.service: Sent signal SIGKILL on client request."),
            found(999.1, Kind::Killed, "status=9/KILL"),
            found(1000.0, Kind::Killed, "status=9/KILL"),
        ];
        let deaths = conclude(&unit(), &findings);
        let confidences: Vec<Confidence> = deaths.iter().map(|death| death.confidence).collect();
        assert_eq!(confidences, [Confidence::Likely, Confidence::Possible]);
    }

    #[test]
    fn of_a_process_what_names_it() {
        let process = Subject::Process(812);
        assert!(conclude(&process, &[found(1.0, Kind::Line, "hello")]).is_empty());
        let oom = found(2.0, Kind::Oom, "Killed process 812 (gw)");
        let death = one(&process, &[oom.clone(), found(2.1, Kind::Oom, "oom-kill:pid=812")]);
        assert_eq!((death.ts, death.confidence), (2.0, Confidence::Likely));
    }
}
