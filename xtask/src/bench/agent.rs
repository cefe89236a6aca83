//! The agent that is measured.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::workspace;

/// How long a line may take before the agent counts as hung.
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// `forensics-agent watch`; it is killed with the value.
#[derive(Debug)]
pub(super) struct Agent {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// From its start to its ready line.
    pub(super) started_in: Duration,
    /// Processes that it watches from the beginning.
    pub(super) targets: usize,
    /// Records that it said it lost.
    pub(super) lost: f64,
}

/// The agent as it is shipped.
pub(super) fn program() -> PathBuf {
    workspace::target().join("release/forensics-agent")
}

impl Agent {
    /// Starts it with these arguments, without a store, and waits until it is attached.
    pub(super) fn watch<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::watch_into(Path::new("none"), arguments)
    }

    /// The same with a store.
    pub(super) fn watch_into<S: AsRef<str>>(
        store: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let program = program();
        let mut command = Command::new(&program);
        command.args(["-o", "json", "watch", "--socket", "none", "--store"]).arg(store);
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let stdout = child.stdout.take().context("the agent has no standard output")?;
        let mut agent =
            Self { child, stdout: BufReader::new(stdout), started_in: Duration::ZERO, targets: 0, lost: 0.0 };
        let (ready, at) = agent.line()?;
        ensure!(is(&ready, "ready"), "the agent said {ready}, not ready");
        agent.started_in = at.duration_since(started);
        agent.targets = ready.get("targets").and_then(Value::as_array).map_or(0, Vec::len);
        Ok(agent)
    }

    /// Watches these processes.
    pub(super) fn watch_pids(pids: &[Pid]) -> Result<Self> {
        Self::watch(pids.iter().flat_map(|pid| ["--pid".to_owned(), pid.as_raw_nonzero().to_string()]))
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it finish what it does in the background after its start (the kernel's symbols, the processes that are there).
    pub(super) fn settle(&self) {
        std::thread::sleep(Duration::from_millis(500));
    }

    /// The next incident, which must be of this process, and when its line was there. Losses before it are counted.
    pub(super) fn incident_of(&mut self, pid: Pid) -> Result<(Value, Instant)> {
        loop {
            let (line, at) = self.line()?;
            if is(&line, "loss") {
                let records = line.get("records").and_then(Value::as_f64);
                self.lost += records.with_context(|| format!("a loss of something else: {line}"))?;
            }
            if is(&line, "incident") {
                let target = line.pointer("/target/pid").and_then(Value::as_i64);
                let expected = i64::from(pid.as_raw_nonzero().get());
                ensure!(target == Some(expected), "an incident of {target:?} instead of {expected}");
                return Ok((line, at));
            }
        }
    }

    fn line(&mut self) -> Result<(Value, Instant)> {
        if self.stdout.buffer().is_empty() {
            let mut fds = [PollFd::new(self.stdout.get_ref(), PollFlags::IN)];
            ensure!(poll(&mut fds, Some(&PATIENCE))? > 0, "the agent says nothing");
        }
        let mut line = Vec::new();
        let length = self.stdout.read_until(b'\n', &mut line).context("cannot read what the agent says")?;
        let at = Instant::now();
        if length == 0 {
            bail!("the agent ended with {}", self.child.wait()?);
        }
        let value = serde_json::from_slice(&line);
        Ok((value.with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&line)))?, at))
    }

    /// A line of its `status` that holds kilobytes, as `VmRSS`, in mebibytes.
    pub(super) fn memory(&self, field: &str) -> Result<f64> {
        memory_of(self.pid(), field)
    }

    /// How often its threads have gone to sleep of their own accord.
    pub(super) fn sleeps(&self) -> Result<u64> {
        let directory = format!("/proc/{}/task", self.pid());
        let mut sum = 0;
        for thread in fs::read_dir(&directory).with_context(|| format!("cannot list {directory}"))? {
            let path = thread?.path().join("status");
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let count = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            let count = count.and_then(|value| value.trim().parse::<u64>().ok());
            sum += count.with_context(|| format!("{} does not count switches", path.display()))?;
        }
        Ok(sum)
    }

    /// Stops it as an operator does.
    pub(super) fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::INT).context("cannot stop the agent")?;
        // It must not wait for us to read on.
        std::io::copy(&mut self.stdout, &mut std::io::sink()).context("cannot read what the agent says")?;
        let status = self.child.wait().context("cannot wait for the agent")?;
        ensure!(status.success(), "the agent ended with {status}");
        Ok(())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may be dead and reaped; std knows.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many signals of a number an incident accounts for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    /// Each with a record of its own.
    pub(super) recorded: f64,
    /// Identical to one of those, and only counted.
    pub(super) folded: f64,
}

/// Reads them from the incident's line.
pub(super) fn signals_in(incident: &Value, signal: Signal) -> Result<Counted> {
    let signals = incident.get("signals").and_then(Value::as_array).context("an incident without signals")?;
    let is_it = |one: &&Value| one.get("signal_num").and_then(Value::as_i64) == Some(signal.as_raw().into());
    let folded = |one: &Value| one.get("repeated").and_then(Value::as_u64).unwrap_or(0);
    let of_it = || signals.iter().filter(is_it);
    Ok(Counted { recorded: of_it().count() as f64, folded: of_it().map(folded).sum::<u64>() as f64 })
}

/// A line of a process's `status` that holds kilobytes, in mebibytes.
pub(super) fn memory_of(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kilobytes = line.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kilobytes.with_context(|| format!("{path} has no {field}"))? / 1024.0)
}

fn is(line: &Value, schema: &str) -> bool {
    line.get("schema").and_then(Value::as_str) == Some(&format!("forensics-agent/{schema}/1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_signals_are_counted() {
        let incident = serde_json::json!({"signals": [
            {"signal_num": 15, "repeated": 4}, {"signal_num": 9}, {"signal_num": 15},
        ]});
        let counted = |signal| signals_in(&incident, signal).ok();
        assert_eq!(counted(Signal::TERM), Some(Counted { recorded: 2.0, folded: 4.0 }));
        assert_eq!(counted(Signal::KILL), Some(Counted { recorded: 1.0, folded: 0.0 }));
        assert!(signals_in(&serde_json::json!({}), Signal::TERM).is_err());
    }
}
