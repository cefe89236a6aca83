//! Whom else a sender hit, when it chose by a pattern or signalled a whole group.

use crate::model::{Mechanism, Signal};

use super::case::Case;
use super::kill_tools::selection;

/// A sender that is older may have sent something else before, seconds.
const ONE_ACT_S: f64 = 5.0;

/// How often the sender sent the same to others.
pub(super) fn sentence(case: &Case<'_>, signal: &Signal) -> Option<String> {
    let sender = signal.sender.as_ref()?;
    let is_decisive = case.decisive.is_some_and(|decisive| std::ptr::eq(decisive, signal));
    let counted = case.facts.kill.others.filter(|_| is_decisive)?;
    let aim = signal.syscall_args.as_ref().and_then(|args| args.first().copied());
    let at_many = match signal.mechanism {
        Mechanism::CgroupKill => true,
        Mechanism::Kill => aim.is_some_and(|aim| aim <= 0),
        _ => false,
    };
    let age_s = signal.boot_ns.saturating_sub(sender.start_boot_ns) as f64 / 1e9;
    if selection(sender).is_none() && !(at_many && sender.start_boot_ns != 0 && age_s <= ONE_ACT_S) {
        return None;
    }
    // A member of the group is hit by its own signal.
    let in_group = case.facts.kill.group.as_ref().is_some_and(|group| sender.pgid == Some(group.id));
    let others = counted.saturating_sub(u64::from(at_many && in_group));
    let name = &signal.signal;
    match others {
        0 => None,
        1 => Some(format!("It sent {name} once more, to another process.")),
        many => Some(format!("It sent {name} {many} more times, to other processes.")),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::{Facts, Kill, Process, ProcessGroup};
    use crate::sample::{kill, killed, nginx, process};
    use crate::signals::SIGKILL;
    use crate::verdict::{Show, judge};

    fn told(command: &str, aim: i64, others: u64, change: fn(&mut Process)) -> Option<String> {
        let mut sender = Process { start_boot_ns: 99_000_000_000, pgid: Some(5), ..process(5, command) };
        change(&mut sender);
        let mut facts = killed(nginx(), 100.0, SIGKILL, vec![kill(99.9, SIGKILL, sender)]);
        facts.signals[0].syscall_args = Some(vec![aim, 9]);
        let group = (aim < -1).then_some(ProcessGroup { id: 700, leader: None });
        let facts = Facts { kill: Kill { others: Some(others), group, ..Kill::default() }, ..facts };
        let said = judge(&facts, Show::Cmdline).evidence;
        said.into_iter().find(|said| said.contains("more"))
    }

    #[test]
    fn whom_else_it_hit() {
        let told = |command, aim, others| told(command, aim, others, |_| ());
        let many = Some("It sent SIGKILL 3 more times, to other processes.".to_owned());
        assert_eq!(told("pkill -9 nginx", 812, 3), many);
        assert_eq!(told("kill -9 -- -700", -700, 3), many);
        assert_eq!(
            told("pkill -9 nginx", 812, 1).as_deref(),
            Some("It sent SIGKILL once more, to another process.")
        );
    }

    #[test]
    fn near_misses() {
        assert_eq!(told("pkill -9 nginx", 812, 0, |_| ()), None);
        assert_eq!(told("kill -9 812", 812, 3, |_| ()), None, "at one process alone");
        assert_eq!(told("kill -9 -- -700", -700, 1, |sender| sender.pgid = Some(700)), None, "at itself");
        assert_eq!(told("worker", -700, 9, |sender| sender.start_boot_ns = 1), None, "it has lived for long");
    }
}
