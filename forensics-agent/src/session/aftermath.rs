//! What earlier runs of the agent noted and could not tell the end of: their targets that are gone.

use std::io::{self, Write};
use std::path::Path;

use forensics_incident::assembly::Closed;
use forensics_incident::model::{
    Aftermath as Found, Facts, Gap, JournalEnd, LogLine, Lost, Missing, Outcome, OutcomeKind, Process,
};
use tokio::task::JoinSet;

use super::persist::Persist;
use super::{Progress, Session, host};
use crate::host::journal::boot_end;
use crate::host::wtmp::{self, What};
use crate::host::{clock, proc, pstore};
use crate::store::{Run, State, Store, StoreError};

/// An agent that a shutdown stops may be stopped before the shutdown is logged, seconds.
const STOPPED_BEFORE_S: f64 = 5.0;

/// The look back, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    asking: JoinSet<Gone>,
    learnt: Vec<Gone>,
}

/// Targets of an earlier run that are gone.
#[derive(Debug)]
struct Gone {
    run: Run,
    targets: Vec<Target>,
    found: Found,
    missing: Option<Missing>,
}

/// A target, and what was recorded of its end before the agent's own.
#[derive(Debug)]
struct Target {
    process: Process,
    open: Option<Facts>,
}

impl Aftermath {
    /// Looks at what earlier runs noted, apart from what their programs recorded the end of. What needs the journal is found out
    /// beside the event loop.
    pub(super) fn look_back(&mut self, path: &Path, own: Option<&Run>, persist: &Persist) {
        let Some(own) = own else { return };
        match gone(path, own, persist) {
            Ok(all) => {
                for gone in all {
                    self.asking.spawn(complete(gone));
                }
            }
            Err(StoreError::Missing { .. }) => {}
            Err(why) => log::warn!("what earlier runs of the agent watched is not known: {why}"),
        }
    }

    /// Waits for what there is to tell.
    pub(super) async fn learnt(&mut self) {
        match self.asking.join_next().await {
            Some(learnt) => self.learnt.extend(learnt.ok()),
            None => std::future::pending().await,
        }
    }
}

/// The runs that have ended, each with its targets that are gone and not told of yet.
fn gone(path: &Path, own: &Run, persist: &Persist) -> Result<Vec<Gone>, StoreError> {
    // A database of an earlier format has no runs yet, and gets its tables here.
    let store = Store::open(path)?;
    let mut all = Vec::new();
    for (run, targets) in store.runs()? {
        let gap = match (run.boot_id == own.boot_id, run.init.is(own.init)) {
            (true, true) => Gap::Agent,
            (true, false) => Gap::Init,
            (false, _) => Gap::Boot,
        };
        // Another agent that is at work beside this one, or this one itself.
        if run.id == own.id || (gap == Gap::Agent && proc::is_alive(run.agent)) {
            continue;
        }
        let tells = gap != Gap::Agent || !run.stopped;
        let is_gone = |process: &Process| {
            let key = process.key();
            tells && (gap != Gap::Agent || !proc::is_alive(key) && !persist.accounts_for(key))
        };
        let mut left = Vec::new();
        for process in targets.into_iter().filter(is_gone) {
            match store.last_of(&run.boot_id, process.key())? {
                Some((State::Closed, _)) => {}
                Some((State::Open, incident)) => left.push(Target { process, open: Some(incident.facts) }),
                None => left.push(Target { process, open: None }),
            }
        }
        let found = Found {
            gap,
            last_seen: run.seen,
            found: clock::unix_s(),
            agent_pid: run.agent.pid,
            agent_stopped: run.stopped,
            journal: None,
            panic: None,
        };
        all.push(Gone { run, targets: left, found, missing: None });
    }
    Ok(all)
}

