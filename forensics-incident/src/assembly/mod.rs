//! Records become incidents: `push(now, input)` in, outputs out, deadlines included.
//!
//! An incident opens on a death, or on a request to end (TERM INT HUP QUIT KILL) by someone else. It
//! closes at the death, or as survived when the target is still alive at the deadline. There is no clock
//! and no I/O here, so every race between records is a unit test.

mod acts;
mod input;
mod keys;
mod ledger;
mod output;
mod target;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

pub use input::{ExitRecord, Fold, Input, SignalRecord};
pub use output::{Closed, HostFacts, Output};

use crate::attribution::{arrived, is_own};
use crate::model::{Mechanism, OutcomeKind, Process, ProcessKey, Signal};
use crate::signals;

use acts::{Acts, are_company};
use keys::{Recent, resolve};
use target::{Ending, Request, Target};

/// Processes that ended or were dismissed, whose late records are recognised.
const MAX_RECENT: usize = 8192;
/// Ends that came before their process was known as a target.
const MAX_EARLY_EXITS: usize = 1024;
/// Targets that nobody named, known from their signals alone (`watch --all`).
const MAX_UNASKED: usize = 4096;

/// What the assembly is told once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AssemblyConfig {
    /// How long a target may live on after a request to end before it counts as a survivor, nanoseconds:
    /// the longest of its stop timeout and 300 s.
    pub survive_after_ns: u64,
    /// Unix time minus `CLOCK_BOOTTIME`, seconds.
    pub unix_minus_boot_s: f64,
    /// The signals that make incidents, see [`signals::bit`]. Others stand in the record as context.
    pub report_signals: u64,
    /// Report ends, whatever they were, that none of those signals led to.
    pub report_unasked: bool,
}

/// Puts the records of all targets together.
pub struct Assembler {
    config: AssemblyConfig,
    ids: Box<dyn FnMut() -> String + Send>,
    targets: BTreeMap<ProcessKey, Target>,
    /// Targets with an open request, by deadline.
    deadlines: BTreeSet<(u64, ProcessKey)>,
    /// Targets that only their signals made known, oldest first.
    unasked: VecDeque<ProcessKey>,
    acts: Acts,
    ended: Recent,
    dismissed: Recent,
    early_exits: VecDeque<ExitRecord>,
}

impl fmt::Debug for Assembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assembler").field("targets", &self.targets.len()).finish_non_exhaustive()
    }
}

impl Assembler {
    /// An assembly without targets. `ids` makes the group ids.
    pub fn new(config: AssemblyConfig, ids: impl FnMut() -> String + Send + 'static) -> Self {
        Self {
            config,
            ids: Box::new(ids),
            targets: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            unasked: VecDeque::new(),
            acts: Acts::default(),
            ended: Recent::new(MAX_RECENT),
            dismissed: Recent::new(MAX_RECENT),
            early_exits: VecDeque::new(),
        }
    }

    /// Goes on with another configuration. Windows that are open keep their deadlines.
    pub fn configure(&mut self, config: AssemblyConfig) {
        self.config = config;
    }

    /// True while a target was asked to end and what became of it is not known.
    pub fn is_open(&self, target: ProcessKey) -> bool {
        let held = resolve(&self.targets, target).and_then(|key| self.targets.get(&key));
        held.is_some_and(|target| target.request.is_some())
    }

    /// Follows a step of the system's clock: Unix time minus `CLOCK_BOOTTIME`, seconds.
    pub fn set_unix_minus_boot(&mut self, seconds: f64) {
        self.config.unix_minus_boot_s = seconds;
    }

    /// Takes in what was learnt. `now_boot_ns` is the present `CLOCK_BOOTTIME`, from which deadlines are
    /// counted, so that a backlog of old records closes nothing early.
    pub fn push(&mut self, now_boot_ns: u64, input: Input) -> Vec<Output> {
        match input {
            Input::Watch { target } => self.watch(now_boot_ns, target),
            Input::Exec { target } => {
                if let Some(held) = self.find(target.key()) {
                    held.process = with_start(target, held.key());
                }
                Vec::new()
            }
            Input::Unwatch { target } => {
                self.remove(target);
                self.dismissed.insert(target);
                Vec::new()
            }
            Input::Signal(record) => self.signal(now_boot_ns, record),
            Input::Context { target, context, missing } => {
                if let Some(held) = self.find(target) {
                    held.set_context(*context);
                    missing.into_iter().for_each(|missing| held.note(missing));
                }
                Vec::new()
            }
            Input::Missing { target, missing } => {
                if let Some(held) = self.find(target) {
                    held.note(missing);
                }
                Vec::new()
            }
            Input::Marker { target, marker } => {
                if let Some(held) = self.find(target) {
                    held.set_marker(now_boot_ns, marker);
                }
                Vec::new()
            }
            Input::Exit(exit) => self.exit(exit),
            Input::Gone { target, boot_ns, wait_status } => {
                self.end(target, &Ending::noticed(boot_ns, wait_status))
            }
        }
    }

