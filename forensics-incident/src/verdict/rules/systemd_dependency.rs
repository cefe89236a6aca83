use crate::model::{
    Act, Cause, Confidence, Instigator, Intent, ManagerMessage, Recipient, Request, UnitState, Verdict,
};

use super::super::actors::role;
use super::super::asked::PROMPT_S;
use super::super::case::{Case, quote};
use super::super::lineage::link;
use super::super::word::{MOMENT_S, Word, quoted};
use crate::unit_result::message_ids::{FAILURE, SUCCESS};

/// A job may wait this long for others before it is logged, seconds.
const REQUEST_S: f64 = 100.0;

/// How the unit hangs on another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    PartOf,
    BindsTo,
    Requires,
    Conflicts,
}

impl Tie {
    fn words(self) -> &'static str {
        match self {
            Self::PartOf => "it is part of that (PartOf=)",
            Self::BindsTo => "it is bound to that (BindsTo=)",
            Self::Requires => "it requires that (Requires=)",
            Self::Conflicts => "the two conflict (Conflicts=)",
        }
    }

    fn units(self, state: &UnitState) -> impl Iterator<Item = &str> {
        let lists = match self {
            Self::PartOf => [Some(&state.part_of), None],
            Self::BindsTo => [Some(&state.binds_to), None],
            Self::Requires => [Some(&state.requires), None],
            Self::Conflicts => [Some(&state.conflicts), Some(&state.conflicted_by)],
        };
        lists.into_iter().flatten().flatten().map(String::as_str)
    }

    /// Whether a job of this type of the other unit pulls this one down.
    fn pulls(self, job_type: &str) -> bool {
        match self {
            Self::Conflicts => job_type == "start",
            _ => matches!(job_type, "stop" | "restart" | "try-restart"),
        }
    }
}

/// What became of the other unit.
#[derive(Debug, Clone, Copy)]
struct Cue<'a> {
    tie: Tie,
    other: &'a str,
    act: &'static str,
    message: &'a ManagerMessage,
}

/// Another unit pulled it down.
///
/// Evidence: a job of the manager stopped the unit, and at that moment another unit, on which the properties of this
/// one say that it hangs, had a job with a smaller number (of the jobs of one request, that for the unit that was named
/// comes first, `transaction_add_job_and_dependencies()` in systemd's `src/core/transaction.c`), or ended by itself, for
/// `BindsTo=`. Must not match two units that are stopped one after the other, nor the unit whose own stop pulled others along.
pub(super) fn systemd_dependency(case: &Case<'_>) -> Option<Verdict> {
    let word = Word::of(case)?;
    let state = word.state()?;
    let is_stop = |message: &&ManagerMessage| {
        message.job_id.is_some()
            && message.job_type.as_deref().is_some_and(|kind| kind != "start")
            && message.ts <= word.signal.ts + MOMENT_S
    };
    let job = word.own().filter(is_stop).last()?;
    let begun = word.own().find(|message| message.job_id == job.job_id).map_or(word.first.ts, |m| m.ts);
    let cue = [Tie::PartOf, Tie::BindsTo, Tie::Requires, Tie::Conflicts]
        .into_iter()
        .find_map(|tie| cue(&word, state, tie, job, begun))?;
    let Cue { tie, other, act, message } = cue;
    let summary = format!(
        "{} {} because {} {act}, and {}.",
        case.target_name(),
        if case.was_killed() {
            format!("was stopped with {}", word.signal.signal)
        } else {
            case.ended_by(word.signal)
        },
        quote(other),
        tie.words(),
    );
    let confidence = case.confidence().min(Confidence::Likely);
    let mut verdict = word.verdict(case, Cause::SystemdDependency, confidence, summary, Some(message));
    if let Some(stopping) = word.own().find(|message| message.job_id == job.job_id) {
        verdict.evidence.insert(1, quoted(stopping, word.signal));
    }
    // The jobs of one request are there at the same time, whichever has its turn first.
    let since = begun.min(message.ts);
    if let Some(request) = asked_for(case, other, message, since) {
        let process = request.process.clone();
        verdict.summary =
            format!("{}: {} asked for that.", verdict.summary.trim_end_matches('.'), case.actor(&process));
        verdict.evidence.push(format!(
            "It asked {} for {}.",
            request.recipient.name(),
            quote(&request.sentence())
        ));
        verdict.chain.insert(0, link(case.brief(&process), "asked for", quote(&request.sentence())));
        let inside_target = process.unit.is_some() && process.unit == case.target().unit;
        verdict.intent = Intent::Deliberate;
        verdict.culprit = role(&process, case.target()).is_none().then(|| process.clone());
        verdict.instigator =
            Some(Instigator { process, request: request.sentence(), at: request.ts, inside_target });
        if is_sure(request, since) && case.facts.lost.requests == 0 {
            verdict.confidence = case.confidence();
        }
    }
    if let (Some(own), Some(others)) = (job.job_id, message.job_id) {
        verdict.evidence.insert(
            2,
            format!(
                "The job of {} has number {own}, after number {others} of {}.",
                quote(word.unit),
                quote(other)
            ),
        );
    }
    Some(verdict)
}