/// Adds what the journal of the earlier boot and the platform's store tell.
async fn complete(mut gone: Gone) -> Gone {
    if gone.targets.is_empty() || gone.found.gap == Gap::Agent {
        return gone;
    }
    let since = gone.run.seen - if gone.run.stopped { STOPPED_BEFORE_S } else { 0.0 };
    match boot_end(&gone.run.boot_id, since).await {
        Ok(journal) => gone.found.journal = journal,
        Err(why) => {
            gone.missing = Some(Missing { field: "aftermath.journal".to_owned(), why: why.to_string() });
        }
    }
    let told = gone.found.journal.as_ref().is_some_and(|journal| journal.shutdown.is_some());
    if gone.found.gap == Gap::Boot && !told {
        gone.found.journal = shutdown_by_wtmp(since, gone.found.found).or(gone.found.journal);
    }
    if gone.found.gap == Gap::Boot {
        gone.found.panic = pstore::panic_since(gone.run.seen);
    }
    let found = &gone.found;
    let shut_down = found.journal.as_ref().is_some_and(|journal| journal.shutdown.is_some());
    if found.agent_stopped && !shut_down && found.panic.is_none() {
        // It was stopped on purpose, and what became of its targets afterwards nobody knows.
        gone.targets.clear();
    }
    gone
}

/// The shutdown that wtmp(5) has, where the journal of that boot is not kept.
fn shutdown_by_wtmp(since: f64, until: f64) -> Option<JournalEnd> {
    let records = wtmp::read().unwrap_or_default();
    let down = |(ts, what): &&(f64, What)| *what == What::Shutdown && (since..=until).contains(ts);
    let (ts, _) = records.iter().find(down)?;
    let text = "the host was shut down".to_owned();
    let shutdown = LogLine { ts: *ts, text, identifier: Some(wtmp::PATH.to_owned()), ..LogLine::default() };
    Some(JournalEnd { last: *ts, shutdown: Some(shutdown), before: Vec::new() })
}

impl<W: Write> Session<W> {
    /// Tells of the targets that earlier runs left, and forgets those runs.
    pub(super) fn report_aftermath(&mut self, progress: &mut Progress) -> io::Result<()> {
        for Gone { run, targets, found, missing } in std::mem::take(&mut self.aftermath.learnt) {
            for target in targets {
                let mut facts = self.aftermath_of(target, &run, &found);
                facts.missing.extend(missing.clone());
                let incident = self.judged(facts);
                self.reporter.incident(&incident)?;
                self.storage.put(&incident, State::Closed);
                self.answers.remember(&incident);
                progress.closed.push(incident);
            }
            self.storage.forget_runs(vec![run.id]);
        }
        Ok(())
    }

    fn aftermath_of(&self, target: Target, run: &Run, found: &Found) -> Facts {
        let outcome = Outcome {
            kind: OutcomeKind::Unknown,
            signal: None,
            signal_num: None,
            exit_code: None,
            core_dumped: false,
            exit_tid: None,
            exit_thread: None,
            exit_called: false,
            tracer: None,
            kernel_stack: Vec::new(),
            ts: found.last_seen,
            lived_s: None,
            after_s: None,
        };
        let aftermath = Some(found.clone());
        if let Some(mut facts) = target.open {
            // Counted from the request, as it was while the incident was open.
            let after_s = facts.outcome.after_s.map(|after| after + (found.last_seen - facts.ts).max(0.0));
            let ts = found.last_seen.max(facts.ts);
            facts.outcome = Outcome { ts, after_s, ..outcome };
            facts.ts = ts;
            return Facts { aftermath, ..facts };
        }
        let closed = Closed {
            group_id: None,
            target: target.process,
            outcome,
            signals: Vec::new(),
            decisive: None,
            context: None,
            markers: Vec::new(),
            lost: Lost::default(),
            missing: Vec::new(),
        };
        let facts = Facts::new(&self.host, host::new_id(), closed);
        Facts { boot_id: run.boot_id.clone(), aftermath, ..facts }
    }
}
