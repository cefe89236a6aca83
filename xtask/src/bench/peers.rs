//! The agent beside the tools that people use, on the same work.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};

use super::agent;
use super::bpf::Statistics;
use super::kills;
use super::report::{Measure, Section, Unit};
use super::samples::Samples;
use super::tool::{PACKAGES, Running, Tool};
use super::victim::Victim;
use crate::debian;

const ROUNDS: usize = 5;
/// Batches of kill(2) per round.
const BATCHES: usize = 20;
/// Signals in a batch.
const BATCH: u32 = 500;
/// How long a tool gets to take in a batch and print it, as it would in life.
const PAUSE: Duration = Duration::from_millis(5);
/// Processes that are started per round.
const STARTS: u32 = 200;
/// Signals as fast as one core can send them.
const STORM: u32 = 200_000;
/// How long a tool may go on reporting them.
const AFTERMATH: Duration = Duration::from_secs(20);

const METHOD: &str = "Nothing, the agent and each of the others run in turn, five rounds, with their output read and thrown away. The \
    victims ignore the signals. The agent watches one process; the others report every signal or kill(2) of the host. In a storm, \
    one core sends 200,000 SIGTERMs as fast as it can; what the agent counted is read from the incident of a last SIGKILL, and what \
    the others reported is the number of lines that name the victim.";

/// What one tool cost in one round.
struct Cost {
    /// kill(2) at a watched process and at another one, nanoseconds.
    watched_ns: f64,
    other_ns: f64,
    /// Time of the programs for one kill(2) at a process that is not watched, nanoseconds.
    program_ns: f64,
    /// fork, exec and wait, microseconds.
    start_us: f64,
    started_ms: f64,
    memory: f64,
    maps: f64,
    storm_s: f64,
    reported: f64,
}

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let missing = debian::missing(&PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    mount_tracefs()?;
    let mut bare: Vec<Cost> = Vec::new();
    let mut tools: Vec<(Tool, Vec<Cost>)> = Tool::ALL.map(|tool| (tool, Vec::new())).into();
    for _ in 0..ROUNDS {
        bare.push(cost(None)?);
        for (tool, costs) in &mut tools {
            costs.push(cost(Some(*tool))?);
        }
    }
    let mut measures = Vec::new();
    type Figure = fn(&Cost) -> f64;
    let figures: [(&str, Unit, Figure); 4] = [
        ("kill(2) at one process", Unit::Nanoseconds, |cost| cost.watched_ns),
        ("kill(2) at another", Unit::Nanoseconds, |cost| cost.other_ns),
        ("fork, exec and wait", Unit::Microseconds, |cost| cost.start_us),
        ("storm", Unit::Seconds, |cost| cost.storm_s),
    ];
    for (what, unit, figure) in figures {
        let samples: Samples = bare.iter().map(figure).collect();
        measures.push(Measure::new(format!("{what}, nothing attached"), unit, &samples));
        for (tool, costs) in &tools {
            let ratios: Samples =
                costs.iter().zip(&bare).map(|(with, without)| figure(with) / figure(without)).collect();
            measures.push(Measure::new(format!("{what}, {}, to nothing", tool.name()), Unit::Ratio, &ratios));
        }
    }
    let figures: [(&str, Unit, Figure); 5] = [
        ("programs, kill(2) at another process", Unit::Nanoseconds, |cost| cost.program_ns),
        ("signals reported of 200,000", Unit::Count, |cost| cost.reported),
        ("start to attached", Unit::Milliseconds, |cost| cost.started_ms),
        ("resident memory", Unit::Mebibytes, |cost| cost.memory),
        ("kernel memory of maps", Unit::Mebibytes, |cost| cost.maps),
    ];
    for (what, unit, figure) in figures {
        for (tool, costs) in &tools {
            let samples: Samples = costs.iter().map(figure).collect();
            measures.push(Measure::new(format!("{what}, {}", tool.name()), unit, &samples));
        }
    }
    Ok(Section::new("peers", METHOD, measures))
}

/// The others find tracepoints in the tracing file system, which not every machine has mounted.
fn mount_tracefs() -> Result<()> {
    const PLACE: &str = "/sys/kernel/tracing";
    if std::path::Path::new(PLACE).join("events").exists() {
        return Ok(());
    }
    eprintln!("mounting the tracing file system on {PLACE}");
    let status = Command::new("mount").args(["-t", "tracefs", "tracefs", PLACE]).status()?;
    anyhow::ensure!(status.success(), "cannot mount it: {status}");
    Ok(())
}

fn cost(tool: Option<Tool>) -> Result<Cost> {
    let (victim, other) = (Victim::ignoring()?, Victim::ignoring()?);
    let running = tool.map(|tool| tool.start(victim.pid())).transpose()?;
    let program_ns = match &running {
        Some(running) => program_time(running, other.pid())?,
        None => 0.0,
    };
    let watched_ns = kill_time(victim.pid())?;
    let other_ns = kill_time(other.pid())?;
    let start_us = start_time()?;
    let memory = running.as_ref().map_or(Ok(0.0), Running::memory)?;
    let maps = running.as_ref().map_or(Ok(0.0), Running::maps)?;
    let started_ms = running.as_ref().map_or(0.0, |running| running.started_in.as_secs_f64() * 1e3);
    let before = running.as_ref().map_or(0, Running::seen);
    let began = Instant::now();
    kills::timed(victim.pid(), Signal::TERM, STORM)?;
    let storm_s = began.elapsed().as_secs_f64();
    let reported = match running {
        Some(running) => reported(running, before, victim.pid())?,
        None => 0.0,
    };
    Ok(Cost { watched_ns, other_ns, program_ns, start_us, started_ms, memory, maps, storm_s, reported })
}

/// The programs' time for a signal at a process that is not watched, nanoseconds.
fn program_time(running: &Running, other: Pid) -> Result<f64> {
    let _statistics = Statistics::enable()?;
    let before = running.program_ns()?;
    for _ in 0..BATCHES {
        kills::timed(other, Signal::USR1, BATCH)?;
        std::thread::sleep(PAUSE);
    }
    Ok((running.program_ns()? - before) / f64::from(BATCH) / BATCHES as f64)
}

fn kill_time(pid: Pid) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..BATCHES {
        times.push(kills::timed(pid, Signal::USR1, BATCH)?);
        std::thread::sleep(PAUSE);
    }
    Ok(Samples::from_iter(times).median())
}

fn start_time() -> Result<f64> {
    let began = Instant::now();
    for _ in 0..STARTS {
        let status =
            Command::new("/bin/true").stdin(Stdio::null()).status().context("cannot start /bin/true")?;
        anyhow::ensure!(status.success(), "/bin/true: {status}");
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(STARTS))
}

/// How many signals of the storm a tool has told of; it is stopped.
fn reported(running: Running, before: u64, victim: Pid) -> Result<f64> {
    let deadline = Instant::now() + AFTERMATH;
    let mut last = running.seen();
    // As long as more come.
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = running.seen();
        if now == last || Instant::now() > deadline {
            break;
        }
        last = now;
    }
    let Some(mut watching) = running.into_agent() else { return Ok((last - before) as f64) };
    rustix::process::kill_process(victim, Signal::KILL).context("cannot kill a victim")?;
    let (incident, _) = watching.incident_of(victim)?;
    watching.stop()?;
    agent::signals_in(&incident, Signal::TERM)
}
