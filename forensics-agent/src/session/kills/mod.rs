//! What a signal from a process does not tell by itself: where its sender had the pid from, who had that pid before, and
//! which process group it went to.
//!
//! It is looked for when the signal comes, since a script removes its pidfile as soon as it has used it.

mod past;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use forensics_incident::{
    model::{
        BpfProgram, EarlierHolder, Facts, Kill, Mechanism, Missing, Pidfile, Process, ProcessGroup,
        ProcessKey, Signal, Suspension,
    },
    signals::{ends_by_default, requests_termination},
};

use super::processes::Processes;
use crate::{
    host::{
        bpf_programs,
        pidfiles::{Named, Pidfiles},
        suspension,
    },
    kernel::reach_map::ReachMap,
};
use past::Past;

/// Senders, and signals that found it suspended, that are remembered for one target.
const MAX_SENDERS: usize = 16;
/// Processes of the same number that are told.
const MAX_EARLIER: usize = 2;
/// The whole lineage is looked through no more often than this: that takes some milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is known of the acts at the present targets, and of targets that are gone.
pub(super) struct Kills {
    reach: ReachMap,
    pidfiles: Pidfiles,
    past: Past,
    /// By pid of the target.
    targets: HashMap<u32, Aimed>,
    /// The last group that was signalled, with the sender: its members come one after the other.
    group: Option<(ProcessKey, ProcessGroup)>,
    looked: Option<Instant>,
}

#[derive(Default)]
struct Aimed {
    target: Option<ProcessKey>,
    job_cookies: Vec<String>,
    /// Who leads the group that it is in, when that is neither it nor an ancestor: the leader dies with the group.
    leader: Option<Process>,
    /// By sender.
    acts: Vec<(ProcessKey, Kill)>,
    /// By the moment of the signal.
    suspensions: Vec<(u64, Suspension)>,
    /// What may have sent the first signal that a BPF program sent.
    bpf_programs: Option<Result<Vec<BpfProgram>, String>>,
}

impl Kills {
    /// Nothing is known yet.
    pub(super) fn new(reach: ReachMap) -> Self {
        Self {
            reach,
            pidfiles: Pidfiles::default(),
            past: Past::default(),
            targets: HashMap::new(),
            group: None,
            looked: None,
        }
    }

    /// A target is there, or has executed another program.
    pub(super) fn watch(&mut self, target: &Process, job_cookies: &[&str], processes: &mut Processes) {
        let own_line = || std::iter::once(target).chain(&target.ancestors);
        let leader = target.pgid.filter(|&id| own_line().all(|process| process.pid != id));
        let leader = leader.and_then(|id| processes.read(id).ok());
        let aimed = self.aimed(target);
        aimed.leader = leader;
        aimed.job_cookies = job_cookies.iter().map(|&name| name.to_owned()).collect();
    }

    /// A signal at a target: what there is to learn about it is learnt now, once for each sender.
    pub(super) fn signal(&mut self, target: &Process, signal: &Signal, processes: &mut Processes) {
        if requests_termination(signal.signal_num)
            && let Some(suspension) = suspension::of(target)
        {
            keep(&mut self.aimed(target).suspensions, (signal.boot_ns, suspension));
        }
        if signal.mechanism == Mechanism::Bpf {
            // A tracer leaves as soon as it has done its work.
            self.aimed(target).bpf_programs.get_or_insert_with(|| bpf_senders(processes));
        }
        let Some(sender) = signal.sender.as_ref().filter(|sender| !sender.is(target)) else { return };
        if !signal.mechanism.is_user_sent() || !ends_by_default(signal.signal_num) {
            return;
        }
        if self.aimed(target).acts.iter().any(|(key, _)| *key == sender.key()) {
            return;
        }
        let act = self.act(target, signal, sender, processes);
        keep(&mut self.aimed(target).acts, (sender.key(), act));
    }

    /// What was learnt about a target, which is nothing when another process had its pid.
    fn aimed(&mut self, target: &Process) -> &mut Aimed {
        let aimed = self.targets.entry(target.pid).or_default();
        if aimed.target.is_none_or(|key| !key.is(target.key())) {
            *aimed = Aimed { target: Some(target.key()), ..Aimed::default() };
        }
        aimed
    }

