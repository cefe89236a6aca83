//! One run of the agent: the kernel programs, the evidence and the assembly around one event loop.
//!
//! `watch` and `run` differ in where their targets come from and when they end; everything in between is here.

mod context;
mod enrich;
mod evidence;
mod host;
mod markers;
mod processes;
mod symbols;
mod timings;

use std::{
    collections::HashMap,
    io::{self, Write},
    os::fd::AsRawFd,
    sync::Arc,
    time::Duration,
};

use aya::maps::{MapData, PerCpuArray, RingBuf};
use forensics_common::{Config, Counter, target_flags};
use forensics_incident::{
    assembly::{Assembler, AssemblyConfig, HostFacts, Input, Output},
    model::{Facts, Incident, Process, ProcessKey},
    signals,
    verdict::{self, Show},
};
use tokio::io::{
    Interest,
    unix::{AsyncFd, AsyncFdReadyMutGuard, AsyncFdRegisterError},
};

use crate::{
    cli::ShowCmdline,
    heap,
    host::{clock, markers::MarkerSpec, redact::redact, snapshot::Snapshot, systemd::timing::Wanted},
    kernel::{
        load::{Hook, Kernel, KernelTypes, LoadError, ProgramsLog},
        records::{self, ExecEvent, Record},
        sequence::Sequences,
        watch_map::{WatchError, WatchMap},
    },
    report::{Loss, Ready, Reporter},
    targets::{Selectors, SignalSet},
};
use enrich::Enricher;
use evidence::Evidence;
use markers::{Markers, News, Seen};
use processes::Processes;
use symbols::Symbols;
use timings::Timings;

/// Records that are taken in before anything else gets its turn: a flood must not starve the rest.
const BATCH: usize = 256;
/// How long a target may live on after it was asked to end before it counts as a survivor.
const SURVIVE_AFTER: Duration = Duration::from_secs(300);

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which processes.
    pub selectors: Selectors,
    /// Which signals.
    pub signals: SignalSet,
    /// How much of command lines is kept.
    pub show_cmdline: ShowCmdline,
    /// Level of the kernel programs' own diagnostics.
    pub ebpf_log: log::LevelFilter,
    /// Print each signal as it comes.
    pub events: bool,
    /// What the services want of their managers at a stop, when that is known.
    pub drain: Option<Wanted>,
    /// The marker files to look for.
    pub markers: Arc<[MarkerSpec]>,
}

/// What happened while records were taken in.
#[derive(Debug, Default)]
pub struct Progress {
    /// Incidents that closed, already reported.
    pub closed: Vec<Incident>,
    /// There may be more records.
    pub more: bool,
}

/// One run of the agent.
pub struct Session<W: Write> {
    kernel: Kernel,
    events: AsyncFd<RingBuf<MapData>>,
    /// What the kernel programs log, when they were asked to.
    programs_log: Option<AsyncFd<ProgramsLog>>,
    counters: PerCpuArray<MapData, u64>,
    watched: WatchMap,
    enricher: Enricher,
    assembler: Assembler,
    sequences: Sequences,
    /// The targets as they are known, for what the records leave out.
    targets: HashMap<u32, Process>,
    settings: Settings,
    host: HostFacts,
    reporter: Reporter<W>,
    markers: Markers,
    timings: Timings,
    evidence: Evidence,
    /// Records missing in the sequences.
    gaps: u64,
    /// Runs of a program that the kernel skipped.
    skipped: u64,
    /// Losses that were reported.
    lost: u64,
}

