use crate::model::{Cause, Confidence, ManagerMessage, Verdict};

use super::super::asked::asked;
use super::super::case::{Case, quote};
use super::super::word::{Word, quoted};

/// `SD_MESSAGE_SESSION_STOP` of `systemd/sd-messages.h`.
const SESSION_STOP: &str = "3354939424b4456d9802ca8333ed424a";
/// logind waits this long after the last session before it stops the user's manager (`UserStopDelaySec=`), and some more,
/// seconds.
const AFTER_LOGOUT_S: f64 = 30.0;
/// The stop of what holds it comes shortly before its own, or waits for it, seconds.
const WITH_PARENT_S: f64 = 5.0;

/// It ended with the login session or the user's manager that held it.
///
/// Evidence: the manager's signal at a process of a session's scope and logind's word about that session, or PID 1's that
/// it stops the user's manager around the unit. Must not match a unit of a user that is stopped while its manager goes on.
pub(super) fn session_end(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case)?;
    let session = word.manager.unit.strip_prefix("session-").and_then(|rest| rest.strip_suffix(".scope"));
    let (what, reason) = match session {
        Some(session) => (format!("its login session {session}"), of_session(&word, session)?),
        None => {
            let parent = word.manager.parent.as_ref()?;
            (format!("the manager of its user ({})", quote(&parent.unit)), of_parent(&word, &parent.unit)?)
        }
    };
    // Nothing ended for want of a session then.
    let is_asked = asked(case, word.signal).is_some_and(|asked| asked.culprit().is_some());
    let linger = match word.manager.linger.filter(|_| !is_asked) {
        Some(true) => "; the user may linger, so it did not end for want of a session",
        Some(false) => {
            "; the user does not linger (`loginctl enable-linger`), so nothing of theirs outlives the last session"
        }
        None => "",
    };
    let summary = format!(
        "{} {} because {what} ended{linger}.",
        case.target_name(),
        if case.was_killed() {
            format!("was stopped with {}", word.signal.signal)
        } else {
            case.ended_by(word.signal)
        },
    );
    let confidence = case.confidence().min(Confidence::Likely);
    let mut verdict = word.verdict(case, Cause::SessionEnd, confidence, summary, Some(reason));
    let closed = closed_sessions(&word, reason);
    verdict.evidence.splice(1..1, closed.map(|message| quoted(message, word.signal)));
    verdict.advice = match (session, word.manager.linger) {
        _ if is_asked => None,
        (Some(_), _) => Some(
            "What must outlive a session belongs into a unit: `systemd-run --user`, with lingering enabled; KillUserProcesses= of logind ends what is left in sessions."
                .to_owned(),
        ),
        (None, Some(false)) => Some("`loginctl enable-linger USER` keeps the user's units without a session.".to_owned()),
        (None, _) => None,
    };
    Some(verdict)
}

/// logind's or PID 1's word about a session.
fn of_session<'a>(word: &Word<'a>, session: &str) -> Option<&'a ManagerMessage> {
    let near = |message: &&ManagerMessage| (word.first.ts - message.ts).abs() <= AFTER_LOGOUT_S;
    let names = |text: &str| text.split([' ', '.']).any(|token| token == session);
    // That it began says nothing (`log_struct()` of both in systemd's `src/login/logind-session.c`).
    let ends = |text: &str| text.contains("logged out") || text.starts_with("Removed session ");
    let of_logind = |message: &&ManagerMessage| {
        message.identifier == "systemd-logind" && ends(&message.text) && names(&message.text)
    };
    let found = word.manager.messages.iter().filter(near).find(of_logind);
    found.or_else(|| word.own().filter(near).find(|message| message.job_type.as_deref() == Some("stop")))
}

/// PID 1's word that it stops the user's manager.
fn of_parent<'a>(word: &Word<'a>, parent: &str) -> Option<&'a ManagerMessage> {
    word.manager.messages.iter().find(|message| {
        let is_stop = message.job_type.as_deref() == Some("stop") && message.unit.as_deref() == Some(parent);
        is_stop && (word.first.ts - WITH_PARENT_S..=word.first.ts + WITH_PARENT_S).contains(&message.ts)
    })
}

