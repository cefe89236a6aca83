use crate::model::{Cause, Confidence, Intent, OutcomeKind, RuledOut, Verdict};
use crate::text::span;

use super::super::case::{Case, quote, verdict};
use super::super::evidence;
use super::super::exit_codes::{Meaning, impostor, meaning};
use super::super::last_words::last_words;
use super::super::lineage::link;

/// It called `exit(2)`, and no signal led to that.
///
/// Evidence: the wait status, and the thread that called for the end. What a status means is convention, told with its
/// source. Statuses from 129 on look like deaths by a signal, and are not: shells and runtimes return 128+N for a child
/// that died of signal N. Must not match an exit after a handled signal.
pub(super) fn exit(case: &Case<'_>) -> Option<Verdict> {
    let outcome = &case.facts.outcome;
    if outcome.kind != OutcomeKind::Exited || case.decisive.is_some() {
        return None;
    }
    let name = case.target_name();
    let impostor = outcome.exit_code.and_then(impostor);
    let meaning = outcome.exit_code.and_then(|code| meaning(code, case.target()));
    let summary = match (&meaning, &impostor, outcome.exit_code) {
        (Some(Meaning { label, .. }), _, _) => {
            format!("{name} {} by itself ({label}); no signal led to it.", case.exited())
        }
        (None, Some(signal), Some(code)) => {
            let number = code - 128;
            format!(
                "{name} exited by itself with status {code}; it was not killed by {signal}, though 128+{number} looks like it."
            )
        }
        _ => format!("{name} {} by itself; no signal led to it.", case.exited()),
    };
    let mut verdict = verdict(Cause::Exit, Intent::Unknown, Confidence::Certain, summary);
    verdict.culprit = Some(case.target().clone());
    verdict.chain = vec![link(name, &case.exited(), "by itself".to_owned())];
    verdict.evidence.push(caller(case));
    match (&meaning, impostor) {
        (Some(Meaning { says, .. }), _) => verdict.evidence.push(says.clone()),
        (None, Some(signal)) => {
            verdict.evidence.push(format!(
                "A process that dies of {signal} has the signal in its wait status, not an exit status."
            ));
            verdict.advice = Some(format!(
                "Look at what it started: a shell exits with 128+N when a child of it died of signal N, here perhaps of {signal}."
            ));
        }
        (None, None) => {}
    }
    verdict.evidence.extend(last_words(case));
    verdict.evidence.extend(outcome.lived_s.map(|lived| format!("It had been running for {}.", span(lived))));
    verdict.evidence.extend(evidence::unblamed(case));
    if case.facts.signals.is_empty() && case.facts.lost.records == 0 {
        let because = "no signal at it was recorded and none was lost".to_owned();
        verdict.ruled_out.push(RuledOut { cause: Cause::ExternalKill, because });
    }
    Some(verdict)
}

/// Who called for the end, as far as the kernel recorded it.
fn caller(case: &Case<'_>) -> String {
    let outcome = &case.facts.outcome;
    let name = outcome.exit_thread.as_deref().map_or_else(String::new, |name| format!(" ({})", quote(name)));
    match outcome.exit_tid {
        Some(tid) if outcome.exit_called && tid == case.target().pid => {
            "Its main thread called exit_group(2), which ends the whole process.".to_owned()
        }
        Some(tid) if outcome.exit_called => {
            format!("Its thread {tid}{name} called exit_group(2), which ends the whole process.")
        }
        Some(tid) if tid != case.target().pid => {
            format!("Its wait status says that it exited; its last thread to end was {tid}{name}.")
        }
        _ => "Its wait status says that it called exit(2).".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{exited, ignored, kill, nginx, process};
    use crate::signals::{SIGHUP, SIGTERM};
    use crate::verdict::{Show, judge};

    #[test]
    fn by_itself() {
        let verdict = judge(&exited(nginx(), 100.0, 0, None, Vec::new()), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::Exit, Confidence::Certain));
        assert_eq!(verdict.summary, "`nginx` (pid 812) exited with status 0 by itself; no signal led to it.");
        let excludes = |cause| verdict.ruled_out.iter().any(|other| other.cause == cause);
        assert!(excludes(Cause::Oom) && excludes(Cause::ExternalKill) && !excludes(Cause::Crash));
    }

    #[test]
    fn impostors() {
        for (code, signal) in [
            (129, Some("SIGHUP")),
            (137, Some("SIGKILL")),
            (143, Some("SIGTERM")),
            (192, Some("SIGRTMAX")),
            (193, None),
            (255, None),
            (128, None),
            (124, None),
            (1, None),
        ] {
            let verdict = judge(&exited(nginx(), 100.0, code, None, Vec::new()), Show::Cmdline);
            assert_eq!(verdict.cause, Cause::Exit, "{code}");
            let called_out = format!("was not killed by {}", signal.unwrap_or("SIG"));
            assert_eq!(verdict.summary.contains(&called_out), signal.is_some(), "{}", verdict.summary);
            assert_eq!(verdict.advice.is_some(), signal.is_some());
        }
    }

    #[test]
    fn who_called_for_the_end() {
        for (tid, called, words) in [
            (812, true, "Its main thread called exit_group(2)"),
            (815, true, "Its thread 815 (`worker`) called exit_group(2), which ends the whole process."),
            (815, false, "its last thread to end was 815 (`worker`)"),
            (812, false, "Its wait status says that it called exit(2)."),
        ] {
            let mut facts = exited(nginx(), 100.0, 75, None, Vec::new());
            facts.outcome.exit_tid = Some(tid);
            facts.outcome.exit_thread = Some("worker".to_owned());
            facts.outcome.exit_called = called;
            facts.outcome.lived_s = Some(3.2);
            let verdict = judge(&facts, Show::Cmdline);
            let said = verdict.evidence.join("\n");
            assert!(said.contains(words), "{said}");
            assert!(said.contains("75 is EX_TEMPFAIL") && said.contains("running for 3.2 s"), "{said}");
            assert!(verdict.summary.contains("status 75 by itself (EX_TEMPFAIL)"), "{}", verdict.summary);
        }
    }

    #[test]
    fn what_did_not_lead_to_it_is_told() {
        let killer = || process(5, "kill 812");
        let signals = vec![kill(10.0, SIGHUP, killer()), ignored(kill(99.0, SIGTERM, killer()))];
        let verdict = judge(&exited(nginx(), 100.0, 1, None, signals), Show::Cmdline);
        let said = verdict.evidence.join("\n");
        assert!(said.contains("1 min 30 s before the end, too long ago to be the reason"), "{said}");
        assert!(said.contains("1 s before the end, and was ignored"), "{said}");
        assert!(!verdict.ruled_out.iter().any(|out| out.cause == Cause::ExternalKill));
    }

    #[test]
    fn an_exit_after_a_handled_signal_is_not_its_own() {
        let signals = vec![kill(99.0, SIGTERM, process(5, "kill 812"))];
        let verdict = judge(&exited(nginx(), 100.0, 143, Some(1.0), signals), Show::Cmdline);
        assert_eq!(verdict.cause, Cause::ExternalKill);
    }

    #[test]
    fn a_lost_record_leaves_doubt() {
        let mut facts = exited(nginx(), 100.0, 0, None, Vec::new());
        facts.lost.records = 2;
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert!(verdict.evidence.iter().any(|said| said.starts_with("2 signals at it were counted")));
        assert!(!verdict.ruled_out.iter().any(|out| out.cause == Cause::ExternalKill));
    }
}
