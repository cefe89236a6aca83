//! Processes that are targets because of the unit or cgroup that they are in.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use forensics_common::{CgroupEvent, target_flags};
use forensics_incident::{
    assembly::{Closed, Input},
    model::{OutcomeKind, Process, ProcessKey},
};

use super::{Progress, Session, places::Places};
use serde::{Deserialize, Serialize};

use crate::host::proc::{self, Forebears};
use crate::kernel::records::{CgroupChange, ForkEvent};
use crate::targets::{CgroupSelector, UnitSelector};

/// How often the members of the selected cgroups are listed at the start, until nobody new is found.
const MAX_LOOKS: usize = 16;

/// What a member is to its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// It came from outside: what a manager started, or who was moved there.
    Top,
    /// A member made it.
    Worker,
    /// A member made it and has left it to their manager: a daemon, which may be the main process.
    Daemon,
}

/// The members of all selected units and cgroups.
pub(super) struct Members {
    pub(super) places: Places,
    standing: HashMap<u32, (ProcessKey, Standing)>,
}

impl Members {
    /// Nobody is one yet.
    pub(super) fn new(places: Places) -> Self {
        Self { places, standing: HashMap::new() }
    }

    /// Selects other units and cgroups; nobody is a member until the processes in them are looked for.
    pub(super) fn select(&mut self, units: Vec<UnitSelector>, cgroups: Vec<CgroupSelector>) {
        self.places.select(units, cgroups);
        self.standing.clear();
    }

    /// A process is a member from now on.
    fn enter(&mut self, process: &Process) {
        let standing = self.standing_of(process);
        self.standing.insert(process.pid, (process.key(), standing));
    }

    fn standing_of(&self, process: &Process) -> Standing {
        let made_by_member = process.parent().is_some_and(|maker| self.get(maker.key()).is_some());
        if made_by_member { Standing::Worker } else { Standing::Top }
    }

    /// What a process is; none when it is no member.
    pub(super) fn get(&self, key: ProcessKey) -> Option<Standing> {
        let (member, standing) = self.standing.get(&key.pid)?;
        member.is(key).then_some(*standing)
    }

    /// A worker ends, and its parent is its manager by now.
    pub(super) fn leave_to_manager(&mut self, pid: u32) {
        if let Some((_, standing)) = self.standing.get_mut(&pid) {
            *standing = Standing::Daemon;
        }
    }

    /// A process was a member when an earlier agent saw it.
    pub(super) fn restore(&mut self, process: &Process, standing: Standing) {
        self.standing.insert(process.pid, (process.key(), standing));
    }

    /// A process has ended, or has left.
    pub(super) fn forget(&mut self, pid: u32) {
        self.standing.remove(&pid);
    }
}

/// Whether an end concerns those who watch the unit as a whole: a worker that has done its work does not. Neither does what a
/// manager started that has done its work well, when only a pattern names the unit: most of what runs on a host ends so, as
/// jobs of timers do, or the commands that start and reload a service.
pub(super) fn concerns(closed: &Closed, standing: Option<Standing>, places: &Places) -> bool {
    if is_of_start(closed) {
        return false;
    }
    let by_itself = closed.outcome.kind == OutcomeKind::Exited && closed.decisive.is_none();
    let is_named = || closed.target.cgroup.as_deref().is_none_or(|path| places.are_named(path));
    match standing {
        Some(Standing::Worker | Standing::Daemon) => !by_itself,
        Some(Standing::Top) => !by_itself || closed.outcome.exit_code != Some(0) || is_named(),
        None => true,
    }
}

/// True for the end of a helper that a manager's executor makes while it sets a service up (user namespaces, say), and ends itself:
/// the helper still is the manager's program, and the executor bears the name of what it is to start in brackets
/// (`exec_invoke()` in systemd's `src/core/exec-invoke.c`). By the time it is looked at, the executor may have started that.
pub(super) fn is_of_start(closed: &Closed) -> bool {
    // Of one that lives for a moment, what it executes is not always known.
    let is_executor = |process: &Process| match &process.exe {
        Some(_) => matches!(process.program(), "systemd-executor" | "systemd"),
        None => process.name.starts_with('('),
    };
    let target = &closed.target;
    let sender = closed.decisive.and_then(|index| closed.signals.get(index)?.sender.as_ref());
    sender.is_some_and(|sender| {
        let made_it =
            target.ppid == Some(sender.pid) || target.parent().is_some_and(|parent| parent.is(sender));
        made_it && sender.pid != 1 && sender.name.starts_with('(') && is_executor(target)
    })
}

impl<W: Write> Session<W> {
    /// Watches who is in the selected units and cgroups now. From here on, who enters is watched by itself.
    pub fn watch_members(&mut self) {
        if self.members.places.is_empty() {
            return;
        }
        self.members.places.search();
        let own = std::process::id();
        let mut forebears = Forebears::default();
        let mut seen = HashSet::new();
        // What a member made before it was watched is there at the next look; what it makes afterwards has a record.
        for _ in 0..MAX_LOOKS {
            let found = self.members.places.processes().into_iter();
            let new: Vec<_> = found.filter(|&(pid, key)| pid != own && seen.insert((pid, key))).collect();
            if new.is_empty() {
                break;
            }
            for (pid, key) in new {
                self.watch_member(pid, target_flags::member(key.slot), &mut forebears);
            }
        }
        // Who came from outside is known once everybody is.
        for process in self.targets.values() {
            if self.members.get(process.key()).is_some() {
                self.members.enter(process);
            }
        }
    }

