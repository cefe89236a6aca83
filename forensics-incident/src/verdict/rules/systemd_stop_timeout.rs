use crate::model::{Cause, Confidence, Mechanism, ObservedDrain, RuledOut, Signal, Timeout, Verdict};
use crate::shortage::shortage;
use crate::signals::SIGKILL;
use crate::stop;
use crate::text::span;

use super::super::case::{Case, quote};
use super::super::word::{MOMENT_S, Word};

/// The time between the two signals may be longer than the stop timeout by this part of it.
const SLACK: f64 = 0.05;
/// Or by this, seconds: a busy manager is late.
const SLACK_S: f64 = 1.5;
/// And shorter by this, seconds: the two clocks are read apart.
const EARLY_S: f64 = 0.1;
/// Other processes of the unit that are named.
const MAX_OTHERS: usize = 4;

/// The manager asked it to stop, waited as long as `TimeoutStopSec=` allows, and killed it.
///
/// Evidence: SIGKILL (or a write to `cgroup.kill`) by the manager and, at that moment, its word that the time for the
/// stop was up (`service_dispatch_timer()`, `scope_dispatch_timer()` in systemd's `src/core`). Without the journal, the result
/// `timeout` and a first signal as long before as the unit's stop timeout make it likely. How long it needs is told only
/// where it was configured, or how long earlier stops took, each labelled. Must not match the end of a watchdog's patience, nor a unit whose KillSignal= is SIGKILL.
pub(super) fn systemd_stop_timeout(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case).filter(|word| word.signal.signal_num == SIGKILL)?;
    let reason = word.said_at(word.signal.ts, |_, text| is_up(text));
    let was_asked = word.first.signal_num != SIGKILL;
    let waited = waited(case, &word);
    let fits = waited.is_some();
    // What the manager was told since it began, or what extended the time, is not known: then only that it was up.
    let (first, limit) = waited.map_or((word.first, None), |(first, limit)| (first, Some(limit)));
    let had_s = word.signal.ts - first.ts;
    // What was logged when the unit was started, or the stop began, says nothing of how that went on.
    let since = (word.signal.ts - MOMENT_S).max(word.signal.ts - had_s / 2.0);
    let journal_tells = word.own().any(|message| (since..=word.signal.ts + MOMENT_S).contains(&message.ts));
    let by_time = fits && !journal_tells && word.result().is_none_or(|result| result == "timeout");
    if reason.is_none() && !by_time {
        return None;
    }
    let setting = Word::setting("TimeoutStopSec", limit);
    let had = match was_asked {
        true => format!("{} after {}, as long as {setting} allows", span(had_s), first.signal),
        false => format!("as long as {setting} allows"),
    };
    let drain = case.facts.timing.as_ref().map(|timing| timing.drain_timeout);
    let observed = case.facts.observed_drain;
    let needs = match (drain, observed) {
        (Some(drain), _) => format!("; it is configured to drain for {}", span(drain)),
        (None, Some(observed)) => {
            format!("; the longest of {} took {}", earlier(observed), span(observed.longest_s))
        }
        (None, None) => String::new(),
    };
    let summary = format!(
        "{} was killed by the manager of {} because it had not stopped {had}{needs}.",
        case.target_name(),
        quote(word.unit),
    );
    let confidence = if reason.is_some() { case.confidence() } else { Confidence::Likely };
    let mut verdict = word.verdict(case, Cause::SystemdStopTimeout, confidence, summary, reason);
    if reason.is_none() {
        verdict
            .evidence
            .insert(0, format!("SIGKILL came {} after {}, and {setting}.", span(had_s), first.signal));
    }
    verdict.evidence.extend(around(case, &word, drain));
    verdict.ruled_out.retain(|other| other.cause != Cause::SystemdStopTimeout);
    if word.own().any(|message| word.plain(message).starts_with("Stopping ")) && was_asked {
        let because = "a job of the manager stopped the unit before it was killed".to_owned();
        verdict.ruled_out.push(RuledOut { cause: Cause::Crash, because });
    }
    verdict.advice = Some(advice(case, &word));
    Some(verdict)
}

