use crate::model::{Cause, Intent, Limit, Limits, Mechanism, Signal, Verdict};
use crate::signals::SIGKILL;
use crate::text::span;

use super::super::case::Case;
use super::super::kernel::{explain, raised};

/// It reached a resource limit: `RLIMIT_CPU`, `RLIMIT_RTTIME`, `RLIMIT_FSIZE`.
///
/// Evidence: the kernel path, and the limits from `/proc`. The soft limit of the two times raises SIGXCPU, the hard
/// one SIGKILL (`kernel/time/posix-cpu-timers.c`). Compilers merge the checks of both, and then only one that is
/// finite can be it. Must not match a SIGXCPU that somebody sent.
pub(super) fn limits(case: &Case<'_>) -> Option<Verdict> {
    use Mechanism as M;
    let signal = raised(case, &[M::CpuLimit, M::RtLimit, M::FileSizeLimit])?;
    let limits = case.facts.limits.as_ref();
    let which = which(signal, limits);
    let value = limits.and_then(|limits| value(signal, which, limits));
    let reason = reason(which, value.as_deref());
    let mut verdict = explain(case, signal, Cause::ResourceLimit, Intent::Automatic, &reason);
    verdict.evidence.extend(value.as_ref().and(limits).map(|limits| {
        let soft_or_hard = if signal.signal_num == SIGKILL { "hard" } else { "soft" };
        let when =
            if limits.at_the_signal { "when the signal came" } else { "before that, while it was watched" };
        format!("The value is that of the {soft_or_hard} limit, read {when}.")
    }));
    verdict.advice = Some(
        match which {
            Which::Cpu => "Raise it with `ulimit -t`, or LimitCPU= of its unit.",
            Which::RealTime => "Raise it with LimitRTTIME= of its unit, or have it sleep now and then.",
            Which::CpuOrRealTime => "Look at `ulimit -t` (LimitCPU=) and LimitRTTIME= of its unit.",
            Which::FileSize => "Raise it with `ulimit -f`, or LimitFSIZE= of its unit.",
        }
        .to_owned(),
    );
    Some(verdict)
}

/// The limits that raise signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Cpu,
    RealTime,
    CpuOrRealTime,
    FileSize,
}

fn which(signal: &Signal, limits: Option<&Limits>) -> Which {
    match (signal.mechanism, limits) {
        (Mechanism::FileSizeLimit, _) => Which::FileSize,
        (Mechanism::RtLimit, _) => Which::RealTime,
        (_, None) => Which::CpuOrRealTime,
        (_, Some(Limits { cpu, rttime, .. })) => match (of(signal, cpu), of(signal, rttime)) {
            (Some(_), None) => Which::Cpu,
            (None, Some(_)) => Which::RealTime,
            _ => Which::CpuOrRealTime,
        },
    }
}

/// The half of a limit that raises this signal.
fn of(signal: &Signal, limit: &Limit) -> Option<u64> {
    if signal.signal_num == SIGKILL { limit.hard } else { limit.soft }
}

fn value(signal: &Signal, which: Which, limits: &Limits) -> Option<String> {
    // With each SIGXCPU the kernel raises the soft limit by a second, for the next one (check_process_timers() and
    // check_thread_timers() in kernel/time/posix-cpu-timers.c).
    let raised = u64::from(limits.at_the_signal && signal.signal_num != SIGKILL);
    match which {
        Which::Cpu => of(signal, &limits.cpu).map(|seconds| span(seconds.saturating_sub(raised) as f64)),
        Which::RealTime => {
            of(signal, &limits.rttime).map(|us| span(us.saturating_sub(raised * 1_000_000) as f64 / 1e6))
        }
        Which::FileSize => of(signal, &limits.fsize).map(|bytes| format!("{bytes} bytes")),
        Which::CpuOrRealTime => None,
    }
}

fn reason(which: Which, value: Option<&str>) -> String {
    let of = value.map_or_else(String::new, |value| format!(" of {value}"));
    match which {
        Which::Cpu => format!("it used up its CPU time limit{of} (RLIMIT_CPU)"),
        Which::RealTime => format!(
            "it ran without a pause under a real-time policy for longer than its limit{of} (RLIMIT_RTTIME)"
        ),
        Which::CpuOrRealTime => {
            "it used up a limit on its processor time (RLIMIT_CPU or RLIMIT_RTTIME)".to_owned()
        }
        Which::FileSize => format!("it wrote past its file size limit{of} (RLIMIT_FSIZE)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{kill, killed, nginx};
    use crate::signals::{SIGXCPU, SIGXFSZ};
    use crate::verdict::kernel::tests::{death, judged, somebody};
    use crate::verdict::{Show, judge};

    fn limit(soft: u64, hard: u64) -> Limit {
        Limit { soft: Some(soft), hard: Some(hard) }
    }

    #[test]
    fn which_limit_and_its_value() {
        use Mechanism as M;
        let none = Limit::default();
        for (number, mechanism, cpu, rttime, words) in [
            // As they are read: the kernel has raised the soft ones meanwhile.
            (SIGXCPU, M::CpuLimit, limit(2, 3), none, "CPU time limit of 1 s (RLIMIT_CPU)"),
            (SIGKILL, M::CpuLimit, limit(1, 2), none, "CPU time limit of 2 s (RLIMIT_CPU)"),
            (SIGXCPU, M::CpuLimit, none, limit(1_200_000, 4_000_000), "limit of 200 ms (RLIMIT_RTTIME)"),
            (
                SIGXCPU,
                M::RtLimit,
                limit(1, 2),
                limit(1_200_000, 4_000_000),
                "limit of 200 ms (RLIMIT_RTTIME)",
            ),
            (SIGXCPU, M::CpuLimit, limit(1, 2), limit(1, 2), "RLIMIT_CPU or RLIMIT_RTTIME"),
            (SIGXCPU, M::CpuLimit, none, none, "RLIMIT_CPU or RLIMIT_RTTIME"),
            (SIGXFSZ, M::FileSizeLimit, none, none, "file size limit of 4096 bytes"),
        ] {
            let mut facts = death(number, mechanism, &[], &somebody());
            facts.limits = Some(Limits { at_the_signal: true, cpu, rttime, fsize: limit(4096, 8192) });
            let verdict = judged(&facts);
            assert_eq!((verdict.cause, verdict.culprit), (Cause::ResourceLimit, None));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
        }
        let unread = judged(&death(SIGXCPU, M::CpuLimit, &[], &somebody()));
        assert!(unread.summary.contains("RLIMIT_CPU or RLIMIT_RTTIME"), "{}", unread.summary);
    }

    #[test]
    fn a_signal_that_somebody_sent_is_no_limit() {
        let facts = killed(nginx(), 100.0, SIGXCPU, vec![kill(99.9, SIGXCPU, somebody())]);
        assert_ne!(judge(&facts, Show::Cmdline).cause, Cause::ResourceLimit);
    }
}
