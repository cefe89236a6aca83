//! What is remembered of processes, so that one that is gone is still known.

use forensics_incident::model::Process;

use super::{Processes, in_ticks};
use crate::kernel::records::Program;

/// How many processes are remembered.
const MAX_REMEMBERED: usize = 8192;

/// What is remembered of a process: what does not change with each record.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) exe: Option<String>,
    pub(super) argv: Option<Vec<String>>,
    pub(super) truncated: bool,
    pub(super) uid: Option<u32>,
    pub(super) ns_pid: Option<u32>,
}

impl Processes {
    /// What is to be remembered of a process that executed a program.
    pub(super) fn known_from(&self, program: &Program) -> Known {
        Known {
            name: program.comm.clone(),
            exe: program.path.clone(),
            argv: program.cmdline.as_ref().map(|cmdline| (self.redact)(&cmdline.argv())),
            truncated: program.cmdline.as_ref().is_some_and(|cmdline| cmdline.truncated),
            uid: (program.uid != u32::MAX).then_some(program.uid),
            ns_pid: program.ns_pid,
        }
    }

    /// Remembers it, instead of the oldest where there are too many.
    pub(super) fn remember(&mut self, process: &Process) {
        let key = in_ticks(process.key());
        let known = Known {
            name: process.name.clone(),
            exe: process.exe.clone(),
            argv: process.argv.clone(),
            truncated: process.cmdline_truncated.unwrap_or(false),
            uid: process.uid,
            ns_pid: process.ns_pid,
        };
        if self.known.insert(key, known).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > MAX_REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}
