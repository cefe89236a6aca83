//! Who is behind a sender: its ancestors, without the hops that mean nothing.

use crate::model::{Link, Process, Signal};

use super::actors::{is_kernel_thread, is_wrapper};
use super::case::Case;

/// The ancestors of `process` that matter, nearest first: up to the service manager, or to the target
/// itself when that is among them.
pub(super) fn behind<'a>(process: &'a Process, target: &Process) -> Vec<&'a Process> {
    let mut behind: Vec<&Process> = Vec::new();
    for ancestor in &process.ancestors {
        if ancestor.is_service_manager() || is_kernel_thread(ancestor) {
            break;
        }
        // sshd forks for each connection and once more for each user; the nearest says which user.
        let repeats = behind.last().is_some_and(|last| last.program() == "sshd");
        if !(repeats && ancestor.program() == "sshd") {
            behind.push(ancestor);
        }
        if ancestor.is(target) {
            break;
        }
    }
    behind
}

/// "run through `sudo` from `bash` (pid 4402) on pts/0", or nothing.
pub(super) fn run_from(case: &Case<'_>, process: &Process) -> String {
    let behind = behind(process, case.target());
    let wrappers = behind.iter().take_while(|ancestor| is_wrapper(ancestor));
    let through = wrappers.map(|wrapper| format!("`{}`", wrapper.program())).collect::<Vec<_>>();
    let mut words = Vec::new();
    if !through.is_empty() {
        words.push(format!("through {}", through.join(" and ")));
    }
    match (behind.iter().find(|ancestor| !is_wrapper(ancestor)), service_of(process)) {
        (Some(origin), _) if origin.is(case.target()) => words.push("from the target itself".to_owned()),
        (Some(origin), _) => words.push(format!("from {}", case.brief(origin))),
        (None, Some(unit)) => words.push(format!("by the unit {unit}")),
        (None, None) => {}
    }
    let tty = process.tty.as_ref().map_or_else(String::new, |tty| format!(" on {tty}"));
    match words.is_empty() {
        true => tty,
        false => format!(" run {}{tty}", words.join(" ")),
    }
}

/// From the first actor to the target.
pub(super) fn chain(case: &Case<'_>, sender: &Process, signal: &Signal) -> Vec<Link> {
    let mut actors = behind(sender, case.target());
    actors.reverse();
    actors.push(sender);
    let mut links = Vec::new();
    let top_is_target = actors.first().is_some_and(|top| top.is(case.target()));
    if let (Some(unit), Some(top), false) = (service_of(sender), actors.first(), top_is_target)
        && !top.is_service_manager()
    {
        links.push(link(format!("unit {unit}"), "ran", case.brief(top)));
    }
    for (parent, child) in actors.iter().zip(actors.iter().skip(1)) {
        links.push(link(case.brief(parent), "ran", case.brief(child)));
    }
    let action = format!("sent {} to", signal.signal);
    links.push(link(case.brief(sender), &action, case.target_name()));
    links
}

/// One step of a chain.
pub(super) fn link(actor: String, action: &str, object: String) -> Link {
    Link { actor, action: action.to_owned(), object }
}

/// The service in which a process runs; a login session is none.
fn service_of(process: &Process) -> Option<&str> {
    process.unit.as_deref().filter(|unit| unit.ends_with(".service"))
}
