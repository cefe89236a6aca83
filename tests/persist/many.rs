//! The agent is killed at any moment, again and again.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use harness::{Record, agent_program, victim_program};
use libc::SIGKILL;

use crate::scene::{Scene, crash, kill};

/// Numbers that look random, from a seed that is told when the test fails.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(now.as_nanos() as u64 | 1)
    }

    /// A time below so many milliseconds.
    fn below(&mut self, milliseconds: u64) -> Duration {
        // xorshift64: https://www.jstatsoft.org/article/view/v008i14
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_micros(self.0 % (milliseconds * 1000))
    }
}

/// Makes victims, so that they are watched from their first moment on, whether there is an agent or not.
struct Maker {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Maker {
    fn start() -> Result<Self> {
        let script = r#"while read word; do "$0" sleep & done"#;
        let mut command = Command::new("sh");
        command.args(["-c", script]).arg(victim_program()?).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start sh")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Self { child, lines })
    }

    /// The pid of a new victim.
    fn make(&mut self) -> Result<u32> {
        let mut line = String::new();
        self.child.stdin.as_mut().context("no standard input")?.write_all(b"one\n")?;
        self.lines.read_line(&mut line)?;
        let pid = line.trim().strip_prefix("ready ").with_context(|| format!("it said {line:?}"))?;
        Ok(pid.parse()?)
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Agents one after the other, each of which is killed wherever it is at that moment.
pub(crate) fn a_hundred_deaths_around_a_hundred_of_the_agent() -> Result<()> {
    const ROUNDS: usize = 100;
    /// Within this time an agent gets ready, and tells what the ones before it left.
    const LIFE_MS: u64 = 700;
    let scene = Scene::new()?;
    let mut random = Random::new();
    let seed = random.0;
    let mut maker = Maker::start()?;
    let maker_pid = maker.child.id().to_string();
    let targets = ["--follow-children", "--pid", maker_pid.as_str()];
    let lines = scene.work.join("lines");
    let start = || -> Result<Child> {
        let out = std::fs::File::options().append(true).create(true).open(&lines)?;
        let mut command = Command::new(agent_program()?);
        command.args(["-o", "json", "watch", "--socket", "none"]).args(targets).args(scene.options());
        command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null());
        command.spawn().context("cannot start the agent")
    };
    crash(scene.agent(&targets)?)?;
    let mut deaths = Vec::new();
    for _ in 0..ROUNDS {
        let pid = maker.make()?;
        let (death, end) = (random.below(LIFE_MS), random.below(LIFE_MS));
        let mut agent = start()?;
        let killing = std::thread::spawn(move || {
            std::thread::sleep(death);
            kill(pid, SIGKILL)
        });
        std::thread::sleep(end);
        agent.kill()?;
        agent.wait()?;
        let Ok(killer) = killing.join() else { bail!("the thread that kills panicked") };
        deaths.push((pid, killer?));
    }
    let mut agent = scene.agent(&targets)?;
    // Unless one of those before has told of it.
    let last = deaths.last().and_then(|(last, _)| agent.incident_of(*last).ok());
    let rest = agent.stop()?;
    let printed = std::fs::read_to_string(&lines)?;
    let mut missing = Vec::new();
    for (pid, killer) in &deaths {
        let stored = scene.stored(*pid)?;
        let [incident] = &stored[..] else {
            missing.push(format!("{pid}: {} incidents", stored.len()));
            continue;
        };
        if let Err(why) = incident
            .expect("verdict.culprit.pid", killer.pid)
            .and_then(|()| incident.expect("verdict.cause", "external-kill"))
            .and_then(|()| incident.expect("target.name", "victim"))
            .and_then(|()| incident.expect("lost.records", 0))
        {
            missing.push(format!("{pid}: {}", why.to_string().lines().next().unwrap_or_default()));
        }
    }
    let losses = rest.iter().filter(|record| record.is("loss")).count();
    ensure!(missing.is_empty() && losses == 0, "seed {seed}: {missing:?}, {losses} losses");
    let strangers: Vec<&Record> = rest
        .iter()
        .filter(|record| record.is("incident"))
        .filter(|record| {
            !["victim", "forensics-agent"].contains(&record.text("target.name").unwrap_or_default())
        })
        .collect();
    ensure!(strangers.is_empty(), "seed {seed}: {strangers:?}");
    // A line may be printed twice, by an agent that was killed before it had noted that: under the same id.
    let printed = printed.lines().filter_map(|line| Record::parse(line).ok()).chain(rest).chain(last);
    let ids: HashSet<String> = printed
        .filter(|record| record.is("incident") && record.at("target.name") == "victim")
        .filter_map(|record| record.text("id").ok().map(str::to_owned))
        .collect();
    ensure!(ids.len() == ROUNDS, "seed {seed}: incidents of {} ids were printed", ids.len());
    Ok(())
}
