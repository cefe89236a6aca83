use crate::model::{Cause, Confidence, Intent, Mechanism, Process, Signal, Verdict};

use super::super::actors::{Role, role};
use super::super::case::{Case, quote, verdict};
use super::super::evidence;
use super::super::lineage::{chain, link, run_from};
use super::super::relay::{Relayed, relayed as way_of};
use super::terminal::terminal;

/// The sender had just received a signal itself and passed it on: a wrapper, an init of a container, a shell with a
/// trap, a supervisor.
///
/// Evidence: the kernel recorded the signal at the sender too, at most two seconds before, and it arrived there. Who
/// sent that one is to blame. Must not match a sender that ignored what it received, one that received something else
/// and did not start the target, nor a manager, which acts on requests.
pub(super) fn relayed(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| signal.mechanism.is_user_sent())?;
    let way = way_of(case, signal)?;
    let mut verdict = match &way.origin.sender {
        Some(actor) => asked(case, signal, &way, actor)?,
        // A shell that passes the hangup of its terminal on to its jobs.
        None => terminal(&case.with_decisive(way.origin))?,
    };
    let mut said = evidence::of_signal(case, signal);
    said.extend(way.evidence(case));
    said.extend(evidence::earlier(case, signal));
    if let Some(actor) = &way.origin.sender {
        said.extend(evidence::of_sender(case, actor));
        verdict.chain = chain(case, actor, way.origin);
    } else {
        // The terminal's own account of the chain ends at the target, and so does that of its end.
        verdict.confidence = verdict.confidence.min(Confidence::Likely);
        let hops = way.hops.iter().map(|hop| case.brief(hop)).collect::<Vec<_>>().join(", then ");
        let told = verdict.summary.trim_end_matches('.');
        verdict.summary = format!("{told}, and {hops} passed the hangup on.");
    }
    lead_on(case, &mut verdict, &way, signal);
    verdict.evidence = said;
    verdict.ruled_out = evidence::ruled_out(signal, false);
    Some(verdict)
}

/// Somebody signalled the first of the relays.
fn asked(case: &Case<'_>, signal: &Signal, way: &Relayed<'_>, actor: &Process) -> Option<Verdict> {
    let hops = way.hops.iter().map(|hop| case.brief(hop)).collect::<Vec<_>>().join(", then ");
    let name = case.target_name();
    let sent = &way.origin.signal;
    let end = match case.was_killed() {
        true => format!("was killed with {}", signal.signal),
        false => case.ended_by(signal),
    };
    let last = way.hops.last()?;
    let is_supervisor =
        role(last, case.target()) == Some(Role::Supervisor) && case.target().ppid == Some(last.pid);
    let cause = if is_supervisor { Cause::SupervisorStop } else { Cause::ExternalKill };
    if let Some(proxy) = role(actor, case.target()).filter(|role| *role != Role::Relay) {
        let by = format!("{} (pid {}), {}", quote(&actor.name), actor.pid, proxy.noun());
        let summary = format!(
            "{name} {end}: {by}, sent {sent} to {hops}, which passed it on; who asked for it was not seen."
        );
        return Some(verdict(cause, Intent::Unknown, Confidence::Likely, summary));
    }
    let from = format!("{}{}", case.actor(actor), run_from(case, actor));
    let summary = format!("{name} {end}: {from} sent {sent} to {hops}, which passed it on.");
    // Two records, and between them a program whose trade it is to pass signals on; of another one it is likely.
    let known = way.hops.iter().all(|hop| role(hop, case.target()).is_some());
    let same = way.origin.signal_num == signal.signal_num && way.origin.mechanism != Mechanism::Unknown;
    let confidence = if known && same { case.confidence() } else { Confidence::Likely };
    let mut verdict = verdict(cause, Intent::Deliberate, confidence, summary);
    verdict.culprit = Some(actor.clone());
    Some(verdict)
}

