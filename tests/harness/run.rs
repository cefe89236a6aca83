//! `forensics-agent run`, with its command's output, its verdict and its report.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::lines::Lines;
use crate::process::{put_down, wait};
use crate::{PATIENCE, Record, WorkDir, agent_program, needs_root};

/// A running `forensics-agent run`. It is killed with the value.
#[derive(Debug)]
pub struct Run {
    child: Child,
    stdout: Lines,
    directory: WorkDir,
}

/// What a finished `run` left.
#[derive(Debug)]
pub struct Ran {
    /// How the agent ended.
    pub status: ExitStatus,
    /// What it and its command printed on standard error: the verdict.
    pub stderr: String,
    /// The lines of its report.
    pub report: Vec<Record>,
}

impl Run {
    /// Starts `forensics-agent run --report FILE -- COMMAND`.
    ///
    /// # Errors
    /// When it cannot be started; [`crate::Skip`] when the test does not run as root.
    pub fn start(command: &[&str]) -> Result<Self> {
        Self::with(&[], command)
    }

    /// The same with further options of `run`.
    ///
    /// # Errors
    /// As [`Run::start`].
    pub fn with(options: &[&str], command: &[&str]) -> Result<Self> {
        needs_root()?;
        let directory = WorkDir::new()?;
        // A file: a pipe would stay open as long as whatever the command leaves behind.
        let stderr = std::fs::File::create(directory.join("stderr"))?;
        let mut agent = Command::new(agent_program()?);
        agent.args(["--show-cmdline", "full", "run", "--report"]).arg(directory.join("report"));
        agent.args(options).arg("--").args(command);
        agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = agent.spawn().with_context(|| format!("cannot start {agent:?}"))?;
        let stdout = child.stdout.take().context("the agent has no standard output")?;
        Ok(Self { child, stdout: Lines::new(stdout), directory })
    }

    /// The pid of the agent.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// As [`Run::start`] and [`Run::finish`].
    pub fn command(command: &[&str]) -> Result<Ran> {
        Self::start(command)?.finish()
    }

    /// The next line of the command's standard output.
    ///
    /// # Errors
    /// When none comes in time.
    pub fn line(&self) -> Result<String> {
        match self.stdout.next(Instant::now() + PATIENCE) {
            Ok(Some(line)) => Ok(line.trim_end().to_owned()),
            Ok(None) => bail!("the command closed its standard output; standard error: {:?}", self.stderr()),
            Err(why) => Err(why.context(format!("standard error: {:?}", self.stderr()))),
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When it does not come in time, or the report is not readable.
    pub fn finish(mut self) -> Result<Ran> {
        let status =
            wait(&mut self.child, PATIENCE).with_context(|| format!("stderr: {:?}", self.stderr()))?;
        let report = std::fs::read_to_string(self.directory.join("report")).with_context(|| {
            format!("no report; the agent ended with {status}, stderr: {:?}", self.stderr())
        })?;
        let report = report.lines().map(Record::parse).collect::<Result<_>>()?;
        Ok(Ran { status, stderr: self.stderr(), report })
    }

    fn stderr(&self) -> String {
        let bytes = std::fs::read(self.directory.join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Ran {
    /// The one incident of the report.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn incident(&self) -> Result<&Record> {
        match self.report.as_slice() {
            [incident] if incident.is("incident") => Ok(incident),
            other => bail!("the report has {} lines: {other:?}; stderr: {:?}", other.len(), self.stderr),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        put_down(&mut self.child);
    }
}
