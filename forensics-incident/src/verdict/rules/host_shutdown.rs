use crate::model::{Act, Cause, Concern, Confidence, Intent, ManagerFacts, ManagerMessage, Request, Verdict};

use super::super::asked::asked;
use super::super::case::{Case, quote, verdict};
use super::super::evidence;
use super::super::lineage::chain;
use super::super::logind::{DELAY_S, KEY_S, is_for_shutdown, key_before, shutdowns};
use super::super::word::{Word, quoted};

/// A service may be stopped this long after the shutdown began: those after it in the order take their time, seconds.
const LONG_S: f64 = 600.0;

/// logind says it before it asks the manager, which has it from somebody before it acts; the clocks are read apart, seconds.
const CLOCKS_S: f64 = 0.1;

/// The host shut down, and the manager stopped everything.
///
/// Evidence: the manager's signal, and its word that a target of the shutdown has a job, or logind's that the shutdown
/// began. A key or button that logind names comes from outside of the system: a person at the machine, or the hypervisor
/// by ACPI. Must not match a unit that is stopped on a host that stays up, nor one whose stop was asked for before the shutdown.
pub(super) fn host_shutdown(case: &Case<'_>) -> Option<Verdict> {
    if let Some(verdict) = last_phase(case) {
        return Some(verdict);
    }
    let word = Word::of(case)?;
    // Somebody asked for this very unit or for what holds it, and for the shutdown later.
    let of_unit = |request: &Request| {
        matches!(request.concerns, Concern::Target | Concern::Above)
            && matches!(request.act(), Act::Stop | Act::Restart)
    };
    let asked = asked(case, word.signal);
    if asked.is_some_and(|asked| of_unit(asked.request)) {
        return None;
    }
    let begun = word.first.ts;
    let by_then = begun - LONG_S..=begun + CLOCKS_S;
    let began = shutdowns(word.manager).rfind(|message| by_then.contains(&message.ts));
    let target = word.manager.shutdown.as_deref();
    if began.is_none() && (target.is_none() || came_later(case, word.manager, begun + CLOCKS_S)) {
        return None;
    }
    // logind may have done nothing for it.
    let is_asked = asked.is_some_and(|asked| asked.culprit().is_some());
    let key = began.and_then(|began| key(case, word.manager, began.ts)).filter(|_| !is_asked);
    let what = match (target, began.map(|message| message.text.as_str())) {
        (Some("reboot.target" | "soft-reboot.target"), _) => "reboots",
        (Some("kexec.target"), _) => "starts another kernel (kexec)",
        (Some("halt.target"), _) => "halts",
        (Some("poweroff.target"), _) => "powers off",
        (_, Some(text)) if text.contains("reboot") => "reboots",
        (_, Some(text)) if text.contains("power") => "powers off",
        _ => "shuts down",
    };
    let who = match key {
        Some(key) => format!("; {} says: {}", key.identifier, quote(&key.text)),
        None => String::new(),
    };
    let summary = format!(
        "{} {} because the host {what}{who}.",
        case.target_name(),
        if case.was_killed() {
            format!("was stopped with {}", word.signal.signal)
        } else {
            case.ended_by(word.signal)
        },
    );
    let mut verdict =
        word.verdict(case, Cause::HostShutdown, case.confidence().max(Confidence::Likely), summary, began);
    if let Some(target) = target {
        verdict.evidence.insert(0, format!("The manager has a job for {}.", quote(target)));
    }
    if let Some(key) = key {
        verdict.evidence.insert(0, quoted(key, word.signal));
        verdict.evidence.push(
            "A power key is pressed at the machine, or by its hypervisor or cloud by way of ACPI: no process of this system asked."
                .to_owned(),
        );
    }
    Some(verdict)
}

/// True when all that is known of the beginning of a shutdown came after a moment, Unix seconds.
fn came_later(case: &Case<'_>, manager: &ManagerFacts, ts: f64) -> bool {
    let requests = case.facts.requests.iter().filter(|request| request.act() == Act::Shutdown);
    let mut known =
        requests.map(|request| request.ts).chain(shutdowns(manager).map(|message| message.ts)).peekable();
    known.peek().is_some() && known.all(|known| known > ts)
}

/// The key for which logind shuts down. One from long before counts only where nobody asked: somebody else may delay what
/// the key is for.
fn key<'a>(case: &Case<'_>, manager: &'a ManagerFacts, began: f64) -> Option<&'a ManagerMessage> {
    let within_s = if case.facts.requests.iter().any(is_for_shutdown) { KEY_S } else { DELAY_S };
    key_before(manager, began, within_s)
}

