//! `watch`: the agent.

use crate::cli::Globals;
use crate::targets::{SignalSet, TargetArgs};

use super::failure::Failure;

const DETAILS: &str = "\
Examples:
  forensics-agent watch --pid 4242 --once        wait for the end of 4242 and explain it
  forensics-agent watch --pidfile /run/gw.pid -f the process of a pidfile and all that it starts
  forensics-agent watch --comm nginx --comm redis-server
  forensics-agent watch --match 'python.* gateway' --events -o json

Selectors add up. --comm, --exe and --match also catch processes that start later; --pid and
--pidfile mean the process that is there now. The agent never watches itself.

In JSON the first line is of schema forensics-agent/ready/1 and comes when everything is attached
and every selector resolved, so that a script can wait for it.

Runs until SIGINT or SIGTERM, or with --once until the first incident closes.";

/// Options of `watch`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// Which processes.
    #[command(flatten, next_help_heading = "Which processes")]
    pub targets: TargetArgs,
    /// Signals that count, by name or number; +S and -S change the default set
    ///
    /// `TERM,KILL` means just these; `+WINCH,-PIPE` adds to and takes from the default set; `all` and `default`
    /// stand for sets. The default is what ends services: TERM KILL INT HUP QUIT ABRT USR1 USR2 ALRM XCPU XFSZ
    /// PIPE IO SYS, and the faults SEGV BUS ILL FPE TRAP.
    #[arg(
        help_heading = "What to report",
        long,
        value_name = "SET",
        allow_hyphen_values = true,
        default_value_t,
        hide_default_value = true
    )]
    pub signals: SignalSet,
    /// Seconds that the service needs to drain, to be compared with its stop timeout
    #[arg(help_heading = "What to report", long, value_name = "SECONDS", value_parser = super::seconds)]
    pub drain_timeout: Option<f64>,
    /// Also print each signal as it comes
    #[arg(help_heading = "What to report", long)]
    pub events: bool,
    /// End when the first incident closes
    #[arg(help_heading = "What to report", long)]
    pub once: bool,
    /// Diagnostics of the kernel programs, on stderr (they cost verifier time; off by default)
    #[arg(help_heading = "What to report", long, value_name = "LEVEL", default_value = "off", value_parser = super::log_level())]
    pub ebpf_log: log::LevelFilter,
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub async fn run(_globals: &Globals, _args: Args) -> Result<u8, Failure> {
    Err(Failure::kernel("the kernel part is not merged yet"))
}
