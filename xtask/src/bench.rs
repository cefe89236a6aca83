//! `cargo xtask bench`: what the agent costs, measured on the running kernel.
//!
//! A machine is never quiet, so a figure counts only beside another one of the same run. What is compared alternates
//! in short batches, of which most pass undisturbed, and the median stands for them.

mod agent;
mod bpf;
mod crowd;
mod kills;
mod latency;
mod machine;
mod peers;
mod report;
mod requests;
mod samples;
mod signals;
mod snapshot;
mod start;
mod storm;
mod targets;
mod tool;
mod victim;

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use machine::Machine;
use report::{Report, Section};

use crate::{command, workspace};

/// Arguments of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only these; all by default
    #[arg(value_enum)]
    benchmarks: Vec<Benchmark>,
    /// Print one JSON object
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown tables
    #[arg(long)]
    markdown: bool,
}

/// The benchmarks.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Benchmark {
    /// Kernel time of a signal, and time of a kill(2), by what the agent does with it
    Signals,
    /// The same by the number of watched processes
    Targets,
    /// A million signals at one watched process
    Storm,
    /// Start of the agent, and what it takes while nothing happens
    Start,
    /// From a kill to the incident on standard output
    Latency,
    /// Beside sigsnoop and bpftrace, on the same work
    Peers,
    /// A busy server on a socket, by how requests to managers are seen
    Requests,
    /// The shutdown context, beside the seed's Python and bare system calls
    Snapshot,
}

impl Benchmark {
    fn run(self) -> Result<Section> {
        match self {
            Self::Signals => signals::run(),
            Self::Targets => targets::run(),
            Self::Storm => storm::run(),
            Self::Start => start::run(),
            Self::Latency => latency::run(),
            Self::Peers => peers::run(),
            Self::Requests => requests::run(),
            Self::Snapshot => snapshot::run(),
        }
    }
}

/// Runs the task. A budget that is missed is printed as such and is no failure: the machine may be to blame.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "the benchmarks attach to the kernel: run them as root");
    build()?;
    let all = <Benchmark as clap::ValueEnum>::value_variants();
    let chosen = if args.benchmarks.is_empty() { all } else { &args.benchmarks };
    let before = Machine::read()?;
    let mut sections = Vec::new();
    for benchmark in chosen {
        let section = benchmark.run()?;
        // Standard output is for the whole report when a program reads it.
        if !args.json && !args.markdown {
            println!("{}", section.as_text());
        }
        sections.push(section);
    }
    let report = Report::new(before, Machine::read()?, sections);
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else if args.markdown {
        print!("{}", report.as_markdown());
    } else {
        println!("{}", report.conditions());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what is measured, optimised as it is shipped.
fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace::root());
    build.args(["build", "--quiet", "--release", "--package", "forensics-agent"]);
    build.args(["--bin", "forensics-agent", "--example", "snapshot_bench"]);
    eprintln!("$ {}", command::line(&build));
    let status = build.status()?;
    ensure!(status.success(), "`{}` failed: {status}", command::line(&build));
    Ok(())
}
