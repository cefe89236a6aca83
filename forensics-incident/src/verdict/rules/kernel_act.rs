use crate::model::{Cause, Intent, Mechanism, Verdict};

use super::super::case::Case;
use super::super::evidence;
use super::super::kernel::explain;

/// The kernel raised the signal by a path that names no cause: a BPF program, the magic SysRq key, or one that is not
/// known.
///
/// Evidence: the kernel path, which is told as it is. Whoever happened to be running is never called the killer. Must
/// not match what a process sent, nor a path that has a rule of its own.
pub(super) fn kernel_act(case: &Case<'_>) -> Option<Verdict> {
    let signal = case.decisive.filter(|signal| !signal.mechanism.is_user_sent())?;
    let (reason, advice) = match signal.mechanism {
        Mechanism::Bpf => (
            "a BPF program sent it; which one, the kernel does not record".to_owned(),
            Some(
                "`bpftool prog list` names the programs that are loaded; security agents and bpftrace use bpf_send_signal().",
            ),
        ),
        Mechanism::Sysrq => {
            ("the magic SysRq key was pressed, or /proc/sysrq-trigger written".to_owned(), None)
        }
        _ => {
            let reason = match evidence::innermost(&signal.kernel_stack) {
                Some(stack) => format!("the kernel raised it by a path that is not known here, {stack}"),
                None => "where the kernel raised it is not known".to_owned(),
            };
            (reason, None)
        }
    };
    let mut verdict = explain(case, signal, Cause::Unknown, Intent::Unknown, &reason);
    verdict.advice = advice.map(str::to_owned);
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Confidence;
    use crate::sample::{kill, killed, nginx, process};
    use crate::signals::SIGKILL;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    #[test]
    fn paths_without_a_cause() {
        use Mechanism as M;
        for (mechanism, stack, words) in [
            (M::Bpf, &[][..], "BPF program"),
            (M::Sysrq, &[], "SysRq"),
            (M::Unknown, &["odd_path", "odder"], "`odd_path < odder`"),
            (M::Unknown, &[], "is not known"),
        ] {
            let verdict = judged(&death(SIGKILL, mechanism, stack, &somebody()));
            assert_eq!((verdict.cause, verdict.confidence), (Cause::Unknown, Confidence::Possible));
            assert_eq!(verdict.culprit, None);
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
        }
    }

    #[test]
    fn what_a_process_sent_is_not_the_kernels() {
        let facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, process(5, "kill -9 812"))]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::ExternalKill);
    }
}
