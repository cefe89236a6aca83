//! A million signals at one watched process.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::agent::{self, Agent};
use super::kills;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

const SIGNALS: u32 = 1_000_000;
/// Signals in a batch whose time is taken.
const BATCH: u32 = 1_000;
const ROUNDS: usize = 3;

const METHOD: &str = "One thread sends 1,000,000 SIGTERMs to a process that ignores them, as fast as it can, without the \
    agent and with it in turn; then it kills the process, and the signals of the incident are counted, folded ones \
    included.";

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let victim = Victim::ignoring()?;
        let bare = storm(victim.pid())?;
        let agent = Agent::watch_pids(&[victim.pid()])?;
        agent.settle();
        let watched = storm(victim.pid())?;
        rounds.push((bare, watched, account(agent, victim.pid())?));
    }
    let of = |figure: fn(&(Storm, Storm, Account)) -> f64| rounds.iter().map(figure).collect::<Samples>();
    Ok(Section::new(
        "storm",
        METHOD,
        vec![
            Measure::new("signals accounted for", Unit::Count, &of(|(_, _, account)| account.counted))
                .within(Budget::AtLeast(Statistic::Min, f64::from(SIGNALS))),
            Measure::new("kill(2) without the agent", Unit::Nanoseconds, &of(|(bare, _, _)| bare.call_ns)),
            Measure::new("kill(2) with it", Unit::Nanoseconds, &of(|(_, watched, _)| watched.call_ns)),
            Measure::new(
                "kill(2) with it, to without",
                Unit::Ratio,
                &of(|(bare, watched, _)| watched.call_ns / bare.call_ns),
            )
            .within(Budget::AtMost(Statistic::Median, 1.5)),
            Measure::new(
                "whole storm with it, to without",
                Unit::Ratio,
                &of(|(bare, watched, _)| watched.seconds / bare.seconds),
            ),
            Measure::new("largest resident memory", Unit::Mebibytes, &of(|(_, _, account)| account.memory)),
        ],
    ))
}

struct Storm {
    /// All of it.
    seconds: f64,
    /// The median of the batches.
    call_ns: f64,
}

fn storm(pid: Pid) -> Result<Storm> {
    let started = Instant::now();
    let calls = (0..SIGNALS / BATCH).map(|_| kills::timed(pid, Signal::TERM, BATCH));
    let calls: Samples = calls.collect::<Result<Vec<_>>>()?.into_iter().collect();
    Ok(Storm { seconds: started.elapsed().as_secs_f64(), call_ns: calls.median() })
}

/// What the agent made of a storm.
struct Account {
    counted: f64,
    /// Mebibytes.
    memory: f64,
}

fn account(mut agent: Agent, pid: Pid) -> Result<Account> {
    kill_process(pid, Signal::KILL).context("cannot kill a victim")?;
    let (incident, _) = agent.incident_of(pid)?;
    let memory = agent.memory("VmHWM")?;
    agent.stop()?;
    Ok(Account { counted: agent::signals_in(&incident, Signal::TERM)?, memory })
}