    fn act(
        &mut self,
        target: &Process,
        signal: &Signal,
        sender: &Process,
        processes: &mut Processes,
    ) -> Kill {
        let group = group_id(target, signal, sender).map(|id| self.group(id, target, sender, processes));
        let holder = match &group {
            Some(ProcessGroup { id, leader }) => leader.as_ref().map(|leader| (*id, leader.key())),
            None if signal.mechanism == Mechanism::CgroupKill => None,
            None => Some((target.pid, target.key())),
        };
        let mut act = Kill { group, ..Kill::default() };
        let knows_it =
            sender.is_service_manager() || target.ancestors.iter().any(|ancestor| ancestor.is(sender));
        let (Some((number, holder)), false) = (holder, knows_it) else { return act };
        let mut owners = vec![0];
        owners.extend(target.uid.into_iter().chain(sender.uid));
        act.pidfiles = self.pidfiles(number, target, sender, &owners);
        act.earlier = self.earlier(number, holder, target, sender, processes);
        act
    }

    fn pidfiles(&mut self, number: u32, target: &Process, sender: &Process, owners: &[u32]) -> Vec<Pidfile> {
        // In a container, a script knows the number that the target has there.
        let is_it = |pid: u32| pid == number || (number == target.pid && target.ns_pid == Some(pid));
        let named = self.pidfiles.named(sender, owners).into_iter().filter(|named| is_it(named.file.pid));
        let mut files: Vec<Pidfile> = named
            .map(|Named { file, by, script }| Pidfile {
                path: file.path,
                pid: file.pid,
                modified: file.modified,
                named_by: Some(by),
                script,
            })
            .collect();
        // Of those in the agent's own /run, nothing follows for who lives elsewhere.
        if files.is_empty() && sender.ns_pid.is_none() {
            files.extend(self.pidfiles.known(number, owners).into_iter().map(|file| Pidfile {
                path: file.path,
                pid: file.pid,
                modified: file.modified,
                named_by: None,
                script: None,
            }));
        }
        files
    }

    /// The process group of this number, which the sender signalled.
    fn group(
        &mut self,
        id: u32,
        target: &Process,
        sender: &Process,
        processes: &mut Processes,
    ) -> ProcessGroup {
        if let Some((_, group)) =
            self.group.as_ref().filter(|(by, group)| *by == sender.key() && group.id == id)
        {
            return group.clone();
        }
        // The number of a group stays taken as long as the group has members, so that whoever had it last made it.
        let known = std::iter::once(target).chain(&target.ancestors).find(|process| process.pid == id);
        let remembered = || self.targets.get(&target.pid)?.leader.clone().filter(|leader| leader.pid == id);
        let leader =
            known.map(|leader| Process { ancestors: Vec::new(), ..leader.clone() }).or_else(remembered);
        let group = ProcessGroup { id, leader: leader.or_else(|| processes.by_pid(id)) };
        self.group = Some((sender.key(), group.clone()));
        group
    }

    fn earlier(
        &mut self,
        number: u32,
        holder: ProcessKey,
        target: &Process,
        sender: &Process,
        processes: &mut Processes,
    ) -> Vec<EarlierHolder> {
        let mut earlier = self.past.holders(number, holder);
        // Who is younger than the target cannot have learnt the number before, and who made it knows it.
        let is_older =
            |process: &Process| process.start_boot_ns != 0 && process.start_boot_ns < holder.start_boot_ns;
        let line = || {
            std::iter::once(sender)
                .chain(&sender.ancestors)
                .take_while(|process| !process.is_service_manager())
        };
        let is_suspicious =
            line().any(is_older) && !line().any(|one| target.parent().is_some_and(|parent| parent.is(one)));
        let may_look = self.looked.is_none_or(|at| at.elapsed() >= LOOK_EVERY);
        if is_suspicious && may_look {
            self.looked = Some(Instant::now());
        }
        for process in processes.earlier_holders(holder, is_suspicious && may_look) {
            let is_same = |known: &EarlierHolder| known.process.is(&process);
            if !earlier.iter().any(is_same) {
                earlier.push(EarlierHolder { process, ended_boot_ns: None });
            }
        }
        earlier.sort_by_key(|earlier| std::cmp::Reverse(earlier.process.start_boot_ns));
        earlier.truncate(MAX_EARLIER);
        earlier
    }

