//! What was asked of managers and container engines lately: kept until a signal comes of it.

mod dropped;
mod infer;
mod names;
mod origins;
#[cfg(test)]
mod sample;
mod scheduled;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use forensics_incident::model::{Act, Concern, Facts, Missing, Process, Request, Signal};

use super::processes::Processes;
use crate::{
    host::{clock, proc},
    kernel::{
        load::{Kernel, LoadError},
        records::RequestEvent,
        requests::RequestHook,
    },
    request::{Mode, Socket, Wish, of_bytes},
};
use dropped::Dropped;
use names::{Aliases, Names};
use origins::Origins;
use scheduled::Scheduled;

/// What an incident lacks when a request may have gone unseen, and why.
const MISSING: &str = "requests";
const SKIPPED: &str = "the kernel skipped a program that sees requests, so that one may have gone unseen";
/// Requests that are kept, of all processes together.
const MAX_KEPT: usize = 256;
/// Of one process.
const MAX_OF_ONE: usize = 32;
/// Requests that stand in one incident.
const MAX_OF_INCIDENT: usize = 16;
/// Requests about other units in one incident.
const MAX_ELSEWHERE: usize = 6;
/// How long before a signal a request about another unit may have led to it, nanoseconds: stop jobs wait for each other.
const ELSEWHERE_NS: u64 = 120_000_000_000;

/// The requests, and how they are found out.
pub(super) struct Requests {
    mode: Mode,
    hook: Option<RequestHook>,
    tried: bool,
    /// Since when requests are recorded, `CLOCK_BOOTTIME` nanoseconds.
    since_ns: u64,
    unix_minus_boot_s: f64,
    /// Oldest first.
    kept: VecDeque<Arc<Request>>,
    origins: Origins,
    scheduled: Scheduled,
    /// By pid of the target: those that concerned it when a manager signalled it.
    noted: HashMap<u32, Vec<Arc<Request>>>,
    dropped: Dropped,
    aliases: Aliases,
}

impl Requests {
    /// Nothing is recorded yet.
    pub(super) fn new(mode: Mode, unix_minus_boot_s: f64) -> Self {
        Self {
            mode,
            hook: None,
            tried: false,
            since_ns: 0,
            unix_minus_boot_s,
            kept: VecDeque::new(),
            origins: Origins::default(),
            scheduled: Scheduled::default(),
            noted: HashMap::new(),
            dropped: Dropped::default(),
            aliases: Aliases::default(),
        }
    }

    /// Attaches the hook that was asked for by name, which must work.
    ///
    /// # Errors
    ///
    /// The kernel does not have it, or refuses it.
    pub(super) fn start(&mut self, kernel: &mut Kernel) -> Result<(), LoadError> {
        match (self.mode.is_hook(), self.mode.hooks().first()) {
            (true, Some(hook)) => self.attach(kernel, *hook),
            _ => Ok(()),
        }
    }

    /// A target has come: requests are of interest as soon as one of them has a manager.
    pub(super) fn watch(&mut self, target: &Process, kernel: &mut Kernel) {
        if target.unit.is_some() || target.container_id.is_some() {
            self.attach_any(kernel);
        }
    }

    /// Attaches the first hook that works, unless that was tried before.
    pub(super) fn attach_any(&mut self, kernel: &mut Kernel) {
        if self.tried {
            return;
        }
        self.tried = true;
        for hook in self.mode.hooks() {
            match self.attach(kernel, *hook) {
                Ok(()) => return,
                Err(error) => log::info!("requests cannot be seen by {}: {error}", hook.name()),
            }
        }
    }

    fn attach(&mut self, kernel: &mut Kernel, hook: RequestHook) -> Result<(), LoadError> {
        self.tried = true;
        kernel.record_requests(hook)?;
        self.hook = Some(hook);
        self.since_ns = if kernel.is_adopted() { kernel.since_ns() } else { clock::boot_ns() };
        Ok(())
    }

