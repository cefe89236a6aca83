//! Whether a job of the manager came of a request: not every request has one, and not every job stops the unit.

use crate::model::{Act, Concern, ManagerMessage, Recipient, Request, Signal};
use crate::unit_result::message_ids::{STOPPING, SUCCESS};

use super::super::case::Case;
use super::super::logind::shutdowns;
use super::super::word::{MOMENT_S, Word};

/// A record holds so many messages about the unit, those in the middle are left out.
const MAX_OWN: usize = 16;
/// How long before the first signal the journal is read, seconds, somewhat less than that.
const READ_S: f64 = 110.0;

/// What the manager's messages tell of the job that a request leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// It stopped the unit.
    Told,
    /// Nothing, for want of messages.
    Unknown,
    /// There were others, but none that says that it began; those about jobs may not be logged (`LogLevelMax=`).
    Doubtful,
    /// There was none.
    Denied,
}

/// The job that stopped the unit between a request and the signal. The manager logs it just after the signal, and not at all
/// when it stops what has not started yet (`service_stop()` in systemd's `src/core/service.c`).
pub(super) fn job(case: &Case<'_>, word: Option<&Word<'_>>, request: &Request) -> Job {
    let Some(word) = word else { return Job::Unknown };
    let since = || word.own().filter(|message| message.ts >= request.ts - MOMENT_S);
    let by_then = |message: &&ManagerMessage| message.ts <= word.signal.ts + MOMENT_S;
    if since().filter(by_then).any(begins) {
        return Job::Told;
    }
    // A reload is a job as well, and the answer to the request.
    if may_reload(request)
        && since().filter(by_then).any(|message| message.job_type.as_deref() == Some("reload"))
    {
        return Job::Denied;
    }
    if since().filter(by_then).any(stops) {
        return Job::Told;
    }
    let is_near = |message: &ManagerMessage| (message.ts - word.signal.ts).abs() <= MOMENT_S;
    let is_whole = word.unit == word.manager.unit
        && word.about().count() < MAX_OWN
        && request.ts >= word.first.ts - READ_S
        && !case.facts.missing.iter().any(|missing| missing.field == "manager.messages");
    if !is_whole || !word.own().any(is_near) {
        return Job::Unknown;
    }
    // Of the same level as what it says of jobs.
    let is_info = |message: &ManagerMessage| {
        message.job_type.is_some() || message.message_id.as_deref() == Some(SUCCESS)
    };
    if word.about().any(is_info) && !since().any(stops) { Job::Denied } else { Job::Doubtful }
}

/// The manager's word about a job that stops the unit, between a request and the signal of somebody who acts for the manager.
pub(in crate::verdict) fn told_before<'a>(
    case: &Case<'a>,
    request: &Request,
    signal: &Signal,
) -> Option<&'a ManagerMessage> {
    let manager = case.facts.manager.as_ref()?;
    let between = request.ts - MOMENT_S..=signal.ts;
    let mut own =
        manager.messages.iter().filter(|message| message.unit.as_deref() == Some(manager.unit.as_str()));
    own.find(|message| stops(message) && between.contains(&message.ts))
}

/// When the job began that stopped the unit, Unix seconds.
pub(super) fn begun(word: &Word<'_>) -> Option<f64> {
    let until = word.signal.ts + MOMENT_S;
    word.own().filter(|message| begins(message) && message.ts <= until).last().map(|message| message.ts)
}

fn begins(message: &ManagerMessage) -> bool {
    message.message_id.as_deref() == Some(STOPPING)
}

fn stops(message: &ManagerMessage) -> bool {
    matches!(message.job_type.as_deref(), Some("stop" | "restart"))
}

/// True for a request that reloads units where they can be, which stops nothing.
pub(super) fn may_reload(request: &Request) -> bool {
    let by_mode = request.mode.as_deref().is_some_and(|mode| mode.starts_with("reload-or-"));
    request.recipient == Recipient::Systemd
        && (request.verb.starts_with("ReloadOr") || is_about_marked(request) || by_mode)
}

/// True for a request about those units alone that were marked before, which nothing shows.
pub(super) fn is_about_marked(request: &Request) -> bool {
    request.verb == "EnqueueMarkedJobs"
}

/// True for a request that a manager refuses for the sake of the unit's `RefuseManualStop=`.
pub(super) fn is_refused(word: &Word<'_>, request: &Request) -> bool {
    let is_of_unit = request.concerns == Concern::Target && word.unit == word.manager.unit;
    request.recipient == Recipient::Systemd
        && matches!(request.act(), Act::Stop | Act::Restart)
        && is_of_unit
        && word.state().and_then(|state| state.refuse_manual_stop) == Some(true)
}

/// True when the host goes down, by the word of its manager or of logind.
pub(super) fn goes_down(word: &Word<'_>) -> bool {
    let began = shutdowns(word.manager).any(|message| message.ts <= word.signal.ts + MOMENT_S);
    began || word.manager.shutdown.is_some()
}
