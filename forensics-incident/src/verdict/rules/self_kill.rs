use crate::model::{Cause, Intent, Verdict};

use super::super::case::{Case, by_what, verdict};
use super::super::evidence;
use super::super::lineage::link;

/// It signalled itself: `raise(3)`, `kill $$`, `kill 0`.
///
/// Evidence: the decisive signal was sent by the target's own process. Must not match a handler that
/// raises again what came from elsewhere (then that one is decisive), `abort(3)`, nor signals that the
/// kernel makes while the target happens to run.
pub(super) fn self_kill(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.own_signal()?;
    let name = case.target_name();
    let itself = match signal.syscall_args.as_deref().and_then(|args| args.first()) {
        Some(0) => "its own process group, itself included",
        _ => "itself",
    };
    let summary = if case.was_killed() {
        format!("{name} sent {} to {itself}.", signal.signal)
    } else {
        format!("{name} sent {} to {itself}, and {}.", signal.signal, case.ended_by(signal))
    };
    let mut verdict = verdict(Cause::SelfKill, Intent::Deliberate, case.confidence(), summary);
    verdict.culprit = signal.sender.clone();
    verdict.chain = vec![link(name, &format!("sent {} to", signal.signal), itself.to_owned())];
    verdict.evidence = evidence::of_signal(case, signal);
    verdict.evidence.push(format!("Sender and target are the same process, by {}.", by_what(signal)));
    verdict.ruled_out = evidence::ruled_out(signal, false);
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Confidence, Mechanism, Process, Signal};
    use crate::sample::{exited, kill, killed, nginx, process, signal};
    use crate::signals::{SIGKILL, SIGTERM};
    use crate::verdict::{Show, judge};

    #[test]
    fn what_it_sent_itself() {
        let own = kill(100.0, SIGKILL, nginx());
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![own.clone()]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SelfKill, Confidence::Certain));
        assert_eq!(verdict.summary, "`nginx` (pid 812) sent SIGKILL to itself.");
        assert_eq!(verdict.culprit, Some(nginx()));
        let group = Signal { syscall_args: Some(vec![0, 9]), ..own };
        let verdict = judge(&killed(nginx(), 100.0, SIGKILL, vec![group]), Show::Cmdline);
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) sent SIGKILL to its own process group, itself included."
        );
    }

    #[test]
    fn an_exit_after_its_own_signal() {
        let own = signal(100.0, SIGTERM, Mechanism::Tgkill, Some(nginx()));
        let verdict = judge(&exited(nginx(), 100.5, 3, Some(0.5), vec![own]), Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SelfKill, Confidence::Likely));
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) sent SIGTERM to itself, and exited with status 3, 500 ms after SIGTERM."
        );
    }

    #[test]
    fn near_misses() {
        let other = Process { start_boot_ns: 1, ..nginx() };
        let reused_pid = judge(&killed(nginx(), 100.0, 9, vec![kill(100.0, 9, other)]), Show::Cmdline);
        assert_eq!(reused_pid.cause, Cause::ExternalKill);
        // The kernel made it while the target was running.
        let mut limit = signal(100.0, SIGKILL, Mechanism::CpuLimit, None);
        limit.current = Some(nginx());
        let limit = judge(&killed(nginx(), 100.0, 9, vec![limit]), Show::Cmdline);
        assert_eq!(limit.cause, Cause::ResourceLimit);
        let child =
            judge(&killed(nginx(), 100.0, 9, vec![kill(100.0, 9, process(813, "nginx"))]), Show::Cmdline);
        assert_eq!(child.cause, Cause::ExternalKill);
    }
}