    /// How requests are found out by now.
    pub(super) fn how(&self) -> &'static str {
        match (self.hook, self.mode) {
            (Some(hook), _) => hook.name(),
            (None, Mode::Off) => "off",
            (None, _) => "exec",
        }
    }

    /// A process sent something to a manager or an engine; so many requests were not recorded until now.
    pub(super) fn take(&mut self, event: &RequestEvent, dropped: u64, processes: &mut Processes) {
        self.dropped.read(dropped, clock::boot_ns());
        let Some(socket) = Socket::of_path(&event.socket) else { return };
        let wishes = of_bytes(&socket, &event.message);
        if wishes.is_empty() {
            return;
        }
        let mut process = processes.of_task(
            &event.sender,
            event.cmdline.as_ref(),
            event.cgroup.as_deref(),
            &mut Vec::new(),
            "sender",
        );
        process.ancestors = processes.ancestors(process.key(), &event.ancestors);
        let listens =
            |pid: &u32| proc::read_process_alone(*pid).is_ok_and(|listener| listener.is_service_manager());
        let manager = event.listener.filter(listens);
        for wish in wishes {
            let request = Request {
                via: Some(socket.path.clone()),
                manager,
                of_user: socket.of_user,
                late: event.afterwards,
                ..self.request(event.boot_ns, process.clone(), wish)
            };
            self.keep(request);
        }
    }

    fn request(&self, boot_ns: u64, process: Process, wish: Wish) -> Request {
        let Wish { recipient, verb, object, mode, signal_num, due_us } = wish;
        Request {
            ts: boot_ns as f64 / 1e9 + self.unix_minus_boot_s,
            boot_ns,
            process,
            recipient,
            of_user: None,
            via: None,
            manager: None,
            verb,
            object,
            mode,
            signal_num,
            due: due_us.map(|due_us| due_us as f64 / 1e6),
            seen: true,
            late: false,
            concerns: Concern::Elsewhere,
        }
    }

    fn keep(&mut self, request: Request) {
        let act = request.act();
        let request = Arc::new(request);
        if act == Act::Create {
            self.origins.take(request);
            return;
        }
        if Scheduled::is_of(&request) {
            self.scheduled.take(request);
            return;
        }
        self.origins.stop(&request);
        self.aliases.learn(&request);
        // One that asks without end must not crowd out the others.
        let same = |kept: &Arc<Request>| kept.process.key() == request.process.key();
        if self.kept.iter().filter(|kept| same(kept)).count() >= MAX_OF_ONE {
            if let Some(first) = self.kept.iter().position(same) {
                self.kept.remove(first);
            }
        } else if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(request);
    }

    /// A signal came to a target: what was asked before may be gone by the time the target is.
    pub(super) fn signal(&mut self, target: &Process, signal: &Signal) {
        if self.kept.is_empty() {
            return;
        }
        let found = self.concerning(target, signal, &Names::of(target, &self.aliases));
        if found.is_empty() {
            return;
        }
        let noted = self.noted.entry(target.pid).or_default();
        for request in found {
            if noted.len() < MAX_OF_INCIDENT && !noted.iter().any(|seen| Arc::ptr_eq(seen, &request)) {
                noted.push(request);
            }
        }
    }

    /// A target is gone.
    pub(super) fn forget(&mut self, pid: u32) {
        self.noted.remove(&pid);
    }

    /// Those that may have led to a signal, oldest first.
    fn concerning(&self, target: &Process, signal: &Signal, names: &Names<'_>) -> Vec<Arc<Request>> {
        let Some(sender) = signal.sender.as_ref().filter(|sender| !sender.is(target)) else {
            return Vec::new();
        };
        let mut elsewhere = 0;
        let mut found: Vec<Arc<Request>> = Vec::new();
        for request in self.kept.iter().rev() {
            // To a process that was not there yet nobody can have wished anything.
            if request.boot_ns < target.start_boot_ns {
                continue;
            }
            let Some(concerns) = names.concern(request, sender) else { continue };
            if concerns == Concern::Elsewhere {
                elsewhere += 1;
                if elsewhere > MAX_ELSEWHERE || request.boot_ns.saturating_add(ELSEWHERE_NS) < signal.boot_ns
                {
                    continue;
                }
            }
            found.push(Arc::clone(request));
            if found.len() == MAX_OF_INCIDENT {
                break;
            }
        }
        found.reverse();
        found
    }

    /// What was seen to be asked of those who sent the signals of an incident, as far as it may concern the target.
    pub(super) fn seen_of(&self, facts: &Facts) -> Vec<Request> {
        let names = Names::of(&facts.target, &self.aliases);
        let mut found = self.noted.get(&facts.target.pid).cloned().unwrap_or_default();
        let known = facts.requests.iter().filter(|known| known.seen && known.concerns != Concern::Origin);
        found.extend(known.cloned().map(Arc::new));
        for signal in &facts.signals {
            // A record may have come after that of the signal.
            for request in self.concerning(&facts.target, signal, &names) {
                if !found.iter().any(|known| is_same(known, &request)) {
                    found.push(request);
                }
            }
        }
        let concerning = found.iter().filter_map(|request| {
            let concerns = names.concern_of_senders(request, facts)?;
            Some(Request { concerns, ..Request::clone(request) })
        });
        concerning.collect()
    }

    /// Adds to an incident what may have led to it. Done again later, it adds what was recorded late. `skips` tells whether the
    /// kernel has skipped runs of programs, so that a request may have gone unseen.
    pub(super) fn complete(
        &mut self,
        facts: &mut Facts,
        dropped: u64,
        skips: impl FnOnce() -> bool,
        processes: &mut Processes,
    ) {
        if self.mode == Mode::Off {
            return;
        }
        self.dropped.read(dropped, clock::boot_ns());
        let by_manager = |signal: &&Signal| signal.sender.as_ref().is_some_and(Process::is_service_manager);
        let signals = facts.signals.iter().filter(by_manager);
        facts.lost.requests = signals.map(|signal| self.dropped.near(signal.boot_ns)).max().unwrap_or(0);
        // What explains it may have come since the last time.
        facts.missing.retain(|missing| missing.field != MISSING);
        let mut requests = self.seen_of(facts);
        self.noted.remove(&facts.target.pid);
        let by_the_end = |request: &Request| request.ts <= facts.outcome.ts;
        let explains = |request: &Request| request.seen && request.concerns != Concern::Elsewhere;
        if !requests.iter().any(|request| by_the_end(request) && explains(request)) {
            let has_skipped = self.hook.is_some() && skips();
            let sees_all = self.hook.is_some() && !has_skipped;
            let before = if sees_all { self.since_ns } else { u64::MAX };
            let ordered: Vec<Request> = infer::orders(facts, processes, before)
                .into_iter()
                .map(|ordered| Request {
                    of_user: ordered.of_user,
                    seen: false,
                    ..self.request(ordered.boot_ns, ordered.process, ordered.wish)
                })
                .collect();
            ordered.iter().for_each(|request| self.aliases.learn(request));
            let names = Names::of(&facts.target, &self.aliases);
            requests.extend(ordered.into_iter().filter_map(|request| {
                let concerns = names.concern_of_senders(&request, facts)?;
                Some(Request { concerns, ..request })
            }));
            if has_skipped && facts.signals.iter().any(|signal| by_manager(&signal)) {
                facts.missing.push(Missing { field: MISSING.to_owned(), why: SKIPPED.to_owned() });
            }
        }
        requests.extend(self.scheduled.behind(&requests));
        requests.extend(self.origins.behind(&requests));
        requests.sort_by_key(|request| request.boot_ns);
        facts.requests = requests;
    }
}

/// True for copies of one record.
fn is_same(one: &Request, other: &Request) -> bool {
    let identity = |request: &Request| (request.boot_ns, request.process.key());
    identity(one) == identity(other) && one.verb == other.verb && one.object == other.object
}
