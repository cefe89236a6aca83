//! A signal that was passed on: from its sender back to the first that sent it.

use crate::attribution::arrived;
use crate::model::{Process, Signal};
use crate::signals::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM};
use crate::text::span;

use super::actors::{Role, role};
use super::case::{Case, by_what, seconds_between};

/// How long after it received a signal a process may be passing it on, seconds.
const WINDOW_S: f64 = 2.0;
/// How long after a request that it passed on a process may follow it up with `SIGKILL`, seconds: the grace that it gives.
const FOLLOW_UP_S: f64 = 300.0;
/// Longer rows of relays than the agent records are not followed.
const MAX_HOPS: usize = 8;

/// The way of a signal to the target.
#[derive(Debug)]
pub(super) struct Relayed<'a> {
    /// The signal that began it, at the outermost relay.
    pub(super) origin: &'a Signal,
    /// Those that passed it on, the outermost first, the sender at the target last.
    pub(super) hops: Vec<&'a Process>,
    /// Seconds from the beginning to the signal at the target.
    pub(super) took_s: f64,
    /// What was received at each hop.
    received: Vec<&'a Signal>,
}

/// The way of the decisive signal, when its sender only passed it on.
///
/// A sender that follows up on a request which it had passed on (with `SIGKILL`, after a while) still does so for
/// whoever made the request.
pub(super) fn relayed<'a>(case: &Case<'a>, decisive: &'a Signal) -> Option<Relayed<'a>> {
    let sender = decisive.sender.as_ref().filter(|sender| !sender.is(case.target()))?;
    let followed_up = |signal: &&Signal| {
        let since = seconds_between(signal.last_ns(), decisive.boot_ns);
        decisive.signal_num == SIGKILL
            && matches!(signal.signal_num, SIGTERM | SIGINT | SIGQUIT)
            && since.is_some_and(|s| s <= FOLLOW_UP_S)
            && signal.sender.as_ref().is_some_and(|one| one.is(sender))
    };
    let before = case.facts.signals.iter().rev().filter(followed_up);
    std::iter::once(decisive).chain(before).find_map(|signal| way(case, signal))
}

fn way<'a>(case: &Case<'a>, signal: &'a Signal) -> Option<Relayed<'a>> {
    let (mut hops, mut received) = (Vec::new(), Vec::new());
    let mut current = signal;
    while let (Some(hop), Some(before)) = (&current.sender, current.relayed.as_deref())
        && hops.len() < MAX_HOPS
        && passes_on(case, hop, before, current)
    {
        hops.push(hop);
        received.push(before);
        current = before;
    }
    if hops.is_empty() {
        return None;
    }
    hops.reverse();
    received.reverse();
    let took_s = seconds_between(current.boot_ns, signal.boot_ns).unwrap_or_default();
    Some(Relayed { origin: current, hops, took_s, received })
}

/// True when what `hop` sent is explained by what it had received.
fn passes_on(case: &Case<'_>, hop: &Process, received: &Signal, sent: &Signal) -> bool {
    let target = case.target();
    let since = seconds_between(received.boot_ns, sent.boot_ns);
    let in_time = since.is_some_and(|s| s <= WINDOW_S || is_run(hop));
    // What did not reach it made it do nothing.
    if !in_time || !arrived(received) {
        return false;
    }
    let is_same = received.signal_num == sent.signal_num;
    match role(hop, target) {
        // They act on requests, which are no signals.
        Some(Role::Manager | Role::Runtime) => false,
        // They end what they hold when they are asked to end, or to begin anew; what else they are told (to open their logs again)
        // is no reason to.
        Some(Role::Supervisor | Role::Relay) => {
            is_same || matches!(received.signal_num, SIGTERM | SIGINT | SIGHUP | SIGQUIT)
        }
        // A shell or a program of whatever kind: the same signal, or another one to what it had started itself.
        None => {
            let started_it = target.ancestors.iter().any(|ancestor| ancestor.is(hop));
            is_same || (started_it && matches!(received.signal_num, SIGTERM | SIGHUP | SIGQUIT))
        }
    }
}

/// True for the agent's own `run`, which signals its command for no other reason; only a busy machine delays it.
fn is_run(hop: &Process) -> bool {
    hop.program() == "forensics-agent" && hop.args().iter().skip(1).any(|argument| argument == "run")
}

impl Relayed<'_> {
    /// What each hop had received, one sentence each.
    pub(super) fn evidence(&self, case: &Case<'_>) -> Vec<String> {
        let sentence = |(hop, received): (&&Process, &&Signal)| {
            let from = match &received.sender {
                Some(sender) => format!("from pid {} by {}", sender.pid, by_what(received)),
                None => format!("from {}", by_what(received)),
            };
            format!("{} had itself received {} {from}.", case.brief(hop), received.signal)
        };
        let mut said: Vec<String> = self.hops.iter().zip(&self.received).map(sentence).collect();
        said.push(format!("It was passed on within {}.", span(self.took_s)));
        said
    }
}
