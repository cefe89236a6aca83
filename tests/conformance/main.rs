//! Runs the conformance suite against a tool, see `docs/CONFORMANCE.md`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use harness::conformance::{Report, SCENARIOS, Scenario, play};
use harness::{Skip, agent_command, needs_root};

/// Ways to be killed, each a real kill of a real victim, and what a tool says of it.
#[derive(Parser)]
#[command(name = "conformance")]
struct Args {
    /// The tool: a shell command that is run as `CMD --pid N` [default: this project's agent]
    #[arg(long, value_name = "CMD")]
    tool: Option<String>,
    /// Seconds that the tool may take to get ready, and to tell of a death
    #[arg(long, value_name = "S", default_value_t = 60)]
    patience: u64,
    /// Print the summary of each incident too
    #[arg(long)]
    summaries: bool,
    /// Print the scenarios and end
    #[arg(long)]
    list: bool,
    /// Only scenarios whose name contains one of these
    filter: Vec<String>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool> {
    let wanted = |scenario: &&Scenario| {
        args.filter.is_empty() || args.filter.iter().any(|part| scenario.name.contains(part))
    };
    let scenarios = SCENARIOS.iter().filter(wanted);
    if args.list {
        for scenario in scenarios {
            println!("{:>3} {:<24} {}", scenario.row, scenario.name, scenario.end);
        }
        return Ok(true);
    }
    needs_root()?;
    let tool = args.tool.clone().map_or_else(agent_command, Ok)?;
    println!("tool: {tool}\n{}", Report::head());
    let mut report = Report::default();
    for scenario in scenarios {
        let line = match play(scenario, &tool, Duration::from_secs(args.patience)) {
            Ok(played) => {
                let mut line = report.played(scenario, &played.answers);
                let summary =
                    played.incident.as_ref().and_then(|incident| incident.pointer("/verdict/summary"));
                if let Some(summary) = summary.filter(|_| args.summaries) {
                    line += &format!("\n      {summary}");
                }
                line
            }
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(Skip(why)) => report.skipped(scenario, why),
                None => report.broken(scenario, &format!("{error:#}")),
            },
        };
        println!("{line}");
    }
    print!("\n{report}");
    Ok(report.is_green())
}
