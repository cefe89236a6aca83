//! Signals at a whole process group: which group, and why the target was in it.

use crate::model::{Mechanism, Process, ProcessGroup, Signal};

use super::actors::is_kernel_thread;
use super::case::Case;

/// Why the target was in the group that was signalled, and whether the sender was too.
pub(super) fn membership(case: &Case<'_>, signal: &Signal) -> Vec<String> {
    let aim = signal.syscall_args.as_ref().and_then(|args| args.first().copied());
    let (Mechanism::Kill, Some(0 | ..=-2), Some(group)) = (signal.mechanism, aim, &case.facts.kill.group)
    else {
        return Vec::new();
    };
    let mut said = vec![why(case, group)];
    if aim != Some(0) && signal.sender.as_ref().is_some_and(|sender| sender.pgid == Some(group.id)) {
        said.push("The sender is in that group itself.".to_owned());
    }
    said
}

fn why(case: &Case<'_>, group: &ProcessGroup) -> String {
    let (target, id) = (case.target(), group.id);
    let Some(leader) = &group.leader else {
        return format!("Who made the process group {id} is not known.");
    };
    if leader.is(target) {
        return format!("The target made the process group {id} itself and leads it.");
    }
    let who = case.brief(leader);
    if target.ancestors.iter().any(|ancestor| ancestor.is(leader)) {
        return format!(
            "The group {id} was made by {who}, from which the target descends and whose group it never left."
        );
    }
    match common_parent(leader, target) {
        Some(shell) => {
            format!(
                "The group {id} is a job of {}: it is led by {who}, which runs beside the target.",
                case.brief(shell)
            )
        }
        None => format!("The group {id} was made by {who}."),
    }
}

/// The process that started both, as a shell does with the parts of a pipe.
fn common_parent<'a>(one: &'a Process, other: &Process) -> Option<&'a Process> {
    let parent = one.parent().filter(|parent| !parent.is_service_manager() && !is_kernel_thread(parent))?;
    other.parent().is_some_and(|of_other| of_other.is(parent)).then_some(parent)
}

#[cfg(test)]
mod tests {
    use crate::model::{Facts, Kill, Process, ProcessGroup};
    use crate::sample::{kill, killed, nginx, process, systemd, under};
    use crate::signals::SIGTERM;
    use crate::verdict::{Show, judge};

    fn said(target: Process, leader: Option<Process>, aim: i64, sender: Process) -> String {
        let mut facts = killed(target, 100.0, SIGTERM, vec![kill(99.9, SIGTERM, sender)]);
        facts.signals[0].syscall_args = Some(vec![aim, 15]);
        let facts = Facts {
            kill: Kill { group: Some(ProcessGroup { id: 700, leader }), ..Kill::default() },
            ..facts
        };
        judge(&facts, Show::Cmdline).evidence.join("\n")
    }

    fn killer() -> Process {
        process(5, "kill -- -700")
    }

    #[test]
    fn why_the_target_was_in_the_group() {
        let make = process(700, "make run");
        let shell = process(690, "-bash");
        for (target, leader, sentence) in [
            (
                Process { pid: 700, ..nginx() },
                Some(Process { pid: 700, ..nginx() }),
                "The target made the process group 700 itself",
            ),
            (
                under(nginx(), &[make.clone(), shell.clone()]),
                Some(make.clone()),
                "made by `make run` (pid 700), from which the target",
            ),
            (
                under(nginx(), std::slice::from_ref(&shell)),
                Some(under(process(700, "yes"), &[shell])),
                "is a job of `-bash` (pid 690): it is led by `yes` (pid 700)",
            ),
            (nginx(), Some(make), "The group 700 was made by `make run` (pid 700)."),
            (nginx(), None, "Who made the process group 700 is not known."),
        ] {
            let said = said(target, leader, -700, killer());
            assert!(said.contains(sentence), "{sentence}: {said}");
            assert!(!said.contains("The sender is in that group"), "{said}");
        }
    }

    #[test]
    fn a_sender_in_the_group() {
        let member = Process { pgid: Some(700), ..killer() };
        assert!(said(nginx(), None, -700, member.clone()).contains("The sender is in that group itself."));
        // kill(0) says so by itself.
        assert!(!said(nginx(), None, 0, member).contains("The sender is in that group itself."));
    }

    #[test]
    fn near_misses() {
        let alone = said(nginx(), None, 812, killer());
        assert!(!alone.contains("group"), "{alone}");
        // Children of one manager have nothing in common.
        let leader = under(process(700, "yes"), &[systemd()]);
        assert!(!said(under(nginx(), &[systemd()]), Some(leader), -700, killer()).contains("job"));
    }
}
