//! Finds the request that the sender of a signal carried out.

use crate::concern::{Addressee, addressee, commands};
use crate::model::{Act, Concern, Process, Recipient, Request, Signal};
use crate::signals::{SIGABRT, SIGHUP};
use crate::transient::is_maker;

use super::super::actors::is_login_manager;
use super::super::case::Case;
use super::super::word::Word;
use super::job::{self, Job, job};
use super::through_logind::asked_logind;
use super::{Asked, PROMPT_S};

/// How long a job may have waited before its first signal, seconds.
const PATIENCE_S: f64 = 300.0;
/// How long after a request for a signal that signal may come, seconds: whoever is not root may be asked for a password.
const SIGNAL_S: f64 = 60.0;
/// A request that was recorded after it was sent may have a later time than what came of it, by as much as its sender may have
/// had to wait for the processor, seconds.
const LATE_S: f64 = 0.1;
/// The time at which a process began may be known no better than this, nanoseconds.
const TICK_NS: u64 = 10_000_000;

/// A request that may be the one.
#[derive(Debug, Clone, Copy)]
struct Candidate<'a> {
    request: &'a Request,
    /// From the request to the first signal that came of it, seconds.
    after_s: f64,
    /// It may as well have led to nothing.
    is_doubtful: bool,
}

/// Finds the request that the sender of a signal, a manager or a runtime, carried out. The one nearest before it counts, of those
/// that name the target, what holds it, or everything: whether a job of another unit pulled the target along is not judged
/// here.
pub(in crate::verdict) fn asked<'a>(case: &Case<'a>, signal: &'a Signal) -> Option<Asked<'a>> {
    let sender = signal.sender.as_ref()?;
    let word = Word::at(case, signal);
    let requests = case.facts.requests.iter().filter(|request| {
        let of_it = matches!(request.concerns, Concern::Target | Concern::Above | Concern::Everything);
        let by_manager = matches!(request.recipient, Recipient::Systemd | Recipient::Logind);
        let for_it = || match addressee(request, case.target(), sender) {
            Some(Addressee::Own(_)) => began_for(sender, request),
            Some(Addressee::Above(_)) => is_of_job(request.act()),
            None => false,
        };
        of_it && (!by_manager || for_it())
    });
    let mut found: Vec<Candidate<'_>> =
        requests.filter_map(|request| explains(case, word.as_ref(), request, signal)).collect();
    if let Some(since_ns) = end_of_all(word.as_ref(), &found) {
        found.retain(|one| one.request.boot_ns <= since_ns || !is_of_unit(one.request));
    }
    let begun = word.as_ref().and_then(job::begun);
    let Candidate { request, after_s, is_doubtful } =
        found.iter().copied().max_by_key(|candidate| rank(candidate, begun))?;
    // It goes by two clocks which of them came in time.
    let by_one_clock = found.iter().max_by_key(|candidate| rank(candidate, None))?;
    let is_doubtful = is_doubtful || !std::ptr::eq(by_one_clock.request, request);
    let by_logind = is_login_manager(&request.process).then(|| asked_logind(case, request)).flatten();
    let before = by_logind.map(|before| before.request);
    let is_doubtful = is_doubtful || by_logind.is_some_and(|before| before.is_doubtful);
    let asker = before.unwrap_or(request);
    Some(Asked { request, before, origin: origin_of(case, &asker.process), after_s, is_doubtful })
}

/// True for a manager, and for a command that it began to carry out a request.
fn began_for(sender: &Process, request: &Request) -> bool {
    let began = |process: &Process| process.start_boot_ns.saturating_add(TICK_NS) >= request.boot_ns;
    commands(sender).last().is_none_or(|first| is_of_job(request.act()) && began(first))
}

/// What came before the job began says more than what can only have come too late, a message that was seen more than a command
/// that must have sent one, and one that must have been carried out more than one that may not have been.
fn rank(candidate: &Candidate<'_>, begun: Option<f64>) -> (bool, bool, bool, u64) {
    let Candidate { request, after_s, is_doubtful } = candidate;
    let is_in_time =
        !is_of_job(request.act()) || begun.is_none_or(|begun| request.ts <= begun + slack_s(request));
    let sure = request.seen && *after_s <= PROMPT_S && request.cannot_be_refused() && !is_doubtful;
    (is_in_time, request.seen, sure, request.boot_ns)
}