    /// How many more of the decisive signal its sender made.
    fn others(&self, signals: &[Signal], decisive: &Signal) -> Option<u64> {
        let sender = decisive.sender.as_ref().filter(|_| decisive.mechanism.is_user_sent())?;
        let all = self.reach.of(sender.key(), decisive.signal_num)?;
        let is_its = |signal: &&Signal| {
            signal.signal_num == decisive.signal_num
                && signal.sender.as_ref().is_some_and(|other| other.is(sender))
        };
        let own: Vec<&Signal> = signals.iter().filter(is_its).collect();
        // Of a storm, some may be counted here and not yet there.
        let is_exact = own.iter().all(|signal| signal.repeated == 0);
        all.checked_sub(own.len() as u64).filter(|_| is_exact)
    }

    /// A target is gone: it may be meant by whoever uses its number later.
    pub(super) fn forget(&mut self, target: &Process, ended_boot_ns: u64) {
        self.targets.remove(&target.pid);
        self.past.add(target, ended_boot_ns);
    }

    /// Adds what was learnt to an incident; `decisive` is the index of the signal that it is attributed to.
    pub(super) fn complete(&self, facts: &mut Facts, decisive: Option<usize>) {
        let Some(aimed) = self.targets.get(&facts.target.pid) else { return };
        let decisive = decisive.and_then(|index| facts.signals.get(index));
        let suspension =
            decisive.and_then(|signal| aimed.suspensions.iter().find(|(at, _)| *at == signal.boot_ns));
        let suspension = suspension.map(|(_, suspension)| suspension.clone());
        let sender = decisive.and_then(|signal| signal.sender.as_ref()).map(Process::key);
        let act = sender.and_then(|sender| aimed.acts.iter().find(|(key, _)| *key == sender));
        facts.kill = act.map(|(_, act)| act.clone()).unwrap_or_default();
        facts.kill.suspension = suspension;
        facts.kill.others = decisive.and_then(|signal| self.others(&facts.signals, signal));
        if decisive.is_some_and(|signal| signal.mechanism == Mechanism::Bpf) {
            match &aimed.bpf_programs {
                Some(Ok(programs)) => facts.kill.bpf_programs.clone_from(programs),
                Some(Err(why)) => {
                    facts.missing.push(Missing { field: "kill.bpf_programs".to_owned(), why: why.clone() });
                }
                None => {}
            }
        }
        facts.kill.job_cookies.clone_from(&aimed.job_cookies);
    }
}

/// The BPF programs that can send a signal, with who holds them.
fn bpf_senders(processes: &mut Processes) -> Result<Vec<BpfProgram>, String> {
    let found = bpf_programs::that_send_signals()?.into_iter();
    let with_holders = |(program, pids): (BpfProgram, Vec<u32>)| {
        let holders = pids.into_iter().filter_map(|pid| processes.read(pid).ok()).collect();
        BpfProgram { holders, ..program }
    };
    Ok(found.map(with_holders).collect())
}

/// Remembers one more, instead of the first where there are too many.
fn keep<T>(known: &mut Vec<T>, new: T) {
    if known.len() == MAX_SENDERS {
        known.remove(0);
    }
    known.push(new);
}

/// The number of the process group that a signal was sent to.
fn group_id(target: &Process, signal: &Signal, sender: &Process) -> Option<u32> {
    let aim =
        signal.syscall_args.as_ref()?.first().copied().filter(|_| signal.mechanism == Mechanism::Kill)?;
    match aim {
        0 => sender.pgid,
        // In a namespace of its own the sender has other numbers.
        ..=-2 if sender.ns_pid.is_none() => u32::try_from(aim.unsigned_abs()).ok(),
        ..=-2 => target.pgid,
        _ => None,
    }
}
