//! `forensics-agent watch`, as a script runs it.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::lines::Lines;
use crate::process::{put_down, signal, wait};
use crate::{PATIENCE, Record, WorkDir, agent_program, needs_root};

/// A running agent. It is killed with the value; [`Agent::stop`] ends it as an operator does.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    lines: Lines,
    /// Lines that came before the one that was asked for.
    kept: VecDeque<Record>,
    ready: Record,
    directory: WorkDir,
}

impl Agent {
    /// Starts `forensics-agent watch` with these arguments and waits until it is attached. Command lines are shown
    /// whole: what is tested here is what the kernel saw.
    ///
    /// # Errors
    /// When it does not get ready; [`crate::Skip`] when the test does not run as root.
    pub fn watch(arguments: &[&str]) -> Result<Self> {
        needs_root()?;
        Self::start(Command::new(agent_program()?), arguments)
    }

    /// Starts an agent that is run in some particular way, as beside a [`crate::Machine`].
    ///
    /// # Errors
    /// As [`Agent::watch`].
    pub fn start(mut command: Command, arguments: &[&str]) -> Result<Self> {
        let directory = WorkDir::new()?;
        let stderr = std::fs::File::create(directory.join("stderr"))?;
        command.args(["-o", "json", "--show-cmdline", "full", "watch"]).args(arguments);
        if !arguments.contains(&"--store") {
            command.arg("--store").arg(directory.join("incidents.db"));
        }
        // There is one place for it on a host, and tests run side by side.
        if !arguments.contains(&"--socket") {
            command.args(["--socket", "none"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("the agent has no standard output")?;
        let ready = Record::parse("{}")?;
        let mut agent = Self { child, lines: Lines::new(stdout), kept: VecDeque::new(), ready, directory };
        agent.ready = agent.next("ready", PATIENCE)?;
        Ok(agent)
    }

    /// Watches one process.
    ///
    /// # Errors
    /// As [`Agent::watch`].
    pub fn watch_pid(pid: u32) -> Result<Self> {
        Self::watch(&["--pid", &pid.to_string()])
    }

    /// The first line, of schema `ready`.
    pub fn ready(&self) -> &Record {
        &self.ready
    }

    /// The pid of the agent.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard error so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.join("stderr")).unwrap_or_default()
    }

    /// The incident of a target; other lines are kept.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn incident_of(&mut self, pid: u32) -> Result<Record> {
        let wanted = move |record: &Record| record.is("incident") && record.at("target.pid") == pid;
        self.find(wanted, PATIENCE).map_err(|why| self.fault(why.context(format!("no incident of {pid}"))))
    }

    /// The incident of a target, with the word of its manager: that of one which is too busy comes in an update.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn explained_incident_of(&mut self, pid: u32) -> Result<Record> {
        let first = self.incident_of(pid)?;
        // What a manager makes of the end afterwards may never be told.
        let is_word =
            |missing: &Value| missing["field"] == "manager" || missing["field"] == "manager.messages";
        let is_owed = first.list("missing")?.iter().any(is_word);
        if !is_owed {
            return Ok(first);
        }
        let id = first.text("id")?;
        let is_update = |record: &Record| record.is("incident") && record.at("id") == id;
        Ok(self.find(is_update, PATIENCE).unwrap_or(first))
    }

    /// The incident that is wanted; other lines are kept.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn find_incident(&mut self, wanted: impl Fn(&Record) -> bool) -> Result<Record> {
        self.find(|record| record.is("incident") && wanted(record), PATIENCE)
            .map_err(|why| self.fault(why.context("no such incident")))
    }

    /// The next line of a schema, as `signal`; other lines are kept.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn next(&mut self, schema: &str, patience: Duration) -> Result<Record> {
        let name = schema.to_owned();
        self.find(move |record| record.is(&name), patience)
            .map_err(|why| self.fault(why.context(format!("no line of schema {schema}"))))
    }

    fn find(&mut self, wanted: impl Fn(&Record) -> bool, patience: Duration) -> Result<Record> {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at).context("a kept line is gone");
        }
        let deadline = Instant::now() + patience;
        loop {
            let line = self.lines.next(deadline)?.context("the agent closed its standard output")?;
            let record = Record::parse(&line)?;
            if wanted(&record) {
                return Ok(record);
            }
            self.kept.push_back(record);
        }
    }

    /// Stops the agent with SIGINT, which must end it with status 0, and returns the lines that were not asked for.
    ///
    /// # Errors
    /// When it ends otherwise or not at all.
    pub fn stop(mut self) -> Result<Vec<Record>> {
        signal(&self.child, Signal::INT)?;
        self.rest()
    }

    /// Waits for the agent to end of itself with status 0, and returns the lines that were not asked for.
    ///
    /// # Errors
    /// When it ends otherwise or not at all.
    pub fn ended(mut self) -> Result<Vec<Record>> {
        self.rest()
    }

    fn rest(&mut self) -> Result<Vec<Record>> {
        let deadline = Instant::now() + PATIENCE;
        while let Some(line) = self.lines.next(deadline).map_err(|why| self.fault(why))? {
            self.kept.push_back(Record::parse(&line)?);
        }
        let status = wait(&mut self.child, PATIENCE).map_err(|why| self.fault(why))?;
        ensure!(status.code() == Some(0), self.fault(anyhow::anyhow!("the agent ended with {status}")));
        Ok(self.kept.drain(..).collect())
    }

    /// The error with all that the agent said.
    fn fault(&mut self, error: Error) -> Error {
        let stderr = self.stderr();
        let ended = match self.child.try_wait() {
            Ok(Some(status)) => format!("; the agent ended with {status}"),
            _ => String::new(),
        };
        let kept: Vec<String> = self.kept.iter().map(ToString::to_string).collect();
        error.context(format!("other lines: [{}]; its standard error: {stderr:?}{ended}", kept.join(", ")))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        put_down(&mut self.child);
    }
}
