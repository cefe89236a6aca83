use crate::concern::manager_of;
use crate::model::{Act, Confidence, Verdict};

use super::super::asked::{asked, told_before};
use super::super::case::{Case, quote};
use super::super::evidence;
use super::super::word::quoted;

/// Its manager stopped, restarted or signalled it, or had a command of its unit do so (`ExecStop=`), since somebody asked for
/// that.
///
/// Evidence: the manager's signal, or that of a command that began after the request, and before it a request to that manager
/// about the target's unit, about what holds it, or about everything. One that was seen makes it certain when the signal followed
/// promptly and nobody could refuse it; a command that must have made one, or a request that polkit judges, likely. Who asked is
/// to blame, or who scheduled what asked. Must not match requests to another manager, about another unit, for another signal, or
/// from before the target was there.
pub(super) fn systemd_stop(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref()?;
    let manager = manager_of(sender, case.target())?;
    let asked = asked(case, signal)?;
    let by_itself = sender.is(manager);
    let name = match manager.pid {
        1 => "systemd".to_owned(),
        pid => format!("{} (pid {pid})", quote(&manager.name)),
    };
    let by = match by_itself {
        true => name,
        false => format!("{name} with a command of its unit, {},", case.actor(sender)),
    };
    let act = match (case.was_killed(), asked.request.act()) {
        (true, Act::Signal) => format!("was sent {} by {by}", signal.signal),
        (true, _) => format!("was stopped by {by}"),
        (false, _) => format!("{} from {by}", case.ended_by(signal)),
    };
    let mut verdict = asked.verdict(case, signal, &act);
    verdict.evidence.extend(evidence::of_sender(case, asked.asker()));
    verdict.ruled_out = evidence::ruled_out(signal, true);
    if !by_itself {
        // Only the manager's word tells it from a child of the service that does as it likes, and after a restart even the new
        // service's own looks like that.
        let began = told_before(case, asked.request, signal).filter(|_| asked.request.act() == Act::Stop);
        verdict.confidence =
            verdict.confidence.min(began.map_or(Confidence::Likely, |_| Confidence::Certain));
        verdict.evidence.extend(began.map(|message| quoted(message, signal)));
    }
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Cause, Concern, Facts, Intent, ManagerMessage, Process, Request, Signal};
    use crate::sample::{exited, kill, killed, logind, nginx, process, request, systemd, under};
    use crate::signals::{SIGABRT, SIGHUP, SIGKILL, SIGTERM};
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    fn web() -> Process {
        Process {
            unit: Some("nginx.service".to_owned()),
            slice: Some("system.slice".to_owned()),
            cgroup: Some("/system.slice/nginx.service".to_owned()),
            ..nginx()
        }
    }

    fn asker(pid: u32) -> Process {
        let root = |process: Process| Process { uid: Some(0), ..process };
        under(
            root(process(pid, "systemctl restart nginx")),
            &[process(70, "bash ./deploy.sh"), process(60, "-bash")],
        )
    }

    fn restart(at: f64, pid: u32) -> Request {
        request(at, asker(pid), "RestartUnit", "nginx.service", "replace")
    }

    fn facts(requests: Vec<Request>, signals: Vec<Signal>) -> Facts {
        let last = signals.last().map_or(SIGTERM, |signal| signal.signal_num);
        Facts { requests, ..killed(web(), 100.0, last, signals) }
    }

    fn judged(requests: Vec<Request>) -> Verdict {
        judge(&facts(requests, vec![kill(99.9, SIGTERM, systemd())]), Show::Cmdline)
    }

    #[test]
    fn whoever_asked_is_named_first() {
        let verdict = judged(vec![restart(99.89, 77)]);
        assert_eq!((verdict.cause, verdict.intent), (Cause::SystemdStop, Intent::Deliberate));
        assert_eq!(verdict.confidence, Confidence::Certain);
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was stopped by systemd because `systemctl restart nginx` (pid 77, root) run from \
             `bash ./deploy.sh` (pid 70) asked it to (RestartUnit nginx.service replace)."
        );
        assert_eq!(verdict.culprit, Some(asker(77)));
        let instigator = verdict.instigator.expect("somebody asked");
        assert_eq!((instigator.process, instigator.inside_target), (asker(77), false));
        assert_eq!(instigator.request, "RestartUnit nginx.service replace");
        let chain: Vec<String> = verdict
            .chain
            .iter()
            .map(|link| format!("{} {} {}", link.actor, link.action, link.object))
            .collect();
        assert_eq!(
            chain,
            [
                "`-bash` (pid 60) ran `bash ./deploy.sh` (pid 70)",
                "`bash ./deploy.sh` (pid 70) ran `systemctl restart nginx` (pid 77)",
                "`systemctl restart nginx` (pid 77) asked systemd for RestartUnit nginx.service replace",
                "`/sbin/init` (pid 1) sent SIGTERM to `nginx` (pid 812)",
            ]
        );
    }

    #[test]
    fn the_nearest_counts() {
        let verdict = judged(vec![restart(99.0, 76), restart(99.89, 77), restart(99.95, 78)]);
        assert_eq!(verdict.culprit, Some(asker(77)));
        assert!(verdict.evidence.iter().any(|said| said.contains("(pid 76, root) asked for")), "{verdict:?}");
    }

    #[test]
    fn near_misses() {
        let away = |change: fn(&mut Request)| {
            let mut request = restart(99.89, 77);
            change(&mut request);
            judged(vec![request]).instigator.is_none()
        };
        assert!(away(|r| r.concerns = Concern::Elsewhere), "another unit");
        assert!(away(|r| r.manager = Some(4)), "another manager");
        assert!(away(|r| r.of_user = Some(1000)), "a user's manager");
        assert!(away(|r| r.verb = "StartUnit".to_owned()), "a start");
        assert!(away(|r| (r.verb, r.signal_num) = ("KillUnit".to_owned(), Some(SIGHUP))), "another signal");
        assert!(away(|r| r.ts += 0.02), "after the signal");
        assert!(away(|r| r.ts -= 400.0), "too long before");
        assert!(!away(|r| (r.ts, r.late) = (r.ts + 0.02, true)), "recorded late");
        // A watchdog's signal.
        let request = restart(99.89, 77);
        let by_watchdog = facts(vec![request], vec![kill(99.9, SIGABRT, systemd())]);
        assert!(judge(&by_watchdog, Show::Cmdline).instigator.is_none());
        // Somebody else's signal.
        let by_person = facts(vec![restart(99.89, 77)], vec![kill(99.9, SIGTERM, process(5, "kill 812"))]);
        assert_eq!(judge(&by_person, Show::Cmdline).cause, Cause::ExternalKill);
    }

    #[test]
    fn a_command_alone_makes_it_likely() {
        let verdict = judged(vec![Request { seen: false, via: None, ..restart(99.0, 77) }]);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStop, Confidence::Likely));
        assert!(verdict.summary.contains("must have asked it to"), "{}", verdict.summary);
        // What was seen comes first.
        let verdict = judged(vec![restart(99.0, 76), Request { seen: false, ..restart(99.5, 77) }]);
        assert_eq!(verdict.culprit, Some(asker(76)));
    }

    #[test]
    fn what_polkit_judges_is_likely() {
        let of_user = |at, uid| {
            let person = Process { uid: Some(uid), ..asker(77) };
            Request { process: person, ..restart(at, 77) }
        };
        let verdict = judged(vec![of_user(99.89, 1000)]);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStop, Confidence::Likely));
        assert!(verdict.summary.contains("likely because `systemctl"), "{}", verdict.summary);
        assert!(verdict.evidence.iter().any(|said| said.contains("polkit")), "{verdict:?}");
        // One that was refused does not hide one that cannot have been.
        let verdict = judged(vec![restart(99.7, 76), of_user(99.89, 1000)]);
        assert_eq!((verdict.culprit, verdict.confidence), (Some(asker(76)), Confidence::Certain));
        // But one from long ago does not stand for what was asked just now.
        let verdict = judged(vec![restart(20.0, 76), of_user(99.89, 1000)]);
        assert_eq!(verdict.confidence, Confidence::Likely);
        assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(77));
    }

    #[test]
    fn requests_that_were_not_recorded_leave_doubt() {
        let mut facts = facts(vec![restart(99.89, 77)], vec![kill(99.9, SIGTERM, systemd())]);
        facts.lost.requests = 9;
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.culprit, verdict.confidence), (Some(asker(77)), Confidence::Likely));
        assert!(verdict.evidence.iter().any(|said| said.starts_with("9 requests")), "{:?}", verdict.evidence);
    }

    #[test]
    fn a_slow_stop_is_still_theirs() {
        let signals = vec![kill(10.0, SIGTERM, systemd()), kill(99.9, SIGKILL, systemd())];
        let verdict = judge(&facts(vec![restart(9.99, 77)], signals), Show::Cmdline);
        assert_eq!((verdict.culprit, verdict.confidence), (Some(asker(77)), Confidence::Certain));
    }

    #[test]
    fn an_exit_after_a_stop_job_is_certain() {
        let signals = vec![kill(99.0, SIGTERM, systemd())];
        let facts =
            Facts { requests: vec![restart(98.99, 77)], ..exited(web(), 100.0, 0, Some(1.0), signals) };
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStop, Confidence::Certain));
        assert!(
            verdict.summary.starts_with(
                "`nginx` (pid 812) exited with status 0, 1 s after SIGTERM from systemd because"
            ),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn a_unit_that_stops_itself() {
        let inside = Process { unit: web().unit, slice: web().slice, ..asker(77) };
        let verdict = judged(vec![Request { process: inside, ..restart(99.89, 77) }]);
        assert!(verdict.instigator.is_some_and(|instigator| instigator.inside_target));
        assert!(verdict.summary.contains("inside the very unit"), "{}", verdict.summary);
    }

    #[test]
    fn a_command_of_the_unit() {
        let command = |began: f64| Process {
            unit: web().unit,
            slice: web().slice,
            start_boot_ns: crate::sample::ns(began),
            ..under(process(90, "start-stop-daemon --stop --retry QUIT/5"), &[systemd()])
        };
        let stopped = |sender: Process, messages: Vec<ManagerMessage>| {
            let stop = request(99.9, asker(77), "StopUnit", "nginx.service", "replace");
            let quit = kill(99.95, SIGTERM, sender);
            judge(&with_word(facts(vec![stop], vec![quit]), messages), Show::Cmdline)
        };
        let verdict = stopped(command(99.92), Vec::new());
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStop, Confidence::Likely));
        assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(77));
        let words = "was stopped by systemd with a command of its unit, `start-stop-daemon --stop --retry QUIT/5` (pid 90, user id 1000), because";
        assert!(verdict.summary.contains(words), "{}", verdict.summary);
        let job =
            ManagerMessage { job_type: Some("stop".to_owned()), ..said(99.91, "Stopping nginx.service...") };
        assert_eq!(stopped(command(99.92), vec![job.clone()]).confidence, Confidence::Certain);
        // It was there before anybody asked.
        assert_eq!(stopped(command(99.0), vec![job.clone()]).cause, Cause::ExternalKill);
        let other = Process { unit: Some("cron.service".to_owned()), ..command(99.92) };
        assert_eq!(stopped(other, vec![job.clone()]).cause, Cause::ExternalKill);
        let child = under(command(99.92), &[web(), systemd()]);
        assert_eq!(stopped(child, vec![job]).cause, Cause::ExternalKill, "the service's own");
    }

    #[test]
    fn who_scheduled_it_is_to_blame() {
        let timer = Process { uid: Some(0), ..process(50, "systemd-run --on-active=5 systemctl stop nginx") };
        let made = Request {
            concerns: Concern::Origin,
            ..request(90.0, timer.clone(), "StartTransientUnit", "run-u7.timer", "fail")
        };
        let scheduled = Process {
            unit: Some("run-u7.service".to_owned()),
            ..under(process(77, "systemctl stop nginx"), &[systemd()])
        };
        let verdict = judged(vec![made, Request { process: scheduled.clone(), ..restart(99.89, 77) }]);
        assert_eq!(verdict.culprit, Some(timer));
        assert_eq!(verdict.instigator.map(|instigator| instigator.process), Some(scheduled));
        assert!(verdict.summary.contains("scheduled by `systemd-run"), "{}", verdict.summary);
        assert!(verdict.chain[0].action.contains("asked systemd for"), "{:?}", verdict.chain);
    }

    #[test]
    fn who_logs_somebody_in_schedules_nothing() {
        let made = Request {
            concerns: Concern::Origin,
            ..request(90.0, logind(), "StartTransientUnit", "session-5.scope", "fail")
        };
        let person = Process { unit: Some("session-5.scope".to_owned()), ..asker(77) };
        let verdict = judged(vec![made, Request { process: person.clone(), ..restart(99.89, 77) }]);
        assert_eq!(verdict.culprit, Some(person));
        assert!(!verdict.summary.contains("scheduled"), "{}", verdict.summary);
    }
}
