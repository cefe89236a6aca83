use crate::model::{Cause, Confidence, Intent, Mechanism, OutcomeKind, Process, Signal, Verdict};

use super::super::actors::{Role, role};
use super::super::case::{Case, by_what, quote, verdict};
use super::super::evidence;
use super::super::lineage::{behind, chain, run_from};
use super::super::origins;
use super::super::stale::possibly_stale;

/// Another process signalled it, or wrote `cgroup.kill`.
///
/// Evidence: the decisive signal came from a system call of another process. Managers, container runtimes,
/// supervisors and relays are named and not blamed: who asked them is not in these records. Must not match
/// what the kernel sends on its own, whoever is running then.
pub(super) fn external_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let cause = match signal.mechanism {
        Mechanism::CgroupKill => Cause::CgroupKill,
        _ => Cause::ExternalKill,
    };
    let Some(sender) = &signal.sender else { return Some(nameless(case, signal, cause)) };
    if sender.is(case.target()) {
        return None;
    }
    let mut verdict = match role(sender, case.target()) {
        Some(role) => by_proxy(case, signal, sender, role, cause),
        None => by_itself(case, signal, sender, cause),
    };
    verdict.chain = chain(case, sender, signal);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.extend(evidence::earlier(case, signal));
    verdict.evidence.extend(evidence::raised_again(case, signal));
    verdict.evidence.extend(possibly_stale(case, signal, sender));
    verdict.evidence.extend(evidence::of_sender(case, sender));
    verdict.ruled_out = evidence::ruled_out(signal, sender.is_service_manager());
    verdict.advice = origins::advice(case, sender);
    Some(verdict)
}

/// Somebody decided it.
fn by_itself(case: &Case<'_>, signal: &Signal, sender: &Process, cause: Cause) -> Verdict {
    let from = format!("{}{}", case.actor(sender), run_from(case, sender));
    let name = case.target_name();
    let summary = match (case.facts.outcome.kind, cause) {
        (OutcomeKind::Killed, Cause::CgroupKill) => {
            format!("{name} was killed with its whole cgroup: {from} wrote cgroup.kill.")
        }
        (OutcomeKind::Killed, _) => format!("{} was sent to {name} by {from}.", signal.signal),
        _ => format!("{name} {} from {from}.", case.ended_by(signal)),
    };
    let mut verdict = verdict(cause, origins::intent(case, sender), case.confidence(), summary);
    verdict.culprit = Some(sender.clone());
    verdict
}

/// Somebody told the sender to.
fn by_proxy(case: &Case<'_>, signal: &Signal, sender: &Process, role: Role, cause: Cause) -> Verdict {
    let name = case.target_name();
    // pid 1 calls itself /sbin/init; people know it by its kernel name.
    let by = match role {
        Role::Relay => case.brief(sender),
        _ => format!("{} (pid {})", quote(&sender.name), sender.pid),
    };
    let known = first_known(case, sender);
    let asked = match known {
        Some(actor) => format!("behind it stands {}", case.actor(actor)),
        None => "who asked for it was not seen".to_owned(),
    };
    let what = match (role, case.was_killed()) {
        (Role::Relay, _) => format!("{}, passed on by {by}", case.ended_by(signal)),
        (_, true) => format!("was stopped with {} by {by}, {}", signal.signal, role.noun()),
        (_, false) => format!("{} from {by}, {}", case.ended_by(signal), role.noun()),
    };
    let summary = format!("{name} {what}; {asked}.");
    let cause = match (role, cause) {
        (Role::Runtime, Cause::ExternalKill) => Cause::ContainerStop,
        (_, cause) => cause,
    };
    let mut verdict = verdict(cause, Intent::Unknown, Confidence::Likely, summary);
    verdict.culprit = known.cloned();
    verdict
}

/// The first actor behind a sender that only does as it is told. What started a relay or a supervisor did not thereby
/// signal anyone, so only a runtime is followed: it is run by the command that asked.
fn first_known<'a>(case: &Case<'_>, sender: &'a Process) -> Option<&'a Process> {
    if role(sender, case.target()) != Some(Role::Runtime) {
        return None;
    }
    let acts_alone = |actor: &&&Process| role(actor, case.target()).is_none();
    behind(sender, case.target()).iter().find(acts_alone).copied()
}