/// The last signal from which on the manager waited as long as a stop timeout of the unit, and that timeout. It may have been
/// another one when the target came: whoever changes it need not restart the unit.
fn waited<'a>(case: &Case<'a>, word: &Word<'a>) -> Option<(&'a Signal, Timeout)> {
    let manager = word.manager;
    let of_unit = || [&manager.after, &manager.before].map(|state| state.as_ref()?.timeout_stop);
    let limits = match word.unit == manager.unit {
        true => of_unit(),
        false => [manager.parent.as_ref().and_then(|parent| parent.timeout_stop), None],
    };
    // Its timers are never early.
    let fits = |first: &Signal, limit: f64| {
        let had_s = word.signal.ts - first.ts;
        (limit - EARLY_S..limit + SLACK_S.max(limit * SLACK)).contains(&had_s)
    };
    let is_ask = |signal: &&Signal| {
        stop::is_of_manager(signal)
            && signal.signal_num != SIGKILL
            && signal.boot_ns <= word.signal.boot_ns
            && signal.sender.as_ref().is_some_and(|sender| sender.is(word.sender))
    };
    case.facts.signals.iter().rev().filter(is_ask).find_map(|first| {
        let limits = limits.into_iter().flatten();
        limits
            .filter(|limit| limit.seconds().is_some_and(|limit| fits(first, limit)))
            .map(|limit| (first, limit))
            .next()
    })
}

/// The words for a stop whose time was up. That of a watchdog is another matter.
fn is_up(text: &str) -> bool {
    let of_service = text.starts_with("State '") && !text.contains("watchdog");
    (of_service || text.starts_with("Stopping ") || text.starts_with("Deactivation "))
        && (text.contains("timed out. Killing") || text.contains("timed out (2). Killing"))
}

