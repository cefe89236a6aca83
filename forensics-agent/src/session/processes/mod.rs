//! Who a process is, put together from what the kernel recorded, the ledger of what was executed, and `/proc`.
//!
//! A sender lives for some 40 µs after its signal, so `/proc` is the last resort, for processes that were there
//! before the agent: they are read once and remembered.

mod known;
mod lineage;
mod search;
mod task;

use std::collections::{HashMap, VecDeque};

use aya::maps::{HashMap as BpfHashMap, MapData};
use forensics_common::{ExecEntry, TaskKey};
use forensics_incident::{
    model::{Process, ProcessKey},
    text::shell_join,
};

use crate::{
    host::{
        cgroup, container,
        proc::{self, Forebears},
        systemd::unit::{UnitPath, unit_of_path},
    },
    kernel::records::{self, Program},
};
use known::Known;
pub(super) use task::ns_pid;

/// Reads a command line before anything else sees it: the redaction.
pub(super) type Redact = fn(&[String]) -> Vec<String>;

/// Finds out who a process is.
pub(super) struct Processes {
    ledger: BpfHashMap<MapData, TaskKey, ExecEntry>,
    lineage: BpfHashMap<MapData, TaskKey, TaskKey>,
    known: HashMap<ProcessKey, Known>,
    /// Keys of `known`, in ticks, oldest first.
    order: VecDeque<ProcessKey>,
    redact: Redact,
    /// What the kernel's paths of cgroups begin with where the agent sees the root of its cgroup namespace.
    cgroup_root: Option<String>,
}

impl Processes {
    /// Takes the ledger and the lineage. Every command line goes through `redact` before it is kept.
    pub(super) fn new(
        ledger: BpfHashMap<MapData, TaskKey, ExecEntry>,
        lineage: BpfHashMap<MapData, TaskKey, TaskKey>,
        redact: Redact,
    ) -> Self {
        Self { ledger, lineage, known: HashMap::new(), order: VecDeque::new(), redact, cgroup_root: None }
    }

    /// Reads command lines through another redaction from now on. What is remembered stays as it was read.
    pub(super) fn set_redaction(&mut self, redact: Redact) {
        self.redact = redact;
    }

    /// Reads a process that is there now, whole.
    ///
    /// # Errors
    ///
    /// There is no such process, or it is gone.
    pub(super) fn read(&mut self, pid: u32) -> Result<Process, proc::ProcError> {
        self.read_among(pid, &mut Forebears::default())
    }

    /// As [`Self::read`], for one of many that have ancestors in common.
    pub(super) fn read_among(
        &mut self,
        pid: u32,
        forebears: &mut Forebears,
    ) -> Result<Process, proc::ProcError> {
        let mut process = proc::read_process_among(pid, forebears)?;
        self.polish(&mut process);
        for ancestor in &mut process.ancestors {
            self.polish(ancestor);
        }
        // An ancestor that ends has no command line any more when its end is recorded.
        for ancestor in process.ancestors.iter().filter(|ancestor| ancestor.argv.is_some()) {
            self.remember(ancestor);
        }
        self.remember(&process);
        Ok(process)
    }

    /// A process of which only the pid is known, and that may be gone: as `/proc` has it, else as it is remembered.
    pub(super) fn by_pid(&mut self, pid: u32) -> Option<Process> {
        // One that has ended and that nobody has waited for yet has no command line any more.
        let present = self.read(pid).ok();
        if present.as_ref().is_some_and(|process| process.argv.is_some()) {
            return present;
        }
        let key = self.made_last(pid).or_else(|| self.order.iter().rev().find(|key| key.pid == pid).copied());
        let Some(key) = key else { return present };
        let mut process = self.ancestor(key, String::new());
        process.ancestors = self.ancestors(key, &[]);
        // Of a place that is gone as well, nothing is known.
        if let Some(present) = present {
            (process.cgroup, process.container_id) = (present.cgroup, present.container_id);
        }
        let ancestors = &mut process.ancestors;
        for process in ancestors.iter_mut() {
            process.cgroup = self.cgroup_of(process.key());
            place(process);
        }
        process.cgroup = process.cgroup.filter(|path| path != "/").or_else(|| self.cgroup_of(key));
        place(&mut process);
        Some(process)
    }

    /// The cgroup in which a process executed its program.
    fn cgroup_of(&self, key: ProcessKey) -> Option<String> {
        self.program(key).and_then(|program| cgroup::path_of_id(program.cgroup_id))
    }

    /// A process that may be gone, as it is remembered.
    pub(super) fn remembered(&mut self, key: ProcessKey) -> Process {
        let mut process = self.ancestor(key, String::new());
        process.ancestors = self.ancestors(key, &[]);
        process.cgroup = self.cgroup_of(key);
        place(&mut process);
        process
    }

    /// Remembers every process that is there now, so that one that ends later is still known.
    pub(super) fn read_all(&mut self) {
        for pid in proc::list_pids().unwrap_or_default() {
            // Those that are gone by now executed nothing since the agent is there, or are in the ledger.
            if let Ok(mut process) = proc::read_process_alone(pid) {
                self.polish(&mut process);
                self.remember(&process);
            }
        }
    }

    /// The agent and those that it descends from: a pattern that was given to the agent stands on their command
    /// lines too.
    pub(super) fn own_family(&mut self) -> Vec<u32> {
        let own = std::process::id();
        let ancestors = proc::read_process(own).map(|process| process.ancestors).unwrap_or_default();
        std::iter::once(own).chain(ancestors.iter().map(|ancestor| ancestor.pid)).collect()
    }

