//! Start of the agent, and what it takes while nothing happens.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Pid;

use super::agent::{self, Agent};
use super::bpf;
use super::extent::Extent;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Starts that are timed.
const STARTS: usize = 20;
const SHORT_STARTS: usize = 5;
/// Runs that are left alone.
const IDLE_RUNS: usize = 3;
/// From the start to the first look.
const REST: Duration = Duration::from_secs(2);
/// From the first look to the second.
const WATCHED: Duration = Duration::from_secs(5);

const METHOD: &str = "From fork to the ready line, one process watched. Memory two seconds later; then for five seconds how \
    often any thread of the agent went back to sleep (whatever the host does meanwhile included).";

/// Runs the benchmark. One more run is left alone for so many minutes.
pub(super) fn run(extent: Extent, idle_minutes: u32) -> Result<Section> {
    let victim = Victim::sleeping()?;
    let pids = [victim.pid()];
    let mut starts = Vec::new();
    for _ in 0..extent.pick(STARTS, SHORT_STARTS) {
        let agent = Agent::watch_pids(&pids)?;
        starts.push(agent.started_in.as_secs_f64() * 1e3);
        agent.stop()?;
    }
    let (mut resident, mut largest, mut maps, mut sleeps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..IDLE_RUNS {
        let agent = Agent::watch_pids(&pids)?;
        std::thread::sleep(REST);
        resident.push(agent.memory("VmRSS")?);
        largest.push(agent.memory("VmHWM")?);
        maps.push(bpf::map_memory(agent.pid())? / f64::from(1 << 20));
        let before = agent.sleeps()?;
        std::thread::sleep(WATCHED);
        sleeps.push((agent.sleeps()? - before) as f64);
        agent.stop()?;
    }
    let measure = |what: &str, unit, values: Vec<f64>| Measure::new(what, unit, &Samples::from_iter(values));
    let mut measures = vec![
        measure("start to attached", Unit::Milliseconds, starts)
            .within(Budget::Below(Statistic::Median, 100.0)),
        measure("resident memory, idle", Unit::Mebibytes, resident)
            .within(Budget::Below(Statistic::Median, 10.0)),
        measure("largest resident memory", Unit::Mebibytes, largest),
        measure("kernel memory of the maps", Unit::Mebibytes, maps)
            .within(Budget::Below(Statistic::Median, 32.0)),
        measure("wakeups in 5 s, idle", Unit::Count, sleeps).within(Budget::AtMost(Statistic::Median, 0.0)),
    ];
    if idle_minutes > 0 {
        measures.extend(long_idle(&pids, idle_minutes)?);
    }
    let size = std::fs::metadata(agent::program()).context("cannot look at the agent")?.len();
    let size = size as f64 / f64::from(1 << 20);
    measures.push(Measure::once("size of the program, stripped as it is shipped", Unit::Mebibytes, size));
    Ok(Section::new("start", METHOD, measures))
}

/// What an agent has become that was left alone for long.
fn long_idle(pids: &[Pid], minutes: u32) -> Result<[Measure; 3]> {
    let agent = Agent::watch_pids(pids)?;
    std::thread::sleep(REST);
    let (first, sleeps) = (agent.memory("VmRSS")?, agent.sleeps()?);
    let mut resident = Vec::new();
    for _ in 0..minutes {
        std::thread::sleep(Duration::from_secs(60));
        resident.push(agent.memory("VmRSS")?);
    }
    let wakeups = (agent.sleeps()? - sleeps) as f64;
    let last = resident.last().copied().unwrap_or(first);
    agent.stop()?;
    let within = Budget::Below(Statistic::Median, 10.0);
    Ok([
        Measure::once(format!("resident memory after {minutes} min"), Unit::Mebibytes, last).within(within),
        Measure::new(
            format!("resident memory, each minute of {minutes}"),
            Unit::Mebibytes,
            &Samples::from_iter(resident),
        ),
        Measure::once(format!("wakeups in {minutes} min, idle"), Unit::Count, wakeups),
    ])
}