/// The chain from the first relay on.
fn lead_on(case: &Case<'_>, verdict: &mut Verdict, way: &Relayed<'_>, signal: &Signal) {
    if let (Some(last), Some(first)) = (verdict.chain.last_mut(), way.hops.first()) {
        last.object = case.brief(first);
    }
    let following = way.hops.iter().skip(1).map(|hop| case.brief(hop)).chain([case.target_name()]);
    let action = format!("passed {} on to", signal.signal);
    for (hop, next) in way.hops.iter().zip(following) {
        verdict.chain.push(link(case.brief(hop), &action, next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SendResult, Signal};
    use crate::sample::{exited, ignored, kill, killed, nginx, process, signal, systemd, under};
    use crate::signals::{SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    use crate::verdict::{Show, judge};

    fn tini() -> Process {
        process(800, "/usr/bin/tini -- nginx")
    }

    fn operator() -> Process {
        under(process(4431, "kill 800"), &[process(4402, "-bash")])
    }

    fn passed(at: f64, number: u32, hop: Process, received: Signal) -> Signal {
        Signal { relayed: Some(Box::new(received)), ..kill(at, number, hop) }
    }

    fn judged(hop: Process, received: Signal, number: u32) -> Verdict {
        let target = under(nginx(), std::slice::from_ref(&hop));
        judge(&killed(target, 100.0, number, vec![passed(99.9, number, hop, received)]), Show::Cmdline)
    }

    #[test]
    fn whoever_signalled_the_relay_did_it() {
        let verdict = judged(tini(), kill(99.899, SIGTERM, operator()), SIGTERM);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::ExternalKill, Confidence::Certain));
        assert_eq!(verdict.culprit, Some(operator()));
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was killed with SIGTERM: `kill 800` (pid 4431, user id 1000) run from `-bash` (pid 4402) \
             sent SIGTERM to `/usr/bin/tini -- nginx` (pid 800), which passed it on."
        );
        let chain: Vec<String> =
            verdict.chain.iter().map(|l| format!("{} {} {}", l.actor, l.action, l.object)).collect();
        assert_eq!(
            chain,
            [
                "`-bash` (pid 4402) ran `kill 800` (pid 4431)",
                "`kill 800` (pid 4431) sent SIGTERM to `/usr/bin/tini -- nginx` (pid 800)",
                "`/usr/bin/tini -- nginx` (pid 800) passed SIGTERM on to `nginx` (pid 812)",
            ]
        );
    }

    #[test]
    fn a_row_of_relays_is_followed() {
        let sudo = process(790, "sudo tini -- nginx");
        let outer = kill(99.8, SIGTERM, operator());
        let verdict = judged(tini(), passed(99.85, SIGTERM, sudo, outer), SIGTERM);
        assert_eq!(verdict.culprit, Some(operator()));
        assert!(
            verdict.summary.contains("(pid 790), then `/usr/bin/tini -- nginx` (pid 800)"),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn a_shell_with_a_trap_is_likely() {
        let shell = process(800, "bash ./start.sh");
        let verdict = judged(shell.clone(), kill(99.5, SIGTERM, operator()), SIGKILL);
        assert_eq!((verdict.culprit, verdict.confidence), (Some(operator()), Confidence::Likely));
        // ^C at its prompt is no reason to kill with something else.
        let typed = signal(99.5, SIGINT, Mechanism::TtyInterrupt, None);
        let verdict = judged(shell.clone(), typed, SIGKILL);
        assert_eq!(verdict.culprit.map(|culprit| culprit.pid), Some(shell.pid));
    }

    #[test]
    fn a_shell_passes_the_hangup_of_its_terminal_on() {
        let shell = process(800, "-bash");
        let sshd = process(700, "sshd: x@pts/3");
        let hangup =
            Signal { current: Some(sshd.clone()), ..signal(99.89, SIGHUP, Mechanism::TtyHangup, None) };
        let verdict = judged(shell, hangup, SIGHUP);
        assert_eq!(verdict.cause, Cause::TerminalHangup);
        assert_eq!(verdict.culprit, Some(sshd));
        assert_eq!(verdict.chain.last().map(|link| link.actor.as_str()), Some("`-bash` (pid 800)"));
        assert!(
            verdict.summary.ends_with(", and `-bash` (pid 800) passed the hangup on."),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn run_itself_may_be_late() {
        let late = |hop: Process| judged(hop, kill(90.0, SIGTERM, operator()), SIGTERM).culprit;
        assert_eq!(late(process(800, "/usr/bin/forensics-agent run -- nginx")), Some(operator()));
        assert_ne!(late(process(800, "/usr/bin/forensics-agent watch")), Some(operator()));
        assert_ne!(late(process(800, "/usr/bin/tini run")), Some(operator()));
    }

    #[test]
    fn a_follow_up_is_still_for_who_asked() {
        let target = under(nginx(), &[tini()]);
        let first = ignored(passed(90.0, SIGTERM, tini(), kill(89.999, SIGTERM, operator())));
        let last = kill(100.0, SIGKILL, tini());
        let verdict = judge(&killed(target, 100.1, SIGKILL, vec![first, last]), Show::Cmdline);
        assert_eq!(verdict.culprit, Some(operator()));
    }

    /// What a parent passed on earlier is no reason for what it does later.
    #[test]
    fn an_earlier_request_does_not_explain_another_act() {
        let parent = process(800, "/usr/lib/postgresql/15/bin/postgres");
        let target = under(nginx(), std::slice::from_ref(&parent));
        let reload = |at| passed(at, SIGHUP, parent.clone(), kill(at - 0.001, SIGHUP, operator()));
        for (before, number) in [
            (reload(95.0), SIGQUIT),
            (reload(95.0), SIGKILL),
            (passed(95.0, SIGUSR1, parent.clone(), kill(94.9, SIGUSR1, operator())), SIGABRT),
        ] {
            let signals = vec![before, kill(99.9, number, parent.clone())];
            let verdict = judge(&killed(target.clone(), 100.0, number, signals), Show::Cmdline);
            assert_ne!(verdict.culprit, Some(operator()), "{number}: {}", verdict.summary);
        }
        let long_ago = passed(100.0, SIGTERM, parent.clone(), kill(99.9, SIGTERM, operator()));
        let signals = vec![long_ago, kill(9_000.0, SIGKILL, parent.clone())];
        let verdict = judge(&killed(target, 9_000.1, SIGKILL, signals), Show::Cmdline);
        assert_ne!(verdict.culprit, Some(operator()), "{}", verdict.summary);
    }

    /// A supervisor that is told to open its logs again stops nothing for that.
    #[test]
    fn a_supervisor_ends_what_it_holds_for_requests_to_end() {
        let supervisor = process(800, "/usr/bin/supervisord");
        let told = |number| judged(supervisor.clone(), kill(99.5, number, operator()), SIGTERM);
        assert_eq!(told(SIGHUP).culprit, Some(operator()));
        for number in [SIGUSR1, SIGUSR2] {
            assert_ne!(told(number).culprit, Some(operator()), "{number}");
        }
    }

    #[test]
    fn what_the_manager_sent_to_a_relay_has_no_culprit() {
        let verdict = judged(tini(), kill(99.899, SIGTERM, systemd()), SIGTERM);
        assert_eq!((verdict.culprit, verdict.confidence), (None, Confidence::Likely));
        assert!(verdict.summary.contains("`systemd` (pid 1), the service manager"), "{}", verdict.summary);
    }

    #[test]
    fn what_must_not_count_as_passed_on() {
        let stranger = process(4500, "/usr/bin/python3 reap.py");
        let near_misses = [
            ("it came too long before", tini(), kill(95.0, SIGTERM, operator())),
            ("the sender ignored it", tini(), ignored(kill(99.8, SIGTERM, operator()))),
            ("a manager acts on requests", systemd(), kill(99.8, SIGTERM, operator())),
            (
                "it was dropped",
                tini(),
                Signal { result: SendResult::Overflow, ..kill(99.8, SIGTERM, operator()) },
            ),
        ];
        for (why, hop, received) in near_misses {
            assert_ne!(judged(hop, received, SIGTERM).culprit, Some(operator()), "{why}");
        }
        // Another signal, by who has nothing to do with the target.
        let sent = passed(99.9, SIGKILL, stranger.clone(), kill(99.5, SIGTERM, operator()));
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![sent]), Show::Cmdline);
        assert_eq!(verdict.culprit, Some(stranger));
    }

    #[test]
    fn an_exit_after_a_request_that_was_passed_on() {
        let target = under(nginx(), &[tini()]);
        let sent = passed(100.0, SIGTERM, tini(), kill(99.999, SIGTERM, operator()));
        let verdict = judge(&exited(target, 101.0, 0, Some(1.0), vec![sent]), Show::Cmdline);
        assert_eq!((verdict.culprit, verdict.confidence), (Some(operator()), Confidence::Likely));
        assert!(
            verdict
                .summary
                .starts_with("`nginx` (pid 812) exited with status 0, 1 s after SIGTERM: `kill 800`"),
            "{}",
            verdict.summary
        );
    }
}
