//! The shutdown context, beside the seed's Python and bare system calls.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::report::{Budget, Measure, Section, Statistic, Unit};
use super::samples::Samples;
use crate::command;

const ROUNDS: usize = 40;
/// Snapshots that a round takes of each kind.
const BATCH: usize = 50;

const METHOD: &str = "All look at one and the same process, a CPython that runs the seed's function on itself, with its \
    home in an empty directory and then with both marker files in it. The library function and the bare system calls \
    (open, read and close of the same files, and the marker lookups) are made by one optimised program, in turn with Python.";

/// The seed's function, written anew.
const SEED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bench/seed.py");

/// Runs the benchmark.
pub(super) fn run() -> Result<Section> {
    let home = Home::make()?;
    let python = command::find("python3", &[]).context("there is no python3 to compare with")?;
    let mut seed = Driver::start(Command::new(python).arg(SEED).env("HERMES_HOME", &home.0))?;
    let example = super::probe::program();
    let mut rust =
        Driver::start(Command::new(example).arg("snapshot").arg(seed.child.id().to_string()).arg(&home.0))?;
    let mut measures = Vec::new();
    for markers in [false, true] {
        if markers {
            home.write_markers(seed.child.id())?;
        }
        let mut times = Times::default();
        // The first round warms up.
        for round in 0..=ROUNDS {
            let taken = [rust.take("snapshot")?, rust.take("bare")?, seed.take("snapshot")?];
            if round > 0 {
                times.add(taken);
            }
        }
        measures.extend(times.measures(if markers { "both markers" } else { "no marker" }, !markers));
    }
    Ok(Section::new("snapshot", METHOD, measures))
}

/// Microseconds of each call.
#[derive(Default)]
struct Times {
    library: Vec<f64>,
    bare: Vec<f64>,
    seed: Vec<f64>,
    /// Medians of each round: the seed's to the library's, and the library's to those of the bare calls.
    seed_to_library: Vec<f64>,
    library_to_bare: Vec<f64>,
}

impl Times {
    fn add(&mut self, [library, bare, seed]: [Vec<f64>; 3]) {
        let median = |times: &[f64]| times.iter().copied().collect::<Samples>().median();
        self.seed_to_library.push(median(&seed) / median(&library));
        self.library_to_bare.push(median(&library) / median(&bare));
        self.library.extend(library);
        self.bare.extend(bare);
        self.seed.extend(seed);
    }

    /// The budgets are for the common case: no marker.
    fn measures(self, when: &str, is_common: bool) -> Vec<Measure> {
        let measure = |what: &str, unit, values: Vec<f64>, budget| {
            let measure = Measure::new(format!("{what}, {when}"), unit, &Samples::from_iter(values));
            if is_common { measure.within(budget) } else { measure }
        };
        let plain = |what: &str, values: Vec<f64>| {
            Measure::new(format!("{what}, {when}"), Unit::Microseconds, &Samples::from_iter(values))
        };
        let Self { library, bare, seed, seed_to_library, library_to_bare } = self;
        vec![
            measure("library call", Unit::Microseconds, library, Budget::Below(Statistic::P99, 1000.0)),
            plain("bare system calls", bare),
            plain("seed's Python", seed),
            measure(
                "seed's Python to library call",
                Unit::Ratio,
                seed_to_library,
                Budget::AtLeast(Statistic::Median, 3.0),
            ),
            measure(
                "library call to bare system calls",
                Unit::Ratio,
                library_to_bare,
                Budget::AtMost(Statistic::Median, 1.5),
            ),
        ]
    }
}

/// A program that takes snapshots when it is told to. It ends with its standard input.
struct Driver {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Driver {
    fn start(command: &mut Command) -> Result<Self> {
        let line = command::line(command);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start `{line}`"))?;
        let stdout = child.stdout.take().context("a driver has no standard output")?;
        Ok(Self { child, stdout: BufReader::new(stdout) })
    }

    /// Takes a batch of snapshots of one kind, and yields the microseconds of each.
    fn take(&mut self, kind: &str) -> Result<Vec<f64>> {
        let stdin = self.child.stdin.as_mut().context("a driver has no standard input")?;
        writeln!(stdin, "{kind} {BATCH}").context("a driver does not listen")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).context("cannot read what a driver says")?;
        let nanoseconds = line.split_whitespace().map(|word| word.parse::<f64>().map(|ns| ns / 1e3));
        let times =
            nanoseconds.collect::<Result<Vec<_>, _>>().with_context(|| format!("a driver said {line:?}"))?;
        ensure!(times.len() == BATCH, "a driver took {} snapshots instead of {BATCH}", times.len());
        Ok(times)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// A directory for the marker files, removed with the value.
struct Home(PathBuf);

impl Home {
    fn make() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("forensics-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    fn write_markers(&self, pid: u32) -> Result<()> {
        let write = |path: &Path, marker: serde_json::Value| {
            fs::write(path, marker.to_string()).with_context(|| format!("cannot write {}", path.display()))
        };
        let written_at = "2026-01-01T00:00:00+00:00";
        write(
            &self.0.join(".gateway-takeover.json"),
            json!({"target_pid": pid, "target_start_time": 1, "replacer_pid": 1, "written_at": written_at}),
        )?;
        write(
            &self.0.join(".gateway-planned-stop.json"),
            json!({"target_pid": pid, "target_start_time": 1, "stopper_pid": 1, "written_at": written_at}),
        )
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