/// Sessions that were closed shortly before.
fn closed_sessions<'a>(word: &Word<'a>, told: &ManagerMessage) -> impl Iterator<Item = &'a ManagerMessage> {
    let before = word.first.ts - AFTER_LOGOUT_S..=word.first.ts + WITH_PARENT_S;
    word.manager.messages.iter().filter(move |message| {
        message.message_id.as_deref() == Some(SESSION_STOP)
            && before.contains(&message.ts)
            && *message != told
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Intent, ParentUnit, Process};
    use crate::sample::{BOOT, kill, killed, nginx, process, request, systemd, under};
    use crate::signals::SIGTERM;
    use crate::verdict::word::tests::with_word;
    use crate::verdict::{Show, judge};

    fn message(at: f64, identifier: &str, text: &str) -> ManagerMessage {
        ManagerMessage {
            ts: BOOT + at,
            identifier: identifier.to_owned(),
            text: text.to_owned(),
            ..ManagerMessage::default()
        }
    }

    fn in_session(messages: Vec<ManagerMessage>) -> Facts {
        let mut facts =
            with_word(killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())]), messages);
        facts.manager.as_mut().unwrap().unit = "session-3.scope".to_owned();
        facts
    }

    fn of_user(messages: Vec<ManagerMessage>) -> Facts {
        let user_manager = Process {
            name: "systemd".to_owned(),
            exe: Some("/usr/lib/systemd/systemd".to_owned()),
            cgroup: Some("/user.slice/user-1000.slice/user@1000.service/init.scope".to_owned()),
            ..under(process(900, "/lib/systemd/systemd --user"), &[systemd()])
        };
        let mut facts =
            with_word(killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, user_manager)]), messages);
        let manager = facts.manager.as_mut().unwrap();
        manager.scope = "user".to_owned();
        manager.linger = Some(false);
        manager.parent = Some(ParentUnit { unit: "user@1000.service".to_owned(), timeout_stop: None });
        facts
    }

    fn stopping_manager(at: f64) -> ManagerMessage {
        ManagerMessage {
            unit: Some("user@1000.service".to_owned()),
            job_id: Some(7),
            job_type: Some("stop".to_owned()),
            ..message(at, "systemd", "Stopping user@1000.service - User Manager for UID 1000...")
        }
    }

    #[test]
    fn the_session_and_the_user_manager() {
        let verdict =
            judge(&in_session(vec![message(99.9, "systemd-logind", "Removed session 3.")]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::SessionEnd, None));
        assert!(verdict.summary.contains("because its login session 3 ended"), "{}", verdict.summary);
        let closed = ManagerMessage {
            message_id: Some(SESSION_STOP.to_owned()),
            ..message(89.0, "systemd-logind", "Removed session 5.")
        };
        let verdict = judge(&of_user(vec![closed, stopping_manager(99.9)]), Show::Cmdline);
        assert_eq!(verdict.cause, Cause::SessionEnd);
        assert!(verdict.summary.contains("the user does not linger"), "{}", verdict.summary);
        assert!(
            verdict.evidence.iter().any(|said| said.contains("Removed session 5.")),
            "{:?}",
            verdict.evidence
        );
    }

    #[test]
    fn somebody_asked_for_the_end_of_the_user_manager() {
        let asker = Process { uid: Some(0), euid: Some(0), ..process(77, "systemctl stop user@1000") };
        let stop = request(99.5, asker.clone(), "StopUnit", "user@1000.service", "replace");
        let facts = Facts { requests: vec![stop], ..of_user(vec![stopping_manager(99.9)]) };
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.intent), (Cause::SessionEnd, Intent::Deliberate));
        assert_eq!((verdict.confidence, verdict.culprit), (Confidence::Likely, Some(asker)));
        assert!(!verdict.summary.contains("linger"), "{}", verdict.summary);
        assert_eq!(verdict.advice, None);
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        let other = message(99.9, "systemd-logind", "Removed session 33.");
        assert_ne!(cause(in_session(vec![other])), Cause::SessionEnd, "another session");
        let begins = message(90.0, "systemd-logind", "New session 3 of user carol.");
        assert_ne!(cause(in_session(vec![begins])), Cause::SessionEnd, "it has just begun");
        assert_ne!(cause(of_user(Vec::new())), Cause::SessionEnd, "its manager goes on");
        assert_ne!(cause(of_user(vec![stopping_manager(10.0)])), Cause::SessionEnd, "long before");
        let mut another = stopping_manager(99.9);
        another.unit = Some("user@1001.service".to_owned());
        assert_ne!(cause(of_user(vec![another])), Cause::SessionEnd, "another user's");
    }
}
