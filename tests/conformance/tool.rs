//! The tool under test, by the protocol.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use crate::WorkDir;
use crate::lines::Lines;
use crate::process::{put_down, signal};

/// How long a tool may take to end after SIGINT before it is killed.
const FAREWELL: Duration = Duration::from_secs(10);

/// A running tool.
#[derive(Debug)]
pub struct Tool {
    child: Child,
    lines: Lines,
    incidents: Vec<Value>,
    patience: Duration,
    directory: WorkDir,
}

impl Tool {
    /// Starts `COMMAND --pid N` by a shell, and waits for its line of schema `ready`.
    ///
    /// # Errors
    /// When it does not get ready in time.
    pub fn start(command: &str, pid: u32, patience: Duration) -> Result<Self> {
        let directory = WorkDir::new()?;
        let stderr = std::fs::File::create(directory.join("stderr"))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {command} --pid {pid}")]);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = shell.spawn().context("cannot start a shell")?;
        let stdout = child.stdout.take().context("the tool has no standard output")?;
        let mut tool = Self { child, lines: Lines::new(stdout), incidents: Vec::new(), patience, directory };
        match tool.next("ready") {
            Ok(_) => Ok(tool),
            Err(why) => Err(tool.fault(&why, "the tool did not get ready")),
        }
    }

    /// Waits for the first incident of a process. A tool that has none to tell is not at fault here.
    pub fn wait_for_incident(&mut self, pid: u32) {
        while !self.incidents.iter().any(|incident| is_of(incident, pid)) {
            let Ok(incident) = self.next("incident") else { break };
            self.incidents.push(incident);
        }
    }

    /// Ends the tool with SIGINT, and yields its last word on a process: a later incident replaces an earlier one.
    pub fn last_word(mut self, pid: u32) -> Option<Value> {
        self.patience = FAREWELL;
        if signal(&self.child, Signal::INT).is_ok() {
            while let Ok(incident) = self.next("incident") {
                self.incidents.push(incident);
            }
        }
        self.incidents.drain(..).rfind(|incident| is_of(incident, pid))
    }

    /// What it has written to its standard error.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.join("stderr")).unwrap_or_default()
    }

    fn next(&mut self, schema: &str) -> Result<Value> {
        let deadline = Instant::now() + self.patience;
        loop {
            let Some(line) = self.lines.next(deadline)? else { bail!("it closed its standard output") };
            let value: Value = serde_json::from_str(&line).with_context(|| format!("not JSON: {line:?}"))?;
            if kind(&value) == Some(schema) {
                return Ok(value);
            }
        }
    }

    fn fault(&self, why: &anyhow::Error, what: &str) -> anyhow::Error {
        anyhow::anyhow!("{what}: {why:#}; its standard error: {:?}", self.stderr())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        put_down(&mut self.child);
    }
}

/// `incident` of the schema `some-tool/incident/1`.
fn kind(line: &Value) -> Option<&str> {
    line.get("schema")?.as_str()?.rsplit('/').nth(1)
}

fn is_of(incident: &Value, pid: u32) -> bool {
    incident.pointer("/target/pid").is_some_and(|target| target == pid)
}
