use crate::model::{Cause, Intent, Verdict};

use super::super::case::{Case, verdict};
use super::super::evidence;
use super::super::lineage::{chain, run_from};
use super::super::stale::stale;

/// The number that the sender used was meant for another process: it came from a pidfile that is older than the target, or
/// the sender had learnt it when an earlier process had it. The same with the number of a process group.
///
/// Evidence: the file holds the number and was last changed before the process was made that has it now; or an earlier
/// process of that number was made by the sender, or by one that the sender descends from. Must not match when a file that the
/// sender names is up to date, when the sender made the target itself, or when earlier processes of that number are all
/// that is known: that makes it possible, and the plainer rule says so.
pub(super) fn stale_pid_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let sender = signal.sender.as_ref().filter(|sender| !sender.is(case.target()))?;
    let stale = stale(case, signal, sender)?;
    let from = format!("{}{}", case.actor(sender), run_from(case, sender));
    let name = case.target_name();
    let meant = stale.phrase(case);
    let summary = match case.was_killed() {
        true => {
            format!("{} from {from} was meant for another process and hit {name}: {meant}.", signal.signal)
        }
        false => format!(
            "{name} {} from {from}, which was meant for another process: {meant}.",
            case.ended_by(signal)
        ),
    };
    let mut verdict = verdict(Cause::StalePidKill, Intent::Fault, stale.confidence(case), summary);
    verdict.culprit = Some(sender.clone());
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(stale.evidence(case));
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.evidence.extend(evidence::raised_again(case, signal));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    verdict.advice = Some(
        "Let the service manager stop the service, or compare name and start time before a pid from a file is used; and \
         remove the file when the service ends."
            .to_owned(),
    );
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, EarlierHolder, Facts, Kill, Pidfile, Process, ProcessGroup};
    use crate::sample::{BOOT, exited, kill, killed, nginx, ns, process, systemd, under};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::{Show, judge};

    /// The target starts in the thousandth second.
    fn target() -> Process {
        Process { start_boot_ns: ns(1000.0), ..nginx() }
    }

    fn script() -> Process {
        process(4402, "sh /etc/init.d/old stop")
    }

    fn sender() -> Process {
        under(process(4431, "kill 812"), &[script(), process(4400, "-bash"), systemd()])
    }

    fn file(written_at: f64) -> Pidfile {
        Pidfile {
            path: "/run/old.pid".to_owned(),
            pid: 812,
            modified: BOOT + written_at,
            named_by: Some(4402),
            script: Some("/etc/init.d/old".to_owned()),
        }
    }

    fn earlier(maker: &Process) -> EarlierHolder {
        let old = Process { start_boot_ns: ns(50.0), ..process(812, "/usr/sbin/old --daemon") };
        EarlierHolder { process: under(old, std::slice::from_ref(maker)), ended_boot_ns: Some(ns(880.0)) }
    }

    fn facts(act: Kill) -> Facts {
        Facts { kill: act, ..killed(target(), 2000.0, SIGTERM, vec![kill(1999.9, SIGTERM, sender())]) }
    }

    fn judged(act: Kill) -> Verdict {
        judge(&facts(act), Show::Cmdline)
    }

    #[test]
    fn a_pidfile_that_is_older_than_the_process() {
        let verdict = judged(Kill { pidfiles: vec![file(100.0)], ..Kill::default() });
        assert_eq!((verdict.cause, verdict.confidence), (Cause::StalePidKill, Confidence::Likely));
        assert_eq!((verdict.intent, verdict.culprit), (Intent::Fault, Some(sender())));
        assert_eq!(
            verdict.summary,
            "SIGTERM from `kill 812` (pid 4431, user id 1000) run from `sh /etc/init.d/old stop` (pid 4402) was meant for \
             another process and hit `nginx` (pid 812): the pid came from `/run/old.pid`, written 15 min before that \
             process started."
        );
        assert!(
            verdict
                .evidence
                .iter()
                .any(|said| said.contains("named in `/etc/init.d/old`, which pid 4402 runs"))
        );
        assert!(verdict.advice.is_some());
    }

    #[test]
    fn who_had_the_number_before_makes_it_certain() {
        let earlier = vec![earlier(&process(1, "init"))];
        let verdict = judged(Kill { pidfiles: vec![file(100.0)], earlier, ..Kill::default() });
        assert_eq!((verdict.cause, verdict.confidence), (Cause::StalePidKill, Confidence::Certain));
        let said = verdict.evidence.join("\n");
        assert!(
            said.contains(
                "Before, the number 812 was that of `/usr/sbin/old --daemon` (pid 812); it ended 2 min before that one \
                 started."
            ),
            "{said}"
        );
    }

    #[test]
    fn a_well_known_file_holds_the_number() {
        let known = Pidfile { named_by: None, script: None, ..file(100.0) };
        let verdict = judged(Kill { pidfiles: vec![known.clone()], ..Kill::default() });
        assert_eq!((verdict.cause, verdict.confidence), (Cause::StalePidKill, Confidence::Likely));
        assert!(verdict.summary.contains("the pid stands in `/run/old.pid`"), "{}", verdict.summary);
        // The target's own file, written after it started, explains the number better.
        let own = Pidfile { path: "/run/nginx.pid".to_owned(), modified: BOOT + 1000.1, ..known.clone() };
        assert_eq!(judged(Kill { pidfiles: vec![known, own], ..Kill::default() }).cause, Cause::ExternalKill);
    }

    #[test]
    fn the_sender_had_started_the_earlier_process_itself() {
        let verdict = judged(Kill { earlier: vec![earlier(&script())], ..Kill::default() });
        assert_eq!((verdict.cause, verdict.confidence), (Cause::StalePidKill, Confidence::Likely));
        assert!(
            verdict.summary.ends_with(
                "the pid had been that of `/usr/sbin/old --daemon` (pid 812), which it had started before."
            ),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn the_number_of_a_group() {
        let mut facts =
            facts(Kill { pidfiles: vec![Pidfile { pid: 700, ..file(100.0) }], ..Kill::default() });
        facts.signals[0].syscall_args = Some(vec![-700, 15]);
        // As long as the leader of the group is not known, it may be as old as the file.
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
        let leader = Process { start_boot_ns: ns(990.0), ..process(700, "nginx: master") };
        facts.kill.group = Some(ProcessGroup { id: 700, leader: Some(leader.clone()) });
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::StalePidKill);
        assert!(
            verdict.summary.contains("the number of the group came from `/run/old.pid`"),
            "{}",
            verdict.summary
        );
        let leader = Process { start_boot_ns: ns(90.0), ..leader };
        facts.kill.group = Some(ProcessGroup { id: 700, leader: Some(leader) });
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }

    #[test]
    fn an_exit_after_it_is_likely() {
        let act = Kill { pidfiles: vec![file(100.0)], earlier: vec![earlier(&script())], ..Kill::default() };
        let facts = Facts {
            kill: act,
            ..exited(target(), 2001.0, 0, Some(1.1), vec![kill(1999.9, SIGTERM, sender())])
        };
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::StalePidKill, Confidence::Likely));
        assert!(
            verdict
                .summary
                .starts_with("`nginx` (pid 812) exited with status 0, 1.1 s after SIGTERM from `kill")
        );
    }

    #[test]
    fn near_misses() {
        let current = judged(Kill { pidfiles: vec![file(1000.1)], ..Kill::default() });
        assert_eq!(current.cause, Cause::ExternalKill, "the file was written by the target");
        let both = judged(Kill { pidfiles: vec![file(100.0), file(1000.1)], ..Kill::default() });
        assert_eq!(both.cause, Cause::ExternalKill, "another file that the sender names is up to date");
        let rounded = judged(Kill { pidfiles: vec![file(999.0)], ..Kill::default() });
        assert_eq!(
            rounded.cause,
            Cause::ExternalKill,
            "written a moment before, as by who makes the process"
        );
        assert_eq!(judged(Kill::default()).cause, Cause::ExternalKill);

        let stranger =
            judged(Kill { earlier: vec![earlier(&process(600, "old-manager"))], ..Kill::default() });
        assert_eq!(stranger.cause, Cause::ExternalKill, "who had the number before says little by itself");
        assert!(stranger.evidence.iter().any(|said| said.contains("possible that a stale pid was used")));

        let act = Kill { pidfiles: vec![file(100.0)], earlier: vec![earlier(&script())], ..Kill::default() };
        let mut facts = facts(act.clone());
        facts.target = under(facts.target, &[script()]);
        facts.signals = vec![kill(1999.9, SIGTERM, script())];
        assert_eq!(
            judge(&facts, Show::Cmdline).cause,
            Cause::ExternalKill,
            "it made the target and knows its pid"
        );
        let job = under(target(), &[script()]);
        let signals = vec![kill(1999.9, SIGTERM, sender())];
        let facts = Facts {
            kill: Kill { pidfiles: Vec::new(), ..act.clone() },
            ..killed(job, 2000.0, SIGTERM, signals)
        };
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill, "its shell made the target");
        let signals = vec![kill(1999.9, SIGKILL, systemd())];
        let facts = Facts { kill: act.clone(), ..killed(target(), 2000.0, SIGKILL, signals) };
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill, "a manager has pidfds");
        let own = vec![kill(1999.9, SIGKILL, target())];
        let facts = Facts { kill: act, ..killed(target(), 2000.0, SIGKILL, own) };
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::SelfKill);
    }
}
