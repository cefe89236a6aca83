//! Who a process is, put together from what the kernel recorded, the ledger of what was executed, and `/proc`.
//!
//! A sender lives for some 40 µs after its signal, so `/proc` is the last resort, for processes that were there
//! before the agent: they are read once and remembered.

mod known;
mod search;

use std::collections::{HashMap, VecDeque};

use aya::maps::{HashMap as BpfHashMap, MapData};
use forensics_common::{Ancestor, ExecEntry, MAX_ANCESTORS, TaskInfo, TaskKey, task_missing};
use forensics_incident::{
    model::{Missing, Process, ProcessKey},
    text::shell_join,
};

use crate::{
    host::{
        cgroup,
        proc::{self, Forebears},
        systemd::unit::{UnitPath, unit_of_path},
    },
    kernel::records::{self, CommandLine, Program},
};
use known::Known;

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
            process.cgroup = present.cgroup;
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

    /// A process that is in another cgroup now, when that is told.
    pub(super) fn moved(&self, process: Process, cgroup: Option<String>) -> Process {
        let Some(cgroup) = cgroup else { return process };
        let container_id = process.container_id.clone();
        let mut moved = Process { cgroup: Some(cgroup), unit: None, slice: None, ..process };
        place(&mut moved);
        if moved.container_id != container_id {
            moved.container_name = None;
        }
        moved
    }

    /// The process of a kernel record: as the kernel saw it, completed by what is known of it.
    pub(super) fn of_task(
        &mut self,
        info: &TaskInfo,
        cmdline: Option<&CommandLine>,
        cgroup: Option<&str>,
        missing: &mut Vec<Missing>,
        role: &str,
    ) -> Process {
        let has = |flag: u32| info.missing & flag == 0;
        let key = ProcessKey { pid: info.tgid, start_boot_ns: info.start_boot_ns };
        let known = self.lookup(key);
        let argv = cmdline.map(|cmdline| ((self.redact)(&cmdline.argv()), cmdline.truncated));
        let (argv, truncated) = match (argv, &known) {
            (Some((argv, truncated)), _) => (Some(argv), truncated),
            (None, Some(known)) => (known.argv.clone(), known.truncated),
            (None, None) => (None, false),
        };
        for (flag, field) in [
            (task_missing::START, "start_boot_ns"),
            (task_missing::CGROUP, "cgroup"),
            (task_missing::PPID, "ppid"),
            (task_missing::PGID, "pgid"),
            (task_missing::SID, "session"),
            (task_missing::NS_PID, "ns_pid"),
            (task_missing::UID, "uid"),
            (task_missing::COMM, "name"),
            (task_missing::TTY, "tty"),
        ] {
            if !has(flag) {
                missing.push(Missing {
                    field: format!("{role}.{field}"),
                    why: "the kernel's memory could not be read".to_owned(),
                });
            }
        }
        let mut process = Process {
            pid: info.tgid,
            tid: (info.tid != info.tgid).then_some(info.tid),
            ppid: has(task_missing::PPID).then_some(info.ppid),
            pgid: has(task_missing::PGID).then_some(info.pgid),
            start_boot_ns: info.start_boot_ns,
            name: records::text(&info.leader_comm),
            exe: known.as_ref().and_then(|known| known.exe.clone()),
            cmdline: argv.as_ref().map(|argv| shell_join(argv)),
            argv,
            cmdline_truncated: truncated.then_some(true),
            uid: has(task_missing::UID).then_some(info.uid),
            euid: has(task_missing::UID).then_some(info.euid),
            loginuid: (info.loginuid != u32::MAX).then_some(info.loginuid),
            session: has(task_missing::SID).then_some(info.sid),
            tty: tty_name(&records::text(&info.tty)),
            cgroup: cgroup.map(|path| self.below_root(path, info.cgroup_id)),
            ns_pid: (info.ns_level > 0 && has(task_missing::NS_PID)).then_some(info.ns_tgid),
            ..Process::default()
        };
        place(&mut process);
        process
    }

    /// A path of the kernel's as the agent sees it. Where its namespace has its root is learnt from the first cgroup that is
    /// still there, by its number.
    fn below_root(&mut self, path: &str, id: u64) -> String {
        if self.cgroup_root.is_none()
            && let Some(seen) = cgroup::path_of_id(id)
        {
            self.cgroup_root = path.strip_suffix(seen.as_str()).map(str::to_owned);
        }
        let root = self.cgroup_root.as_deref().unwrap_or_default();
        path.strip_prefix(root).filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned()
    }

    /// The processes that a process descends from, nearest first.
    ///
    /// Each is the one that made the one before it, as long as that is known; its present parent otherwise. They
    /// differ when a parent ended first: a command that was sent to the background by a shell that is gone.
    pub(super) fn ancestors(&mut self, process: ProcessKey, recorded: &[Ancestor]) -> Vec<Process> {
        let mut chain: Vec<Process> = Vec::new();
        let mut current = process;
        let mut present = recorded.iter();
        let mut on_record = true;
        while chain.len() < MAX_ANCESTORS {
            let parent = if on_record { present.next() } else { None };
            let parent_key = parent.map(|p| ProcessKey { pid: p.tgid, start_boot_ns: p.start_boot_ns });
            let maker = self.lineage.get(&records::task_key(current), 0).ok().map(records::process_key);
            let (next, name) = match (maker, parent_key, parent) {
                (Some(maker), Some(key), Some(parent)) if maker == key => (key, records::text(&parent.comm)),
                (Some(maker), _, _) => {
                    on_record = false;
                    (maker, String::new())
                }
                (None, Some(key), Some(parent)) => (key, records::text(&parent.comm)),
                // Where the record ends, the ancestry ends.
                (None, _, _) if on_record => break,
                (None, _, _) => match present_parent(current) {
                    Some(parent) => (parent, String::new()),
                    None => break,
                },
            };
            if chain.iter().any(|seen| seen.key() == next) || next.pid == 0 {
                break;
            }
            chain.push(self.ancestor(next, name));
            current = next;
        }
        chain
    }

    /// What is known of one ancestor.
    fn ancestor(&mut self, key: ProcessKey, name: String) -> Process {
        let known = self.lookup(key).unwrap_or_default();
        Process {
            pid: key.pid,
            start_boot_ns: key.start_boot_ns,
            name: if name.is_empty() { known.name } else { name },
            exe: known.exe,
            cmdline: known.argv.as_ref().map(|argv| shell_join(argv)),
            argv: known.argv,
            cmdline_truncated: known.truncated.then_some(true),
            uid: known.uid,
            ns_pid: known.ns_pid,
            ..Process::default()
        }
    }

    /// What a process runs: by the ledger, else as remembered, else by `/proc`, else as its maker, of which it is
    /// a copy as long as it has executed nothing.
    fn lookup(&mut self, key: ProcessKey) -> Option<Known> {
        let mut current = key;
        for _ in 0..MAX_ANCESTORS {
            if let Some(program) = self.program(current) {
                return Some(self.known_from(&program));
            }
            if let Some(known) = self.known.get(&in_ticks(current)) {
                return Some(known.clone());
            }
            if let Ok(mut process) = proc::read_process_alone(current.pid)
                && in_ticks(process.key()) == in_ticks(current)
            {
                self.polish(&mut process);
                self.remember(&process);
                return self.known.get(&in_ticks(current)).cloned();
            }
            current = self.lineage.get(&records::task_key(current), 0).ok().map(records::process_key)?;
        }
        None
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

/// Reads unit, slice and container out of the path of the cgroup.
fn place(process: &mut Process) {
    let Some(path) = &process.cgroup else { return };
    if let Some(UnitPath { unit, slice, .. }) = unit_of_path(path) {
        (process.unit, process.slice) = (Some(unit), Some(slice));
    }
    process.container_id = cgroup::container_id(path);
}

/// The key at the resolution of `/proc`, which gives start times in ticks, rounded down.
pub(super) fn in_ticks(key: ProcessKey) -> ProcessKey {
    let tick = proc::boot_ns_of_ticks(proc::ticks_of_boot_ns(key.start_boot_ns));
    ProcessKey { start_boot_ns: tick, ..key }
}

/// The present parent of a process that is there now.
fn present_parent(key: ProcessKey) -> Option<ProcessKey> {
    let process =
        proc::read_process_alone(key.pid).ok().filter(|process| in_ticks(process.key()) == in_ticks(key))?;
    Some(proc::read_process_alone(process.ppid?).ok()?.key())
}

/// The kernel's name of a terminal as people write it: `pts0` is `pts/0`.
fn tty_name(name: &str) -> Option<String> {
    match name.strip_prefix("pts") {
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty() => {
            Some(format!("pts/{number}"))
        }
        _ => (!name.is_empty()).then(|| name.to_owned()),
    }
}
