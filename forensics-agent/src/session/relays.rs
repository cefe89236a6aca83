//! Processes that may pass a signal on: what they received, for what they send.
//!
//! A wrapper (tini, sudo, a shell with a trap, `run` itself) is signalled and then signals the target. Whoever
//! signalled the wrapper did it. So the ancestors of targets are watched as well: they make no incidents, but what was
//! sent to them is remembered for a while. It also tells why an ancestor ended whose end had the kernel signal the target.

use std::collections::{HashMap, HashSet, VecDeque};

use forensics_incident::model::{Mechanism, Process, ProcessKey, Signal};
use forensics_incident::signals::{SIGKILL, requests_termination};

use crate::kernel::watch_map::WatchMap;

/// Ancestors of a target that are watched, nearest first.
const MAX_DEPTH: usize = 8;
/// Signals that are remembered, of all processes together.
const MAX_REMEMBERED: usize = 256;
/// How long after it received a signal a process may be passing it on, nanoseconds.
const WINDOW_NS: u64 = 2_000_000_000;
/// How often a signal may have been passed on.
const MAX_HOPS: usize = 8;

/// A process that is watched for what it receives.
struct Relay {
    key: ProcessKey,
    /// The targets that descend from it.
    targets: HashSet<u32>,
}

/// Those processes, and the signals that targets and they received lately.
#[derive(Default)]
pub(super) struct Relays {
    watched: HashMap<u32, Relay>,
    /// Oldest first.
    received: VecDeque<(ProcessKey, Signal)>,
}

impl Relays {
    /// Watches the ancestors of a new target.
    pub(super) fn add(&mut self, target: &Process, watched: &mut WatchMap, is_target: impl Fn(u32) -> bool) {
        // What was watched aside is a target from now on.
        self.watched.remove(&target.pid);
        let ancestors = target.ancestors.iter().take(MAX_DEPTH);
        // A manager signals of its own accord, whatever it receives.
        for ancestor in ancestors.take_while(|ancestor| !ancestor.is_service_manager()) {
            if is_target(ancestor.pid) {
                continue;
            }
            if let Some(relay) = self.watched.get_mut(&ancestor.pid) {
                relay.targets.insert(target.pid);
            } else if watched.insert_aside(ancestor.key()).is_ok() {
                let relay = Relay { key: ancestor.key(), targets: HashSet::from([target.pid]) };
                self.watched.insert(ancestor.pid, relay);
            }
        }
    }

    /// A target is gone; the ancestors that no other target has are watched no more, and are returned.
    pub(super) fn remove(&mut self, target: &Process, watched: &mut WatchMap) -> Vec<u32> {
        let mut unneeded = Vec::new();
        for ancestor in target.ancestors.iter().take(MAX_DEPTH) {
            let Some(relay) = self.watched.get_mut(&ancestor.pid) else { continue };
            relay.targets.remove(&target.pid);
            if relay.targets.is_empty() {
                self.watched.remove(&ancestor.pid);
                watched.remove(ancestor.pid);
                unneeded.push(ancestor.pid);
            }
        }
        unneeded
    }

    /// True for a process that is watched aside and is no target.
    pub(super) fn contains(&self, pid: u32) -> bool {
        self.watched.contains_key(&pid)
    }

    /// A process that was watched aside has ended: the kernel watches it no more.
    pub(super) fn ended(&mut self, pid: u32) {
        self.watched.remove(&pid);
    }

    /// Remembers what a process received.
    pub(super) fn remember(&mut self, receiver: &Process, signal: &Signal) {
        // Of a process with the number of a relay that has ended, nothing is known.
        let is_other = |relay: &Relay| !relay.key.is(receiver.key());
        if self.watched.get(&receiver.pid).is_some_and(is_other) || !may_matter(signal) {
            return;
        }
        if self.received.len() == MAX_REMEMBERED {
            self.received.pop_front();
        }
        self.received.push_back((receiver.key(), signal.clone()));
    }

    /// What the sender of a signal had itself received shortly before (the same signal rather than another one), or the
    /// process whose end had the kernel raise it (a SIGKILL rather than another one).
    pub(super) fn received_before(&self, signal: &Signal, target: &Process) -> Option<Box<Signal>> {
        let (process, likeliest) = if signal.mechanism.is_user_sent() {
            (signal.sender.as_ref().filter(|sender| !sender.is_service_manager())?, signal.signal_num)
        } else if comes_of_an_end(signal.mechanism) {
            (signal.current.as_ref()?, SIGKILL)
        } else {
            return None;
        };
        // Nobody lives to pass on a SIGKILL.
        let fits = |received: &Signal| {
            received.signal_num != SIGKILL || likeliest == SIGKILL && signal.sender.is_none()
        };
        // `run` sends nothing of its own, however long a busy machine makes it wait.
        let window = if process.pid == std::process::id() { u64::MAX } else { WINDOW_NS };
        let lately = self.received.iter().rev().filter(|(receiver, received)| {
            let age = signal.boot_ns.checked_sub(received.boot_ns);
            receiver.is(process.key())
                && age.is_some_and(|age| age <= window)
                && fits(received)
                && hops(received) < MAX_HOPS
        });
        let (_, received) = lately.max_by_key(|(_, received)| received.signal_num == likeliest)?;
        Some(Box::new(received.clone())).filter(|_| !process.is(target))
    }
}

/// True for what wrappers and supervisors pass on, and what ends them.
fn may_matter(signal: &Signal) -> bool {
    /// `SIGUSR1` and `SIGUSR2`.
    const USER: [u32; 2] = [10, 12];
    requests_termination(signal.signal_num) || USER.contains(&signal.signal_num)
}

/// True when the running process had the kernel raise the signal by its own end.
fn comes_of_an_end(mechanism: Mechanism) -> bool {
    use Mechanism::{ParentDeath, PidNamespaceExit, SessionLeaderExit, TtyHangup};
    matches!(mechanism, ParentDeath | PidNamespaceExit | SessionLeaderExit | TtyHangup)
}

/// How often a signal was passed on before.
fn hops(signal: &Signal) -> usize {
    std::iter::successors(signal.relayed.as_deref(), |signal| signal.relayed.as_deref()).count()
}
