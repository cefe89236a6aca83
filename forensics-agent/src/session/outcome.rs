//! What the assembly asks for and gives: contexts, markers, incidents that closed.

use std::io::{self, Write};

use forensics_incident::{
    assembly::{Closed, Input, Output},
    model::{Facts, Incident, OutcomeKind, Process, ProcessKey},
    verdict,
};

use super::{
    Progress, Session, config, containers, context, drains,
    markers::{News, Seen},
    members::{self, Standing},
};
use crate::host::{clock, container, snapshot::Snapshot};
use crate::store::State;

impl<W: Write> Session<W> {
    pub(super) fn push(&mut self, input: Input, progress: &mut Progress) -> io::Result<()> {
        let outputs = self.assembler.push(clock::boot_ns(), input);
        self.handle(outputs, progress)
    }

    pub(super) fn handle(&mut self, outputs: Vec<Output>, progress: &mut Progress) -> io::Result<()> {
        // Close to the moment that the assembly was told, whatever it takes to tell of each.
        let closed_ns = if outputs.is_empty() { 0 } else { clock::boot_ns() };
        for output in outputs {
            match output {
                Output::TerminationRequested { target, signal, boot_ns } => {
                    let stored = self.persist.take_open(target, boot_ns);
                    if let Some(stored) = &stored {
                        self.storage.reopen(target, stored.id.clone());
                    }
                    self.grow(target, true);
                    self.take_context(target, signal, stored, progress)?;
                    self.evidence.requested(target.pid);
                }
                Output::Closed(closed) => {
                    let standing = self.standing_of(&closed.target);
                    let concerns = members::concerns(&closed, standing, &self.members.places);
                    if !concerns && !self.may_have_led(&closed, standing) {
                        continue;
                    }
                    let decisive = closed.decisive;
                    let survived = closed.outcome.kind == OutcomeKind::Survived;
                    let Some(id) = self.closing(closed.target.key(), survived, closed_ns) else { continue };
                    let mut facts = Facts::new(&self.host, id, *closed);
                    let is_meant = self.is_meant(&facts, standing, concerns);
                    if is_meant == Some(false) {
                        self.told(&facts.id, true);
                        continue;
                    }
                    self.evidence.complete(&mut facts, decisive);
                    if self.persist.is_recovering() {
                        // What is read now says nothing of then.
                        facts.pressure = None;
                    } else {
                        // Before requests are matched with it.
                        containers::rename(&mut facts.target, container::name);
                    }
                    self.kills.complete(&mut facts, decisive);
                    self.add_requests(&mut facts);
                    self.managers.ask(&mut facts);
                    if self.is_awaited(&facts) {
                        let incident = self.judged(facts);
                        if is_meant.is_some() {
                            // Its manager may be taking down the agent as well.
                            self.storage.put(&incident, State::Closed);
                        }
                        self.untimed.push(incident.facts);
                    } else {
                        self.report(facts, progress)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What a target is to its unit; none when it is no member. The main process is no worker, whoever forked it.
    fn standing_of(&self, target: &Process) -> Option<Standing> {
        let standing = self.members.get(target.key())?;
        if self.managers.is_main(target) { Some(Standing::Top) } else { Some(standing) }
    }

    /// True for the end of a daemon which would be told if its manager said that it was the main process, and it may say so yet.
    fn may_have_led(&self, closed: &Closed, standing: Option<Standing>) -> bool {
        standing == Some(Standing::Daemon)
            && self.managers.is_undecided(&closed.target)
            && members::concerns(closed, Some(Standing::Top), &self.members.places)
    }

    /// Whether the end of a member is to be told; none while that is not known. Where the manager does not say which process is
    /// the main one, whom a member made is not taken for it.
    fn is_meant(&mut self, facts: &Facts, standing: Option<Standing>, concerns: bool) -> Option<bool> {
        match standing.filter(|_| self.settings.selectors.main_only || !concerns) {
            Some(standing) => self.managers.is_meant(facts, standing == Standing::Top),
            None => Some(true),
        }
    }

    /// The incident of a target has grown, which is stored if it is to be told.
    pub(super) fn grow(&mut self, key: ProcessKey, opens: bool) {
        let is_worker = self.settings.selectors.main_only && self.members.get(key) == Some(Standing::Worker);
        if !is_worker || self.targets.get(&key.pid).is_some_and(|target| self.managers.is_main(target)) {
            self.storage.grow(key, opens);
        }
    }

    /// True while a manager has something to say about an incident before it can be told.
    fn is_awaited(&self, facts: &Facts) -> bool {
        self.timings.is_pending(&facts.target) || self.managers.is_pending(facts)
    }

    /// Reports what waited for the manager of its unit, which has answered.
    pub(super) fn report_timed(&mut self, progress: &mut Progress) -> io::Result<()> {
        let (waiting, timed) =
            std::mem::take(&mut self.untimed).into_iter().partition(|facts: &Facts| self.is_awaited(facts));
        self.untimed = waiting;
        let timed: Vec<Facts> = timed;
        timed.into_iter().try_for_each(|mut facts| {
            if !self.managers.was_meant(&facts) {
                self.told(&facts.id, true);
                return Ok(());
            }
            self.add_requests(&mut facts);
            self.report(facts, progress)
        })
    }

    fn add_requests(&mut self, facts: &mut Facts) {
        let dropped = self.ring.requests_beyond_rate();
        let skips = || self.kernel.may_miss_requests();
        self.requests.complete(facts, dropped, skips, &mut self.enricher.processes);
    }

    /// Judges what happened, and reports it.
    pub(super) fn report(&mut self, facts: Facts, progress: &mut Progress) -> io::Result<()> {
        let history = self.storage.history(&facts);
        let timing = self.timings.of(&facts.target);
        let observed_drain = drains::observed(self.settings.store.as_deref(), &facts);
        let mut facts = Facts { timing, observed_drain, history, ..facts };
        self.managers.complete(&mut facts);
        let incident = self.judged(facts);
        self.reporter.incident(&incident)?;
        self.storage.put(&incident, State::Closed);
        self.told(&incident.facts.id, false);
        self.answers.remember(&incident);
        self.managers.follow(&incident.facts);
        progress.closed.push(incident);
        Ok(())
    }

    /// Stores what is known by now of the incidents that are open and have grown.
    pub(super) fn store_what_grew(&mut self) {
        let now = clock::boot_ns();
        for (key, id) in self.storage.take_grown() {
            let Some(closed) = self.assembler.preview(now, key) else { continue };
            if members::is_of_start(&closed) {
                continue;
            }
            let incident = self.judged(Facts::new(&self.host, id, closed));
            self.storage.put(&incident, State::Open);
        }
    }

    /// Reports anew what managers have made something of meanwhile.
    pub(super) fn report_settled(&mut self) -> io::Result<()> {
        for (mut facts, residual) in self.managers.take_settled() {
            if let Some(result) = &mut facts.unit_result {
                let left = residual.into_iter().filter_map(|pid| self.enricher.processes.read(pid).ok());
                result.residual = left.map(|process| Process { ancestors: Vec::new(), ..process }).collect();
            }
            facts.update = Some(facts.update.unwrap_or(0).saturating_add(1));
            let incident = self.judged(facts);
            self.reporter.incident(&incident)?;
            self.storage.put(&incident, State::Closed);
            self.answers.remember(&incident);
        }
        Ok(())
    }

    pub(super) fn judged(&self, facts: Facts) -> Incident {
        let verdict = verdict::judge(&facts, config::show(self.settings.show_cmdline));
        Incident { facts, verdict }
    }

    /// Takes the shutdown context of a target that is asked to end, and looks for markers; unless an earlier agent did so at the
    /// time, and stored it.
    pub(super) fn take_context(
        &mut self,
        key: ProcessKey,
        signal: u32,
        stored: Option<Facts>,
        progress: &mut Progress,
    ) -> io::Result<()> {
        if let Some(Facts { context: Some(context), markers, .. }) = stored {
            let input = Input::Context { target: key, context: Box::new(context), missing: Vec::new() };
            self.push(input, progress)?;
            for marker in markers {
                self.push(Input::Marker { target: key, marker }, progress)?;
            }
            return Ok(());
        }
        let Some(target) = self.targets.get(&key.pid) else { return Ok(()) };
        let Snapshot { context, markers, mut missing } = context::take(
            target,
            self.markers.environ(key.pid),
            signal,
            self.settings.show_cmdline,
            self.markers.specs(),
        );
        missing.retain(|note| !self.markers.are_seen(note, &context));
        self.push(Input::Context { target: key, context: Box::new(context), missing }, progress)?;
        for marker in markers {
            self.push(Input::Marker { target: key, marker }, progress)?;
        }
        Ok(())
    }

    /// Passes on the markers that were seen, each with who wrote it.
    pub(super) fn handle_news(&mut self, news: News, progress: &mut Progress) -> io::Result<()> {
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
}