/// The moment since when the manager ends everything: it refuses the jobs that are against that (`replace-irreversibly`), and a
/// stop of a single unit changes nothing any more.
fn end_of_all(word: Option<&Word<'_>>, found: &[Candidate<'_>]) -> Option<u64> {
    word.filter(|word| word.manager.shutdown.is_some())?;
    let ends_all = |request: &&Request| {
        request.recipient == Recipient::Systemd
            && request.act() == Act::Shutdown
            && request.seen
            && request.cannot_be_refused()
    };
    found.iter().map(|one| one.request).filter(ends_all).map(|request| request.boot_ns).min()
}

fn is_of_unit(request: &Request) -> bool {
    matches!(request.act(), Act::Stop | Act::Restart | Act::Reload)
}

/// True for what a manager does by a job that stops the unit.
fn is_of_job(act: Act) -> bool {
    matches!(act, Act::Stop | Act::Restart | Act::Isolate | Act::Shutdown)
}

/// By how much a request may seem to have come after what came of it, seconds.
pub(super) fn slack_s(request: &Request) -> f64 {
    if request.late { LATE_S } else { 0.0 }
}

/// What a request has to do with a signal that can have come of it.
fn explains<'a>(
    case: &Case<'_>,
    word: Option<&Word<'_>>,
    request: &'a Request,
    signal: &Signal,
) -> Option<Candidate<'a>> {
    let slack = slack_s(request);
    let since = |signal: &Signal| signal.ts - request.ts;
    let gap = since(signal);
    if gap < -slack {
        return None;
    }
    let fits = match request.act() {
        Act::Signal => request.signal_num == Some(signal.signal_num) && gap <= SIGNAL_S,
        Act::Reload => signal.signal_num == SIGHUP && gap <= PROMPT_S,
        // What a watchdog sends; a stop never begins with it.
        Act::Stop | Act::Restart | Act::EndSession | Act::Isolate | Act::Shutdown => {
            signal.signal_num != SIGABRT
        }
        Act::Freeze | Act::Start | Act::Create | Act::Schedule | Act::Other => false,
    };
    // A stop goes on for as long as it needs once it has begun: what counts is how soon it did.
    let of_same_sender = |other: &&Signal| match (&other.sender, &signal.sender) {
        (Some(one), Some(other)) => one.is(other),
        _ => false,
    };
    let signals = case.facts.signals.iter().filter(of_same_sender).map(since);
    let first = signals.filter(|gap| *gap >= -slack).fold(gap, f64::min);
    if !fits || first > PATIENCE_S {
        return None;
    }
    // That a manager acted for the one above it is not seen.
    let addressee = signal.sender.as_ref().and_then(|sender| addressee(request, case.target(), sender));
    let is_for_above = matches!(addressee, Some(Addressee::Above(_)));
    let is_doubtful = is_doubtful(case, word, request)? || is_for_above;
    Some(Candidate { request, after_s: first.max(0.0), is_doubtful })
}

/// Whether it is in doubt that a request led to a job that stops the unit; none when it did not.
fn is_doubtful(case: &Case<'_>, word: Option<&Word<'_>>, request: &Request) -> Option<bool> {
    let by_manager = matches!(request.recipient, Recipient::Systemd | Recipient::Logind);
    if !by_manager || !is_of_job(request.act()) {
        return Some(false);
    }
    if word.is_some_and(|word| job::is_refused(word, request)) {
        return None;
    }
    let is_shutdown = request.act() == Act::Shutdown;
    if is_shutdown && word.is_some_and(job::goes_down) {
        return Some(false);
    }
    // What logind was asked for waits for those who hold it up, who may do so for good.
    let is_put_off = is_shutdown && request.recipient == Recipient::Logind;
    match job(case, word, request) {
        Job::Told => Some(is_put_off || job::is_about_marked(request)),
        // As likely as not it only reloaded the unit.
        Job::Unknown => (!job::may_reload(request)).then_some(is_put_off),
        Job::Doubtful => (!job::is_about_marked(request)).then_some(true),
        Job::Denied => None,
    }
}

/// Who made the unit in which a process runs, and so on to the first of them.
fn origin_of<'a>(case: &Case<'a>, asker: &Process) -> Option<&'a Request> {
    let made = |process: &Process| {
        let origins = case.facts.requests.iter().filter(|request| request.concerns == Concern::Origin);
        let of_unit = origins.filter(|origin| is_maker(origin, process));
        of_unit.filter(|origin| !origin.process.is(process)).max_by_key(|origin| origin.boot_ns)
    };
    let first = made(asker)?;
    Some(made(&first.process).unwrap_or(first))
}