/// True when a request was seen that nobody can have refused, right before the first of its jobs had its turn.
fn is_sure(request: &Request, since: f64) -> bool {
    request.seen && request.cannot_be_refused() && since - request.ts <= PROMPT_S
}

/// The request for the job of the other unit: the last one before it, of those that most likely led to it.
fn asked_for<'a>(case: &Case<'a>, other: &str, message: &ManagerMessage, since: f64) -> Option<&'a Request> {
    let wanted = match message.job_type.as_deref() {
        Some("start") => [Act::Start, Act::Create, Act::Isolate],
        Some("stop") => [Act::Stop, Act::Shutdown, Act::Isolate],
        Some(_) => [Act::Restart, Act::Reload, Act::Stop],
        None => return None,
    };
    let before = message.ts - REQUEST_S..=message.ts + MOMENT_S;
    let fits = |request: &&Request| {
        request.recipient == Recipient::Systemd
            && request.object.as_deref() == Some(other)
            && wanted.contains(&request.act())
            && before.contains(&request.ts)
    };
    let fitting = case.facts.requests.iter().filter(fits);
    fitting.max_by_key(|request| (request.seen, is_sure(request, since), request.boot_ns))
}

fn cue<'a>(
    word: &Word<'a>,
    state: &'a UnitState,
    tie: Tie,
    job: &ManagerMessage,
    begun: f64,
) -> Option<Cue<'a>> {
    tie.units(state).filter(|other| *other != word.unit).find_map(|other| {
        let about = || word.manager.messages.iter().filter(move |m| m.unit.as_deref() == Some(other));
        let pulled = about().find(|message| {
            let earlier = message.job_id.zip(job.job_id).is_some_and(|(other, own)| other < own);
            earlier
                && message.ts >= begun - MOMENT_S
                && message.job_type.as_deref().is_some_and(|t| tie.pulls(t))
        });
        let is_stop = |message: &ManagerMessage| {
            message.ts >= begun - MOMENT_S && message.job_type.as_deref().is_some_and(|kind| tie.pulls(kind))
        };
        let ended = || {
            about().find(|message| {
                let is_end = matches!(message.message_id.as_deref(), Some(SUCCESS | FAILURE));
                is_end && (begun - MOMENT_S..=begun).contains(&message.ts)
            })
        };
        if let Some(message) = pulled {
            // A restart begins as a stop.
            let is_restart = |m: &ManagerMessage| {
                m.job_id == message.job_id
                    && m.job_type.as_deref().is_some_and(|kind| kind.ends_with("restart"))
            };
            let act = match message.job_type.as_deref() {
                Some("start") => "was started",
                _ if about().any(is_restart) => "was restarted",
                _ => "was stopped",
            };
            return Some(Cue { tie, other, act, message });
        }
        let by_itself = (tie == Tie::BindsTo && !about().any(is_stop)).then(ended).flatten()?;
        Some(Cue { tie, other, act: "ended by itself", message: by_itself })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Facts, Process};
    use crate::sample::{BOOT, kill, killed, nginx, process, request, systemd};
    use crate::signals::SIGTERM;
    use crate::verdict::word::tests::{said, with_word};
    use crate::verdict::{Show, judge};

    fn job(unit: &str, job_id: u32, job_type: &str, at: f64) -> ManagerMessage {
        let unit_name = Some(unit.to_owned());
        ManagerMessage {
            ts: BOOT + at,
            identifier: "systemd".to_owned(),
            text: format!("{job_type} of {unit}"),
            unit: unit_name,
            job_id: Some(job_id),
            job_type: Some(job_type.to_owned()),
            ..ManagerMessage::default()
        }
    }

    fn stopped(change: impl Fn(&mut UnitState), messages: Vec<ManagerMessage>) -> Facts {
        let facts = killed(nginx(), 100.1, SIGTERM, vec![kill(100.0, SIGTERM, systemd())]);
        let mut facts = with_word(facts, messages);
        let mut state = UnitState::default();
        change(&mut state);
        facts.manager.as_mut().unwrap().before = Some(state);
        facts
    }

    fn own() -> ManagerMessage {
        job("nginx.service", 890, "stop", 99.999)
    }

    fn base() -> Vec<String> {
        vec!["base.service".to_owned()]
    }

    #[test]
    fn ties() {
        let part: fn(&mut UnitState) = |state| state.part_of = base();
        let bound: fn(&mut UnitState) = |state| state.binds_to = base();
        let requires: fn(&mut UnitState) = |state| state.requires = base();
        let conflicts: fn(&mut UnitState) = |state| state.conflicted_by = base();
        for (tie, other, words) in [
            (
                part,
                job("base.service", 889, "stop", 100.2),
                "`base.service` was stopped, and it is part of that",
            ),
            (part, job("base.service", 889, "restart", 100.2), "`base.service` was restarted"),
            (bound, job("base.service", 889, "stop", 100.2), "it is bound to that (BindsTo=)"),
            (requires, job("base.service", 889, "stop", 99.9), "it requires that (Requires=)"),
            (conflicts, job("base.service", 836, "start", 99.9), "was started, and the two conflict"),
        ] {
            let verdict = judge(&stopped(tie, vec![own(), other]), Show::Cmdline);
            assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdDependency, Confidence::Likely));
            assert!(verdict.summary.contains(words), "{}", verdict.summary);
            assert_eq!(verdict.culprit, None);
        }
    }

    #[test]
    fn whoever_asked_for_the_other_one() {
        let asker = Process { uid: Some(0), ..process(4431, "systemctl stop base") };
        let request = Request {
            concerns: crate::model::Concern::Elsewhere,
            ..request(99.9, asker.clone(), "StopUnit", "base.service", "replace")
        };
        let stop =
            || stopped(|state| state.part_of = base(), vec![own(), job("base.service", 889, "stop", 100.2)]);
        let mut facts = stop();
        facts.requests = vec![request.clone()];
        let verdict = judge(&facts, Show::Cmdline);
        assert_eq!((verdict.cause, verdict.confidence), (Cause::SystemdDependency, Confidence::Certain));
        assert_eq!(verdict.culprit, Some(asker));
        assert!(verdict.summary.ends_with("asked for that."), "{}", verdict.summary);
        let confidence = |requests: Vec<Request>, lost: u64| {
            let mut facts = stop();
            (facts.requests, facts.lost.requests) = (requests, lost);
            let verdict = judge(&facts, Show::Cmdline);
            (verdict.confidence, verdict.culprit.map(|culprit| culprit.pid))
        };
        let refused =
            Request { process: process(4432, "systemctl stop base"), boot_ns: u64::MAX, ..request.clone() };
        let long_before = Request { ts: request.ts - 60.0, ..request.clone() };
        assert_eq!(confidence(vec![refused.clone()], 0), (Confidence::Likely, Some(4432)), "by polkit");
        assert_eq!(confidence(vec![request.clone(), refused], 0), (Confidence::Certain, Some(4431)));
        assert_eq!(confidence(vec![long_before], 0), (Confidence::Likely, Some(4431)));
        assert_eq!(confidence(vec![request.clone()], 1), (Confidence::Likely, Some(4431)));
        let mut facts = stop();
        facts.requests = vec![Request { verb: "StartUnit".to_owned(), ..request }];
        assert_eq!(judge(&facts, Show::Cmdline).instigator, None, "another request");
    }

    #[test]
    fn what_it_is_bound_to_ended_by_itself() {
        let ended = ManagerMessage {
            message_id: Some(FAILURE.to_owned()),
            job_id: None,
            job_type: None,
            ..job("base.service", 0, "", 99.99)
        };
        let started = job("base.service", 5, "start", 99.5);
        let messages = vec![started, ended.clone(), own()];
        let verdict = judge(&stopped(|state| state.binds_to = base(), messages), Show::Cmdline);

        assert!(verdict.summary.contains("because `base.service` ended by itself"), "{}", verdict.summary);
        // What is only required may end.
        let verdict = judge(&stopped(|state| state.requires = base(), vec![ended, own()]), Show::Cmdline);
        assert_ne!(verdict.cause, Cause::SystemdDependency);
    }

    #[test]
    fn near_misses() {
        let cause = |messages| judge(&stopped(|state| state.part_of = base(), messages), Show::Cmdline).cause;
        let others = |id, kind, at| vec![own(), job("base.service", id, kind, at)];
        assert_eq!(cause(others(889, "stop", 100.0)), Cause::SystemdDependency);
        assert_ne!(cause(others(891, "stop", 100.0)), Cause::SystemdDependency, "its own job came first");
        assert_ne!(
            cause(others(889, "start", 100.0)),
            Cause::SystemdDependency,
            "a start pulls nothing down"
        );
        assert_ne!(cause(others(700, "stop", 50.0)), Cause::SystemdDependency, "long before");
        assert_ne!(
            cause(vec![job("base.service", 889, "stop", 100.0)]),
            Cause::SystemdDependency,
            "no job of its own"
        );
        let unrelated = vec![own(), job("other.service", 889, "stop", 100.0)];
        assert_ne!(cause(unrelated), Cause::SystemdDependency);
        let killed_by_hand =
            vec![said(99.0, "Sent signal SIGTERM to main process 812 (nginx) on client request.")];
        assert_ne!(cause(killed_by_hand), Cause::SystemdDependency);
    }
}
