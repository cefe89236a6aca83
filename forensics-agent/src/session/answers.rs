//! Those who ask over the socket, and what the run of the agent tells them.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use forensics_incident::model::{Facts, Incident, ProcessKey};
use forensics_incident::verdict;

use super::{Session, config};
use crate::host::clock;
use crate::varlink::{Ask, Brief, Killer, Known, MAX_INCIDENTS, Server, Viewer};

/// How long a question waits for a record that another processor may be about to finish, nanoseconds.
const PATIENCE_NS: u64 = 3_000_000;
/// A signal that came longer ago is not the one that is asked about, nanoseconds.
const FRESH_NS: u64 = 1_000_000_000;
/// A signal that came longer ago is no answer at all: the one that is asked about may have been lost, nanoseconds.
const RECENT_NS: u64 = 60_000_000_000;

/// The socket, and what waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Answers {
    server: Option<Server>,
    /// What was asked, with the `CLOCK_BOOTTIME` by which it is answered, nanoseconds.
    waiting: Vec<(u64, Ask)>,
    /// The last incidents, oldest first.
    told: VecDeque<Brief>,
}

impl Answers {
    /// Begins to listen, when there is to be a socket. Without it, the agent does all else.
    pub(super) fn start(path: Option<&Path>) -> Self {
        let server = path.and_then(|path| {
            let started = Server::start(path);
            started.inspect_err(|why| log::warn!("nobody can ask who signals them: {why}")).ok()
        });
        Self { server, ..Self::default() }
    }

    /// Waits for a question.
    pub(super) async fn asked(&mut self) {
        match &mut self.server {
            Some(server) => {
                let ask = server.next().await;
                self.waiting.push((clock::boot_ns().saturating_add(PATIENCE_NS), ask));
            }
            None => std::future::pending().await,
        }
    }

    /// When the first of those who wait is answered at the latest, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.waiting.iter().map(|(deadline, _)| *deadline).min()
    }

    /// Keeps an incident for those who ask, in place of what was known of it before.
    pub(super) fn remember(&mut self, incident: &Incident) {
        if self.server.is_none() {
            return;
        }
        self.told.retain(|told| told.id() != incident.facts.id);
        if self.told.len() == MAX_INCIDENTS {
            self.told.pop_front();
        }
        self.told.push_back(Brief::of(incident));
    }
}

impl<W: Write> Session<W> {
    /// Answers those who have asked: at once when the ring was found empty and the signal that they ask about is there, else
    /// when their time is up.
    pub(super) fn answer(&mut self, drained: bool) {
        let now = clock::boot_ns();
        for (deadline, ask) in std::mem::take(&mut self.answers.waiting) {
            let due = deadline <= now;
            match ask {
                // Who has left meanwhile needs no answer.
                Ask::Incidents { limit, viewer, reply } if drained || due => {
                    let told = self.answers.told.iter().rev().filter_map(|brief| brief.told(viewer));
                    let _ = reply.send(told.take(limit).collect());
                }
                Ask::Killer { process, signal, viewer, reply } => {
                    let watched =
                        self.targets.get(&process.pid).is_some_and(|target| target.key().is(process));
                    let found = watched.then(|| self.signal_at(process, signal, now)).flatten();
                    let is_there = !watched || found.as_ref().is_some_and(|(age, _)| *age < FRESH_NS);
                    if due || (drained && is_there) {
                        let killer = found.and_then(|(age, facts)| self.killer(age, facts, viewer));
                        let show = self.settings.show_cmdline;
                        let markers = Arc::clone(&self.settings.markers);
                        let _ = reply.send(Known { watched, killer, show, markers });
                    } else {
                        let ask = Ask::Killer { process, signal, viewer, reply };
                        self.answers.waiting.push((deadline, ask));
                    }
                }
                ask @ Ask::Incidents { .. } => self.answers.waiting.push((deadline, ask)),
            }
        }
    }

    /// What a target would have died of, had the signal killed it, with the signal as the only one; and how long ago that was,
    /// nanoseconds.
    fn signal_at(&self, process: ProcessKey, signal: Option<u32>, now: u64) -> Option<(u64, Facts)> {
        let mut closed = self.assembler.supposing(now, process, signal)?;
        let found = closed.decisive.and_then(|index| closed.signals.get(index)).cloned()?;
        let age = now.saturating_sub(found.last_ns());
        closed.signals = vec![found];
        (age < RECENT_NS).then(|| (age, Facts::new(&self.host, String::new(), closed)))
    }

    fn killer(&self, age: u64, mut facts: Facts, viewer: Viewer) -> Option<Killer> {
        facts.requests = self.requests.seen_of(&facts);
        let verdict = verdict::judge(&facts, config::show(self.settings.show_cmdline));
        facts.signals.first().map(|signal| Killer::of(signal, &verdict, age as f64 / 1e9, viewer))
    }
}
