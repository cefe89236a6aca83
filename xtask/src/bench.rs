//! `cargo xtask bench`: what the agent costs, measured on the running kernel.
//!
//! A machine is never quiet, so a figure counts only beside another one of the same run. What is compared alternates
//! in short batches, of which most pass undisturbed, and the median stands for them.

mod agent;
mod auditd;
mod bpf;
mod crowd;
mod extent;
mod flood;
mod kills;
mod latency;
mod machine;
mod measure;
mod peers;
mod probe;
mod programs;
mod report;
mod requests;
mod running;
mod samples;
mod senders;
mod signals;
mod snapshot;
mod start;
mod stored;
mod targets;
mod tool;
mod victim;

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum as _;

use extent::Extent;
use machine::Machine;
use report::{Report, Section};
use tool::Tool;

use crate::vm::{self, Series};
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
    /// Measure on this kernel in a virtual machine, where kprobes, fentry and auditd work; may be given several times
    #[arg(long, value_name = "SERIES", value_parser = vm::choice)]
    vm: Vec<Vec<Series>>,
    /// `peers` and `flood`: only these tools; may be given several times
    #[arg(long, value_name = "TOOL", value_enum)]
    tool: Vec<Tool>,
    /// `start`: also leave an agent alone for so long, and look what it has become
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    idle_minutes: u32,
    /// What is measured is there already
    #[arg(long, hide = true)]
    prebuilt: bool,
}

/// The benchmarks.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Benchmark {
    /// Kernel time of a signal, and time of a kill(2), by what the agent does with it
    Signals,
    /// The same by the number of watched processes
    Targets,
    /// A million signals at one watched process, from one core and from two, with the agent and with other tools
    Flood,
    /// Start of the agent, and what it takes while nothing happens
    Start,
    /// From a kill to the incident on standard output
    Latency,
    /// From a kill to the incident in the store
    Stored,
    /// Beside sigsnoop, bpftrace, BCC and auditd, on the same work
    Peers,
    /// A busy server on a socket, by how requests to managers are seen
    Requests,
    /// The shutdown context, beside the seed's Python and bare system calls
    Snapshot,
    /// What the verifier spends on each program
    Programs,
}

impl Benchmark {
    /// What says something in a virtual machine that is emulated, and does not take it an hour.
    const IN_MACHINE: [Self; 4] = [Self::Programs, Self::Requests, Self::Peers, Self::Flood];

    fn run(self, args: &Args, extent: Extent) -> Result<Section> {
        match self {
            Self::Signals => signals::run(),
            Self::Targets => targets::run(),
            Self::Flood => flood::run(extent, &args.tool),
            Self::Start => start::run(extent, args.idle_minutes),
            Self::Latency => latency::run(),
            Self::Stored => stored::run(extent),
            Self::Peers => peers::run(extent, &args.tool),
            Self::Requests => requests::run(extent),
            Self::Snapshot => snapshot::run(),
            Self::Programs => programs::run(extent),
        }
    }

    fn name(self) -> String {
        name_of(self)
    }
}

/// What is typed for a value.
fn name_of(value: impl clap::ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs the task. A budget that is missed is printed as such and is no failure: the machine may be to blame.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    ensure!(rustix::process::geteuid().is_root(), "the benchmarks attach to the kernel: run them as root");
    if !args.prebuilt {
        build()?;
    }
    let mut failed = false;
    let mut tell = |report: Report| {
        failed |= report.has_failed();
        print(args, &report)
    };
    if args.vm.is_empty() {
        tell(here(args)?)?;
    }
    for series in args.vm.concat() {
        tell(there(args, series)?)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Measures on this machine.
fn here(args: &Args) -> Result<Report> {
    let chosen = if args.benchmarks.is_empty() { Benchmark::value_variants() } else { &args.benchmarks };
    let before = Machine::read()?;
    let extent = if before.is_emulated() { Extent::Short } else { Extent::Full };
    let mut sections = Vec::new();
    for benchmark in chosen {
        eprintln!("measuring {}", benchmark.name());
        let section = benchmark.run(args, extent);
        let section = section.unwrap_or_else(|why| Section::failed(&benchmark.name(), &why));
        sections.push(if before.is_emulated() { section.unjudged() } else { section });
    }
    Ok(Report::new(before, Machine::read()?, sections))
}

/// Measures in a virtual machine.
fn there(args: &Args, series: Series) -> Result<Report> {
    let chosen: &[Benchmark] =
        if args.benchmarks.is_empty() { &Benchmark::IN_MACHINE } else { &args.benchmarks };
    let mut arguments: Vec<String> = chosen.iter().map(|benchmark| benchmark.name()).collect();
    arguments.push(format!("--idle-minutes={}", args.idle_minutes));
    arguments.extend(args.tool.iter().map(|tool| format!("--tool={}", name_of(*tool))));
    let report = vm::bench::run(series, &arguments)?;
    serde_json::from_str(&report).with_context(|| format!("Linux {series} reported {report}"))
}

fn print(args: &Args, report: &Report) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string(report)?);
    } else if args.markdown {
        print!("{}", report.as_markdown());
    } else {
        print!("{}", report.as_text());
    }
    Ok(())
}

/// Builds what is measured, optimised as it is shipped.
fn build() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(workspace::root());
    build.args(["build", "--quiet", "--release", "--package", "forensics-agent"]);
    build.args(["--bin", "forensics-agent", "--example", "bench_probe"]);
    eprintln!("$ {}", command::line(&build));
    let status = build.status()?;
    ensure!(status.success(), "`{}` failed: {status}", command::line(&build));
    Ok(())
}