    /// When [`Self::tick`] has something to do, `CLOCK_BOOTTIME` nanoseconds.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Closes the incidents of those that survived. To be called with every waiting record pushed: a death
    /// that was recorded in time must not be taken for survival.
    pub fn tick(&mut self, now_boot_ns: u64) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(&(deadline, key)) = self.deadlines.first()
            && deadline <= now_boot_ns
        {
            self.deadlines.remove(&(deadline, key));
            let ending = Ending::survival(now_boot_ns);
            if let Some(target) = self.targets.get_mut(&key) {
                let closed = target.close(&ending, &self.config);
                outputs.push(Output::Closed(Box::new(closed)));
            }
        }
        outputs
    }

    /// Closes the incident of a target that survived, as [`Self::tick`] did for an earlier agent.
    pub fn survive(&mut self, now_boot_ns: u64, key: ProcessKey) -> Vec<Output> {
        let Some(key) = resolve(&self.targets, key) else { return Vec::new() };
        let Some(target) = self.targets.get_mut(&key) else { return Vec::new() };
        let Some(request) = &target.request else { return Vec::new() };
        self.deadlines.remove(&(request.deadline, key));
        let ending = Ending::survival(now_boot_ns);
        vec![Output::Closed(Box::new(target.close(&ending, &self.config)))]
    }

    /// What is known by now of a target that was asked to end: the incident as if the observation ended here. None
    /// when nothing is open.
    pub fn preview(&self, now_boot_ns: u64, key: ProcessKey) -> Option<Closed> {
        let target = self.targets.get(&resolve(&self.targets, key)?)?;
        target.request.as_ref()?;
        let ending = Ending::survival(now_boot_ns);
        Some(target.clone().close(&ending, &self.config))
    }

    /// The last signal of a target, of those that are kept.
    pub fn last_signal(&self, key: ProcessKey) -> Option<&Signal> {
        let target = self.targets.get(&resolve(&self.targets, key)?)?;
        target.ledger.signals().max_by_key(|signal| signal.last_ns())
    }

    /// The incident as it would be if the target died now of a signal that it has received: of this number, or of the last
    /// one that arrived. None when there is no such target, or no signal has arrived.
    pub fn supposing(&self, now_boot_ns: u64, key: ProcessKey, signal: Option<u32>) -> Option<Closed> {
        let target = self.targets.get(&resolve(&self.targets, key)?)?;
        let arrived = target.ledger.signals().filter(|signal| arrived(signal));
        let last = arrived.max_by_key(|signal| signal.last_ns()).map(|signal| signal.signal_num);
        let exit = ExitRecord {
            target: key,
            boot_ns: now_boot_ns,
            wait_status: signal.or(last)?,
            tid: key.pid,
            tracer: None,
            thread: String::new(),
            caller: None,
            kernel_stack: Vec::new(),
            signals_seen: None,
            folds: Vec::new(),
        };
        Some(target.clone().close(&Ending::of(&exit), &self.config))
            .filter(|closed| closed.decisive.is_some())
    }

    /// True when a process was looked at and is no target, so that its late records concern nobody.
    pub fn is_dismissed(&self, key: ProcessKey) -> bool {
        self.dismissed.contains(key) && resolve(&self.targets, key).is_none()
    }

    fn find(&mut self, key: ProcessKey) -> Option<&mut Target> {
        let held = resolve(&self.targets, key)?;
        self.targets.get_mut(&held)
    }

    fn remove(&mut self, key: ProcessKey) -> Option<Target> {
        let held = resolve(&self.targets, key)?;
        let target = self.targets.remove(&held)?;
        if let Some(request) = &target.request {
            self.deadlines.remove(&(request.deadline, held));
        }
        Some(target)
    }

    /// A named target. Its end may have been recorded while its identity was still being read.
    fn watch(&mut self, now_boot_ns: u64, process: Process) -> Vec<Output> {
        let key = process.key();
        self.dismissed.remove(key);
        if let Some(held) = self.find(key) {
            let key = held.key();
            held.process = with_start(process, key);
            self.unasked.retain(|&unasked| unasked != key);
            return Vec::new();
        }
        let early = BTreeMap::from([(key, ())]);
        let early = self.early_exits.iter().position(|exit| resolve(&early, exit.target).is_some());
        if early.is_none() && self.ended.contains(key) {
            return Vec::new();
        }
        let mut outputs = self.bury(key, now_boot_ns);
        self.targets.insert(key, Target::new(process));
        if let Some(exit) = early.and_then(|index| self.early_exits.remove(index)) {
            outputs.extend(self.end(key, &Ending::of(&exit)));
        }
        outputs
    }

    /// Closes older targets of the same pid: a pid is used again only when its process is gone.
    fn bury(&mut self, key: ProcessKey, now_boot_ns: u64) -> Vec<Output> {
        let older = ProcessKey { pid: key.pid, start_boot_ns: 0 }..key;
        let older = self.targets.range(older).map(|(&key, _)| key).collect::<Vec<_>>();
        let unseen = Ending::noticed(now_boot_ns, None);
        older.into_iter().flat_map(|key| self.end(key, &unseen)).collect()
    }

    fn signal(&mut self, now_boot_ns: u64, record: SignalRecord) -> Vec<Output> {
        let known = record.target.key();
        let mut outputs = Vec::new();
        let key = match resolve(&self.targets, known) {
            Some(key) => key,
            None if self.ended.contains(known) || self.dismissed.contains(known) => return Vec::new(),
            None => {
                outputs = self.bury(known, now_boot_ns);
                self.make_room();
                self.unasked.push_back(known);
                self.targets.insert(known, Target::new(record.target.clone()));
                known
            }
        };
        let Some(target) = self.targets.get_mut(&key) else { return outputs };

        let mut grouped = None;
        let fold_id = record.fold_id;
        let signal = record.signal.clone();
        let asks = self.config.report_signals & signals::bit(signal.signal_num) != 0
            && asks_to_end(&signal, &target.process);
        target.ledger.record(record);
        if asks {
            let boot_ns = signal.boot_ns;
            let deadline = now_boot_ns.saturating_add(self.config.survive_after_ns);
            let request = target.request.get_or_insert(Request { boot_ns, deadline, signals: 0 });
            self.deadlines.insert((request.deadline, key));
            if request.signals & signals::bit(signal.signal_num) == 0 {
                request.signals |= signals::bit(signal.signal_num);
                let signal = signal.signal_num;
                outputs.push(Output::TerminationRequested { target: key, signal, boot_ns });
            }
        }
        if let Some(target) = self.targets.get(&key).map(|target| &target.process) {
            let has_company = || self.targets.values().any(|other| are_company(target, &other.process));
            grouped = self.acts.note(target, fold_id, &signal, &mut *self.ids, has_company);
        }
        if let Some(grouped) = grouped
            && let Some(target) = self.targets.get_mut(&key)
        {
            target.ledger.group(fold_id, &grouped.group_id);
            if let Some((first, fold_id)) = grouped.also
                && let Some(first) = self.find(first)
            {
                first.ledger.group(fold_id, &grouped.group_id);
            }
        }
        outputs
    }

    fn exit(&mut self, exit: ExitRecord) -> Vec<Output> {
        if resolve(&self.targets, exit.target).is_some() {
            return self.end(exit.target, &Ending::of(&exit));
        }
        if !self.ended.contains(exit.target) && !self.dismissed.contains(exit.target) {
            self.ended.insert(exit.target);
            if self.early_exits.len() >= MAX_EARLY_EXITS {
                self.early_exits.pop_front();
            }
            self.early_exits.push_back(exit);
        }
        Vec::new()
    }

    /// The end of a target, reported when it concerns anyone.
    fn end(&mut self, key: ProcessKey, ending: &Ending<'_>) -> Vec<Output> {
        let Some(mut target) = self.remove(key) else { return Vec::new() };
        self.ended.insert(target.key());
        let was_asked = target.request.is_some();
        let closed = target.close(ending, &self.config);
        let reported = |number: u32| self.config.report_signals & signals::bit(number) != 0;
        let concerns = match ending.kind {
            OutcomeKind::Killed => {
                was_asked || self.config.report_unasked || ending.signal().is_some_and(reported)
            }
            OutcomeKind::Exited => {
                let decisive = closed.decisive.and_then(|index| closed.signals.get(index));
                was_asked
                    || self.config.report_unasked
                    || decisive.is_some_and(|signal| reported(signal.signal_num))
            }
            OutcomeKind::Survived | OutcomeKind::Unknown => true,
        };
        if concerns { vec![Output::Closed(Box::new(closed))] } else { Vec::new() }
    }

    /// Keeps the number of targets that nobody named bounded; those with an open request stay longest.
    fn make_room(&mut self) {
        for _ in 0..self.unasked.len() {
            if self.unasked.len() < MAX_UNASKED {
                return;
            }
            let Some(key) = self.unasked.pop_front() else { return };
            match self.targets.get(&key) {
                Some(target) if target.request.is_some() => self.unasked.push_back(key),
                Some(_) => drop(self.remove(key)),
                None => {}
            }
        }
        // All of them are waiting for their end: the oldest has waited longest.
        if let Some(key) = self.unasked.pop_front() {
            self.remove(key);
        }
    }
}

/// The same process under the key by which it is held.
fn with_start(process: Process, key: ProcessKey) -> Process {
    Process { start_boot_ns: key.start_boot_ns, ..process }
}

/// True when someone else asks the target to end.
fn asks_to_end(signal: &Signal, target: &Process) -> bool {
    use Mechanism as M;
    // What a process brings upon itself is no request: its timers, limits, faults and broken pipes.
    let by_itself = matches!(
        signal.mechanism,
        M::Timer
            | M::CpuLimit
            | M::RtLimit
            | M::FileSizeLimit
            | M::BrokenPipe
            | M::Fault
            | M::Seccomp
            | M::ExecFailure
            | M::AsyncIo
    );
    signals::requests_termination(signal.signal_num) && !by_itself && !is_own(signal, target)
}
