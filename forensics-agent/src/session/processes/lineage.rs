//! Whom a process descends from.

use forensics_common::{Ancestor, MAX_ANCESTORS};
use forensics_incident::{
    model::{Process, ProcessKey},
    text::shell_join,
};

use super::known::Known;
use super::{Processes, in_ticks};
use crate::host::proc;
use crate::kernel::records;

impl Processes {
    /// The processes that a process descends from, nearest first.
    ///
    /// Each is the one that made the one before it, as long as that is known; its present parent otherwise. They
    /// differ when a parent ended first: a command that was sent to the background by a shell that is gone.
    pub(in crate::session) fn ancestors(
        &mut self,
        process: ProcessKey,
        recorded: &[Ancestor],
    ) -> Vec<Process> {
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
    pub(super) fn ancestor(&mut self, key: ProcessKey, name: String) -> Process {
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
    pub(super) fn lookup(&mut self, key: ProcessKey) -> Option<Known> {
        let mut current = key;
        for _ in 0..MAX_ANCESTORS {
            if let Some(known) = self.lookup_alone(current) {
                // A pid is nobody else's.
                let ns_pid = known.ns_pid.filter(|_| current == key);
                return Some(Known { ns_pid, ..known });
            }
            current = self.lineage.get(&records::task_key(current), 0).ok().map(records::process_key)?;
        }
        None
    }

    fn lookup_alone(&mut self, key: ProcessKey) -> Option<Known> {
        if let Some(program) = self.program(key) {
            return Some(self.known_from(&program));
        }
        if let Some(known) = self.known.get(&in_ticks(key)) {
            return Some(known.clone());
        }
        let mut process = proc::read_process_alone(key.pid).ok()?;
        if in_ticks(process.key()) != in_ticks(key) {
            return None;
        }
        self.polish(&mut process);
        self.remember(&process);
        self.known.get(&in_ticks(key)).cloned()
    }
}

/// The present parent of a process that is there now.
fn present_parent(key: ProcessKey) -> Option<ProcessKey> {
    let process =
        proc::read_process_alone(key.pid).ok().filter(|process| in_ticks(process.key()) == in_ticks(key))?;
    Some(proc::read_process_alone(process.ppid?).ok()?.key())
}
