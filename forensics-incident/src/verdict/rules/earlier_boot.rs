use crate::model::{Aftermath, Cause, Confidence, Gap, Intent, JournalEnd, LogLine, Verdict};
use crate::text::span;

use super::super::case::{Case, quote, verdict};

/// It was alive when the host went down.
///
/// Evidence: an agent noted that it was alive, and the next one found another boot. What the journal of the earlier boot says
/// of a shutdown makes it one; without such a word it was a crash, a power cut or a reset. Must not match when the agent had
/// recorded what ended it.
pub(super) fn earlier_boot(case: &Case<'_>) -> Option<Verdict> {
    let aftermath = case.facts.aftermath.as_ref().filter(|aftermath| aftermath.gap != Gap::Agent)?;
    if case.decisive.is_some() {
        return None;
    }
    let shutdown = aftermath.journal.as_ref().and_then(|journal| Some((journal, journal.shutdown.as_ref()?)));
    let mut verdict = match (shutdown, &aftermath.panic) {
        (_, Some(panic)) => {
            let summary =
                format!("{} ended because the kernel panicked: {}.", case.target_name(), quote(&panic.text));
            let mut verdict = verdict(Cause::HostCrash, Intent::Fault, Confidence::Likely, summary);
            verdict.evidence.push(format!("{} has the kernel's last words.", quote(&panic.file)));
            verdict
        }
        (Some((journal, shutdown)), None) => orderly(case, journal, shutdown),
        (None, None) => crash(case, aftermath),
    };
    let last_note = match aftermath.agent_stopped {
        true => "was stopped with it alive",
        false => "last noted that it was alive",
    };
    verdict.evidence.push(format!(
        "The agent that watched it (pid {}) {last_note} {} before the next one found another {}.",
        aftermath.agent_pid,
        span(aftermath.found - aftermath.last_seen),
        if aftermath.gap == Gap::Init { "pid 1" } else { "boot" },
    ));
    Some(verdict)
}

fn orderly(case: &Case<'_>, journal: &JournalEnd, shutdown: &LogLine) -> Verdict {
    let what = match shutdown.text.to_ascii_lowercase() {
        text if text.contains("kexec") => "started another kernel (kexec)",
        text if text.contains("reboot") => "rebooted",
        text if text.contains("power") => "powered off",
        text if text.contains("halt") => "halted",
        _ => "shut down",
    };
    let summary = format!("{} ended with the host, which {what}.", case.target_name());
    let mut verdict = verdict(Cause::HostShutdown, Intent::Deliberate, Confidence::Likely, summary);
    verdict.evidence.push(format!("{} logged {}.", who(shutdown), quote(&shutdown.text)));
    verdict.evidence.extend(journal.before.iter().map(|line| {
        format!("{} before that, {} logged {}.", span(shutdown.ts - line.ts), who(line), quote(&line.text))
    }));
    verdict
}

fn crash(case: &Case<'_>, aftermath: &Aftermath) -> Verdict {
    let name = case.target_name();
    let (confidence, summary) = match (aftermath.gap, &aftermath.journal) {
        (Gap::Init, _) => (
            Confidence::Likely,
            format!(
                "{name} ended when the container or system that it ran in was started anew, while the kernel went on."
            ),
        ),
        (_, Some(_)) => (
            Confidence::Likely,
            format!(
                "{name} was alive when the host went down without a shutdown: a crash, a power cut, or a reset."
            ),
        ),
        (_, None) => (
            Confidence::Possible,
            format!(
                "{name} was alive when the host went down; no record says whether that was a shutdown or a crash."
            ),
        ),
    };
    let is_crash = aftermath.gap == Gap::Boot && aftermath.journal.is_some();
    let intent = if is_crash { Intent::Fault } else { Intent::Unknown };
    let mut verdict = verdict(Cause::HostCrash, intent, confidence, summary);
    if let Some(journal) = &aftermath.journal {
        let after = journal.last - aftermath.last_seen;
        let when = if after < 0.0 { "before" } else { "after" };
        verdict.evidence.push(format!(
            "The journal of that time ends {} {when} the agent's last note, and says nothing of a shutdown.",
            span(after.abs())
        ));
    } else {
        verdict.evidence.push("The journal has nothing of that time.".to_owned());
    }
    verdict
}

fn who(line: &LogLine) -> String {
    let name = line.identifier.as_deref().map_or_else(|| "somebody".to_owned(), quote);
    line.pid.map_or(name.clone(), |pid| format!("{name} (pid {pid})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Panic};
    use crate::sample::{BOOT, incident, kill, nginx, process};
    use crate::verdict::{Show, judge};

    fn line(at: f64, identifier: &str, text: &str) -> LogLine {
        LogLine {
            ts: BOOT + at,
            text: text.to_owned(),
            identifier: Some(identifier.to_owned()),
            ..LogLine::default()
        }
    }

    fn gone(gap: Gap, journal: Option<JournalEnd>) -> Facts {
        let mut facts = incident(nginx(), 100.0, Vec::new());
        facts.aftermath = Some(Aftermath {
            gap,
            last_seen: BOOT + 100.0,
            found: BOOT + 400.0,
            agent_pid: 44,
            agent_stopped: false,
            journal,
            panic: None,
        });
        facts
    }

    fn silent() -> Option<JournalEnd> {
        Some(JournalEnd { last: BOOT + 112.0, ..JournalEnd::default() })
    }

    #[test]
    fn a_journal_that_breaks_off() {
        let verdict = judge(&gone(Gap::Boot, silent()), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::HostCrash, Confidence::Likely));
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was alive when the host went down without a shutdown: a crash, a power cut, or a reset."
        );
        assert!(
            verdict.evidence[0].contains("ends 12 s after the agent's last note"),
            "{:?}",
            verdict.evidence
        );
        let verdict = judge(&gone(Gap::Boot, None), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::HostCrash, Confidence::Possible));
        let verdict = judge(&gone(Gap::Init, None), Show::Cmdline);
        assert!(verdict.summary.contains("while the kernel went on"), "{}", verdict.summary);
    }

    #[test]
    fn a_shutdown_and_who_asked() {
        let journal = JournalEnd {
            last: BOOT + 130.0,
            shutdown: Some(line(110.0, "systemd-logind", "The system will reboot now!")),
            before: vec![line(109.5, "sudo", "ann : USER=root ; COMMAND=/usr/sbin/reboot")],
        };
        let verdict = judge(&gone(Gap::Boot, Some(journal)), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::HostShutdown, Confidence::Likely));
        assert_eq!(verdict.summary, "`nginx` (pid 812) ended with the host, which rebooted.");
        assert!(verdict.evidence[1].contains("COMMAND=/usr/sbin/reboot"), "{:?}", verdict.evidence);
        assert_eq!(verdict.culprit, None, "a line of a log is no process");
    }

    #[test]
    fn a_panic_says_so_itself() {
        let mut facts = gone(Gap::Boot, silent());
        let panic = Panic {
            file: "/sys/fs/pstore/dmesg-efi-1".to_owned(),
            text: "Kernel panic - not syncing: Fatal exception".to_owned(),
        };
        facts.aftermath.as_mut().unwrap().panic = Some(panic);
        let verdict = judge(&facts, Show::Cmdline);
        assert!(
            verdict.summary.contains("because the kernel panicked: `Kernel panic"),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn what_was_recorded_before_explains_more() {
        let mut facts = gone(Gap::Boot, silent());
        facts.signals = vec![kill(99.0, 9, process(5, "kill -9 812"))];
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
