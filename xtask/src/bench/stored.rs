//! From a kill to the incident in the store.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::agent::Agent;
use super::extent::Extent;
use super::probe;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

const METHOD: &str = "200 sleeping processes (50 in an emulated machine) are watched by an agent with a store, and killed one after the \
    other. The time runs from before the kill(2) until another process, which looks into the store every quarter of a millisecond, \
    finds the incident: a transaction is seen once it is on the disk.";

/// Runs the benchmark.
pub(super) fn run(extent: Extent) -> Result<Section> {
    let victims = (0..extent.pick(200, 50)).map(|_| Victim::sleeping()).collect::<Result<Vec<_>>>()?;
    let place = Place::make()?;
    let pids = victims.iter().flat_map(|victim| ["--pid".to_owned(), number(victim.pid())]);
    let mut agent = Agent::watch_into(&place.store(), pids)?;
    agent.settle();
    let mut reader = Reader::start(&place)?;
    let mut stored = Vec::new();
    for mut victim in victims {
        let killed = now_ns();
        kill_process(victim.pid(), Signal::KILL).context("cannot kill a victim")?;
        agent.incident_of(victim.pid())?;
        let at = reader.stored_at(victim.pid())?;
        stored.push((at - killed) / 1e6);
        victim.wait()?;
    }
    agent.stop()?;
    let stored = Measure::new("kill to stored incident", Unit::Milliseconds, &Samples::from_iter(stored));
    Ok(Section::new("stored", METHOD, vec![stored.within(Budget::Below(Statistic::P99, 100.0))]))
}

fn number(pid: Pid) -> String {
    pid.as_raw_nonzero().to_string()
}

/// `CLOCK_MONOTONIC`, which all processes have in common.
fn now_ns() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// A directory for the store, removed with the value.
struct Place(PathBuf);

impl Place {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("forensics-bench-store-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn store(&self) -> PathBuf {
        self.0.join("incidents.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that reads the store. It ends with the value.
struct Reader {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Reader {
    fn start(place: &Place) -> Result<Self> {
        let mut command = Command::new(probe::program());
        command.arg("stored").arg(place.store()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the reader of the store")?;
        let stdout = child.stdout.take().context("the reader has no standard output")?;
        Ok(Self { child, stdout: BufReader::new(stdout) })
    }

    /// When the incident of a process, which must be the next one, was there, nanoseconds.
    fn stored_at(&mut self, pid: Pid) -> Result<f64> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("cannot read what the reader says")?;
        let (whose, at) = line.trim().split_once(' ').with_context(|| format!("the reader said {line:?}"))?;
        ensure!(whose == number(pid), "the incident of {whose} was stored instead of {}", number(pid));
        at.parse().with_context(|| format!("{at:?} is no time"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It may be dead and reaped; std knows.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
