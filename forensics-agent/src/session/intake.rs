//! Kernel records taken in: who is a target, and what the assembly is told.

use std::io::{self, Write};

use forensics_common::TaskInfo;
use forensics_incident::{
    assembly::Input,
    model::{Process, ProcessKey},
    signals::ends_by_default,
};

use super::persist::Identity;
use super::{Progress, Session, containers, faults, members::Standing, processes};
use crate::host::{container, proc};
use crate::kernel::records::{CommandLine, ExecEvent, ExitEvent, Record, SignalEvent};

impl<W: Write> Session<W> {
    /// Takes in records, in the order of the kernel.
    pub(super) fn take_records(&mut self, records: Vec<Record>, progress: &mut Progress) -> io::Result<()> {
        records.into_iter().try_for_each(|record| self.record(record, progress))
    }

    fn record(&mut self, record: Record, progress: &mut Progress) -> io::Result<()> {
        match record {
            Record::Signal(event) => self.signal(&event, progress),
            Record::Exit(event) => self.exit(&event, progress),
            Record::Fork(event) => self.born(event, progress),
            Record::Exec(event) => self.exec(&event, progress),
            Record::Request(event) => {
                let dropped = self.ring.requests_beyond_rate();
                self.requests.take(&event, dropped, &mut self.enricher.processes);
                Ok(())
            }
            Record::Cgroup(change) => self.cgroup(&change, progress),
        }
    }

    fn signal(&mut self, event: &SignalEvent, progress: &mut Progress) -> io::Result<()> {
        let TaskInfo { tgid: pid, start_boot_ns, .. } = event.target;
        // Whoever may be a target by its name is recorded until its name was read.
        if !self.relays.contains(pid) && self.assembler.is_dismissed(ProcessKey { pid, start_boot_ns }) {
            return Ok(());
        }
        let code_location = faults::location(event);
        self.learn_ns_pid(&event.target, progress)?;
        let known = self.targets.get(&pid);
        let mut record = self.enricher.signal(event, known);
        record.signal.code_location = code_location;
        record.signal.relayed = self.relays.received_before(&record.signal, &record.target);
        self.relays.remember(&record.target, &record.signal);
        if self.relays.contains(pid) {
            return Ok(());
        }
        if known.is_none() && self.settings.selectors.all {
            self.targets.insert(record.target.pid, record.target.clone());
        }
        self.evidence.signal(&record.target, &record.signal);
        self.kills.signal(&record.target, &record.signal, &mut self.enricher.processes);
        self.requests.signal(&record.target, &record.signal);
        if ends_by_default(record.signal.signal_num) {
            self.losses.expect_end(event.boot_ns);
        }
        if self.settings.events
            && !self.persist.is_replaying()
            && self.settings.signals.contains(record.signal.signal_num)
        {
            self.reporter.signal(&record.target, &record.signal)?;
        }
        self.grow(record.target.key(), false);
        self.push(Input::Signal(record), progress)
    }

    fn exit(&mut self, event: &ExitEvent, progress: &mut Progress) -> io::Result<()> {
        let pid = event.task.tgid;
        if self.relays.contains(pid) {
            self.relays.ended(pid);
            self.enricher.forget(pid);
            return Ok(());
        }
        if self.settings.selectors.all && !self.targets.contains_key(&pid) {
            let target = self.enricher.target_of(&event.task);
            self.push(Input::Watch { target }, progress)?;
        }
        let record = self.enricher.exit(event);
        if self.targets.get(&pid).is_some_and(|target| !target.key().is(record.target)) {
            // An earlier agent watched it; another process has its number by now.
            return self.push(Input::Exit(record), progress);
        }
        self.learn_ns_pid(&event.task, progress)?;
        self.look_for_daemon(&event.task);
        self.ended(pid, event.boot_ns, Input::Exit(record), progress)
    }

    /// A member that ends may have gone into the background: then its parent is not the one that made it.
    fn look_for_daemon(&mut self, ending: &TaskInfo) {
        let key = ProcessKey { pid: ending.tgid, start_boot_ns: ending.start_boot_ns };
        if self.members.get(key) != Some(Standing::Worker) || self.targets.contains_key(&ending.ppid) {
            return;
        }
        if self.enricher.processes.by_pid(ending.ppid).is_some_and(|parent| parent.is_service_manager()) {
            self.members.leave_to_manager(key.pid);
        }
    }

    /// The end of a target: what is known of it is forgotten once its incident has it.
    pub(super) fn ended(
        &mut self,
        pid: u32,
        boot_ns: u64,
        end: Input,
        progress: &mut Progress,
    ) -> io::Result<()> {
        let target = self.targets.get(&pid).cloned();
        self.forget(pid);
        let pushed = self.push(end, progress);
        self.evidence.forget(pid);
        self.managers.forget(pid);
        if let Some(target) = target {
            self.kills.forget(&target, boot_ns);
        }
        self.requests.forget(pid);
        self.members.forget(pid);
        pushed
    }

