//! `cargo xtask`: what a plain `cargo build` and `cargo test` do not do.

mod bench;
mod command;
mod conformance;
mod debian;
mod dist;
mod ebpf;
mod tally;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

/// Tasks of this workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Rebuild the kernel object that the agent embeds, or check that it matches its sources
    Ebpf(ebpf::Args),
    /// Run all tests, those against the real kernel included
    Test(test::Args),
    /// Run the tests against the real kernel on other kernels, each in a virtual machine with a real systemd
    Vm(vm::Args),
    /// Score a tool by the ways to be killed: what it says of each against what is true
    Conformance(conformance::Args),
    /// Build the Debian package
    Dist(dist::Args),
    /// Measure what the agent costs
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Ebpf(args) => ebpf::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Vm(args) => vm::run(&args),
        Task::Conformance(args) => conformance::run(&args),
        Task::Dist(args) => dist::run(&args),
        Task::Bench(args) => bench::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
