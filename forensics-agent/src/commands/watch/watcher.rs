//! The agent at work: the event loop, with what a service manager and whoever is on call want of it.

use std::io;
use std::time::Duration;

use forensics_incident::model::Incident;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::cli::Globals;
use crate::host::hierarchy;
use crate::kernel::watch_map::WatchError;
use crate::report::JournalReporter;
use crate::report::live::Screen;
use crate::service::{Manager, Runner};
use crate::session::Session;

use super::live::{Live, MAX_ROWS};
use super::plan::Plan;
use super::{Args, Failure};
use crate::commands;

/// How long the commands for the last incidents may take when the agent ends.
const LAST_CHANCE: Duration = Duration::from_secs(10);

/// How long the managers' words may be waited for when the agent ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What is said where units and cgroups of the host cannot be found.
const OWN_CGROUPS: &str =
    "; this container sees only its own cgroups (docker run --cgroupns=host shows the host's)";

/// A running agent.
pub(super) struct Watcher<'a> {
    globals: &'a Globals,
    args: &'a Args,
    session: Session<Screen>,
    live: Option<Live>,
    signals: Signals,
    manager: Manager,
    runner: Option<Runner>,
    incidents: u64,
    /// The verdict on the last one.
    last: Option<String>,
}

impl<'a> Watcher<'a> {
    /// Attaches everything, resolves every selector, and says so. To be called within the event loop.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) fn start(globals: &'a Globals, args: &'a Args, plan: Plan) -> Result<Self, Failure> {
        let pids = plan.pids()?;
        let selectors = &plan.settings.selectors;
        let (waits, all) = (selectors.by_name(), selectors.all);
        // Caught before anything is attached, so that a stop during the start is a clean one.
        let signals = Signals::catch(args.config.is_some()).map_err(|error| cannot_wait(&error))?;
        let manager = Manager::of_environment();
        let screen = Screen::default();
        let colour = globals.color.wanted(&io::stdout());
        let mut reporter = commands::reporter_in(globals, screen.clone(), colour);
        reporter.set_journal(journal(plan.journald));
        let mut session =
            Session::start(plan.settings, reporter).map_err(|error| Failure::kernel(error.to_string()))?;
        session.watch_itself();
        for pid in pids {
            match session.watch(pid) {
                // Its end is on record.
                Err(WatchError::NoProcess(_)) if session.knew(pid) => {}
                watched => watched.map_err(|error| Failure::usage(error.to_string()))?,
            }
        }
        session.watch_present();
        session.watch_members();
        let scope = if hierarchy::are_paths_global() { "" } else { OWN_CGROUPS };
        for selector in session.waiting() {
            log::warn!("{selector}: nothing runs there yet; waiting for it{scope}");
        }
        if waits && session.target_count() == 0 && !all {
            log::warn!("no process matches yet; waiting for one to start");
        }
        session.announce().map_err(|error| Failure::output(&error))?;
        session.remember_everyone();
        let recovered = session.recover().map_err(|error| Failure::output(&error))?;
        session.look_back();
        let runner = plan.on_incident.map(Runner::new);
        let live = Live::of(globals, &screen);
        let mut watcher =
            Self { globals, args, session, live, signals, manager, runner, incidents: 0, last: None };
        watcher.take_note(&recovered.closed);
        Ok(watcher)
    }

    /// Runs to the end and yields the exit status.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        self.manager.ready(&self.status());
        loop {
            if self.live.as_ref().is_some_and(Live::is_gone) {
                self.draw();
            }
            let live = async {
                match &mut self.live {
                    Some(live) => live.tick().await,
                    None => std::future::pending().await,
                }
            };
            let progress = tokio::select! {
                progress = self.session.step() => progress.map_err(|error| Failure::output(&error))?,
                () = self.manager.keep_alive() => {
                    self.session.beat();
                    continue;
                }
                () = live => {
                    self.draw();
                    continue;
                }
                asked = self.signals.next() => match asked {
                    Asked::ToReload => {
                        self.reload()?;
                        continue;
                    }
                    Asked::ToEnd => break,
                }
            };
            self.take_note(&progress.closed);
            if self.args.once && !progress.closed.is_empty() {
                break;
            }
        }
        self.manager.stopping();
        if let Some(live) = &self.live {
            live.clear();
        }
        if !self.args.once {
            self.tell_the_rest().await?;
        }
        if let Some(runner) = &mut self.runner {
            runner.finish(LAST_CHANCE).await;
        }
        Ok(0)
    }

    fn draw(&self) {
        if let Some(live) = &self.live {
            live.draw(&self.counts(), &self.session.overview(MAX_ROWS));
        }
    }

    /// What the kernel recorded before the stop is still told, with what the managers say of it: a host that shuts down stops
    /// the agent a moment after its targets. Whoever ends it twice does not want to wait for them.
    async fn tell_the_rest(&mut self) -> Result<(), Failure> {
        loop {
            let progress = self.session.drain().map_err(|error| Failure::output(&error))?;
            self.take_note(&progress.closed);
            if !progress.more {
                break;
            }
        }
        let deadline = Instant::now() + LAST_WORDS;
        while self.session.is_waiting() {
            let progress = tokio::select! {
                progress = self.session.step() => progress.map_err(|error| Failure::output(&error))?,
                asked = self.signals.next() => match asked {
                    Asked::ToEnd => break,
                    Asked::ToReload => continue,
                },
                () = sleep_until(deadline) => break,
            };
            self.take_note(&progress.closed);
        }
        let progress = self.session.finish().map_err(|error| Failure::output(&error))?;
        self.take_note(&progress.closed);
        Ok(())
    }

    /// Incidents that were reported.
    fn take_note(&mut self, closed: &[Incident]) {
        for incident in closed {
            self.incidents += 1;
            self.last = Some(incident.verdict.summary.clone());
            if let Some(runner) = &mut self.runner {
                runner.incident(incident);
            }
        }
        if !closed.is_empty() {
            self.manager.status(&self.status());
        }
    }

    /// What `systemctl status` shows.
    fn status(&self) -> String {
        let last = self.last.as_ref().map_or_else(String::new, |last| format!("; the last one: {last}"));
        format!("{}{last}", self.counts())
    }

    /// How many targets there are, and how many incidents there were.
    fn counts(&self) -> String {
        let count =
            |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let targets = self.session.target_count() as u64;
        let targets = if targets == 1 { "1 process".to_owned() } else { format!("{targets} processes") };
        format!("watching {targets}; {} so far", count(self.incidents, "incident"))
    }

    /// Reads the configuration again. When it is wrong, the old one stays in force, and that is said.
    fn reload(&mut self) -> Result<(), Failure> {
        self.manager.reloading();
        let plan = Plan::read(self.globals, self.args).and_then(|plan| plan.pids().map(|pids| (plan, pids)));
        match plan {
            Ok((plan, pids)) => {
                let Plan { settings, journald, on_incident, .. } = plan;
                let progress = self.session.reconfigure(settings, &pids, journal(journald));
                let progress = progress.map_err(|error| Failure::output(&error))?;
                match (&mut self.runner, on_incident) {
                    (Some(runner), Some(on_incident)) => runner.configure(on_incident),
                    (runner, on_incident) => *runner = on_incident.map(Runner::new),
                }
                self.take_note(&progress.closed);
                self.session.announce().map_err(|error| Failure::output(&error))?;
            }
            Err(failure) => log::warn!("the configuration stays as it was: {}", failure.message),
        }
        self.manager.ready(&self.status());
        Ok(())
    }
}

/// What signals at the agent ask for.
enum Asked {
    ToEnd,
    ToReload,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where there is nothing to read again: then it ends the agent, as it does any program without a terminal.
    hangup: Option<Signal>,
}

impl Signals {
    fn catch(reload: bool) -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: reload.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::ToEnd,
            _ = self.terminate.recv() => Asked::ToEnd,
            _ = hangup => Asked::ToReload,
        }
    }
}

/// The journal, which the agent does without when it has no socket.
fn journal(wanted: bool) -> Option<JournalReporter> {
    let opened = wanted.then(|| JournalReporter::new(io::stdout())).transpose();
    opened.unwrap_or_else(|error| {
        log::warn!("no incident goes to the journal: {error}");
        None
    })
}

fn cannot_wait(error: &io::Error) -> Failure {
    Failure::kernel(format!("cannot catch SIGINT and SIGTERM: {error}"))
}
