//! `on_incident`: a command for each incident, with the incident as JSON on its standard input.
//!
//! Nothing that the command does holds up the agent: it runs beside the event loop, for a limited time, a limited number of
//! times an hour.

use std::collections::VecDeque;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use forensics_incident::model::{Cause, Incident, Intent, Process};
use forensics_incident::text::shell_quote;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::bucket::Bucket;

/// Commands that may run at once.
const MAX_RUNNING: usize = 8;
/// Incidents that are remembered, so that what is learnt of one later does not run the command again.
const REMEMBERED: usize = 1024;
/// What the commands find in PATH.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run, for which incidents, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnIncident {
    /// The program, by an absolute path, and its arguments. Not empty.
    pub command: Vec<String>,
    /// For these causes; for all when there is none.
    pub causes: Vec<Cause>,
    /// For these intents; for all when there is none.
    pub intents: Vec<Intent>,
    /// How many times at once, 1 or more.
    pub burst: u32,
    /// How many times an hour in the long run, 1 or more.
    pub per_hour: u32,
    /// How long each may take.
    pub timeout: Duration,
}

/// Runs the command.
#[derive(Debug)]
pub(crate) struct Runner {
    config: OnIncident,
    bucket: Bucket,
    running: JoinSet<()>,
    seen: VecDeque<String>,
    /// Incidents for which it was not run since it was last run.
    skipped: u64,
}

impl Runner {
    /// Runs nothing yet.
    pub(crate) fn new(config: OnIncident) -> Self {
        let bucket = Bucket::new(config.burst, config.per_hour, Instant::now());
        Self { config, bucket, running: JoinSet::new(), seen: VecDeque::new(), skipped: 0 }
    }

    /// Changes what is run from now on. What is running goes on, and the count of times is not begun anew.
    pub(crate) fn configure(&mut self, config: OnIncident) {
        if (config.burst, config.per_hour) != (self.config.burst, self.config.per_hour) {
            self.bucket = Bucket::new(config.burst, config.per_hour, Instant::now());
        }
        self.config = config;
    }

    /// Runs the command when this incident is one of those, and it was not run too often. To be called within the event
    /// loop.
    pub(crate) fn incident(&mut self, incident: &Incident) {
        if !self.is_meant(incident) || self.seen.contains(&incident.facts.id) {
            return;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(incident.facts.id.clone());
        // Finished ones make room.
        while self.running.try_join_next().is_some() {}
        let name = self.name();
        if self.running.len() >= MAX_RUNNING || !self.bucket.take(Instant::now()) {
            if self.skipped == 0 {
                log::warn!("on_incident: {name} was run too often and is not run for now");
            }
            self.skipped += 1;
            return;
        }
        let mut input = match serde_json::to_vec(incident) {
            Ok(json) => json,
            Err(error) => return log::warn!("on_incident: an incident has no JSON: {error}"),
        };
        input.push(b'\n');
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            log::warn!("on_incident: {name} was not run for {skipped} incidents");
        }
        match self.start(skipped) {
            Ok(child) => {
                self.running.spawn(attend(child, input, self.config.timeout, name));
            }
            Err(error) => log::warn!("on_incident: {name} cannot be run: {error}"),
        }
    }

    fn is_meant(&self, incident: &Incident) -> bool {
        let OnIncident { causes, intents, .. } = &self.config;
        let verdict = &incident.verdict;
        // The end of a command would run the next one.
        let is_own = |process: &Process| process.pid == std::process::id();
        (causes.is_empty() || causes.contains(&verdict.cause))
            && (intents.is_empty() || intents.contains(&verdict.intent))
            && !incident.facts.target.ancestors.iter().any(is_own)
    }

    /// The program, for warnings.
    fn name(&self) -> String {
        self.config.command.first().map_or_else(String::new, |program| shell_quote(program))
    }

    fn start(&self, skipped: u64) -> io::Result<Child> {
        let (program, arguments) = self.config.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        Command::new(program)
            .args(arguments)
            // Not the sockets by which the service manager knows the agent.
            .env_clear()
            .env("PATH", PATH)
            .env("FORENSICS_SKIPPED", skipped.to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // So that it can be ended with what it started.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    /// Gives those that run a last chance, and ends the others.
    pub(crate) async fn finish(&mut self, patience: Duration) {
        let all_done = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all_done).await.is_err() {
            log::warn!("on_incident: {} is still running, and is ended", self.name());
            self.running.shutdown().await;
        }
    }
}

/// Feeds a command and waits for it; what goes wrong is one warning.
async fn attend(mut child: Child, input: Vec<u8>, timeout: Duration, name: String) {
    let stdin = child.stdin.take();
    let group = child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let feed = async move {
        if let Some(mut stdin) = stdin {
            // It need not read what it does not want to know.
            let _ = stdin.write_all(&input).await;
        }
        std::future::pending::<()>().await;
    };
    let ended = tokio::time::timeout(timeout, async {
        tokio::select! {
            status = child.wait() => status,
            () = feed => Err(io::ErrorKind::Other.into()),
        }
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => log::warn!("on_incident: {name} failed: {}", ended_how(status)),
        Ok(Err(error)) => log::warn!("on_incident: {name} was lost: {error}"),
        Err(_) => {
            log::warn!("on_incident: {name} took longer than {} s and was ended", timeout.as_secs_f64());
            if let Some(group) = group {
                // Its leader is not reaped yet, so that the number is still its own.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait().await;
        }
    }
}

/// `exit status: 3` of the library, shorter.
fn ended_how(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit status {code}"))
}

#[cfg(test)]
mod tests;
