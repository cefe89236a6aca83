//! `run`: starts a command, watches it, and says how it ended.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::Globals;

use super::failure::Failure;

const DETAILS: &str = "\
Examples:
  forensics-agent run -- ./server --port 8080
  forensics-agent run --uid www-data -f --report end.json -- make test

The command keeps its stdin, stdout and stderr; the verdict goes to stderr when it has ended, and
as JSON to --report. Exits as the command did: with its status, or 128+N when signal N killed it.
125 is a failure of the agent itself, 126 a command that cannot be executed, 127 one that is not
there.";

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// Run the command as this user, by name or number, with that user's groups
    #[arg(long, value_name = "USER")]
    pub uid: Option<String>,
    /// Also watch the processes that the command starts
    #[arg(short, long)]
    pub follow_children: bool,
    /// Write each incident to this file as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Seconds that the service needs to drain, to be compared with its stop timeout
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub drain_timeout: Option<f64>,
    /// Diagnostics of the kernel programs, on stderr (they cost verifier time; off by default)
    #[arg(long, value_name = "LEVEL", default_value = "off", value_parser = super::log_level())]
    pub ebpf_log: log::LevelFilter,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub async fn run(_globals: &Globals, _args: Args) -> Result<u8, Failure> {
    Err(Failure::kernel("the kernel part is not merged yet"))
}
