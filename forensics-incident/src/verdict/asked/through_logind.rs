//! Who had asked systemd-logind, when it is logind that asked its manager.

use crate::model::{Act, Concern, Recipient, Request};

use super::super::case::Case;
use super::super::logind::{DELAY_S, KEY_S, is_for_shutdown, key_before};
use super::find::slack_s;

/// How long before it asked systemd logind was asked itself, seconds; nothing holds up the end of a session.
const HOP_S: f64 = 5.0;
/// The same of a host that is short of everything.
const SLOW_HOP_S: f64 = 20.0;
/// How long after the time of a scheduled shutdown logind asks systemd for it, seconds, unless somebody delays it.
const DUE_S: f64 = 15.0;
/// How far the clock that a shutdown is scheduled by, or that of the journal, may have gone from that of the records, seconds.
const CLOCKS_S: f64 = 1.0;

/// What logind had been asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) request: &'a Request,
    /// Another one may have been it, or none.
    pub(super) is_doubtful: bool,
}

/// What logind was asked for before it asked the manager, or what it had been asked for to do at that time.
pub(super) fn asked_logind<'a>(case: &Case<'a>, request: &Request) -> Option<Before<'a>> {
    let is_shutdown = request.act() == Act::Shutdown;
    let after_s = |before: &Request| request.ts - before.due.unwrap_or(before.ts);
    let leads_to = |before: &&Request| {
        let patience_s = if is_shutdown { DELAY_S } else { SLOW_HOP_S };
        let early_s = if before.due.is_some() { CLOCKS_S } else { slack_s(request) };
        before.recipient == Recipient::Logind
            && before.concerns != Concern::Elsewhere
            && !before.process.is(&request.process)
            && is_for_shutdown(before) == is_shutdown
            && (-early_s..=patience_s).contains(&after_s(before))
    };
    let found: Vec<&Request> = case.facts.requests.iter().filter(leads_to).collect();
    // One that polkit may have refused explains nothing where a key does.
    let key = case.facts.manager.as_ref().filter(|_| is_shutdown);
    let has_key =
        key.is_some_and(|manager| key_before(manager, request.ts + CLOCKS_S, KEY_S + CLOCKS_S).is_some());
    let may_be = |before: &&&Request| before.cannot_be_refused() || !has_key;
    // logind has one time for a shutdown, that of the last one whom it let choose.
    let at_time = found.iter().filter(|before| before.due.is_some()).filter(may_be);
    let at_time = at_time.max_by_key(|before| (before.cannot_be_refused(), before.boot_ns));
    let at_once = found.iter().filter(|before| before.due.is_none()).filter(may_be);
    let all: Vec<&Request> = at_once.chain(at_time).copied().collect();
    // Once it is to shut down, it refuses all who come later.
    let sure = || all.iter().filter(|before| before.cannot_be_refused());
    let first = if is_shutdown {
        sure().max_by(|one, other| after_s(one).total_cmp(&after_s(other)))
    } else {
        sure().max_by_key(|before| before.boot_ns)
    };
    let chosen = *first.or_else(|| all.iter().max_by_key(|before| (before.due.is_none(), before.boot_ns)))?;
    let prompt_s = if chosen.due.is_some() { DUE_S } else { HOP_S };
    let has_rivals = is_shutdown && sure().any(|before| !before.process.is(&chosen.process));
    Some(Before { request: chosen, is_doubtful: has_rivals || after_s(chosen) > prompt_s })
}
