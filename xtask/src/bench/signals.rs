//! What a signal costs: the kernel's time for the programs, and the sender's time for a kill(2).

use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal};

use super::agent::Agent;
use super::bpf::{EmptyProgram, Program, Statistics};
use super::kills;
use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use super::victim::Victim;

/// Batches of each kind of signal.
const BATCHES: usize = 200;
/// Signals in a batch: some hundred microseconds, within one time slice.
const BATCH: u32 = 1_000;
/// Signals in a batch of which each is recorded in full: a tenth of what the ring buffer holds.
const RECORDED: i32 = 50;
/// How long the agent gets to take such a batch in.
const PAUSE: Duration = Duration::from_millis(20);
/// Rounds of each variant of the kill(2) benchmark.
const ROUNDS: usize = 10;
/// Batches per round and target.
const KILL_BATCHES: usize = 40;

const METHOD: &str = "The empty program `r0 = 0; exit` and the agent's are attached to the same raw tracepoint and run for \
    the very same signals; the kernel's own statistics take the time of each, some 20 ns for its clock included in both. \
    For kill(2) the statistics are off, and nothing, the empty program and the agent are attached in turn. \
    The targets ignore the signal, so that nobody is woken up: all that is left is the call itself.";

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let mut measures = program_time()?;
    measures.extend(kill_time()?);
    Ok(Section::new("signals", METHOD, measures))
}

/// Nanoseconds of one run of the agent's program and of the empty one, signal for signal.
#[derive(Default)]
struct Runs {
    agent: Vec<f64>,
    empty: Vec<f64>,
}

impl Runs {
    fn take(&mut self, programs: &[Program; 2], send: impl FnOnce() -> Result<()>) -> Result<()> {
        let [agent, empty] = programs;
        let before = (agent.usage()?, empty.usage()?);
        send()?;
        let after = (agent.usage()?, empty.usage()?);
        self.agent.push(after.0.per_run_since(before.0));
        self.empty.push(after.1.per_run_since(before.1));
        Ok(())
    }

    fn measure(&self, what: &str) -> Measure {
        Measure::new(format!("program, {what}"), Unit::Nanoseconds, &self.agent.iter().copied().collect())
    }

    fn over_empty(&self, what: &str) -> Measure {
        let difference = self.agent.iter().zip(&self.empty).map(|(agent, empty)| agent - empty).collect();
        Measure::new(format!("program, {what}, less the empty one"), Unit::Nanoseconds, &difference)
    }
}

fn program_time() -> Result<Vec<Measure>> {
    let (watched, unwatched) = (Victim::ignoring()?, Victim::ignoring()?);
    let _statistics = Statistics::enable()?;
    let empty = EmptyProgram::attach()?;
    let agent = Agent::watch_pids(&[watched.pid()])?;
    agent.settle();
    let programs = [Program::of(agent.pid())?, empty.program()];
    let [mut masked, mut missed, mut ending, mut folded, mut full] = [(); 5].map(|()| Runs::default());
    let send = |pid: Pid, signal| move || kills::timed(pid, signal, BATCH).map(drop);
    let mut code = -1000;
    for _ in 0..BATCHES {
        // SIGURG is not among those that are recorded.
        masked.take(&programs, send(unwatched.pid(), Signal::URG))?;
        missed.take(&programs, send(unwatched.pid(), Signal::USR1))?;
        ending.take(&programs, send(unwatched.pid(), Signal::TERM))?;
        folded.take(&programs, send(watched.pid(), Signal::USR1))?;
        // No two are identical, so that none is folded.
        full.take(&programs, || {
            (0..RECORDED).try_for_each(|_| {
                code -= 1;
                kills::queue(watched.pid(), Signal::USR1, code)
            })
        })?;
        std::thread::sleep(PAUSE);
    }
    agent.stop()?;
    let all_empty: Samples =
        [&masked, &missed, &folded].iter().flat_map(|runs| runs.empty.iter().copied()).collect();
    Ok(vec![
        Measure::new("empty program", Unit::Nanoseconds, &all_empty),
        masked.measure("signal of no interest"),
        missed.measure("unwatched process"),
        missed.over_empty("unwatched process").within(Budget::AtMost(Statistic::Median, 20.0)),
        ending.over_empty("unwatched process, SIGTERM").within(Budget::AtMost(Statistic::Median, 20.0)),
        folded.measure("watched process, folded"),
        folded.over_empty("watched process, folded"),
        full.measure("watched process, recorded in full"),
    ])
}

/// What is attached while signals are sent.
#[derive(Clone, Copy)]
enum Attached {
    Nothing,
    Empty,
    Agent,
}

fn kill_time() -> Result<Vec<Measure>> {
    let (watched, unwatched) = (Victim::ignoring()?, Victim::ignoring()?);
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let round = [Attached::Nothing, Attached::Empty, Attached::Agent]
            .map(|attached| kills_with(attached, unwatched.pid(), watched.pid()));
        let [nothing, empty, agent] = round;
        rounds.push([nothing?, empty?, agent?]);
    }
    let figures = |of: fn(&[Kills; 3]) -> f64| rounds.iter().map(of).collect::<Samples>();
    let nanoseconds = |what: &str, of| Measure::new(what, Unit::Nanoseconds, &figures(of));
    let ratio = |what: &str, of| Measure::new(what, Unit::Ratio, &figures(of));
    Ok(vec![
        nanoseconds("kill(2), nothing attached", |[nothing, _, _]| nothing.unwatched),
        nanoseconds("kill(2), empty program", |[_, empty, _]| empty.unwatched),
        nanoseconds("kill(2), agent, unwatched process", |[_, _, agent]| agent.unwatched),
        nanoseconds("kill(2), agent, watched process, folded", |[_, _, agent]| agent.watched),
        ratio("kill(2), empty program, to nothing", |[nothing, empty, _]| {
            empty.unwatched / nothing.unwatched
        }),
        ratio("kill(2), unwatched, to nothing", |[nothing, _, agent]| agent.unwatched / nothing.unwatched),
        ratio("kill(2), watched and folded, to nothing", |[nothing, _, agent]| {
            agent.watched / nothing.watched
        })
        .within(Budget::AtMost(Statistic::Median, 1.5)),
    ])
}

/// Nanoseconds of a kill(2) at each of two processes: the medians of one round.
struct Kills {
    unwatched: f64,
    watched: f64,
}

fn kills_with(attached: Attached, unwatched: Pid, watched: Pid) -> Result<Kills> {
    let (mut agent, mut empty) = (None, None);
    match attached {
        Attached::Nothing => {}
        Attached::Empty => empty = Some(EmptyProgram::attach()?),
        Attached::Agent => {
            let started = Agent::watch_pids(&[watched])?;
            started.settle();
            agent = Some(started);
        }
    }
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..KILL_BATCHES {
        times.0.push(kills::timed(unwatched, Signal::USR1, BATCH)?);
        times.1.push(kills::timed(watched, Signal::USR1, BATCH)?);
    }
    drop(empty);
    agent.map_or(Ok(()), Agent::stop)?;
    let median = |times: Vec<f64>| times.into_iter().collect::<Samples>().median();
    Ok(Kills { unwatched: median(times.0), watched: median(times.1) })
}
