//! A million signals at one watched process, from one core and from two, with the agent and with the others.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Signal, kill_process};

use super::agent;
use super::extent::Extent;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::running::Running;
use super::samples::Samples;
use super::senders::{self, Sent};
use super::tool::{self, Tool};
use super::victim::Victim;

/// How long a tool may go on reporting.
const AFTERMATH: Duration = Duration::from_secs(60);
/// How long it must have been silent to have told everything.
const SILENCE: Duration = Duration::from_millis(500);
/// From the flood to the look at what remains of it.
const REST: Duration = Duration::from_secs(2);

const METHOD: &str = "One thread, and then two, each on a core of its own, send 1,000,000 SIGTERMs (10,000 in an emulated machine) to a \
    process that ignores them, as fast as they can, without anything and with each tool in turn. What the agent counted is read from \
    the incident of a last SIGKILL, and what the others reported is the number of lines that name the victim; the rest is lost. \
    Memory is the largest resident one and that of all maps in the kernel. The agent is measured three times, the others once.";

/// What came of a flood with a tool.
struct Outcome {
    sent: Sent,
    /// The same without it, right before.
    bare: Sent,
    counted: f64,
    /// Counted and not recorded one by one, and records that the tool said it lost; only the agent tells.
    folded: f64,
    told_lost: f64,
    /// Mebibytes.
    peak: f64,
    after: f64,
}

/// Runs the benchmark with these tools, or with all.
pub(super) fn run(extent: Extent, chosen: &[Tool]) -> Result<Section> {
    tool::prepare()?;
    let signals = extent.pick(1_000_000, 10_000);
    let (working, notes) = Tool::working(chosen, Victim::ignoring()?.pid())?;
    let mut measures = Vec::new();
    for cores in [1, 2] {
        for &tool in &working {
            let rounds = if tool == Tool::Agent { extent.pick(3, 1) } else { 1 };
            let outcomes: Vec<Outcome> =
                (0..rounds).map(|_| flood(tool, signals, cores)).collect::<Result<_>>()?;
            measures.extend(told(tool, signals, cores, &outcomes));
        }
    }
    Ok(Section::new("flood", METHOD, measures).with_notes(notes))
}

fn told(tool: Tool, signals: u32, cores: u32, outcomes: &[Outcome]) -> Vec<Measure> {
    let from = if cores == 1 { "one core" } else { "two cores" };
    let measure = |what: &str, unit, figure: fn(&Outcome) -> f64| {
        let samples: Samples = outcomes.iter().map(figure).collect();
        Measure::new(format!("{from}, {}: {what}", tool.name()), unit, &samples)
    };
    let mut counted = measure("signals accounted for", Unit::Count, |outcome| outcome.counted);
    let mut slowed = measure("kill(2), to nothing attached", Unit::Ratio, |outcome| {
        outcome.sent.call_ns / outcome.bare.call_ns
    });
    if tool == Tool::Agent {
        counted = counted.within(Budget::AtLeast(Statistic::Min, f64::from(signals)));
        if cores == 1 {
            slowed = slowed.within(Budget::AtMost(Statistic::Median, 1.5));
        }
    }
    let mut measures = vec![counted];
    if tool == Tool::Agent {
        measures.push(measure("of these folded", Unit::Count, |outcome| outcome.folded));
        measures.push(measure("records told as lost", Unit::Count, |outcome| outcome.told_lost));
    }
    measures.extend([
        slowed,
        measure("whole flood, to nothing attached", Unit::Ratio, |outcome| {
            outcome.sent.seconds / outcome.bare.seconds
        }),
        measure("memory at most, maps included", Unit::Mebibytes, |outcome| outcome.peak),
        measure("memory two seconds later, maps included", Unit::Mebibytes, |outcome| outcome.after),
    ]);
    measures
}

fn flood(tool: Tool, signals: u32, cores: u32) -> Result<Outcome> {
    eprintln!("  {} from {cores}", tool.name());
    let victim = Victim::ignoring()?;
    let bare = senders::send(victim.pid(), signals, cores)?;
    let running = Running::start(tool, victim.pid())?;
    let before = running.seen();
    let sent = senders::send(victim.pid(), signals, cores)?;
    if tool != Tool::Agent {
        wait_for_silence(&running);
    }
    let counted = (running.seen() - before) as f64;
    let maps = running.maps()?;
    let peak = running.memory("VmHWM")? + maps;
    std::thread::sleep(REST);
    let after = running.memory("VmRSS")? + maps;
    let outcome = Outcome { sent, bare, counted, folded: 0.0, told_lost: 0.0, peak, after };
    let Some(mut watching) = running.into_agent() else { return Ok(outcome) };
    kill_process(victim.pid(), Signal::KILL).context("cannot kill a victim")?;
    let (incident, _) = watching.incident_of(victim.pid())?;
    // What it took to tell of it is part of it.
    let peak = watching.memory("VmHWM")? + maps;
    let told_lost = watching.lost;
    watching.stop()?;
    let agent::Counted { recorded, folded } = agent::signals_in(&incident, Signal::TERM)?;
    Ok(Outcome { counted: recorded + folded, folded, told_lost, peak, ..outcome })
}

/// Waits as long as more reports come.
fn wait_for_silence(running: &Running) {
    let deadline = Instant::now() + AFTERMATH;
    let mut last = None;
    while last != Some(running.seen()) && Instant::now() < deadline {
        last = Some(running.seen());
        std::thread::sleep(SILENCE);
    }
}
