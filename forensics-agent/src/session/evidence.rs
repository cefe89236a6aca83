//! What the host adds to an incident: pressure, and where its kind asks for it the kernel log and resource limits.

use std::collections::HashMap;

use forensics_incident::{
    model::{
        CodeLocation, Facts, KernelLog, Limits, Mechanism, Missing, OomReport, OutcomeKind, Process, Signal,
    },
    signals::{SIGKILL, SIGSYS},
};

use super::{context, pressures::Pressures};
use crate::host::{kmsg::KernelLogReader, limits};

/// The sources, and what must be read before it is gone.
pub(super) struct Evidence {
    log: Result<KernelLogReader, rustix::io::Errno>,
    /// Limits by pid of the target: whoever waits for it reaps it faster than they can be read.
    limits: HashMap<u32, Limits>,
    /// By pid of a target that the out-of-memory killer hit: the last report of the kernel log then. Of one that is hit for
    /// sharing memory with the process that was chosen, the log does not speak.
    oom: HashMap<u32, OomReport>,
    pressures: Pressures,
}

impl Evidence {
    /// Opens the kernel log, and looks at the host.
    pub(super) fn start() -> Self {
        Self {
            log: KernelLogReader::open(),
            limits: HashMap::new(),
            oom: HashMap::new(),
            pressures: Pressures::start(),
        }
    }

    /// A target is there, or has executed another program.
    pub(super) fn watch(&mut self, target: &Process) {
        self.pressures.watch(target);
        if let Some(limits) = limits::read(target.pid, false) {
            self.limits.insert(target.pid, limits);
        }
    }

    /// A signal at a target: its limits are read where one of them raised it, and the kernel log where memory ran out.
    pub(super) fn signal(&mut self, target: &Process, signal: &Signal) {
        if signal.mechanism == Mechanism::Oom
            && let Some(report) = self.log.as_mut().ok().and_then(KernelLogReader::last_oom)
        {
            self.oom.insert(target.pid, report);
        }
        if is_about_a_limit(signal)
            && let Some(limits) = limits::read(target.pid, true)
            && context::is_still(target)
        {
            self.limits.insert(target.pid, limits);
        }
    }

    /// A target was asked to end.
    pub(super) fn requested(&mut self, pid: u32) {
        self.pressures.requested(pid);
    }

    /// A target is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        self.pressures.forget(pid);
        self.limits.remove(&pid);
        self.oom.remove(&pid);
    }

    /// Adds what the incident asks for; `decisive` is the index of the signal that it is attributed to.
    pub(super) fn complete(&mut self, facts: &mut Facts, decisive: Option<usize>) {
        let pid = facts.target.pid;
        facts.pressure = Some(self.pressures.take(&facts.target, facts.outcome.ts));
        let index = decisive;
        let decisive = decisive.and_then(|index| facts.signals.get(index));
        let mechanism = decisive.map(|signal| signal.mechanism);
        if decisive.is_some_and(is_about_a_limit) {
            facts.limits = self.limits.get(&pid).copied();
        }
        if facts.outcome.kind != OutcomeKind::Killed {
            return;
        }
        if mechanism == Some(Mechanism::Fault) {
            self.complete_location(facts, index);
        }
        let by_oom = mechanism == Some(Mechanism::Oom);
        // Strict mode and the end of a thread raise no signal.
        let silent = mechanism.is_none() && matches!(facts.outcome.signal_num, Some(SIGKILL | SIGSYS));
        match &mut self.log {
            Ok(log) if by_oom => {
                let around =
                    || self.oom.get(&pid).cloned().map(|oom| KernelLog { oom: Some(oom), seccomp: None });
                facts.kernel_log = log.oom(pid).or_else(around);
            }
            Ok(log) if silent => facts.kernel_log = log.seccomp(pid),
            Err(why) if by_oom || silent => facts.missing.push(Missing {
                field: "kernel_log".to_owned(),
                why: format!("/dev/kmsg cannot be read: {why}"),
            }),
            _ => {}
        }
    }

    /// Where a fault was, from the kernel log when the process had let go of its memory before it was looked at.
    fn complete_location(&mut self, facts: &mut Facts, index: Option<usize>) {
        let Some(signal) = index.and_then(|index| facts.signals.get_mut(index)) else { return };
        let Ok(log) = &mut self.log else { return };
        if signal.code_location.is_some() {
            return;
        }
        signal.code_location = log.fault(signal.target_tid).map(|location| CodeLocation {
            // The log has the name alone.
            file: location.file.map(|name| match facts.target.exe.as_deref() {
                Some(exe) if exe.rsplit('/').next() == Some(&name) => exe.to_owned(),
                _ => name,
            }),
            ..location
        });
    }
}

fn is_about_a_limit(signal: &Signal) -> bool {
    matches!(signal.mechanism, Mechanism::CpuLimit | Mechanism::RtLimit | Mechanism::FileSizeLimit)
}