    /// The selectors that have found nothing yet, as they were given.
    pub fn waiting(&self) -> Vec<String> {
        let places = &self.members.places;
        let members: Vec<&str> =
            self.targets.values().filter_map(|target| target.cgroup.as_deref()).collect();
        let units = places.units().iter().filter(|unit| !members.iter().any(|path| unit.selects(path)));
        let cgroups = places.cgroups().iter().filter(|cgroup| !places.has_processes(cgroup));
        units.map(ToString::to_string).chain(cgroups.map(ToString::to_string)).collect()
    }

    fn watch_member(&mut self, pid: u32, flags: u32, forebears: &mut Forebears) {
        let key = ProcessKey { pid, start_boot_ns: 0 };
        if self.watched.insert_member(key, flags).is_err() {
            return;
        }
        if let Some(known) = self.targets.get(&pid) {
            self.members.enter(&known.clone());
            return;
        }
        let Ok(target) = self.enricher.processes.read_among(pid, forebears) else {
            self.watched.remove(pid);
            return;
        };
        self.members.enter(&target);
        // Nothing that makes an incident can have happened to it yet.
        let _ = self.add(target, &mut Progress::default());
    }

    /// A cgroup came or went, or somebody entered or left one.
    pub(super) fn cgroup(&mut self, change: &CgroupChange, progress: &mut Progress) -> io::Result<()> {
        match (change.event, change.process) {
            (CgroupEvent::Made, _) => {
                if self.members.places.decide(change.cgroup, change.path.as_deref()).is_none() {
                    self.members.places.dismiss(change.cgroup);
                }
                Ok(())
            }
            (CgroupEvent::Removed, _) => {
                self.members.places.forget(change.cgroup);
                Ok(())
            }
            (CgroupEvent::Entered, Some(process)) => self.entered(process, change, progress),
            (CgroupEvent::Left, Some(process)) => self.left(process, change, progress),
            (CgroupEvent::Entered | CgroupEvent::Left, None) => Ok(()),
        }
    }

    fn entered(&mut self, key: ProcessKey, change: &CgroupChange, progress: &mut Progress) -> io::Result<()> {
        let places = &mut self.members.places;
        let Some(path) = places.decide(change.cgroup, change.path.as_deref()).map(str::to_owned) else {
            return self.dismiss(key, progress);
        };
        let path = Some(path).filter(|_| places.tells_units(change.cgroup));
        if let Some(known) = self.targets.get(&key.pid).filter(|known| known.key().is(key)) {
            let moved = self.enricher.processes.moved(known.clone(), path);
            self.members.enter(&moved);
            self.targets.insert(key.pid, moved.clone());
            return self.push(Input::Exec { target: moved }, progress);
        }
        let arrived = self.enricher.processes.arrived(key, change.comm.clone());
        let target = self.enricher.processes.moved(arrived, path);
        self.members.enter(&target);
        self.add(target, progress)
    }

    fn left(&mut self, key: ProcessKey, change: &CgroupChange, progress: &mut Progress) -> io::Result<()> {
        let Some(known) = self.targets.get(&key.pid).filter(|known| known.key().is(key)) else {
            return Ok(());
        };
        if change.flags & target_flags::MEMBER == 0 {
            self.members.forget(key.pid);
        }
        if change.flags != 0 {
            // It is a target for another reason as well, or is still in the cgroup of the same name in another hierarchy.
            return Ok(());
        }
        let selected = proc::read_process_alone(known.pid)
            .is_ok_and(|now| self.settings.selectors.matches(&now.name, now.exe.as_deref(), now.args()));
        if selected && self.watched.insert(key).is_ok() {
            return Ok(());
        }
        self.forget(key.pid);
        self.evidence.forget(key.pid);
        self.push(Input::Unwatch { target: key }, progress)
    }

    /// A process that the kernel took for a member is none.
    fn dismiss(&mut self, key: ProcessKey, progress: &mut Progress) -> io::Result<()> {
        if self.targets.contains_key(&key.pid) || self.relays.contains(key.pid) {
            return Ok(());
        }
        self.watched.remove(key.pid);
        self.push(Input::Unwatch { target: key }, progress)
    }

    /// A process was born, in a cgroup of its own choice perhaps.
    pub(super) fn born(&mut self, event: ForkEvent, progress: &mut Progress) -> io::Result<()> {
        let is_member = event.flags & target_flags::MEMBER != 0;
        let path = if is_member && event.cgroup_id != 0 {
            self.members.places.unified(event.cgroup_id)
        } else {
            None
        };
        let child = match self.targets.get(&event.parent.pid) {
            Some(parent) => super::intake::child_of(parent, event.child, event.comm),
            // The manager made it, right where it belongs.
            None if is_member && path.is_some() => self.enricher.processes.arrived(event.child, event.comm),
            // The child of a process whose name or place was not the one.
            None => return self.dismiss(event.child, progress),
        };
        let child = self.enricher.processes.moved(child, path);
        if is_member {
            self.members.enter(&child);
        }
        if event.flags & target_flags::PROVISIONAL != 0 && self.watched.insert(event.child).is_err() {
            log::debug!("process {} ended before it was confirmed", event.child.pid);
        }
        self.add(child, progress)
    }
}
