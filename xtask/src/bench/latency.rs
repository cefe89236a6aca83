//! From a kill to the incident on standard output.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::agent::Agent;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

const KILLS: usize = 200;

const METHOD: &str = "200 sleeping processes are watched and 200 are not; of each kind one is killed in turn. The time runs \
    from before the kill(2) until the line with the incident is read, or until the parent has reaped the unwatched process.";

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let victims = || (0..KILLS).map(|_| Victim::sleeping()).collect::<Result<Vec<_>>>();
    let (watched, unwatched) = (victims()?, victims()?);
    let pids: Vec<Pid> = watched.iter().map(Victim::pid).collect();
    let mut agent = Agent::watch_pids(&pids)?;
    agent.settle();
    let (mut told, mut reaped) = (Vec::new(), Vec::new());
    for (mut watched, mut unwatched) in watched.into_iter().zip(unwatched) {
        let killed = kill(unwatched.pid())?;
        unwatched.wait()?;
        reaped.push(killed.elapsed().as_secs_f64() * 1e3);

        let killed = kill(watched.pid())?;
        let (_, at) = agent.incident_of(watched.pid())?;
        told.push(at.duration_since(killed).as_secs_f64() * 1e3);
        watched.wait()?;
    }
    agent.stop()?;
    let measure =
        |what: &str, values: Vec<f64>| Measure::new(what, Unit::Milliseconds, &Samples::from_iter(values));
    Ok(Section::new(
        "latency",
        METHOD,
        vec![
            measure("kill to reaped by its parent, unwatched", reaped),
            measure("kill to incident line", told).within(Budget::Below(Statistic::P99, 5.0)),
        ],
    ))
}

/// Kills, and yields the moment before.
fn kill(pid: Pid) -> Result<Instant> {
    let now = Instant::now();
    kill_process(pid, Signal::KILL).context("cannot kill a victim")?;
    Ok(now)
}
