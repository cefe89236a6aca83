//! `watch`: the agent.

mod live;
mod plan;
mod watcher;

use std::path::PathBuf;

use crate::cli::Globals;
use crate::diagnostics;
use crate::kernel::load::Hook;
use crate::kernel::pins;
use crate::path_or_none::PathOrNone;
use crate::request::Mode;
use crate::targets::{SignalSet, TargetArgs};
use crate::{store, varlink};

use super::failure::Failure;
use plan::Plan;
use watcher::Watcher;

const DETAILS: &str = "\
Examples:
  forensics-agent watch --pid 4242 --once        wait for the end of 4242 and explain it
  forensics-agent watch --pidfile /run/gw.pid -f the process of a pidfile and all that it starts
  forensics-agent watch -u gateway -u 'worker@*'      units, now and whenever they run
  forensics-agent watch --user-unit gateway --uid 1000
  forensics-agent watch --comm nginx --comm redis-server
  forensics-agent watch --match 'python.* gateway' --events -o json

Selectors add up. --unit, --user-unit, --cgroup, --comm, --exe and --match also catch processes that
start later; --pid and --pidfile mean the process that is there now. The agent is none of them;
with --persist the next one tells of its end.

Of a unit or cgroup, whoever is in it is watched until it leaves, and told of when it is killed or asked
to end; an exit of its own accord is told only of those that came from outside, as the main process did.

In JSON the first line is of schema forensics-agent/ready/1 and comes when everything is attached
and every selector resolved, so that a script can wait for it; it comes again after a reload.

On a terminal, the targets stand below with their states, uptimes and last signals, drawn anew every second;
elsewhere, and with --quiet, only what is reported is printed.

With --persist, or `persist = true` in the configuration, the kernel programs go on when the agent ends,
however that comes about, until the next agent goes on with them or `forensics-agent detach` removes them.

Runs until SIGINT or SIGTERM, or with --once until the first incident closes. With --config, SIGHUP
makes it read the file again; when the new one is wrong, the old one stays in force.";

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
    #[arg(help_heading = "What to report", long, value_name = "SET", allow_hyphen_values = true)]
    pub signals: Option<SignalSet>,
    /// Seconds that the service needs to drain, to be compared with its stop timeout
    #[arg(help_heading = "What to report", long, value_name = "SECONDS", value_parser = super::seconds)]
    pub drain_timeout: Option<f64>,
    /// Configuration file, in TOML: targets, markers, and what else a service is to do
    #[arg(help_heading = "What to report", long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database of incidents, or none [default: /var/lib/forensics-agent/incidents.db]
    #[arg(help_heading = "What to report", long, value_name = "PATH", default_value_t = PathOrNone::at(store::DEFAULT_PATH), hide_default_value = true)]
    pub store: PathOrNone,
    /// Socket at which processes ask who signals them, or none [default: /run/forensics-agent/agent.sock]
    #[arg(help_heading = "What to report", long, value_name = "PATH", default_value_t = PathOrNone::at(varlink::DEFAULT_PATH), hide_default_value = true)]
    pub socket: PathOrNone,
    /// Let the kernel programs outlive the agent, so that the next one tells what happened in between
    ///
    /// They are pinned in DIR of a bpf file system. When the agent is killed, or stops, they go on recording, and the next agent
    /// with this option goes on with them. `forensics-agent detach` removes them. It needs a store. [default DIR:
    /// /sys/fs/bpf/forensics-agent]
    #[arg(help_heading = "What to report", long, value_name = "DIR", num_args = 0..=1, require_equals = true, default_missing_value = pins::DEFAULT_DIRECTORY, conflicts_with = "once")]
    pub persist: Option<PathBuf>,
    /// Also print each signal as it comes
    #[arg(help_heading = "What to report", long)]
    pub events: bool,
    /// End when the first incident closes
    #[arg(help_heading = "What to report", long)]
    pub once: bool,
    /// The way of hooking `signal_generate`, instead of the first that this kernel takes
    #[arg(help_heading = "What to report", long, value_name = "HOOK", value_parser = super::hook())]
    pub hook: Option<Hook>,
    /// How to find out who asked a service manager or container engine [default: auto]
    ///
    /// `auto` takes the cheapest way that this kernel allows: the entry of `unix_stream_sendmsg()`, else the tracepoint
    /// `sock_send_length`, else what the commands that are executed tell (`exec`). It never takes `syscalls`, for which every
    /// system call on the host pays.
    #[arg(help_heading = "What to report", long, value_enum, value_name = "HOW")]
    pub instigator: Option<Mode>,
    /// Diagnostics of the kernel programs, on stderr (they cost verifier time; off by default)
    #[arg(help_heading = "What to report", long, value_name = "LEVEL", default_value = "off", value_parser = super::log_level())]
    pub ebpf_log: log::LevelFilter,
}

impl Args {
    /// What clap cannot express.
    ///
    /// # Errors
    /// Usage, when nothing selects a process or an option cannot match any.
    pub fn check(&self) -> Result<(), Failure> {
        if self.config.is_none() && self.targets.select_nothing() {
            let options =
                "--pid, --unit, --user-unit, --cgroup, --pidfile, --comm, --exe, --match, --all or --config";
            return Err(Failure::usage(format!("watch needs to know which processes: {options}")));
        }
        self.targets.check()
    }
}

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub async fn run(globals: &Globals, args: Args) -> Result<u8, Failure> {
    diagnostics::start(globals.quiet, globals.verbose, args.ebpf_log);
    let plan = Plan::read(globals, &args)?;
    super::require_kernel_access()?;
    Watcher::start(globals, &args, plan)?.run().await
}
