//! Requests that were not seen, from the commands that were executed before.

use forensics_incident::model::{Facts, Process};

use crate::{
    request::{Ordered, Wish, of_command},
    session::processes::Processes,
};

/// How long before a signal a command may have led to it, nanoseconds.
const WINDOW_NS: u64 = 30_000_000_000;

/// A command that must have made a request.
pub(super) struct Order {
    pub(super) boot_ns: u64,
    pub(super) process: Process,
    pub(super) of_user: Option<u32>,
    pub(super) wish: Wish,
}

/// The commands that were executed shortly before the target's manager signalled it, and before `before_ns`, the moment since
/// which requests themselves are seen.
pub(super) fn orders(facts: &Facts, processes: &mut Processes, before_ns: u64) -> Vec<Order> {
    let sent = facts.signals.iter().filter(|signal| signal.mechanism.is_user_sent());
    let by_others =
        sent.filter(|signal| signal.sender.as_ref().is_some_and(|sender| !sender.is(&facts.target)));
    let Some(first) = by_others.map(|signal| signal.boot_ns).min() else { return Vec::new() };
    let from = first.saturating_sub(WINDOW_NS).max(facts.target.start_boot_ns);
    let to = first.min(before_ns);
    if from >= to || (facts.target.unit.is_none() && facts.target.container_id.is_none()) {
        return Vec::new();
    }
    let mut orders = Vec::new();
    for (boot_ns, key, argv) in processes.executed_between(from, to) {
        for Ordered { wish, to_own } in of_command(&argv) {
            let process = processes.remembered(key);
            let of_user = process.uid.filter(|_| to_own);
            orders.push(Order { boot_ns, process, of_user, wish });
        }
    }
    orders
}