impl<W: Write> Session<W> {
    /// Loads and attaches the kernel programs and gathers what the reports need. Nothing is watched yet, unless
    /// everything is.
    ///
    /// # Errors
    ///
    /// The kernel or the privileges do not allow it.
    pub fn start(settings: Settings, reporter: Reporter<W>) -> Result<Self, LoadError> {
        let drain = settings.drain;
        let markers = Markers::start(Arc::clone(&settings.markers));
        let types = KernelTypes::read()?;
        let log = ebpf_level(settings.ebpf_log);
        let mut kernel = Kernel::load(&types, config(&settings), log)?;
        let maps = kernel.take_maps()?;
        let failed = |what: &str, reason: &dyn std::fmt::Display| LoadError::Failed {
            what: what.to_owned(),
            reason: reason.to_string(),
        };
        let events = waitable(maps.events).map_err(|error| failed("waiting for kernel records", &error))?;
        let programs_log = match log.and_then(|_| kernel.logger().ok()) {
            Some(logger) => Some(
                waitable(logger)
                    .map_err(|error| failed("waiting for the log of the kernel programs", &error))?,
            ),
            None => None,
        };
        let unix_minus_boot_s = clock::unix_minus_boot_s();
        let processes = Processes::new(maps.ledger, maps.lineage, redaction(settings.show_cmdline));
        let assembly = AssemblyConfig {
            survive_after_ns: u64::try_from(SURVIVE_AFTER.as_nanos()).unwrap_or(u64::MAX),
            unix_minus_boot_s,
            report_signals: settings.signals.mask(),
            // Whoever names a process wants to know how it ended; of all processes, most end well.
            report_clean_exits: !settings.selectors.all,
        };
        Ok(Self {
            kernel,
            events,
            programs_log,
            counters: maps.counters,
            watched: WatchMap::new(maps.targets, settings.selectors.follow_children),
            enricher: Enricher::new(processes, Symbols::load(), maps.folds, unix_minus_boot_s),
            assembler: Assembler::new(assembly, host::new_id),
            sequences: Sequences::default(),
            targets: HashMap::new(),
            settings,
            host: host::facts().map_err(|error| failed("reading this host's identity", &error))?,
            reporter,
            markers,
            timings: Timings::new(drain),
            evidence: Evidence::start(),
            gaps: 0,
            skipped: 0,
            lost: 0,
        })
    }

    /// The hook variant in use.
    pub fn hook(&self) -> Hook {
        self.kernel.hook()
    }

    /// Watches a process that is there now.
    ///
    /// # Errors
    ///
    /// There is no such process, or it ended before it was watched.
    pub fn watch(&mut self, pid: u32) -> Result<(), WatchError> {
        // Watched first and read then: whatever it executes in between has a record.
        self.watched.insert(ProcessKey { pid, start_boot_ns: 0 })?;
        let Ok(target) = self.enricher.processes.read(pid) else {
            self.watched.remove(pid);
            return Err(WatchError::NoProcess(pid));
        };
        // Nothing that makes an incident can have happened to it yet.
        let _ = self.add(target, &mut Progress::default());
        Ok(())
    }

    /// Watches every process that is there now and that a selector names.
    pub fn watch_present(&mut self) {
        if !self.settings.selectors.by_name() {
            return;
        }
        let own = self.enricher.processes.own_family();
        for pid in crate::host::proc::list_pids().unwrap_or_default() {
            if own.contains(&pid) || self.targets.contains_key(&pid) {
                continue;
            }
            let Ok(process) = crate::host::proc::read_process(pid) else { continue };
            if self.settings.selectors.matches(&process.name, process.exe.as_deref(), process.args()) {
                // One that is gone by now is no target.
                let _ = self.watch(pid);
            }
        }
    }

    /// How many processes are watched by now.
    pub fn target_count(&self) -> usize {
        self.targets.len()
    }

    /// Says that everything is attached and every selector resolved.
    ///
    /// # Errors
    ///
    /// As the writer.
    pub fn announce(&mut self) -> io::Result<()> {
        let mut targets: Vec<Process> = self.targets.values().cloned().collect();
        targets.sort_by_key(|process| process.pid);
        self.reporter.ready(&Ready { hook: self.hook().name(), targets: &targets })
    }

    /// Remembers everyone who is there now, so that a sender's parent that ends first is still known.
    pub fn remember_everyone(&mut self) {
        self.enricher.processes.read_all();
        heap::trim();
    }

