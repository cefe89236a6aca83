//! The agent beside the tools that people use, on the same work.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};

use super::bpf::Statistics;
use super::extent::Extent;
use super::kills;
use super::report::{Measure, Section, Unit};
use super::running::{Running, in_new_thread};
use super::samples::Samples;
use super::tool::{self, Tool};
use super::victim::Victim;

/// Signals in a batch.
const BATCH: u32 = 500;
/// How long a tool gets to take in a batch and print it, as it would in life.
const PAUSE: Duration = Duration::from_millis(5);

const METHOD: &str = "Nothing, the agent and each of the others run in turn, five rounds (three in an emulated machine), with their \
    output read and thrown away. The victims ignore the signals. The agent watches one process, and keeps its ledger of what every \
    process of the host executes; the others report every signal or kill(2) of the host. auditd runs once the others are done, since \
    the kernel never again makes a process without an audit context.";

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
}

/// Runs the benchmark with these tools, or with all.
pub(super) fn run(extent: Extent, chosen: &[Tool]) -> Result<Section> {
    tool::prepare()?;
    let (working, notes) = Tool::working(chosen, Victim::ignoring()?.pid())?;
    let mut bare: Vec<Cost> = Vec::new();
    let mut tools: Vec<(Tool, Vec<Cost>)> = working.into_iter().map(|tool| (tool, Vec::new())).collect();
    let (marking, harmless): (Vec<_>, Vec<_>) = tools.iter_mut().partition(|(tool, _)| tool.leaves_a_mark());
    for (is_first, mut tools) in [(true, harmless), (false, marking)] {
        for _ in 0..extent.pick(5, 3) {
            if is_first {
                bare.push(cost(None, extent)?);
            }
            for (tool, costs) in &mut tools {
                costs.push(cost(Some(*tool), extent)?);
            }
        }
    }
    Ok(Section::new("peers", METHOD, measures(&bare, &tools)).with_notes(notes))
}

fn measures(bare: &[Cost], tools: &[(Tool, Vec<Cost>)]) -> Vec<Measure> {
    type Figure = fn(&Cost) -> f64;
    let mut measures = Vec::new();
    let figures: [(&str, Unit, Figure); 3] = [
        ("kill(2) at one process", Unit::Nanoseconds, |cost| cost.watched_ns),
        ("kill(2) at another", Unit::Nanoseconds, |cost| cost.other_ns),
        ("fork, exec and wait", Unit::Microseconds, |cost| cost.start_us),
    ];
    for (what, unit, figure) in figures {
        let samples: Samples = bare.iter().map(figure).collect();
        measures.push(Measure::new(format!("{what}, nothing attached"), unit, &samples));
        for (tool, costs) in tools {
            let ratios: Samples =
                costs.iter().zip(bare).map(|(with, without)| figure(with) / figure(without)).collect();
            measures.push(Measure::new(format!("{what}, {}, to nothing", tool.name()), Unit::Ratio, &ratios));
        }
    }
    let figures: [(&str, Unit, bool, Figure); 4] = [
        ("programs, kill(2) at another process", Unit::Nanoseconds, true, |cost| cost.program_ns),
        ("start to attached", Unit::Milliseconds, false, |cost| cost.started_ms),
        ("resident memory", Unit::Mebibytes, false, |cost| cost.memory),
        ("kernel memory of maps", Unit::Mebibytes, true, |cost| cost.maps),
    ];
    for (what, unit, of_programs, figure) in figures {
        for (tool, costs) in tools.iter().filter(|(tool, _)| tool.has_programs() || !of_programs) {
            let samples: Samples = costs.iter().map(figure).collect();
            measures.push(Measure::new(format!("{what}, {}", tool.name()), unit, &samples));
        }
    }
    measures
}

fn cost(tool: Option<Tool>, extent: Extent) -> Result<Cost> {
    eprintln!("  {}", tool.map_or("nothing attached", Tool::name));
    let (victim, other) = (Victim::ignoring()?, Victim::ignoring()?);
    let running = tool.map(|tool| Running::start(tool, victim.pid())).transpose()?;
    let running = running.as_ref();
    // An emulated auditd takes milliseconds for each signal.
    let batches = extent.pick(20, 4);
    in_new_thread(|| {
        let program_ns = running.map_or(Ok(0.0), |running| program_time(running, other.pid(), batches))?;
        Ok(Cost {
            watched_ns: kill_time(victim.pid(), batches)?,
            other_ns: kill_time(other.pid(), batches)?,
            program_ns,
            start_us: start_time(extent.pick(400, 100))?,
            started_ms: running.map_or(0.0, |running| running.started_in.as_secs_f64() * 1e3),
            memory: running.map_or(Ok(0.0), |running| running.memory("VmRSS"))?,
            maps: running.map_or(Ok(0.0), Running::maps)?,
        })
    })
}

/// The programs' time for a signal at a process that is not watched, nanoseconds.
fn program_time(running: &Running, other: Pid, batches: u32) -> Result<f64> {
    let _statistics = Statistics::enable()?;
    let before = running.program_ns()?;
    for _ in 0..batches {
        kills::timed(other, Signal::USR1, BATCH)?;
        std::thread::sleep(PAUSE);
    }
    Ok((running.program_ns()? - before) / f64::from(BATCH) / f64::from(batches))
}

fn kill_time(pid: Pid, batches: u32) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..batches {
        times.push(kills::timed(pid, Signal::USR1, BATCH)?);
        std::thread::sleep(PAUSE);
    }
    Ok(Samples::from_iter(times).median())
}

/// Microseconds of a process from its start to its end, of many as fast as one comes after the other.
fn start_time(starts: u32) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..starts {
        let status =
            Command::new("/bin/true").stdin(Stdio::null()).status().context("cannot start /bin/true")?;
        anyhow::ensure!(status.success(), "/bin/true: {status}");
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(starts))
}
