//! Acts that hit several targets: who did what, and which group the targets share.
//!
//! What is true of an act decides when its group is known. A kill of a process group or a hangup is one
//! system call for all members, so each gets the group at once. One sender that signals several processes
//! in turn is known as such only from its second target on; the first one is told while it is still open.

use std::collections::VecDeque;

use crate::model::{Mechanism, Process, ProcessKey, Signal};
use crate::signals::{SIGKILL, ends_by_default};

/// Signals of one act are this near to each other, nanoseconds.
const SAME_ACT_NS: u64 = 1_000_000_000;
/// A manager that stops a unit kills what is left this long after it last signalled, nanoseconds: when the main process has ended,
/// or at the end of `TimeoutStopSec=`, 90 s by default (systemd.kill(5)).
const STOP_NS: u64 = 100_000_000_000;
/// Acts that are remembered; older ones go first.
const MAX_ACTS: usize = 1024;

/// What makes two signals one act.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Deed {
    actor: ProcessKey,
    /// Signal and mechanism; none for a manager that takes something down, with several of them in turn.
    by: Option<(u32, Mechanism)>,
    /// What the act was aimed at, where one actor may be at several things at once.
    at: Option<Aim>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Aim {
    /// The argument of `kill(2)`: 0, -1, or a process group.
    Group(i64),
    /// The unit or cgroup that a manager takes down.
    Unit(String),
    /// The session of the terminal.
    Session(u32),
}

#[derive(Debug)]
struct Act {
    deed: Deed,
    first_ns: u64,
    last_ns: u64,
    first: (ProcessKey, u64),
    group_id: Option<String>,
}

impl Act {
    /// True when a signal at a target goes on with it. A unit that was stopped, started and stopped again was stopped twice.
    fn takes_in(&self, deed: &Deed, target: &Process, signal: &Signal) -> bool {
        let goes_on = self.deed == *deed && self.last_ns.abs_diff(signal.boot_ns) <= self.patience(signal);
        goes_on && (!deed.is_stop() || target.start_boot_ns <= self.first_ns)
    }

    fn patience(&self, signal: &Signal) -> u64 {
        let is_rest = self.deed.is_stop() && signal.signal_num == SIGKILL;
        if is_rest { STOP_NS } else { SAME_ACT_NS }
    }

    fn is_over(&self, now: u64) -> bool {
        let patience = if self.deed.is_stop() { STOP_NS } else { SAME_ACT_NS };
        self.last_ns.saturating_add(patience) < now
    }
}

impl Deed {
    /// True for a manager that takes a unit or cgroup down.
    fn is_stop(&self) -> bool {
        self.by.is_none()
    }
}

/// The acts of the last moments.
#[derive(Debug, Default)]
pub(super) struct Acts {
    recent: VecDeque<Act>,
}

/// What was learnt about a signal: the group, and who else must be told of it.
#[derive(Debug)]
pub(super) struct Grouped {
    pub(super) group_id: String,
    /// The first target of the act and its `fold_id`, when it did not know of the group yet.
    pub(super) also: Option<(ProcessKey, u64)>,
}

impl Acts {
    /// Enters a signal at `target`; yields the group when the act is known to be one. `has_company` says whether there are other
    /// targets in the unit or cgroup that a manager takes down: that is one act for all of them, and the first of them may have
    /// ended before the second one is signalled.
    pub(super) fn note(
        &mut self,
        target: &Process,
        fold_id: u64,
        signal: &Signal,
        ids: &mut dyn FnMut() -> String,
        has_company: impl FnOnce() -> bool,
    ) -> Option<Grouped> {
        if !ends_by_default(signal.signal_num) {
            return None;
        }
        let deed = deed(target, signal)?;
        let now = signal.boot_ns;
        if let Some(act) = self.recent.iter_mut().rev().find(|act| act.takes_in(&deed, target, signal)) {
            act.last_ns = act.last_ns.max(now);
            if let Some(group_id) = &act.group_id {
                return Some(Grouped { group_id: group_id.clone(), also: None });
            }
            if act.first.0 == target.key() {
                return None;
            }
            let group_id = ids();
            act.group_id = Some(group_id.clone());
            return Some(Grouped { group_id, also: Some(act.first) });
        }
        self.recent.retain(|act| !act.is_over(now));
        if self.recent.len() >= MAX_ACTS {
            self.recent.pop_front();
        }
        let takes_down = matches!(deed.at, Some(Aim::Unit(_))) && has_company();
        let group_id = (takes_down || hits_several(signal)).then(ids);
        let first = (target.key(), fold_id);
        self.recent.push_back(Act { deed, first_ns: now, last_ns: now, first, group_id: group_id.clone() });
        group_id.map(|group_id| Grouped { group_id, also: None })
    }
}

/// The act that a signal belongs to; none when nobody's act can reach a second process.
fn deed(target: &Process, signal: &Signal) -> Option<Deed> {
    use Mechanism as M;
    let actor = match signal.mechanism {
        mechanism if mechanism.is_user_sent() => signal.sender.as_ref()?,
        M::Oom if !is_oom_group(signal) => return None,
        M::Oom
        | M::ParentDeath
        | M::PidNamespaceExit
        | M::TtyInterrupt
        | M::TtyHangup
        | M::SessionLeaderExit
        | M::OrphanedPgrp
        | M::Sysrq => signal.sender.as_ref().or(signal.current.as_ref())?,
        _ => return None,
    };
    let at = match signal.mechanism {
        M::TtyInterrupt | M::TtyHangup => target.session.map(Aim::Session),
        _ if actor.is_service_manager() => place(target).map(|place| Aim::Unit(place.to_owned())),
        _ => group_argument(signal).map(Aim::Group),
    };
    let is_stop = signal.mechanism.is_user_sent() && matches!(at, Some(Aim::Unit(_)));
    let by = (!is_stop).then_some((signal.signal_num, signal.mechanism));
    Some(Deed { actor: actor.key(), by, at })
}

/// The unit or cgroup that a manager takes down together with the target.
fn place(target: &Process) -> Option<&str> {
    target.unit.as_deref().or(target.cgroup.as_deref())
}

/// True for two targets that a manager takes down together.
pub(super) fn are_company(one: &Process, other: &Process) -> bool {
    one.key() != other.key() && place(one).is_some() && place(one) == place(other)
}

/// True when the act reaches several processes by its nature.
fn hits_several(signal: &Signal) -> bool {
    use Mechanism as M;
    match signal.mechanism {
        M::CgroupKill
        | M::PidNamespaceExit
        | M::TtyInterrupt
        | M::TtyHangup
        | M::SessionLeaderExit
        | M::OrphanedPgrp
        | M::Sysrq => true,
        M::Oom => is_oom_group(signal),
        _ => group_argument(signal).is_some(),
    }
}

/// The first argument of `kill(2)` when it is no single process.
fn group_argument(signal: &Signal) -> Option<i64> {
    let aim = signal.syscall_args.as_ref()?.first().copied()?;
    (signal.mechanism == Mechanism::Kill && aim <= 0).then_some(aim)
}

/// `memory.oom.group` walks the cgroup and kills each member (`mm/oom_kill.c`).
fn is_oom_group(signal: &Signal) -> bool {
    signal.kernel_stack.iter().any(|frame| frame.starts_with("oom_kill_memcg_member"))
}
