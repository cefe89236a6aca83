//! Another configuration while the run goes on.

use std::{
    io::{self, Write},
    sync::Arc,
};

use forensics_incident::model::{Process, ProcessKey};

use super::{Progress, Session, Settings, config, timings::Timings};
use crate::{
    host::{clock, proc},
    report::JournalReporter,
};

impl<W: Write> Session<W> {
    /// Changes what is watched and how, from now on. `pids` are the processes that are named by number, `journal` is where
    /// incidents go as well. Nothing is detached: targets that are still wanted are watched all the time, and those that
    /// were asked to end are watched until it is known what became of them.
    ///
    /// The hook and the log level of the kernel programs stay as they are.
    ///
    /// # Errors
    ///
    /// The report could not be written.
    pub fn reconfigure(
        &mut self,
        settings: Settings,
        pids: &[u32],
        journal: Option<JournalReporter>,
    ) -> io::Result<Progress> {
        // What is on record by now happened under the old one.
        let mut progress = Progress::default();
        loop {
            let Progress { closed, more } = self.drain()?;
            progress.closed.extend(closed);
            if !more {
                break;
            }
        }
        self.reporter.set_journal(journal);
        self.watched.set_follow(settings.selectors.follow_children);
        self.enricher.processes.set_redaction(config::redaction(settings.show_cmdline));
        self.assembler.configure(config::assembly(&settings, clock::unix_minus_boot_s()));
        let (drain, markers) = (settings.drain, Arc::clone(&settings.markers));
        let (units, cgroups) = (settings.selectors.units.clone(), settings.selectors.cgroups.clone());
        self.members.select(units, cgroups);
        let hierarchies = self.members.places.hierarchies();
        if let Err(error) = self.kernel.reconfigure(config::kernel(&settings, hierarchies)) {
            log::warn!("the kernel programs keep their configuration: {error}");
        }
        self.settings = settings;
        self.timings = Timings::new(drain);
        self.markers.look_for(markers);

        self.named.clear();
        for &pid in pids {
            match self.targets.get(&pid) {
                Some(target) => self.named.push(target.key()),
                // One that ends just now was not watched before.
                None => drop(self.watch(pid)),
            }
        }
        self.watch_present();
        self.watch_members();
        self.let_go(&mut progress)?;
        Ok(progress)
    }

    /// Confirms the targets that are wanted, and watches the others no more.
    pub(super) fn let_go(&mut self, progress: &mut Progress) -> io::Result<()> {
        let targets: Vec<Process> = self.targets.values().cloned().collect();
        for target in targets {
            if target.pid == std::process::id() {
                continue;
            }
            if self.is_wanted(&target) || self.assembler.is_open(target.key()) {
                // Its children may be followed from now on, or not any more. When it has just ended, its record comes.
                let _ = match self.members.get(target.key()) {
                    Some(_) => self.watched.insert_member(target.key(), 0),
                    None => self.watched.insert(target.key()),
                };
                self.timings.ask(&target);
                let noted = self.markers.invocation_id(target.pid);
                let news = self.markers.add(&target, noted);
                self.handle_news(news, progress)?;
            } else {
                self.unwatch(target.key(), progress)?;
            }
        }
        Ok(())
    }

    /// True when a selector names a target, or it descends from one that a selector names and children are followed.
    pub(super) fn is_wanted(&self, target: &Process) -> bool {
        let selectors = &self.settings.selectors;
        if selectors.all || self.is_named(target.key()) || self.members.get(target.key()).is_some() {
            return true;
        }
        // As it is now: what is kept of its command line is redacted.
        let is_selected = match proc::read_process_alone(target.pid) {
            Ok(now) => selectors.matches(&now.name, now.exe.as_deref(), now.args()),
            // It has ended, and its record is on its way.
            Err(_) => true,
        };
        let is_root = |process: &Process| {
            self.is_named(process.key())
                || selectors.matches(&process.name, process.exe.as_deref(), process.args())
        };
        is_selected || (selectors.follow_children && target.ancestors.iter().any(is_root))
    }

    fn is_named(&self, key: ProcessKey) -> bool {
        self.named.iter().any(|named| named.is(key))
    }
}