    /// A target that has executed nothing has no record yet of how its own pid namespace calls it.
    fn learn_ns_pid(&mut self, info: &TaskInfo, progress: &mut Progress) -> io::Result<()> {
        let key = ProcessKey { pid: info.tgid, start_boot_ns: info.start_boot_ns };
        let Some(target) = self.targets.get_mut(&key.pid) else { return Ok(()) };
        let ns_pid = processes::ns_pid(info);
        if target.ns_pid.is_some() || ns_pid.is_none() || !target.key().is(key) {
            return Ok(());
        }
        target.ns_pid = ns_pid;
        let target = target.clone();
        self.push(Input::Exec { target }, progress)
    }

    fn exec(&mut self, event: &ExecEvent, progress: &mut Progress) -> io::Result<()> {
        let pid = event.process.pid;
        if let Some(before) = self.targets.get(&pid) {
            let after = self.enricher.processes.after_exec(before, &event.program);
            self.targets.insert(pid, after.clone());
            self.storage.came(&after);
            self.evidence.watch(&after);
            // Its environment is another one now, and may name another home.
            let news = self.markers.add(&after, None);
            self.managers.executed(pid, self.markers.invocation_id(pid));
            let job_cookies = self.markers.job_cookies(pid);
            self.kills.watch(&after, &job_cookies, &mut self.enricher.processes);
            self.push(Input::Exec { target: after }, progress)?;
            return self.handle_news(news, progress);
        }
        let argv = event.program.cmdline.as_ref().map(CommandLine::argv).unwrap_or_default();
        let path = event.program.path.as_deref();
        if !self.settings.selectors.matches(&event.program.comm, path, &argv) {
            // A later exec of the same process has its own record, and needs the entry.
            if !self.relays.contains(pid)
                && !self.enricher.processes.has_executed_since(event.process, event.program.exec_boot_ns)
            {
                self.watched.remove(pid);
            }
            return self.push(Input::Unwatch { target: event.process }, progress);
        }
        let target = self.enricher.processes.executed(event.process, &event.program);
        if self.watched.insert(event.process).is_err() {
            log::debug!("process {pid} ended before it was confirmed");
        }
        self.add(target, progress)
    }

    /// A new target that is there now.
    pub(super) fn add(&mut self, target: Process, progress: &mut Progress) -> io::Result<()> {
        let known = self.persist.identity(target.key());
        let (earlier, is_there) = (known.is_some(), known.is_none() || proc::is_alive(target.key()));
        let (target, noted) = match known {
            Some(Identity { process, invocation_id }) => (process, invocation_id),
            None => {
                let container_name = containers::name_of(&target, self.targets.values(), container::name);
                (Process { container_name, ..target }, None)
            }
        };
        self.targets.insert(target.pid, target.clone());
        if !self.settings.selectors.all {
            self.relays.add(&target, &mut self.watched, |pid| self.targets.contains_key(&pid));
        }
        // Its own end it can only tell of where it is pinned, and then the next agent tells of it anyway.
        if target.pid != std::process::id() {
            self.storage.came(&target);
        }
        if is_there {
            self.evidence.watch(&target);
        }
        let news = self.markers.add(&target, noted.clone());
        self.note_target(&target);
        let invocation_id = noted.or_else(|| self.markers.invocation_id(target.pid));
        self.managers.came(&target, invocation_id, earlier);
        let job_cookies = self.markers.job_cookies(target.pid);
        self.kills.watch(&target, &job_cookies, &mut self.enricher.processes);
        self.timings.ask(&target);
        // The first one takes its time: what is soon gone was read by then.
        self.requests.watch(&target, &mut self.kernel);
        self.push(Input::Watch { target }, progress)?;
        self.handle_news(news, progress)
    }

    /// Watches a target no more, though it is there.
    pub(super) fn unwatch(&mut self, target: ProcessKey, progress: &mut Progress) -> io::Result<()> {
        self.watched.remove(target.pid);
        self.forget(target.pid);
        self.evidence.forget(target.pid);
        self.managers.forget(target.pid);
        self.push(Input::Unwatch { target }, progress)
    }

    /// A target has ended.
    pub(super) fn forget(&mut self, pid: u32) {
        if let Some(target) = self.targets.remove(&pid) {
            self.storage.gone(target.key());
            for relay in self.relays.remove(&target, &mut self.watched) {
                self.enricher.forget(relay);
            }
        }
        self.markers.remove(pid);
        self.enricher.forget(pid);
    }
}

/// A child of a target, which is a copy of it until it executes something.
pub(super) fn child_of(parent: &Process, child: ProcessKey, comm: String) -> Process {
    let mut ancestors = vec![Process { ancestors: Vec::new(), ..parent.clone() }];
    ancestors.extend(parent.ancestors.iter().cloned());
    ancestors.truncate(forensics_common::MAX_ANCESTORS);
    Process {
        pid: child.pid,
        ppid: Some(parent.pid),
        start_boot_ns: child.start_boot_ns,
        name: comm,
        tid: None,
        ns_pid: None,
        ancestors,
        ..parent.clone()
    }
}