/// What is left when all units are stopped gets its signals from what pid 1 has become (`src/shutdown/shutdown.c`).
fn last_phase(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref().filter(|sender| sender.is_service_manager())?;
    // The kernel's name of it has 15 characters at most.
    if !sender.name.starts_with("systemd-shutdow") {
        return None;
    }
    let summary = format!(
        "{} {} because the host shuts down: it was there when all units had been stopped, and pid {} ended what was left.",
        case.target_name(),
        if case.was_killed() { format!("was ended with {}", signal.signal) } else { case.ended_by(signal) },
        sender.pid,
    );
    let mut verdict = verdict(Cause::HostShutdown, Intent::Automatic, case.confidence(), summary);
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.ruled_out = evidence::ruled_out(signal, true);
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Process};
    use crate::sample::{kill, killed, nginx, process, request, systemd};
    use crate::signals::SIGTERM;
    use crate::verdict::logind::tests::logged;
    use crate::verdict::logind::{KEYS, SHUTDOWN};
    use crate::verdict::word::tests::with_word;
    use crate::verdict::{Show, judge};

    fn stopped(messages: Vec<ManagerMessage>) -> Facts {
        with_word(killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())]), messages)
    }

    #[test]
    fn ways_down() {
        let began = logged(99.0, SHUTDOWN, "System is powering down.");
        let verdict = judge(&stopped(vec![began.clone()]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::HostShutdown, None));
        assert!(verdict.summary.ends_with("because the host powers off."), "{}", verdict.summary);
        let key = logged(98.9, KEYS[0], "Power key pressed short.");
        let verdict = judge(&stopped(vec![key, began]), Show::Cmdline);
        assert!(verdict.summary.contains("`Power key pressed short.`"), "{}", verdict.summary);
        assert!(verdict.evidence.iter().any(|said| said.contains("ACPI")));
        for (target, words) in
            [("reboot.target", "reboots"), ("halt.target", "halts"), ("kexec.target", "another kernel")]
        {
            let mut facts = stopped(Vec::new());
            facts.manager.as_mut().unwrap().shutdown = Some(target.to_owned());
            assert!(judge(&facts, Show::Cmdline).summary.contains(words), "{target}");
        }
    }

    #[test]
    fn the_last_phase() {
        let mut last = systemd();
        last.name = "systemd-shutdow".to_owned();
        last.exe = Some("/usr/lib/systemd/systemd-shutdown".to_owned());
        let facts = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, last.clone())]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::HostShutdown, Confidence::Certain));
        last.pid = 4431;
        last.exe = Some("/tmp/systemd-shutdown".to_owned());
        let facts = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, last)]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill, "anyone may take the name");
    }

    #[test]
    fn a_key_is_not_what_somebody_else_did() {
        let mut facts = stopped(vec![
            logged(98.0, KEYS[0], "Power key pressed short."),
            logged(99.0, SHUTDOWN, "System is powering down."),
        ]);
        let asker = Process { uid: Some(0), ..process(5, "systemctl poweroff") };
        let asked = request(99.0, asker.clone(), "StartUnit", "poweroff.target", "replace-irreversibly");
        facts.requests = vec![Request { concerns: Concern::Everything, ..asked }];
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::HostShutdown, Some(asker)));
        assert_eq!(verdict.intent, Intent::Deliberate);
        assert!(!verdict.summary.contains("key"), "{}", verdict.summary);
        assert!(!verdict.evidence.iter().any(|said| said.contains("ACPI")), "{:?}", verdict.evidence);
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        assert_ne!(cause(stopped(Vec::new())), Cause::HostShutdown);
        let mut forged = logged(99.0, SHUTDOWN, "System is powering down.");
        forged.identifier = "systemd".to_owned();
        assert_ne!(cause(stopped(vec![forged])), Cause::HostShutdown);
        let key_alone = logged(99.0, KEYS[0], "Power key pressed short.");
        assert_ne!(cause(stopped(vec![key_alone])), Cause::HostShutdown, "logind may ignore it");
        // The host goes down after the stop, while the manager is asked about it.
        let later = logged(100.4, SHUTDOWN, "System is rebooting.");
        assert_ne!(cause(stopped(vec![later])), Cause::HostShutdown, "it began later");
        let mut asked = stopped(vec![logged(100.05, SHUTDOWN, "System is rebooting.")]);
        asked.manager.as_mut().unwrap().shutdown = Some("reboot.target".to_owned());
        asked.requests =
            vec![request(99.99, process(5, "systemctl stop nginx"), "StopUnit", "nginx.service", "replace")];
        assert_eq!(cause(asked), Cause::SystemdStop, "it was asked for before");
        let mut of_slice = stopped(Vec::new());
        of_slice.manager.as_mut().unwrap().shutdown = Some("reboot.target".to_owned());
        let slice =
            request(99.99, process(5, "systemctl stop web.slice"), "StopUnit", "web.slice", "replace");
        of_slice.requests = vec![Request { concerns: Concern::Above, ..slice }];
        assert_eq!(cause(of_slice.clone()), Cause::SystemdStop, "what holds it was stopped before");
        let reboot = |at| Request {
            concerns: Concern::Everything,
            ..request(at, process(5, "reboot"), "StartUnit", "reboot.target", "replace-irreversibly")
        };
        of_slice.requests = vec![reboot(100.3)];
        assert_ne!(cause(of_slice.clone()), Cause::HostShutdown, "it was asked for later");
        of_slice.requests = vec![reboot(99.9)];
        assert_eq!(cause(of_slice.clone()), Cause::HostShutdown);
        of_slice.requests.clear();
        assert_eq!(cause(of_slice.clone()), Cause::HostShutdown);
        of_slice.manager.as_mut().unwrap().messages = vec![logged(100.4, SHUTDOWN, "System is rebooting.")];
        assert_ne!(cause(of_slice), Cause::HostShutdown, "it began later");
        let by_person = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, process(5, "kill 812"))]);
        let began = logged(99.0, SHUTDOWN, "System is powering down.");
        assert_eq!(cause(with_word(by_person, vec![began])), Cause::ExternalKill);
    }
}
