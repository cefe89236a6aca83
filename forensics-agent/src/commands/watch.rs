//! `watch`: the agent.

use std::io;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Globals;
use crate::diagnostics;
use crate::host::{pidfile, proc};
use crate::kernel::load::Hook;
use crate::session::{Session, Settings};
use crate::store::StorePath;
use crate::targets::{Selectors, SignalSet, TargetArgs};

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
    #[arg(help_heading = "What to report", long, value_name = "SET", allow_hyphen_values = true)]
    pub signals: Option<SignalSet>,
    /// Seconds that the service needs to drain, to be compared with its stop timeout
    #[arg(help_heading = "What to report", long, value_name = "SECONDS", value_parser = super::seconds)]
    pub drain_timeout: Option<f64>,
    /// Configuration file, in TOML: targets, markers, and what else a service is to do
    #[arg(help_heading = "What to report", long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database of incidents, or none [default: /var/lib/forensics-agent/incidents.db]
    #[arg(help_heading = "What to report", long, value_name = "PATH", default_value_t = StorePath::default(), hide_default_value = true)]
    pub store: StorePath,
    /// Also print each signal as it comes
    #[arg(help_heading = "What to report", long)]
    pub events: bool,
    /// End when the first incident closes
    #[arg(help_heading = "What to report", long)]
    pub once: bool,
    /// The way of hooking `signal_generate`, instead of the first that this kernel takes
    #[arg(help_heading = "What to report", long, value_name = "HOOK", value_parser = super::hook())]
    pub hook: Option<Hook>,
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
            let options = "--pid, --pidfile, --comm, --exe, --match, --all or --config";
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
    let config = super::config(args.config.as_deref())?;
    let targets = args.targets.and(config.targets.clone());
    if targets.select_nothing() {
        let path = args.config.unwrap_or_default();
        return Err(Failure::usage(format!("the configuration {} names no targets", path.display())));
    }
    let selectors = targets.selectors()?;
    super::require_kernel_access()?;
    let pids = named_pids(&selectors)?;
    let waits = selectors.by_name() || selectors.all;
    let settings = Settings {
        selectors,
        signals: args.signals.or(config.signals).unwrap_or_default(),
        show_cmdline: globals.show_cmdline.or(config.show_cmdline).unwrap_or_default(),
        hook: args.hook,
        ebpf_log: args.ebpf_log,
        events: args.events,
        follow_units: true,
        drain: args.drain_timeout.or(config.drain_timeout).map(super::drain),
        markers: config.marker_specs().into(),
        store: args.store.path(),
    };
    // Both are caught before anything is attached, so that a stop during the start is a clean one.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| cannot_wait(&error))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| cannot_wait(&error))?;

    let reporter = super::reporter(globals, io::stdout());
    let mut session =
        Session::start(settings, reporter).map_err(|error| Failure::kernel(error.to_string()))?;
    for pid in pids {
        session.watch(pid).map_err(|error| Failure::usage(error.to_string()))?;
    }
    session.watch_present();
    if waits && session.target_count() == 0 && !targets.all {
        log::warn!("no process matches yet; waiting for one to start");
    }
    session.announce().map_err(|error| Failure::output(&error))?;
    session.remember_everyone();
    loop {
        let progress = tokio::select! {
            progress = session.step() => progress.map_err(|error| Failure::output(&error))?,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        };
        if args.once && !progress.closed.is_empty() {
            return Ok(0);
        }
    }
    // What the kernel recorded before the stop is still told.
    while session.drain().map_err(|error| Failure::output(&error))?.more {}
    session.finish().map_err(|error| Failure::output(&error))?;
    Ok(0)
}

/// The processes that are named by number, each of which must be there.
fn named_pids(selectors: &Selectors) -> Result<Vec<u32>, Failure> {
    let mut pids = Vec::new();
    for &pid in &selectors.pids {
        pids.push((pid, format!("--pid {pid}")));
    }
    for path in &selectors.pidfiles {
        let pidfile = pidfile::read(path).map_err(|error| Failure::usage(error.to_string()))?;
        pids.push((pidfile.pid, format!("--pidfile {}", path.display())));
    }
    for (pid, option) in &pids {
        if *pid == std::process::id() {
            return Err(Failure::usage(format!(
                "{option} is the agent itself, which cannot report its own end"
            )));
        }
        proc::read_process_alone(*pid).map_err(|error| Failure::usage(format!("{option}: {error}")))?;
    }
    Ok(pids.into_iter().map(|(pid, _)| pid).collect())
}

fn cannot_wait(error: &io::Error) -> Failure {
    Failure::kernel(format!("cannot catch SIGINT and SIGTERM: {error}"))
}
