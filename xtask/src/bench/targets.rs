//! What a signal costs by the number of watched processes.

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal};

use super::agent::Agent;
use super::bpf::{Program, Statistics};
use super::crowd::Crowd;
use super::kills;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Watched processes of the three agents.
const COUNTS: [usize; 3] = [1, 100, 10_000];
const BATCHES: usize = 200;
/// Signals in a batch.
const BATCH: u32 = 1_000;

const METHOD: &str = "Three agents at once, which watch 1, 100 and 10,000 forked shells and one process more; their \
    programs run for the very same signals, and the kernel's statistics take the time of each.";

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let (watched, unwatched) = (Victim::ignoring()?, Victim::ignoring()?);
    let mut crowds = Vec::new();
    let mut agents = Vec::new();
    for count in COUNTS {
        let word = format!("forensics-bench-crowd-{count}-{}", std::process::id());
        crowds.push(Crowd::start(count, &word)?);
        let pid = watched.pid().as_raw_nonzero().to_string();
        let agent = Agent::watch(["--match", &format!(" {word} "), "--pid", &pid])?;
        ensure!(agent.targets == count + 1, "{} targets instead of {}", agent.targets, count + 1);
        agents.push(agent);
    }
    let _statistics = Statistics::enable()?;
    agents.iter().for_each(Agent::settle);
    let programs = agents.iter().map(|agent| Program::of(agent.pid())).collect::<Result<Vec<_>>>()?;
    let mut missed = vec![Vec::new(); programs.len()];
    let mut folded = missed.clone();
    for _ in 0..BATCHES {
        take(&programs, unwatched.pid(), &mut missed)?;
        take(&programs, watched.pid(), &mut folded)?;
    }

    let mut measures = Vec::new();
    for (what, times) in [("unwatched", &missed), ("watched, folded", &folded)] {
        for (count, times) in COUNTS.iter().zip(times) {
            let samples: Samples = times.iter().copied().collect();
            measures.push(Measure::new(format!("{what}, {count} watched"), Unit::Nanoseconds, &samples));
        }
        if let [few, .., many] = times.as_slice() {
            let ratio: Samples = many.iter().zip(few).map(|(many, few)| many / few).collect();
            let flat = Budget::AtMost(Statistic::Median, 1.25);
            measures.push(Measure::new(format!("{what}, most to fewest"), Unit::Ratio, &ratio).within(flat));
        }
    }
    for (agent, count) in agents.iter().zip(COUNTS) {
        let what = format!("resident memory, {count} watched");
        measures.push(Measure::once(what, Unit::Mebibytes, agent.memory("VmRSS")?));
        let start = agent.started_in.as_secs_f64() * 1e3;
        measures.push(Measure::once(format!("start, {count} watched"), Unit::Milliseconds, start));
    }
    agents.into_iter().try_for_each(Agent::stop)?;
    Ok(Section::new("targets", METHOD, measures))
}

/// Sends a batch and takes the time of one run of each program.
fn take(programs: &[Program], pid: Pid, times: &mut [Vec<f64>]) -> Result<()> {
    let usages = || programs.iter().map(Program::usage).collect::<Result<Vec<_>>>();
    let before = usages()?;
    kills::timed(pid, Signal::USR1, BATCH)?;
    let after = usages()?;
    for ((before, after), times) in before.into_iter().zip(after).zip(times) {
        times.push(after.per_run_since(before));
    }
    Ok(())
}
