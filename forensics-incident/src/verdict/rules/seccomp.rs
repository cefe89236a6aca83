use crate::model::{Cause, Confidence, Intent, Mechanism, SeccompReport, Verdict};
use crate::signals::{SIGKILL, name};

use super::super::case::{Case, quote, verdict};
use super::super::kernel::{explain, raised};
use super::super::lineage::link;

/// Seccomp ended it for a system call that it may not make.
///
/// Evidence: SIGSYS from the seccomp path. Strict mode and filters that end the thread raise no signal; then the audit
/// record in the kernel log tells, when its signal is that of the wait status. Must not match a SIGSYS that somebody
/// sent.
pub(super) fn seccomp(case: &Case<'_>) -> Option<Verdict> {
    let mut verdict = match raised(case, &[Mechanism::Seccomp]) {
        Some(signal) => {
            let reason = match &signal.forbidden_syscall {
                Some(call) => {
                    format!("its seccomp filter forbids the system call {} that it made", quote(call))
                }
                None => "its seccomp filter forbids the system call that it made".to_owned(),
            };
            let mut verdict = explain(case, signal, Cause::Seccomp, Intent::Fault, &reason);
            if let Some(address) = signal.fault_address {
                verdict.evidence.push(format!("The call was made at {address:#x}."));
            }
            verdict
        }
        None => silent(case)?,
    };
    verdict.culprit = Some(case.target().clone());
    verdict.advice = Some(
        "Allow the call in the filter (SystemCallFilter= of its unit, --security-opt seccomp= of its container), or do not make it."
            .to_owned(),
    );
    Some(verdict)
}

/// A death without any signal, which the kernel log explains.
fn silent(case: &Case<'_>) -> Option<Verdict> {
    let number = case.facts.outcome.signal_num.filter(|_| case.was_killed() && case.decisive.is_none())?;
    let report =
        case.facts.kernel_log.as_ref()?.seccomp.as_ref().filter(|report| report.signal_num == number)?;
    let SeccompReport { signal_num, syscall, action: _ } = report;
    let call = syscall
        .as_deref()
        .map_or_else(|| "a system call".to_owned(), |call| format!("the system call {}", quote(call)));
    let how = match *signal_num {
        SIGKILL => "seccomp's strict mode ended it",
        _ => "a seccomp filter ended its last thread",
    };
    let target = case.target_name();
    let signal = name(number);
    let summary = format!(
        "{target} died of {signal} without any signal being sent: {how} for {call}, which it may not make."
    );
    let mut verdict = verdict(Cause::Seccomp, Intent::Fault, Confidence::Certain, summary);
    verdict.chain = vec![link(target, "made", format!("{call}, which seccomp forbids"))];
    verdict.evidence = vec![
        format!("Its wait status says {signal}; no delivered {signal} was recorded."),
        format!(
            "The kernel log has an audit record of seccomp about pid {}, with {call}.",
            case.target().pid
        ),
    ];
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KernelLog;
    use crate::sample::{kill, killed, nginx};
    use crate::signals::SIGSYS;
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    fn log(signal_num: u32) -> Option<KernelLog> {
        let seccomp = SeccompReport { signal_num, syscall: Some("getppid".to_owned()), action: 0 };
        Some(KernelLog { oom: None, seccomp: Some(seccomp) })
    }

    #[test]
    fn a_filter_names_the_call() {
        let mut facts = death(SIGSYS, Mechanism::Seccomp, &["__seccomp_filter"], &nginx());
        assert!(judged(&facts).summary.contains("forbids the system call that it made"));
        facts.signals[0].forbidden_syscall = Some("ptrace".to_owned());
        let verdict = judged(&facts);
        assert!(verdict.summary.contains("forbids the system call `ptrace`"), "{}", verdict.summary);
        assert_eq!((verdict.cause, verdict.culprit), (Cause::Seccomp, Some(nginx())));
    }

    #[test]
    fn the_kernel_log_explains_a_silent_death() {
        for (number, words) in [(SIGKILL, "strict mode"), (SIGSYS, "its last thread")] {
            let mut facts = killed(nginx(), 100.0, number, Vec::new());
            facts.kernel_log = log(number);
            let verdict = judge(&facts, Show::Cmdline);
            assert_eq!((verdict.cause, verdict.culprit), (Cause::Seccomp, Some(nginx())));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert!(verdict.summary.contains("`getppid`"), "{}", verdict.summary);
        }
    }

    #[test]
    fn near_misses() {
        let mut facts = killed(nginx(), 100.0, SIGKILL, Vec::new());
        facts.kernel_log = log(SIGSYS);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::SilentKill, "the record is of another end");
        let mut sent = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, somebody())]);
        sent.kernel_log = log(SIGKILL);
        assert_eq!(judge(&sent, Show::Cmdline).cause, Cause::ExternalKill, "the signal was seen");
    }
}