/// The identity of the sender could not be read.
fn nameless(case: &Case<'_>, signal: &Signal, cause: Cause) -> Verdict {
    let what = by_what(signal);
    let summary = format!(
        "{} {} sent by another process with {what}; which one could not be read.",
        case.target_name(),
        case.ended_by(signal)
    );
    let mut verdict = verdict(cause, Intent::Unknown, Confidence::Likely, summary);
    verdict.evidence = evidence::of_signal(case, signal);
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Process, RuledOut};
    use crate::sample::{exited, ignored, kill, killed, nginx, ns, process, signal, systemd, under};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::{Show, judge};

    fn shell() -> Process {
        Process { tty: Some("pts/0".to_owned()), ..process(4402, "-bash") }
    }

    fn operator() -> Process {
        let tty = Some("pts/0".to_owned());
        under(
            Process { tty, ..process(4431, "kill -9 812") },
            &[shell(), process(4400, "sshd: x"), systemd()],
        )
    }

    fn by(sender: Process) -> Verdict {
        judge(&killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, sender)]), Show::Cmdline)
    }

    #[test]
    fn a_person_with_operator() {
        let verdict = by(operator());
        assert_eq!(verdict.cause, Cause::ExternalKill);
        assert_eq!((verdict.intent, verdict.confidence), (Intent::Deliberate, Confidence::Certain));
        assert_eq!(
            verdict.summary,
            "SIGKILL was sent to `nginx` (pid 812) by `kill -9 812` (pid 4431, user id 1000) run from `-bash` (pid 4402) on pts/0."
        );
        assert_eq!(verdict.culprit, Some(operator()));
        let chain =
            verdict.chain.iter().map(|link| format!("{} {} {}", link.actor, link.action, link.object));
        assert_eq!(
            chain.collect::<Vec<_>>(),
            [
                "`sshd: x` (pid 4400) ran `-bash` (pid 4402)",
                "`-bash` (pid 4402) ran `kill -9 812` (pid 4431)",
                "`kill -9 812` (pid 4431) sent SIGKILL to `nginx` (pid 812)",
            ]
        );
        let ruled_out = verdict.ruled_out.iter().map(|RuledOut { cause, .. }| *cause).collect::<Vec<_>>();
        let suspected = [Cause::Oom, Cause::SystemdStopTimeout, Cause::SystemdWatchdog, Cause::Crash];
        assert_eq!(ruled_out, suspected);
    }

    #[test]
    fn without_command_lines() {
        let mut sender = operator();
        sender.exe = Some("/usr/bin/pkill".to_owned());
        let facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, sender)]);
        let verdict = judge(&facts, Show::ExeOnly);
        let all = format!("{verdict:?}");
        assert!(verdict.summary.contains("`/usr/bin/pkill` (pid 4431"), "{}", verdict.summary);
        let sentences = [vec![verdict.summary], verdict.evidence].concat();
        assert!(!sentences.iter().any(|sentence| sentence.contains("-9 nginx")), "{all}");
    }

    #[test]
    fn wrappers_are_passed_through() {
        let sudo = process(4420, "sudo kill -9 812");
        let sender = under(Process { uid: Some(0), ..process(4431, "kill -9 812") }, &[sudo, shell()]);
        assert_eq!(
            by(sender).summary,
            "SIGKILL was sent to `nginx` (pid 812) by `kill -9 812` (pid 4431, root) run through `sudo` from `-bash` (pid 4402)."
        );
        let cron = process(700, "/usr/sbin/cron -f");
        let script = process(4430, "/bin/sh -c /etc/cron.d/x");
        let mut sender = under(process(4431, "kill -9 812"), &[script, cron, systemd()]);
        sender.unit = Some("cron.service".to_owned());
        let verdict = by(sender);
        assert!(
            verdict.summary.ends_with("run through `sh` from `/usr/sbin/cron -f` (pid 700)."),
            "{}",
            verdict.summary
        );
        assert_eq!(verdict.chain.first().map(|link| link.actor.as_str()), Some("unit cron.service"));
        assert!(verdict.evidence.iter().any(|said| said.starts_with("It was a scheduled job")));
    }

    #[test]
    fn four_shells_deep() {
        let shells = [4430, 4420, 4410, 4402].map(|pid| process(pid, "sh ./s"));
        let verdict = by(under(process(4431, "kill 812"), &shells));
        assert_eq!(verdict.chain.len(), 5);
        assert_eq!(verdict.chain[0].actor, "`sh ./s` (pid 4402)");
    }

    #[test]
    fn a_script_of_a_unit() {
        let mut sender = under(process(4431, "/usr/bin/python3 reap.py"), &[systemd()]);
        sender.unit = Some("reaper.service".to_owned());
        assert!(by(sender).summary.ends_with("run by the unit reaper.service."));
    }

    /// What it did not start is none of its business, whatever it is called.
    #[test]
    fn a_supervisor_of_others_acts_of_its_own_will() {
        let stranger = process(950, "/tmp/monit -9 812");
        assert_eq!(by(stranger.clone()).culprit, Some(stranger));
    }

    #[test]
    fn managers_are_named_and_not_blamed() {
        let user_manager = Process {
            name: "systemd".to_owned(),
            exe: Some("/usr/lib/systemd/systemd".to_owned()),
            ..under(process(900, "/lib/systemd/systemd --user"), &[systemd()])
        };
        for (sender, name) in [
            (systemd(), "`systemd` (pid 1), the service manager"),
            (user_manager, "`systemd` (pid 900), the service manager"),
            (process(950, "/usr/bin/containerd-shim-runc-v2 -id 5"), "(pid 950), a container runtime"),
            (process(950, "/usr/bin/dockerd"), "(pid 950), a container runtime"),
        ] {
            let verdict = by(sender.clone());
            assert_eq!((verdict.culprit, verdict.confidence), (None, Confidence::Likely));
            assert!(verdict.instigator.is_none());
            assert!(verdict.summary.contains(name), "{}", verdict.summary);
            assert!(verdict.summary.ends_with("; who asked for it was not seen."), "{}", verdict.summary);
        }
    }

    #[test]
    fn a_name_alone_makes_no_manager() {
        let impostor = Process { exe: Some("/tmp/systemd".to_owned()), ..process(4431, "systemd") };
        assert_eq!(by(impostor.clone()).culprit, Some(impostor));
    }

    #[test]
    fn the_command_behind_a_runtime_is_to_blame() {
        let podman = process(4000, "podman kill web");
        let crun = under(process(4001, "/usr/bin/crun kill web 9"), &[podman.clone(), shell()]);
        assert_eq!(by(crun).culprit, Some(podman));
    }

    #[test]
    fn relays_pass_on() {
        let tini = process(800, "/usr/bin/tini -- nginx");
        let target = under(nginx(), std::slice::from_ref(&tini));
        let facts = killed(target, 100.0, SIGTERM, vec![kill(99.9, SIGTERM, tini.clone())]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.culprit, None);
        assert!(
            verdict.summary.contains("passed on by `/usr/bin/tini -- nginx` (pid 800)"),
            "{}",
            verdict.summary
        );
        // To a process that it did not start it passes nothing on.
        assert_eq!(by(tini.clone()).culprit, Some(tini));
    }

    #[test]
    fn an_exit_after_a_handled_request() {
        let facts = exited(nginx(), 101.2, 0, Some(1.2), vec![kill(100.0, SIGTERM, operator())]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExternalKill, Confidence::Likely));
        assert!(
            verdict
                .summary
                .starts_with("`nginx` (pid 812) exited with status 0, 1.2 s after SIGTERM from `kill")
        );
    }

    #[test]
    fn escalation_groups_and_forgery_are_told() {
        let mut last = kill(110.0, SIGKILL, operator());
        last.syscall_args = Some(vec![-812, 9]);
        last.claimed_pid = Some(1);
        last.repeated = 2;
        last.last_boot_ns = Some(ns(111.0));
        let signals = vec![ignored(kill(100.0, SIGTERM, operator())), last];
        let said = judge(&killed(nginx(), 110.0, SIGKILL, signals), Show::Cmdline).evidence.join("\n");
        for sentence in [
            "The kernel recorded SIGKILL from pid 4431 by kill(-812, 9).",
            "It went to the whole process group 812.",
            "It came 3 times within 1 s.",
            "It claims to come from pid 1 (si_pid); in truth it came from pid 4431.",
            "SIGTERM from the same sender came 10 s before and was ignored.",
        ] {
            assert!(said.contains(sentence), "{sentence}\n{said}");
        }
    }

    #[test]
    fn a_writer_of_cgroup_kill() {
        let writer = process(4431, "sh -c 'echo 1'");
        let sent = signal(99.9, SIGKILL, Mechanism::CgroupKill, Some(writer.clone()));
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::CgroupKill, Some(writer)));
        let sent = signal(99.9, SIGKILL, Mechanism::CgroupKill, Some(systemd()));
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::CgroupKill, None));
    }

    #[test]
    fn a_sender_that_could_not_be_read() {
        let sent = signal(99.9, SIGKILL, Mechanism::Pidfd, None);
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![sent]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExternalKill, Confidence::Likely));
        assert!(verdict.summary.contains("which one could not be read"), "{}", verdict.summary);
    }

    #[test]
    fn a_child_of_the_target_is_told_as_such() {
        let child = under(process(4431, "kill 812"), &[process(820, "sh -c x"), nginx(), systemd()]);
        let verdict = by(child);
        assert!(verdict.summary.contains("from the target itself"), "{}", verdict.summary);
        assert_eq!(verdict.chain[0].actor, "`nginx -g daemon` (pid 812)");
    }

    #[test]
    fn a_handler_that_raises_again_is_no_suicide() {
        let again = signal(100.5, SIGTERM, Mechanism::Tgkill, Some(nginx()));
        let facts = killed(nginx(), 100.5, SIGTERM, vec![kill(100.0, SIGTERM, operator()), again]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::ExternalKill, Some(operator())));
        assert!(verdict.evidence.iter().any(|said| said.contains("raised it again itself")));
    }
}
