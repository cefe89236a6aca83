//! What a sender belongs to: a scheduled job, an upgrade, a CI runner, an editor, a login.
//!
//! It is told as evidence, and an act that nobody sat and decided is called automatic. Nobody is blamed for it.

mod table;

use crate::model::{Intent, Process};

use super::actors::{Role, is_kernel_thread, role};
use super::case::Case;
use super::programs::is_called;
use table::{ORIGINS, Origin};

/// Places that are told of one sender.
const MAX_TOLD: usize = 3;

/// How a sender belongs to a place.
#[derive(Debug, Clone, Copy)]
enum By<'a> {
    /// It is the program itself.
    Itself,
    /// It descends from it.
    Ancestor(&'a Process),
    /// Its unit is one of that place.
    Unit(&'a str),
}

/// The places that a sender belongs to, those that decide first.
fn places<'a>(case: &Case<'_>, sender: &'a Process) -> Vec<(&'static Origin, By<'a>)> {
    // Of what stands above the target, the sender has part by the target alone.
    let target = case.target();
    let above = || {
        let line = sender.ancestors.iter();
        line.take_while(|ancestor| {
            !ancestor.is_service_manager() && !is_kernel_thread(ancestor) && !ancestor.is(target)
        })
    };
    let found = ORIGINS.iter().filter_map(|origin| {
        let by = if !origin.itself.is_empty() && origin.is(sender) {
            By::Itself
        } else if let Some(ancestor) = above().find(|ancestor| origin.is(ancestor)) {
            By::Ancestor(ancestor)
        } else {
            let unit = sender.unit.as_deref().filter(|unit| origin.units.contains(unit))?;
            // The unit of the target is no place that somebody came from.
            By::Unit(Some(unit).filter(|_| target.unit.as_deref() != Some(unit))?)
        };
        Some((origin, by))
    });
    found.take(MAX_TOLD).collect()
}

impl Origin {
    fn is(&self, process: &Process) -> bool {
        let in_path = |exe: &String| self.paths.iter().any(|part| exe.contains(part));
        let jar = || {
            let mut arguments = process.args().iter().skip_while(|argument| *argument != "-jar");
            arguments.nth(1).and_then(|path| path.rsplit('/').next())
        };
        is_called(process, self.programs)
            || process.exe.as_ref().is_some_and(in_path)
            || (is_called(process, &["java"]) && jar().is_some_and(|jar| self.jars.contains(&jar)))
    }
}

/// Where the sender comes from, one sentence for each place, with what in the target's environment led it there.
pub(super) fn evidence(case: &Case<'_>, sender: &Process) -> Vec<String> {
    let mut said = Vec::new();
    for (origin, by) in places(case, sender) {
        match by {
            By::Itself => said.push(origin.itself.to_owned()),
            By::Ancestor(ancestor) => {
                said.push(format!("{}: {} is among its ancestors.", origin.above, case.brief(ancestor)));
            }
            By::Unit(unit) => said.push(format!("{}: it ran in {unit}.", origin.above)),
        }
        if let By::Itself = by {
            let cookies = &case.facts.kill.job_cookies;
            let led = cookies
                .iter()
                .filter(|name| origin.cookies.contains(&name.as_str()))
                .cloned()
                .collect::<Vec<_>>();
            if !led.is_empty() {
                said.push(format!(
                    "The environment of the target has {}, by which it finds such processes.",
                    led.join(" and ")
                ));
            }
        }
    }
    said.extend(in_container(case, sender));
    said
}

/// What to change, when the sender is a program that ends others by its own rules.
pub(super) fn advice(case: &Case<'_>, sender: &Process) -> Option<String> {
    let own = |(origin, by): (&Origin, By<'_>)| {
        (matches!(by, By::Itself) && !origin.advice.is_empty()).then(|| origin.advice.to_owned())
    };
    places(case, sender).into_iter().find_map(own)
}

/// Automatic when nobody sat there, deliberate otherwise.
pub(super) fn intent(case: &Case<'_>, sender: &Process) -> Intent {
    let automatic = places(case, sender).iter().any(|(origin, _)| origin.automatic);
    if automatic { Intent::Automatic } else { Intent::Deliberate }
}

/// A command that was run inside a container, beside its main process.
fn in_container(case: &Case<'_>, sender: &Process) -> Option<String> {
    let target = case.target();
    let is_runtime = |process: &&Process| role(process, target) == Some(Role::Runtime);
    let entered = |process: &Process| {
        let line: Vec<&Process> =
            std::iter::once(process).chain(&process.ancestors).map(|one| one as _).collect();
        let at = line.iter().position(is_runtime)?;
        Some((line.get(at.checked_sub(1)?).map(|one| one.key())?, line.get(at)?.key()))
    };
    let (own, runtime) = entered(sender)?;
    let (main, of_target) = entered(target)?;
    let same = sender.container_id.is_some() && sender.container_id == target.container_id;
    (same && runtime.is(of_target) && !own.is(main))
        .then(|| "It was run inside the container of the target, beside its main process (exec).".to_owned())
}

#[cfg(test)]
mod tests;
