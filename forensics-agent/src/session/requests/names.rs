//! Other names by which a target may be asked for: those of its container, and aliases of its unit.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

use forensics_incident::{
    concern::concern,
    model::{Concern, Facts, Process, Recipient, Request},
};

use crate::host::systemd::{alias::canonical, unit::Scope};

/// Names that are remembered.
const MAX_ALIASES: usize = 512;

/// What else a target is called.
pub(super) struct Names<'a> {
    target: &'a Process,
    of_container: Vec<String>,
    aliases: &'a Aliases,
}

/// Under which names the system's manager runs the units that were asked for, looked up once for each.
#[derive(Default)]
pub(super) struct Aliases(HashMap<String, String>);

impl Aliases {
    /// Looks up the unit that a request names. A user's own files decide about the user's units, and are not looked at.
    pub(super) fn learn(&mut self, request: &Request) {
        let Some(name) = request.object.as_ref().filter(|_| request.of_user.is_none()) else { return };
        if request.recipient != Recipient::Systemd || self.0.contains_key(name) {
            return;
        }
        if self.0.len() >= MAX_ALIASES {
            self.0.clear();
        }
        self.0.insert(name.clone(), canonical(name, Scope::System));
    }

    /// True when a unit of the system is also called `name`.
    fn is(&self, name: &str, unit: &str) -> bool {
        name != unit && self.0.get(name).is_some_and(|canonical| canonical == unit)
    }
}

impl<'a> Names<'a> {
    /// Those of a target.
    pub(super) fn of(target: &'a Process, aliases: &'a Aliases) -> Self {
        Self { target, of_container: of_container(target), aliases }
    }

    /// What a request has to do with the target, when `sender` is who signalled it; none when it cannot concern it.
    pub(super) fn concern(&self, request: &Request, sender: &Process) -> Option<Concern> {
        let found = concern(request, self.target, sender, &self.of_container)?;
        match request.object.as_ref() {
            Some(object) if found == Concern::Elsewhere && self.is_alias(object, request, sender) => {
                concern(request, self.target, sender, std::slice::from_ref(object))
            }
            _ => Some(found),
        }
    }

    /// The same, by the first of the senders of an incident whom it was sent to.
    pub(super) fn concern_of_senders(&self, request: &Request, facts: &Facts) -> Option<Concern> {
        let mut senders = facts.signals.iter().filter_map(|signal| signal.sender.as_ref());
        senders.find_map(|sender| self.concern(request, sender))
    }

    /// True when the files of units say that `name` is another name of the target's unit. The manager of a container has files
    /// of its own, which are not looked at.
    fn is_alias(&self, name: &str, request: &Request, manager: &Process) -> bool {
        let unit = self.target.unit.as_deref();
        request.of_user.is_none()
            && unit.is_some_and(|unit| self.aliases.is(name, unit))
            && has_our_files(manager.pid)
    }
}

/// The name of the target's container, where its monitor tells it: Podman's `conmon -n NAME`.
fn of_container(target: &Process) -> Vec<String> {
    let monitor = target.ancestors.iter().find(|ancestor| ancestor.program() == "conmon");
    let arguments = monitor.map(Process::args).unwrap_or_default();
    let name = arguments.iter().skip_while(|argument| *argument != "-n").nth(1);
    name.cloned().into_iter().collect()
}

/// True when a process has the same root directory as this one.
fn has_our_files(pid: u32) -> bool {
    let root = |path: &str| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino())).ok();
    root(&format!("/proc/{pid}/root/")).is_some_and(|theirs| root("/") == Some(theirs))
}