    /// True when the ledger knows a later exec of the process than this one.
    pub(super) fn has_executed_since(&self, key: ProcessKey, exec_boot_ns: u64) -> bool {
        self.program(key).is_some_and(|program| program.exec_boot_ns > exec_boot_ns)
    }

    /// A process that has just executed a program, and is not known yet.
    pub(super) fn executed(&mut self, key: ProcessKey, program: &Program) -> Process {
        // It is there, nearly always; if not, the ledger has what counts.
        let present =
            proc::read_process(key.pid).ok().filter(|process| in_ticks(process.key()) == in_ticks(key));
        let mut process = present.unwrap_or_else(|| Process { pid: key.pid, ..Process::default() });
        process.start_boot_ns = key.start_boot_ns;
        self.polish(&mut process);
        for ancestor in &mut process.ancestors {
            self.polish(ancestor);
        }
        let process = self.after_exec(&process, program);
        let ancestors = self.ancestors(key, &[]);
        Process {
            ancestors: if ancestors.is_empty() { process.ancestors.clone() } else { ancestors },
            ..process
        }
    }

    /// A process that has just come to where it is, and is not known yet.
    pub(super) fn arrived(&mut self, key: ProcessKey, name: String) -> Process {
        let present =
            proc::read_process(key.pid).ok().filter(|process| in_ticks(process.key()) == in_ticks(key));
        let mut process = match present {
            Some(mut present) => {
                self.polish(&mut present);
                for ancestor in &mut present.ancestors {
                    self.polish(ancestor);
                }
                present
            }
            None => self.ancestor(key, name),
        };
        process.start_boot_ns = key.start_boot_ns;
        let ancestors = self.ancestors(key, &[]);
        if !ancestors.is_empty() {
            process.ancestors = ancestors;
        }
        process
    }

    /// A process that is in another cgroup now, when that is told; in another container perhaps, which has another name.
    pub(super) fn moved(&self, process: Process, cgroup: Option<String>) -> Process {
        let Some(cgroup) = cgroup else { return process };
        relocate(process, cgroup, container::name)
    }

    /// The ledger's entry of a process.
    fn program(&self, key: ProcessKey) -> Option<Program> {
        let entry = self.ledger.get(&records::task_key(key), 0).ok()?;
        records::program(&entry).ok()
    }

    /// A target after an exec: the same process with a new identity.
    pub(super) fn after_exec(&self, before: &Process, program: &Program) -> Process {
        let Known { name, exe, argv, truncated, uid, ns_pid } = self.known_from(program);
        Process {
            name,
            exe,
            cmdline: argv.as_ref().map(|argv| shell_join(argv)),
            argv,
            cmdline_truncated: truncated.then_some(true),
            uid: uid.or(before.uid),
            ns_pid: ns_pid.or(before.ns_pid),
            ..before.clone()
        }
    }

    /// Redacts, and reads the unit out of the cgroup.
    fn polish(&self, process: &mut Process) {
        if let Some(argv) = process.argv.take() {
            let argv = (self.redact)(&argv);
            process.cmdline = Some(shell_join(&argv));
            process.argv = Some(argv);
        }
        place(process);
    }
}

/// Reads unit, slice and container out of the path of the cgroup. A container that another hierarchy names stays.
fn place(process: &mut Process) {
    let Some(path) = &process.cgroup else { return };
    if let Some(UnitPath { unit, slice, .. }) = unit_of_path(path) {
        (process.unit, process.slice) = (Some(unit), Some(slice));
    }
    process.container_id = cgroup::container_id(path).or(process.container_id.take());
}

/// A process in another cgroup. A container that the old path did not name, it does not take away.
fn relocate(process: Process, cgroup: String, name_of: impl FnOnce(&str) -> Option<String>) -> Process {
    let before = process.container_id.clone();
    let was_named = process.cgroup.as_deref().and_then(cgroup::container_id).is_some();
    let container_id = before.clone().filter(|_| !was_named);
    let mut moved = Process { cgroup: Some(cgroup), unit: None, slice: None, container_id, ..process };
    place(&mut moved);
    if moved.container_id != before {
        moved.container_name = moved.container_id.as_deref().and_then(name_of);
    }
    moved
}

/// The key at the resolution of `/proc`, which gives start times in ticks, rounded down.
pub(super) fn in_ticks(key: ProcessKey) -> ProcessKey {
    let tick = proc::boot_ns_of_ticks(proc::ticks_of_boot_ns(key.start_boot_ns));
    ProcessKey { start_boot_ns: tick, ..key }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The container of a process that moves from one cgroup to another, and what it is called then.
    fn after(process: Process, from: &str, to: &str) -> (Option<String>, Option<String>) {
        let mut process = Process { cgroup: Some(from.to_owned()), ..process };
        place(&mut process);
        let moved = relocate(process, to.to_owned(), |id| Some(format!("{id}, read")));
        assert_eq!(moved.cgroup.as_deref(), Some(to));
        (moved.container_id, moved.container_name)
    }

    #[test]
    fn into_containers_and_out() {
        let (web, db, host) = ("/lxc.payload.web", "/lxc.payload.db", "/system.slice/a.service");
        let known = Process { container_name: Some("known".to_owned()), ..Process::default() };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(after(Process::default(), host, web), (some("web"), some("web, read")));
        assert_eq!(after(known.clone(), web, db), (some("db"), some("db, read")));
        assert_eq!(after(known.clone(), web, "/lxc.payload.web/x"), (some("web"), some("known")));
        assert_eq!(after(known.clone(), web, host), (None, None));
        // As another hierarchy has it.
        let elsewhere = Process { container_id: some("hybrid"), ..known };
        assert_eq!(after(elsewhere, host, "/system.slice/b.service"), (some("hybrid"), some("known")));
    }
}
