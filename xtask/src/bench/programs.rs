//! What the kernel's verifier spends on each program.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::extent::Extent;
use super::probe;
use super::report::{Measure, Section, Unit};
use super::samples::Samples;
use crate::command;

const METHOD: &str = "Every program is loaded with everything asked of it, with each way of hooking that the kernel has, five times (three \
    in an emulated machine). The instructions are those that the verifier looked at; before Linux 5.16 the kernel does not tell them. The \
    time is that of the system call which loads the program.";

/// A program, as one load found it.
#[derive(Debug, PartialEq)]
struct Loaded {
    name: String,
    verified: f64,
    milliseconds: f64,
}

/// Runs the benchmark.
pub(super) fn run(extent: Extent) -> Result<Section> {
    let mut all: Vec<Loaded> = Vec::new();
    for _ in 0..extent.pick(5, 3) {
        let lines = command::output(Command::new(probe::program()).arg("programs"))?;
        for line in lines.lines() {
            all.push(loaded(line).with_context(|| format!("the probe said {line:?}"))?);
        }
    }
    let mut names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut measures = Vec::new();
    for name in names {
        let of = |figure: fn(&Loaded) -> f64| {
            all.iter().filter(|one| one.name == name).map(figure).collect::<Samples>()
        };
        let verified = of(|one| one.verified);
        if verified.median() > 0.0 {
            measures.push(Measure::new(format!("{name}: instructions"), Unit::Count, &verified));
        }
        measures.push(Measure::new(format!("{name}: load"), Unit::Milliseconds, &of(|one| one.milliseconds)));
    }
    Ok(Section::new("programs", METHOD, measures))
}

/// Reads `NAME INSTRUCTIONS NANOSECONDS`.
fn loaded(line: &str) -> Option<Loaded> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    let verified = words.next()?.parse().ok()?;
    let nanoseconds: f64 = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Loaded { name, verified, milliseconds: nanoseconds / 1e6 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_probe() {
        let expected = Loaded { name: "signal_raw".to_owned(), verified: 8293.0, milliseconds: 4.5 };
        assert_eq!(loaded("signal_raw 8293 4500000"), Some(expected));
        assert_eq!(loaded("signal_raw 8293"), None);
        assert_eq!(loaded("signal_raw 8293 x"), None);
        assert_eq!(loaded("signal_raw 8293 1 2"), None);
    }
}
