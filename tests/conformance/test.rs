//! The conformance suite with this project's agent: every answer right, and its sentences say what matters.

mod marks;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use harness::conformance::{Mark, SCENARIOS, Scenario, play};
use harness::{PATIENCE, agent_command, test};
use serde_json::Value;

fn main() -> ExitCode {
    let scenarios = SCENARIOS
        .iter()
        .map(|scenario| test(&format!("scenario::{}", scenario.name), || all_right(scenario)));
    harness::main(scenarios.chain([test("marks", marks::marks)]).collect())
}

fn all_right(scenario: &Scenario) -> Result<()> {
    // To compile a program of bpftrace, or to use up all memory, takes an emulated machine its time.
    let played = play(scenario, &agent_command()?, 3 * PATIENCE)?;
    let incident = played.incident.context("the agent told no incident")?;
    let faults = played.answers.iter().filter(|answer| answer.mark != Mark::Right);
    let faults: Vec<String> = faults
        .map(|answer| {
            format!("{} is {}: {}, not {}", answer.facet, answer.mark.word(), answer.said, answer.truth)
        })
        .collect();
    if !faults.is_empty() {
        bail!("{}, in {incident:#}", faults.join("; "));
    }
    let lost = incident.pointer("/lost/records");
    ensure!(lost.is_some_and(|lost| lost == 0), "records were lost, in {incident:#}");
    sentences(scenario, &incident)
}

fn sentences(scenario: &Scenario, incident: &Value) -> Result<()> {
    let summary = incident.pointer("/verdict/summary").and_then(Value::as_str).context("no summary")?;
    let evidence = incident.pointer("/verdict/evidence").and_then(Value::as_array).context("no evidence")?;
    let evidence: Vec<&str> = evidence.iter().filter_map(Value::as_str).collect();
    let mut said = evidence.iter().chain([&summary]);
    ensure!(
        said.any(|sentence| sentence.contains(scenario.words)),
        "{:?} is not told, in {incident:#}",
        scenario.words
    );
    // Whether the limits could be read before the victim was gone is a race; what was read must be right.
    if summary.contains("limit of ") {
        let values = ["limit of 1 s (", "limit of 200 ms (", "limit of 4096 bytes ("];
        let known = values.iter().any(|value| summary.contains(value)) || scenario.program == "memory";
        ensure!(known, "another limit than was set, in {incident:#}");
    }
    Ok(())
}
