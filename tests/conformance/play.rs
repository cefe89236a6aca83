//! Playing a scenario: its program brings the end about, the tool watches.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{Answer, Scenario, Tool, Truth, score};
use crate::lines::Lines;
use crate::process::{put_down, wait};
use crate::{PATIENCE, Skip, WorkDir, needs_program, needs_python, needs_root};

/// A scenario that was played.
#[derive(Debug)]
pub struct Played {
    /// The answers of the tool, in the order of [`super::FACETS`].
    pub answers: Vec<Answer>,
    /// What the tool told.
    pub incident: Option<Value>,
    /// What its program told.
    pub truth: Truth,
}

/// How long a program may take to get ready: some have to be alone in the machine, and wait until they are.
const TURN: Duration = Duration::from_secs(300);

/// Plays a scenario with a tool that watches; `patience` is how long the tool may take for what it has to tell.
///
/// # Errors
/// [`Skip`] when the scenario cannot be played here; otherwise when the scenario itself went wrong, or the tool did not
/// get ready.
pub fn play(scenario: &Scenario, tool: &str, patience: Duration) -> Result<Played> {
    needs_root()?;
    for program in scenario.needs {
        needs_program(program)?;
    }
    let mut stage = Stage::set(scenario)?;
    let victim = stage.victim()?;
    let mut tool = Tool::start(tool, victim, patience)?;
    stage.go()?;
    let truth = stage.truth()?;
    tool.wait_for_incident(victim);
    let incident = tool.last_word(victim);
    stage.clear()?;
    let answers = score(scenario, &truth, victim, incident.as_ref());
    Ok(Played { answers, incident, truth })
}

/// A running program of a scenario.
struct Stage {
    child: Child,
    lines: Lines,
    truth: Option<Truth>,
    directory: WorkDir,
}

impl Stage {
    fn set(scenario: &Scenario) -> Result<Self> {
        let directory = WorkDir::new()?;
        let stderr = std::fs::File::create(directory.join("stderr"))?;
        let mut command = Command::new(needs_python()?);
        command.arg(program(scenario.program)).arg(scenario.name);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("a program has no standard output")?;
        Ok(Self { child, lines: Lines::new(stdout), truth: None, directory })
    }

    /// The pid of the victim, when everything is prepared.
    fn victim(&mut self) -> Result<u32> {
        loop {
            if let Told::Ready(victim) = self.told(TURN)? {
                return Ok(victim);
            }
        }
    }

    /// Lets it happen.
    fn go(&mut self) -> Result<()> {
        use std::io::Write as _;
        let stdin = self.child.stdin.as_mut().context("a program has no standard input")?;
        stdin.write_all(b"\n").with_context(|| format!("the program is gone: {}", self.said()))
    }

    fn truth(&mut self) -> Result<Truth> {
        loop {
            if let Some(truth) = self.truth.take() {
                return Ok(truth);
            }
            self.told(PATIENCE)?;
        }
    }

    fn told(&mut self, patience: Duration) -> Result<Told> {
        let line = self.lines.next(Instant::now() + patience);
        let line = line.with_context(|| format!("the program says nothing; {}", self.said()))?;
        let line = line.with_context(|| format!("the program has ended; {}", self.said()))?;
        let told = Told::parse(&line).with_context(|| format!("the program said {line:?}"))?;
        match &told {
            Told::Cannot(why) => bail!(Skip(why.clone())),
            Told::Truth(truth) => self.truth = Some(truth.clone()),
            Told::Ready(_) => {}
        }
        Ok(told)
    }

    /// Has it take everything away that it started.
    fn clear(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        wait(&mut self.child, PATIENCE).with_context(|| self.said())?;
        // Most are their own victims, so that how they end says nothing; what went wrong is told.
        let said = self.said();
        ensure!(!said.contains("Traceback"), "the program failed: {said}");
        Ok(())
    }

    /// What it wrote to its standard error.
    fn said(&self) -> String {
        let said = std::fs::read(self.directory.join("stderr")).unwrap_or_default();
        format!("its standard error: {}", String::from_utf8_lossy(&said))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // It cleans up when it can.
        drop(self.child.stdin.take());
        let _ = wait(&mut self.child, Duration::from_secs(5));
        put_down(&mut self.child);
    }
}

/// A line of a program.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Ready(u32),
    Truth(Truth),
    Cannot(String),
}

impl Told {
    fn parse(line: &str) -> Result<Self> {
        let (what, rest) = line.trim_end().split_once(' ').context("not two words")?;
        let numbers = || rest.split_whitespace().map(str::parse).collect::<Result<Vec<u32>, _>>();
        let known = |pid: u32| Some(pid).filter(|&pid| pid != 0);
        match what {
            "cannot" => Ok(Self::Cannot(rest.to_owned())),
            "ready" => Ok(Self::Ready(*numbers()?.first().context("no pid")?)),
            "truth" => match numbers()?.as_slice() {
                [sender, culprit, others @ ..] => Ok(Self::Truth(Truth {
                    sender: known(*sender),
                    culprit: known(*culprit),
                    others: others.to_vec(),
                })),
                _ => bail!("no two pids"),
            },
            _ => bail!("{what:?} is not a word of the protocol"),
        }
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs").join(format!("{name}.py"))
}