    /// Waits for records or a deadline and takes in what there is, up to a batch.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub async fn step(&mut self) -> io::Result<Progress> {
        let deadline = self.assembler.next_deadline();
        let now = clock::boot_ns();
        let patience = deadline.map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
        let mut batch = Vec::new();
        let mut drained = false;
        tokio::select! {
            ready = self.events.readable_mut() => {
                let mut ready = ready?;
                drained = take_batch(ready.get_inner_mut(), &mut batch);
                if drained {
                    ready.clear_ready();
                }
            }
            ready = self.markers.readable() => ready?,
            () = self.timings.answer() => {}
            ready = readable(&mut self.programs_log) => {
                let mut ready = ready?;
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
            () = async { tokio::time::sleep(patience.unwrap_or_default()).await }, if patience.is_some() => {
                // A death that was recorded in time must not be taken for survival.
                drained = take_batch(self.events.get_mut(), &mut batch);
            }
        }
        self.take_in(batch, drained)
    }

    /// Takes in all records that are there, without waiting.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub fn drain(&mut self) -> io::Result<Progress> {
        let mut batch = Vec::new();
        let drained = take_batch(self.events.get_mut(), &mut batch);
        self.take_in(batch, drained)
    }

    fn take_in(&mut self, batch: Vec<Taken>, drained: bool) -> io::Result<Progress> {
        let mut progress = Progress { closed: Vec::new(), more: !drained };
        // What was announced before a signal must be known when that signal is judged.
        let news = self.markers.take();
        self.handle_news(news, &mut progress)?;
        self.take_records(batch, &mut progress)?;
        if drained {
            self.notice_losses(&mut progress)?;
            let outputs = self.assembler.tick(clock::boot_ns());
            self.handle(outputs, &mut progress)?;
        }
        Ok(progress)
    }

    fn take_records(&mut self, batch: Vec<Taken>, progress: &mut Progress) -> io::Result<()> {
        for taken in batch {
            match taken {
                Ok((position, record)) => {
                    self.gaps += self.sequences.take(position);
                    self.record(record, progress)?;
                }
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(())
    }

    fn record(&mut self, record: Record, progress: &mut Progress) -> io::Result<()> {
        match record {
            Record::Signal(event) => {
                let known = self.targets.get(&event.target.tgid);
                let record = self.enricher.signal(&event, known);
                if known.is_none() && self.settings.selectors.all {
                    self.targets.insert(record.target.pid, record.target.clone());
                }
                self.evidence.signal(&record.target, &record.signal);
                if self.settings.events && self.settings.signals.contains(record.signal.signal_num) {
                    self.reporter.signal(&record.target, &record.signal)?;
                }
                self.push(Input::Signal(record), progress)
            }
            Record::Exit(event) => {
                let pid = event.task.tgid;
                if self.settings.selectors.all && !self.targets.contains_key(&pid) {
                    let target = self.enricher.target_of(&event.task);
                    self.push(Input::Watch { target }, progress)?;
                }
                let record = self.enricher.exit(&event);
                self.forget(pid);
                let pushed = self.push(Input::Exit(record), progress);
                self.evidence.forget(pid);
                pushed
            }
            Record::Fork(event) => {
                let Some(parent) = self.targets.get(&event.parent.pid) else {
                    // The child of a process whose name was not the one.
                    self.watched.remove(event.child.pid);
                    return self.push(Input::Unwatch { target: event.child }, progress);
                };
                let child = child_of(parent, event.child, event.comm);
                if event.flags & target_flags::PROVISIONAL != 0 && self.watched.insert(event.child).is_err() {
                    log::debug!("process {} ended before it was confirmed", event.child.pid);
                }
                self.add(child, progress)
            }
            Record::Exec(event) => self.exec(&event, progress),
        }
    }

    fn exec(&mut self, event: &ExecEvent, progress: &mut Progress) -> io::Result<()> {
        let pid = event.process.pid;
        if let Some(before) = self.targets.get(&pid) {
            let after = self.enricher.processes.after_exec(before, &event.program);
            self.targets.insert(pid, after.clone());
            self.evidence.watch(&after);
            // Its environment is another one now, and may name another home.
            let news = self.markers.add(&after);
            self.push(Input::Exec { target: after }, progress)?;
            return self.handle_news(news, progress);
        }
        let argv = event.program.cmdline.as_ref().map(records::CommandLine::argv).unwrap_or_default();
        let path = event.program.path.as_deref();
        if !self.settings.selectors.matches(&event.program.comm, path, &argv) {
            // A later exec of the same process has its own record, and needs the entry.
            if !self.enricher.processes.has_executed_since(event.process, event.program.exec_boot_ns) {
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
    fn add(&mut self, target: Process, progress: &mut Progress) -> io::Result<()> {
        self.targets.insert(target.pid, target.clone());
        self.evidence.watch(&target);
        let news = self.markers.add(&target);
        self.timings.ask(&target);
        self.push(Input::Watch { target }, progress)?;
        self.handle_news(news, progress)
    }

    /// A target has ended.
    fn forget(&mut self, pid: u32) {
        self.targets.remove(&pid);
        self.markers.remove(pid);
        self.enricher.forget(pid);
    }

    fn push(&mut self, input: Input, progress: &mut Progress) -> io::Result<()> {
        let outputs = self.assembler.push(clock::boot_ns(), input);
        self.handle(outputs, progress)
    }

    fn handle(&mut self, outputs: Vec<Output>, progress: &mut Progress) -> io::Result<()> {
        for output in outputs {
            match output {
                Output::TerminationRequested { target, signal, boot_ns: _ } => {
                    self.take_context(target, signal, progress)?;
                }
                Output::Closed(closed) => {
                    let timing = self.timings.of(&closed.target);
                    let decisive = closed.decisive;
                    let mut facts = Facts { timing, ..Facts::new(&self.host, host::new_id(), *closed) };
                    self.evidence.complete(&mut facts, decisive);
                    let verdict = verdict::judge(&facts, show(self.settings.show_cmdline));
                    let incident = Incident { facts, verdict };
                    self.reporter.incident(&incident)?;
                    progress.closed.push(incident);
                }
            }
        }
        Ok(())
    }

    /// Takes the shutdown context of a target that is asked to end, and looks for markers.
    fn take_context(&mut self, key: ProcessKey, signal: u32, progress: &mut Progress) -> io::Result<()> {
        let Some(target) = self.targets.get(&key.pid) else { return Ok(()) };
        let Snapshot { context, markers, missing } =
            context::take(target, signal, self.settings.show_cmdline, self.markers.specs());
        self.push(Input::Context { target: key, context: Box::new(context), missing }, progress)?;
        for marker in markers {
            self.push(Input::Marker { target: key, marker }, progress)?;
        }
        Ok(())
    }

    /// Passes on the markers that were seen, each with who wrote it.
    fn handle_news(&mut self, news: News, progress: &mut Progress) -> io::Result<()> {
        let News { seen, missing } = news;
        for Seen { target, mut marker, writer } in seen {
            let Some(target) = self.targets.get(&target).map(Process::key) else { continue };
            marker.writer = writer.and_then(|pid| self.enricher.processes.by_pid(pid));
            self.push(Input::Marker { target, marker }, progress)?;
        }
        for (pid, missing) in missing {
            let Some(target) = self.targets.get(&pid).map(Process::key) else { continue };
            self.push(Input::Missing { target, missing }, progress)?;
        }
        Ok(())
    }

    /// Reports what the ring buffer had no room for and what the kernel skipped. A lost record may have been the end
    /// of a target: whoever the kernel has let go of is gone.
    fn notice_losses(&mut self, progress: &mut Progress) -> io::Result<()> {
        if !progress.closed.is_empty() {
            self.skipped = self.kernel.recursion_misses();
        }
        // A record that did not fit leaves a gap too, but only once a later one of its kind has come.
        let total = self.counter(Counter::RingFull).max(self.gaps) + self.skipped;
        if total == self.lost {
            return Ok(());
        }
        let records = total.saturating_sub(self.lost);
        self.lost = total;
        self.reporter.loss(&Loss { ts: clock::unix_s(), records, total })?;
        let suspects: Vec<ProcessKey> = self
            .targets
            .values()
            .filter(|target| !self.watched.contains(target.pid))
            .map(Process::key)
            .collect();
        // Those that have ended just now have a record on its way.
        loop {
            let mut batch = Vec::new();
            let drained = take_batch(self.events.get_mut(), &mut batch);
            self.take_records(batch, progress)?;
            if drained {
                break;
            }
        }
        for target in suspects {
            if self.targets.get(&target.pid).is_some_and(|held| held.key() == target) {
                self.forget(target.pid);
                self.push(Input::Gone { target, boot_ns: clock::boot_ns() }, progress)?;
                self.evidence.forget(target.pid);
            }
        }
        Ok(())
    }

    fn counter(&self, counter: Counter) -> u64 {
        self.counters.get(&(counter as u32), 0).map_or(0, |values| values.iter().sum())
    }
}

/// Lets the event loop wait for a ring buffer.
fn waitable<T: AsRawFd>(ring: T) -> Result<AsyncFd<T>, AsyncFdRegisterError<T>> {
    // SAFETY: both kinds of ring own their descriptor, return it always, and close it only when they are dropped,
    // which the `AsyncFd` does after it has let go of it.
    unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) }
}

/// Waits for a log that may not be there.
async fn readable(
    log: &mut Option<AsyncFd<ProgramsLog>>,
) -> io::Result<AsyncFdReadyMutGuard<'_, ProgramsLog>> {
    match log {
        Some(log) => log.readable_mut().await,
        None => std::future::pending().await,
    }
}

/// The level in the terms of the kernel programs.
fn ebpf_level(filter: log::LevelFilter) -> Option<aya_log::Level> {
    Some(match filter.to_level()? {
        log::Level::Error => aya_log::Level::Error,
        log::Level::Warn => aya_log::Level::Warn,
        log::Level::Info => aya_log::Level::Info,
        log::Level::Debug => aya_log::Level::Debug,
        log::Level::Trace => aya_log::Level::Trace,
    })
}

/// One record off the ring.
type Taken = Result<(records::Position, Record), records::DecodeError>;

/// Takes up to a batch of records off the ring; true when it was found empty.
fn take_batch(ring: &mut RingBuf<MapData>, batch: &mut Vec<Taken>) -> bool {
    while batch.len() < BATCH {
        match ring.next() {
            Some(item) => batch.push(records::decode(&item)),
            None => return true,
        }
    }
    false
}

/// A child of a target, which is a copy of it until it executes something.
fn child_of(parent: &Process, child: ProcessKey, comm: String) -> Process {
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

/// What the kernel programs record.
///
/// Signals outside the set are context to those inside it and cost little, since identical ones are folded; but
/// what runtimes send themselves all day is recorded only when it was asked for, and faults and profiling timers
/// only when nobody handles them. Of all processes, only the set is recorded.
fn config(settings: &Settings) -> Config {
    use signals::{
        SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGTRAP, SIGURG, SIGVTALRM, SIGWINCH, bit,
    };
    let noise = bit(SIGURG) | bit(SIGCHLD) | bit(SIGWINCH);
    let faults = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE) | bit(SIGTRAP);
    let timers = bit(SIGPROF) | bit(SIGVTALRM);
    let set = settings.signals.mask();
    let wanted = if settings.selectors.all { set } else { !noise | set };
    let record_mask = wanted & !faults & (!timers | set);
    let flags = match (settings.selectors.by_name(), settings.selectors.follow_children) {
        (false, _) => 0,
        (true, false) => target_flags::PROVISIONAL,
        (true, true) => target_flags::PROVISIONAL | target_flags::FOLLOW,
    };
    Config {
        record_mask,
        unhandled_mask: wanted & (faults | timers) & !record_mask,
        all: u64::from(settings.selectors.all),
        watch_execs: u64::from(flags),
        have_task_pt_regs: 0,
    }
}

fn redaction(show: ShowCmdline) -> processes::Redact {
    match show {
        ShowCmdline::Full => <[String]>::to_vec,
        ShowCmdline::Redacted | ShowCmdline::Exe => redact,
    }
}

fn show(show: ShowCmdline) -> Show {
    match show {
        ShowCmdline::Full | ShowCmdline::Redacted => Show::Cmdline,
        ShowCmdline::Exe => Show::ExeOnly,
    }
}
