//! One run of the agent: the kernel programs, the evidence and the assembly around one event loop.
//!
//! `watch` and `run` differ in where their targets come from and when they end; everything in between is here.

mod aftermath;
mod answers;
mod config;
mod containers;
mod context;
mod drains;
mod enrich;
mod evidence;
mod faults;
mod host;
mod intake;
mod kills;
mod ledger;
mod losses;
mod managers;
mod markers;
mod members;
mod outcome;
mod overview;
mod persist;
mod places;
mod pressures;
mod processes;
mod relays;
mod reload;
mod requests;
mod ring;
mod storage;
mod symbols;
mod timings;
mod turn;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};

use forensics_incident::{
    assembly::{Assembler, HostFacts},
    model::{Facts, Incident, Process, ProcessKey},
};

use crate::{
    cli::ShowCmdline,
    host::{
        clock,
        markers::MarkerSpec,
        proc::{self, Forebears},
        systemd::timing::Wanted,
    },
    kernel::{
        cgroup_map::CgroupMap,
        load::{Hook, Kernel, KernelTypes, LoadError},
        reach_map::ReachMap,
        watch_map::{WatchError, WatchMap},
    },
    memory,
    report::{Ready, Reporter},
    request::Mode,
    targets::{Selectors, SignalSet},
};
use aftermath::Aftermath;
use answers::Answers;
use enrich::Enricher;
use evidence::Evidence;
use kills::Kills;
use ledger::Ledger;
use losses::Losses;
use managers::Managers;
use markers::Markers;
use members::Members;
pub use overview::Overview;
use persist::Persist;
use places::{Places, Slots};
use processes::Processes;
use relays::Relays;
use requests::Requests;
use ring::{Diagnostics, Ring};
use storage::Storage;
use symbols::Symbols;
use timings::Timings;

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which processes.
    pub selectors: Selectors,
    /// Which signals.
    pub signals: SignalSet,
    /// How much of command lines is kept.
    pub show_cmdline: ShowCmdline,
    /// The hook variant, when it is not to be the first that works.
    pub hook: Option<Hook>,
    /// How those who ask managers are found out.
    pub instigator: Mode,
    /// Level of the kernel programs' own diagnostics.
    pub ebpf_log: log::LevelFilter,
    /// Print each signal as it comes.
    pub events: bool,
    /// What the services want of their managers at a stop, when that is known.
    pub drain: Option<Wanted>,
    /// Also tell what managers make of ends, in updates, and what units logged last. Not for a command of one's own, which
    /// is in the unit of whoever runs it.
    pub follow_units: bool,
    /// The marker files to look for.
    pub markers: Arc<[MarkerSpec]>,
    /// Where incidents are stored, when they are.
    pub store: Option<PathBuf>,
    /// Targets are noted in the store, so that the next run knows what was alive when this one ended; what an earlier one noted is
    /// told.
    pub ledger: bool,
    /// Where those who are signalled may ask, when they may.
    pub socket: Option<PathBuf>,
    /// The directory in which the kernel programs are pinned, when they are to outlive the agent.
    pub persist: Option<PathBuf>,
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
    ring: Ring,
    diagnostics: Diagnostics,
    watched: WatchMap,
    enricher: Enricher,
    assembler: Assembler,
    /// The targets as they are known, for what the records leave out.
    targets: HashMap<u32, Process>,
    /// Those that are named by number.
    named: Vec<ProcessKey>,
    settings: Settings,
    host: HostFacts,
    reporter: Reporter<W>,
    relays: Relays,
    requests: Requests,
    members: Members,
    markers: Markers,
    timings: Timings,
    managers: Managers,
    /// What closed before the manager of its unit had answered.
    untimed: Vec<Facts>,
    evidence: Evidence,
    storage: Storage,
    answers: Answers,
    aftermath: Aftermath,
    kills: Kills,
    losses: Losses,
    persist: Persist,
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
        let managers = Managers::new(settings.follow_units);
        let markers = Markers::start(Arc::clone(&settings.markers));
        let types = KernelTypes::read()?;
        let log = config::ebpf_level(settings.ebpf_log);
        let (units, cgroups) = (settings.selectors.units.clone(), settings.selectors.cgroups.clone());
        let slots = Slots::for_selectors(&units, &cgroups);
        let programs = config::kernel(&settings, slots.numbers());
        let mut persist = Persist::start(settings.persist.as_deref());
        let mut kernel = persist.kernel(&settings, &types, programs, log)?;
        let unix_minus_boot_s = clock::unix_minus_boot_s();
        let mut requests = Requests::new(settings.instigator, unix_minus_boot_s);
        requests.start(&mut kernel)?;
        if persist.is_on() {
            requests.attach_any(&mut kernel);
        }
        if !persist.pin(&mut kernel, &settings) {
            kernel = persist.kernel(&settings, &types, programs, log)?;
            requests = Requests::new(settings.instigator, unix_minus_boot_s);
            requests.start(&mut kernel)?;
        }
        let maps = kernel.take_maps()?;
        let failed = |what: &str, reason: &dyn std::fmt::Display| LoadError::Failed {
            what: what.to_owned(),
            reason: reason.to_string(),
        };
        let mut ring = Ring::new(maps.events, maps.counters)
            .map_err(|error| failed("waiting for kernel records", &error))?;
        let diagnostics = Diagnostics::new(log.and_then(|_| kernel.logger()?.ok()))
            .map_err(|error| failed("waiting for the log of the kernel programs", &error))?;
        let host = host::facts().map_err(|error| failed("reading this host's identity", &error))?;
        if let Some(log) = persist.read(&host.boot_id, settings.store.as_deref()) {
            ring.keep(log);
        }
        let ledger = if settings.ledger { Ledger::new(&host.boot_id) } else { None };
        let storage = Storage::start(settings.store.clone(), ledger);
        let answers = Answers::start(settings.socket.as_deref());
        let processes = Processes::new(maps.ledger, maps.lineage, config::redaction(settings.show_cmdline));
        let mut cgroups_map = CgroupMap::new(maps.cgroups);
        if kernel.is_adopted() {
            // Those that are selected now are entered when they are looked for, and then who is in them is watched.
            cgroups_map.clear();
        }
        Ok(Self {
            kernel,
            ring,
            diagnostics,
            watched: WatchMap::new(maps.targets, maps.watched, settings.selectors.follow_children),
            enricher: Enricher::new(processes, Symbols::load(), maps.folds, unix_minus_boot_s),
            assembler: Assembler::new(config::assembly(&settings, unix_minus_boot_s), host::new_id),
            targets: HashMap::new(),
            named: Vec::new(),
            settings,
            host,
            reporter,
            relays: Relays::default(),
            requests,
            members: Members::new(Places::new(slots, units, cgroups, cgroups_map)),
            markers,
            timings: Timings::new(drain),
            managers,
            untimed: Vec::new(),
            evidence: Evidence::start(),
            storage,
            answers,
            aftermath: Aftermath::default(),
            kills: Kills::new(ReachMap::new(maps.reaches)),
            losses: Losses::default(),
            persist,
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
        self.watch_among(pid, &mut Forebears::default())?;
        self.named.extend(self.targets.get(&pid).map(Process::key));
        Ok(())
    }

    fn watch_among(&mut self, pid: u32, forebears: &mut Forebears) -> Result<(), WatchError> {
        // Watched first and read then: whatever it executes in between has a record.
        self.watched.insert(ProcessKey { pid, start_boot_ns: 0 })?;
        let Ok(target) = self.enricher.processes.read_among(pid, forebears) else {
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
        let mut forebears = Forebears::default();
        for pid in proc::list_pids().unwrap_or_default() {
            if own.contains(&pid) || self.targets.contains_key(&pid) {
                continue;
            }
            let Ok(process) = proc::read_process_alone(pid) else { continue };
            if self.settings.selectors.matches(&process.name, process.exe.as_deref(), process.args()) {
                // One that is gone by now is no target.
                let _ = self.watch_among(pid, &mut forebears);
            }
        }
    }

    /// How many processes are watched by now, the agent itself left out.
    pub fn target_count(&self) -> usize {
        self.targets.keys().filter(|pid| **pid != std::process::id()).count()
    }

    /// True for a process that an earlier agent watched in this boot, and whose end this one will tell if it is gone.
    pub fn knew(&self, pid: u32) -> bool {
        self.persist.knew(pid)
    }

    /// Says that everything is attached and every selector resolved.
    ///
    /// # Errors
    ///
    /// As the writer.
    pub fn announce(&mut self) -> io::Result<()> {
        let others = self.targets.values().filter(|target| target.pid != std::process::id());
        let mut targets: Vec<Process> = others.cloned().collect();
        targets.sort_by_key(|process| process.pid);
        let waiting = self.waiting();
        self.reporter.ready(&Ready {
            hook: self.hook().name(),
            instigator: self.requests.how(),
            targets: &targets,
            waiting: &waiting,
            persist: self.persist.how(),
        })
    }

    /// Remembers everyone who is there now, so that a sender's parent that ends first is still known, and the earlier
    /// ends that are stored.
    pub fn remember_everyone(&mut self) {
        self.enricher.processes.read_all();
        if let Some(path) = &self.settings.store {
            self.storage.recall(path);
        }
    }

    /// Looks for what earlier runs watched and nobody saw the end of. To be called after [`Self::recover`].
    pub fn look_back(&mut self) {
        if let Some(path) = &self.settings.store {
            self.aftermath.look_back(path, self.storage.run(), &self.persist);
        }
        self.persist.forget();
        memory::trim();
        memory::release_code();
    }
}
