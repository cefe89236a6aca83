use crate::model::{Cause, Confidence, Intent, Process, Verdict};

use super::super::actors::{Role, role};
use super::super::case::{Case, verdict};
use super::super::evidence;
use super::super::lineage::chain;

/// Its own supervisor stopped it.
///
/// Evidence: the sender is a known supervisor and the parent of the target. Supervisors do as they are told, or by their
/// configuration: none of them is to blame. Must not match a supervisor that is not the parent.
pub(super) fn supervisor_stop(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref()?;
    let is_parent = |process: &Process| {
        case.target().ppid == Some(process.pid)
            || case.target().parent().is_some_and(|parent| parent.is(process))
    };
    if role(sender, case.target()) != Some(Role::Supervisor) || !is_parent(sender) {
        return None;
    }
    let end = match case.was_killed() {
        true => format!("was stopped with {}", signal.signal),
        false => case.ended_by(signal),
    };
    let summary = format!(
        "{} {end} by its own supervisor {}; who told that one to was not seen.",
        case.target_name(),
        case.brief(sender)
    );
    let mut verdict = verdict(Cause::SupervisorStop, Intent::Unknown, Confidence::Likely, summary);
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    verdict.advice =
        Some("Its log says why: a command, a failed health check, a change of its configuration.".to_owned());
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{kill, killed, nginx, process, under};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    #[test]
    fn supervisors_stop_their_own_children() {
        let pm2 = "PM2 v5.3.0: God Daemon (/root/.pm2)";
        let titled = Process { argv: Some(vec![pm2.to_owned()]), ..process(790, pm2) };
        for parent in [
            process(790, "/usr/bin/python3 /usr/bin/supervisord -c x"),
            process(790, "runsv web"),
            process(790, "node /usr/lib/node_modules/.bin/nodemon app.js"),
            titled,
        ] {
            let supervisor = parent.cmdline.clone().unwrap_or_default();
            let target = under(nginx(), std::slice::from_ref(&parent));
            let verdict = judge(
                &killed(target, 100.0, SIGTERM, vec![kill(99.9, SIGTERM, parent.clone())]),
                Show::Cmdline,
            );
            assert_eq!((verdict.cause, verdict.culprit), (Cause::SupervisorStop, None), "{supervisor}");
            // One that is not the parent is told as an outsider.
            let signals = vec![kill(99.9, SIGTERM, parent)];
            assert_eq!(
                judge(&killed(nginx(), 100.0, SIGTERM, signals), Show::Cmdline).cause,
                Cause::ExternalKill,
                "{supervisor}"
            );
        }
    }
}