/// What stood around it: who else was left, the drain that was configured, what holds the unit.
fn around(case: &Case<'_>, word: &Word<'_>, drain: Option<f64>) -> Vec<String> {
    let mut said = Vec::new();
    let others: Vec<String> = word
        .own()
        .filter(|message| (message.ts - word.signal.ts).abs() <= MOMENT_S)
        .filter_map(|message| left_over(case, word.plain(message)))
        .collect();
    if !others.is_empty() {
        let more = others.len().saturating_sub(MAX_OTHERS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named = others.get(..MAX_OTHERS).unwrap_or(&others).join(", ");
        said.push(format!("Still in its cgroup then: {named}{more}."));
    }
    if let Some(drain) = drain {
        said.push(format!(
            "Its drain was configured as {} (--drain-timeout); it was not measured.",
            span(drain)
        ));
    }
    if let Some(observed) = case.facts.observed_drain {
        said.push(format!(
            "The longest of {} on record took {} from SIGTERM to the end; what it needed this time is not known.",
            earlier(observed),
            span(observed.longest_s)
        ));
    }
    if let Some(parent) = word.manager.parent.as_ref().filter(|parent| parent.unit != word.unit) {
        let timeout =
            parent.timeout_stop.map_or_else(|| "a time that is not known".to_owned(), |t| t.to_string());
        said.push(format!("{} around it is itself given {timeout} to stop.", quote(&parent.unit)));
    }
    if let Some(shortage) = case.facts.pressure.as_ref().and_then(shortage) {
        said.push(format!("The pressure that it was under: {shortage}."));
    }
    if word.signal.mechanism == Mechanism::CgroupKill {
        said.push("The manager killed the whole cgroup by one write to cgroup.kill.".to_owned());
    }
    said
}

/// `3 earlier stops that needed no SIGKILL`.
fn earlier(observed: ObservedDrain) -> String {
    match observed.stops {
        1 => "the 1 earlier stop that needed no SIGKILL".to_owned(),
        stops => format!("{stops} earlier stops that needed no SIGKILL"),
    }
}

/// `sleep` (pid 74), from `Killing process 74 (sleep) with signal SIGKILL.` about another process than the target.
fn left_over(case: &Case<'_>, text: &str) -> Option<String> {
    let rest = text.strip_prefix("Killing process ")?;
    let (pid, rest) = rest.split_once(" (")?;
    let (name, signal) = rest.rsplit_once(") with signal ")?;
    let pid: u32 = pid.parse().ok()?;
    let own = case.target().pid == pid || case.target().ns_pid == Some(pid);
    (signal.starts_with("SIGKILL") && !own).then(|| format!("{} (pid {pid})", quote(name)))
}

/// The drop-in that gives it the time.
fn advice(case: &Case<'_>, word: &Word<'_>) -> String {
    let of_user = word.manager.scope == "user" && word.unit == word.manager.unit;
    let (directory, reload) = match of_user {
        true => ("~/.config/systemd/user", "systemctl --user daemon-reload"),
        false => ("/etc/systemd/system", "systemctl daemon-reload"),
    };
    // A name in a shell command must be one word.
    let unit = crate::text::shell_quote(word.unit);
    let (seconds, why) = match case.facts.timing.as_ref().map(|timing| timing.expected_min.ceil()) {
        Some(seconds) => (format!("{seconds:.0}"), "its drain and headroom".to_owned()),
        None => ("SECONDS".to_owned(), "with as many SECONDS as its drain takes".to_owned()),
    };
    let first = match case.facts.observed_drain.filter(|_| case.facts.timing.is_none()) {
        Some(observed) => format!(
            "Earlier stops took {} at most, so look first for what held this one. ",
            span(observed.longest_s)
        ),
        None => String::new(),
    };
    let section = if word.unit.ends_with(".scope") { "Scope" } else { "Service" };
    format!(
        "{first}Give it longer, {why}: mkdir -p {directory}/{unit}.d && printf '[{section}]\\nTimeoutStopSec={seconds}\\n' \
         > {directory}/{unit}.d/stop-timeout.conf && {reload}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, ManagerMessage, ParentUnit, Timing, UnitState};
    use crate::sample::{kill, killed, nginx, process, signal, systemd};
    use crate::signals::{SIGABRT, SIGTERM};
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    const TIMED_OUT: &str = "State 'stop-sigterm' timed out. Killing.";

    fn stopped(signals: Vec<Signal>, messages: Vec<ManagerMessage>) -> Facts {
        let mut facts = with_word(killed(nginx(), 100.01, SIGKILL, signals), messages);
        let timeout_stop = Some(Timeout::Seconds(2.0));
        facts.manager.as_mut().unwrap().before = Some(UnitState { timeout_stop, ..UnitState::default() });
        facts
    }

    fn both() -> Vec<Signal> {
        vec![kill(98.0, SIGTERM, systemd()), kill(100.0, SIGKILL, systemd())]
    }

    #[test]
    fn time_was_up() {
        let messages = vec![
            said(97.9, "Stopping nginx.service..."),
            said(99.999, TIMED_OUT),
            said(99.9995, "Killing process 812 (nginx) with signal SIGKILL."),
            said(99.9996, "Killing process 74 (sh (x)) with signal SIGKILL."),
        ];
        let mut facts = stopped(both(), messages);
        facts.timing = Some(Timing {
            unit: "nginx.service".to_owned(),
            timeout_stop_sec: Some(2.0),
            drain_timeout: 5.0,
            expected_min: 35.0,
            mismatch: true,
            scope: "system".to_owned(),
            load_state: "loaded".to_owned(),
            parent: None,
        });
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStopTimeout, Confidence::Certain));
        assert_eq!(verdict.culprit, None);
        assert_eq!(
            verdict.summary,
            "`nginx` (pid 812) was killed by the manager of `nginx.service` because it had not stopped 2 s after SIGTERM, as long \
             as TimeoutStopSec=2 s allows; it is configured to drain for 5 s."
        );
        let told = verdict.evidence.join("\n");
        for part in
            [TIMED_OUT, "Still in its cgroup then: `sh (x)` (pid 74).", "configured as 5 s (--drain-timeout)"]
        {
            assert!(told.contains(part), "{part}\n{told}");
        }
        let advice = verdict.advice.unwrap();
        assert!(advice.contains("/etc/systemd/system/nginx.service.d/stop-timeout.conf"), "{advice}");
        assert!(advice.contains("TimeoutStopSec=35"), "{advice}");
    }

    #[test]
    fn a_time_that_was_changed_or_extended() {
        let with_limits = |before: f64, after: Option<f64>, signals: Vec<Signal>| {
            let mut facts = stopped(signals, vec![said(99.999, TIMED_OUT)]);
            let state = |seconds: f64| UnitState {
                timeout_stop: Some(Timeout::Seconds(seconds)),
                ..UnitState::default()
            };
            let manager = facts.manager.as_mut().unwrap();
            manager.before = Some(state(before));
            manager.after = after.map(state);
            judge(&facts, Show::Cmdline).summary
        };
        let told = with_limits(90.0, Some(2.0), both());
        assert!(told.contains("2 s after SIGTERM, as long as TimeoutStopSec=2 s allows"), "{told}");
        let told = with_limits(0.2, None, both());
        assert!(told.contains("2 s after SIGTERM, as long as TimeoutStopSec allows"), "{told}");
        let survived = [vec![kill(20.0, SIGTERM, systemd())], both()].concat();
        let told = with_limits(2.0, Some(2.0), survived);
        assert!(told.contains("2 s after SIGTERM, as long as TimeoutStopSec=2 s allows"), "{told}");
    }

    #[test]
    fn what_earlier_stops_took() {
        let mut facts = stopped(both(), vec![said(99.999, TIMED_OUT)]);
        facts.observed_drain = Some(ObservedDrain { stops: 3, longest_s: 1.25 });
        let verdict = judge(&facts, Show::Cmdline);
        let words = "; the longest of 3 earlier stops that needed no SIGKILL took 1.25 s.";
        assert!(verdict.summary.ends_with(words), "{}", verdict.summary);
        assert!(verdict.evidence.iter().any(|said| said.contains("what it needed this time is not known")));
        assert!(verdict.advice.unwrap().starts_with("Earlier stops took 1.25 s at most"));
    }

    #[test]
    fn without_the_journal_it_is_likely() {
        let mut facts = stopped(both(), Vec::new());
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdStopTimeout, Confidence::Likely));
        assert!(verdict.evidence[0].starts_with("SIGKILL came 2 s after SIGTERM"), "{:?}", verdict.evidence);
        assert!(!verdict.summary.contains("drain"), "no drain is made up: {}", verdict.summary);
        facts.manager.as_mut().unwrap().after = Some(UnitState {
            result: Some("signal".to_owned()),
            invocation_id: Some("a".to_owned()),
            ..UnitState::default()
        });
        assert_ne!(
            judge(&facts, Show::Cmdline).cause,
            Cause::SystemdStopTimeout,
            "the manager says otherwise"
        );
    }

    #[test]
    fn what_the_journal_said_before_tells_nothing() {
        let facts = stopped(both(), vec![said(98.6, "Started nginx.service.")]);
        assert_eq!(judge(&facts, Show::Cmdline).cause, Cause::SystemdStopTimeout);
        let facts = stopped(both(), vec![said(99.9, "Killing process 7 (x) with signal SIGKILL.")]);
        assert_ne!(
            judge(&facts, Show::Cmdline).cause,
            Cause::SystemdStopTimeout,
            "it tells, and not of a timeout"
        );
    }

    #[test]
    fn by_one_write_to_the_cgroup() {
        let written = signal(100.0, SIGKILL, Mechanism::CgroupKill, Some(systemd()));
        let facts = stopped(vec![kill(98.0, SIGTERM, systemd()), written], vec![said(99.999, TIMED_OUT)]);
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!(verdict.cause, Cause::SystemdStopTimeout);
        assert!(verdict.evidence.iter().any(|said| said.contains("cgroup.kill")), "{:?}", verdict.evidence);
    }

    #[test]
    fn the_manager_around_it() {
        let mut facts = stopped(both(), vec![said(99.999, TIMED_OUT)]);
        let manager = facts.manager.as_mut().unwrap();
        let timeout_stop = Some(Timeout::Seconds(120.0));
        manager.parent = Some(ParentUnit { unit: "user@1000.service".to_owned(), timeout_stop });
        let told = judge(&facts, Show::Cmdline).evidence.join("\n");
        assert!(told.contains("`user@1000.service` around it is itself given 2 min to stop."), "{told}");
    }

    #[test]
    fn near_misses() {
        let cause = |facts: Facts| judge(&facts, Show::Cmdline).cause;
        let at_once = vec![kill(100.0, SIGKILL, systemd())];
        assert_ne!(cause(stopped(at_once, Vec::new())), Cause::SystemdStopTimeout, "KillSignal=SIGKILL");
        let sooner = vec![kill(98.9, SIGTERM, systemd()), kill(99.0, SIGKILL, systemd())];
        assert_ne!(
            cause(stopped(sooner, Vec::new())),
            Cause::SystemdStopTimeout,
            "systemctl kill -9 in between"
        );
        let by_person = vec![kill(98.0, SIGTERM, systemd()), kill(100.0, SIGKILL, process(5, "kill -9 812"))];
        assert_eq!(cause(stopped(by_person, vec![said(99.999, TIMED_OUT)])), Cause::ExternalKill);
        let watchdog = vec![kill(98.0, SIGABRT, systemd()), kill(100.0, SIGKILL, systemd())];
        let word = vec![said(99.999, "State 'stop-watchdog' timed out. Killing.")];
        assert_eq!(cause(stopped(watchdog, word)), Cause::SystemdWatchdog);
    }
}
