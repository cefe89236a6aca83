use crate::model::{Cause, Confidence, Verdict};
use crate::signals::SIGKILL;

use super::super::case::{Case, quote};
use super::super::word::Word;

/// The unit's watchdog: the service did not report in time.
///
/// Evidence: the manager's signal and, at that moment, its word about the watchdog: `Watchdog timeout` in the journal, or
/// that the time for the signal of the watchdog was up (`service_dispatch_watchdog()` in systemd's `src/core/service.c`); the
/// unit's result alone makes it likely. Must not match an abort that the process called itself, nor a SIGABRT of anyone else.
pub(super) fn systemd_watchdog(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case)?;
    let began = word.said_at(word.first.ts, |_, text| {
        text.starts_with("Watchdog timeout") || text.starts_with("Watchdog request")
    });
    let too_slow = word.said_at(word.signal.ts, |_, text| {
        text.starts_with("State 'stop-watchdog' timed out")
            || text.starts_with("State 'final-watchdog' timed out")
    });
    let reason = began.or(too_slow);
    let by_result = word.result() == Some("watchdog");
    if reason.is_none() && !by_result {
        return None;
    }
    let state = word.state();
    let limit = Word::setting("WatchdogSec", state.and_then(|state| state.watchdog));
    let asked = began.is_some_and(|message| word.plain(message).starts_with("Watchdog request"));
    let why = match asked {
        true => "the service asked for it by WATCHDOG=trigger".to_owned(),
        false => format!("the service did not report within {limit}"),
    };
    let then = match word.signal.signal_num {
        SIGKILL if word.first.signal_num != SIGKILL => {
            let limit = Word::setting("TimeoutAbortSec", state.and_then(|state| state.timeout_abort));
            format!("; it did not end on {} within {limit}, and SIGKILL followed", word.first.signal)
        }
        _ => String::new(),
    };
    let summary = format!(
        "{} {} by the watchdog of {}: {why}{then}.",
        case.target_name(),
        if case.was_killed() { "was ended".to_owned() } else { case.ended_by(word.signal) },
        quote(word.unit),
    );
    let confidence = if reason.is_some() { case.confidence() } else { Confidence::Likely };
    let mut verdict = word.verdict(case, Cause::SystemdWatchdog, confidence, summary, reason);
    if let Some(message) = too_slow.filter(|_| began.is_some()) {
        verdict.evidence.insert(1, super::super::word::quoted(message, word.signal));
    }
    verdict.advice = (!asked).then(|| {
        "See where it hung: the core dump of SIGABRT has all its threads (`coredumpctl`). A service that works for long without \
         a break must send WATCHDOG=1 meanwhile, from a process that NotifyAccess= permits."
            .to_owned()
    });
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Mechanism, Timeout, UnitState};
    use crate::sample::{kill, killed, nginx, process, signal, systemd};
    use crate::signals::SIGABRT;
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    fn aborted() -> Facts {
        killed(nginx(), 100.1, SIGABRT, vec![kill(100.0, SIGABRT, systemd())])
    }

    #[test]
    fn it_did_not_report() {
        let mut facts = with_word(aborted(), vec![said(99.999, "Watchdog timeout (limit 2s)!")]);
        let watchdog = Some(Timeout::Seconds(2.0));
        facts.manager.as_mut().unwrap().before = Some(UnitState { watchdog, ..UnitState::default() });
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdWatchdog, Confidence::Certain));
        assert_eq!(verdict.culprit, None);
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was ended by the watchdog of `nginx.service`: the service did not report within WatchdogSec=2 s."
        );
        assert!(verdict.evidence[0].contains("Watchdog timeout (limit 2s)!"), "{:?}", verdict.evidence);
    }

    #[test]
    fn it_did_not_end_on_the_signal_either() {
        let signals = vec![kill(90.0, SIGABRT, systemd()), kill(100.0, SIGKILL, systemd())];
        let messages = vec![
            said(89.999, "Watchdog timeout (limit 2s)!"),
            said(99.999, "State 'stop-watchdog' timed out. Killing."),
        ];
        let facts = with_word(killed(nginx(), 100.1, SIGKILL, signals), messages);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::SystemdWatchdog);
        assert!(
            verdict.summary.contains("did not end on SIGABRT within TimeoutAbortSec"),
            "{}",
            verdict.summary
        );
    }

    #[test]
    fn by_the_result_alone_it_is_likely() {
        let mut facts = with_word(aborted(), Vec::new());
        let manager = facts.manager.as_mut().unwrap();
        let result = Some("watchdog".to_owned());
        manager.after =
            Some(UnitState { result, invocation_id: Some("a".to_owned()), ..UnitState::default() });
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdWatchdog, Confidence::Likely));
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        assert_eq!(cause(with_word(aborted(), Vec::new())), Cause::ExternalKill);
        let timeout = || said(99.999, "Watchdog timeout (limit 2s)!");
        let old = said(50.0, "Watchdog timeout (limit 2s)!");
        assert_eq!(cause(with_word(aborted(), vec![old])), Cause::ExternalKill, "long ago");
        let mut other = timeout();
        other.unit = Some("other.service".to_owned());
        assert_eq!(cause(with_word(aborted(), vec![other])), Cause::ExternalKill, "another unit's");
        let mut run = timeout();
        run.invocation_id = Some("b".to_owned());
        assert_eq!(cause(with_word(aborted(), vec![run])), Cause::ExternalKill, "another run's");
        let by_person =
            killed(nginx(), 100.1, SIGABRT, vec![kill(100.0, SIGABRT, process(5, "kill -ABRT 812"))]);
        assert_eq!(cause(with_word(by_person, vec![timeout()])), Cause::ExternalKill);
        let own =
            killed(nginx(), 100.1, SIGABRT, vec![signal(100.0, SIGABRT, Mechanism::Tgkill, Some(nginx()))]);
        assert_eq!(cause(with_word(own, vec![timeout()])), Cause::Crash);
    }
}
