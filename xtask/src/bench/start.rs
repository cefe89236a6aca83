//! Start of the agent, and what it takes while nothing happens.

use std::time::Duration;

use anyhow::Result;

use super::agent::Agent;
use super::bpf;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Starts that are timed.
const STARTS: usize = 20;
/// Runs that are left alone.
const IDLE_RUNS: usize = 3;
/// From the start to the first look.
const REST: Duration = Duration::from_secs(2);
/// From the first look to the second.
const WATCHED: Duration = Duration::from_secs(5);

const METHOD: &str = "From fork to the ready line, one process watched. Memory two seconds later; then for five seconds how \
    often any thread of the agent went back to sleep (whatever the host does meanwhile included).";

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let victim = Victim::sleeping()?;
    let pids = [victim.pid()];
    let mut starts = Vec::new();
    for _ in 0..STARTS {
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
    Ok(Section::new(
        "start",
        METHOD,
        vec![
            measure("start to attached", Unit::Milliseconds, starts)
                .within(Budget::Below(Statistic::Median, 100.0)),
            measure("resident memory, idle", Unit::Mebibytes, resident)
                .within(Budget::Below(Statistic::Median, 10.0)),
            measure("largest resident memory", Unit::Mebibytes, largest),
            measure("kernel memory of the maps", Unit::Mebibytes, maps)
                .within(Budget::Below(Statistic::Median, 32.0)),
            measure("wakeups in 5 s, idle", Unit::Count, sleeps)
                .within(Budget::AtMost(Statistic::Median, 0.0)),
        ],
    ))
}
