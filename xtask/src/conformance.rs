//! `cargo xtask conformance`: how well a tool tells who killed what, see `docs/CONFORMANCE.md`.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};

use crate::{command, test, workspace};

/// Arguments of `cargo xtask conformance`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tool: a shell command that is run as `CMD --pid N` [default: this project's agent]
    #[arg(long, value_name = "CMD", conflicts_with = "adapter")]
    tool: Option<String>,
    /// Another tool, by the adapter that this project has for it
    #[arg(long, value_enum, value_name = "TOOL")]
    adapter: Option<Adapter>,
    /// Seconds that the tool may take to get ready, and to tell of a death
    #[arg(long, value_name = "S")]
    patience: Option<u64>,
    /// Print the summary of each incident too
    #[arg(long)]
    summaries: bool,
    /// Print the scenarios and end
    #[arg(long)]
    list: bool,
    /// Only scenarios whose name contains one of these
    filter: Vec<String>,
}

/// Tools that do not speak the protocol, and what makes them.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Adapter {
    /// That of libbpf-tools
    Sigsnoop,
}

impl Adapter {
    fn package(self) -> &'static str {
        match self {
            Self::Sigsnoop => "libbpf-tools",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Sigsnoop => "sigsnoop.py",
        }
    }
}

/// Runs the task. The closing line is the last one of the suite itself.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if !args.list {
        test::install_packages(args.adapter.map(Adapter::package).as_slice());
    }
    command::run(cargo().args(["build", "--quiet", "--package", "forensics-agent"]))?;
    command::run(cargo().args(["build", "--quiet", "--package", "forensics-tests", "--bin", "conformance"]))?;
    let mut suite = Command::new(workspace::target().join("debug/conformance"));
    if let Some(tool) = &args.tool {
        suite.arg("--tool").arg(tool);
    }
    if let Some(adapter) = args.adapter {
        let script = workspace::root().join("tests/programs").join(adapter.script());
        suite.arg("--tool").arg(format!("python3 '{}'", script.display()));
    }
    if let Some(patience) = args.patience {
        suite.args(["--patience", &patience.to_string()]);
    }
    suite.args(args.summaries.then_some("--summaries")).args(args.list.then_some("--list"));
    suite.args(&args.filter);
    let status = suite.status().with_context(|| format!("cannot start `{}`", command::line(&suite)))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace::root());
    cargo
}
