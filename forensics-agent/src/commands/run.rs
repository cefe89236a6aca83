//! `run`: starts a command, watches it, and says how it ended.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use forensics_incident::model::{Facts, OutcomeKind};
use tokio::sync::oneshot::error::RecvError;

use crate::child::{Child, User};
use crate::cli::Globals;
use crate::diagnostics;
use crate::forward::Forwarded;
use crate::path_or_none::PathOrNone;
use crate::report::JsonReporter;
use crate::request::Mode;
use crate::session::{Session, Settings};
use crate::targets::Selectors;

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
    /// Configuration file, in TOML: markers, signals, and how much of command lines is kept
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database in which the incidents are stored as well [default: none]
    #[arg(long, value_name = "PATH", default_value_t = PathOrNone::NONE, hide_default_value = true)]
    pub store: PathOrNone,
    /// How to find out who asked a service manager or container engine; see `watch --help`
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    pub instigator: Mode,
    /// Diagnostics of the kernel programs, on stderr (they cost verifier time; off by default)
    #[arg(long, value_name = "LEVEL", default_value = "off", value_parser = super::log_level())]
    pub ebpf_log: log::LevelFilter,
    /// The command and its arguments
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// How long the kernel's record of the command's end may take after `wait(2)` has returned.
const RECORD_PATIENCE: Duration = Duration::from_secs(2);

/// Runs the command and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub async fn run(globals: &Globals, args: Args) -> Result<u8, Failure> {
    diagnostics::start(globals.quiet, globals.verbose, args.ebpf_log);
    let config = super::config(args.config.as_deref())?;
    super::require_kernel_access()?;
    let user = args
        .uid
        .as_deref()
        .map(User::find)
        .transpose()
        .map_err(|why| Failure::usage(format!("--uid: {why}")))?;
    let mut report = args.report.as_deref().map(open_report).transpose()?;
    let settings = Settings {
        selectors: Selectors::none(args.follow_children),
        signals: config.signals.unwrap_or_default(),
        show_cmdline: globals.show_cmdline.or(config.show_cmdline).unwrap_or_default(),
        hook: None,
        instigator: args.instigator,
        ebpf_log: args.ebpf_log,
        events: false,
        follow_units: false,
        drain: args.drain_timeout.or(config.drain_timeout).map(super::drain),
        markers: config.marker_specs().into(),
        store: args.store.path(),
        ledger: false,
        socket: None,
        persist: None,
    };
    let mut forwarded =
        Forwarded::catch().map_err(|error| Failure::kernel(format!("cannot catch signals: {error}")))?;
    let mut session = Session::start(settings, super::reporter(globals, io::stderr()))
        .map_err(|error| Failure::kernel(error.to_string()))?;

    let child = Child::start(&args.command, user)
        .map_err(|error| Failure::kernel(format!("cannot start a process: {error}")))?;
    let pid = child.pid;
    session.watch(pid).map_err(|error| Failure::kernel(error.to_string()))?;
    let mut ended = child.release().await.map_err(|error| cannot_execute(&args.command, &error))?;
    session.remember_everyone();

    let mut status = None;
    let mut told = false;
    while status.is_none() || !told {
        let patience = tokio::time::sleep(RECORD_PATIENCE);
        let progress = tokio::select! {
            progress = session.step() => progress.map_err(|error| Failure::output(&error))?,
            end = &mut ended, if status.is_none() => {
                status = Some(end_of(end)?);
                continue;
            }
            signal = forwarded.next(), if status.is_none() => {
                signal.send_to(pid);
                continue;
            }
            () = patience, if status.is_some() => {
                let progress = session.finish().map_err(|error| Failure::output(&error))?;
                if progress.closed.is_empty() {
                    log::warn!("the kernel programs have no record of the end of process {pid}");
                    break;
                }
                progress
            }
        };
        for incident in &progress.closed {
            if let Some(report) = &mut report {
                report.incident(incident).map_err(|error| Failure::output(&error))?;
            }
            let Facts { target, outcome, .. } = &incident.facts;
            told |= target.pid == pid && outcome.kind != OutcomeKind::Survived;
        }
    }
    Ok(status.map_or(0, exit_status))
}

/// Opens the file for the JSON, readable by its owner alone.
fn open_report(path: &Path) -> Result<JsonReporter<File>, Failure> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map(JsonReporter::new)
        .map_err(|error| Failure::usage(format!("--report {}: {error}", path.display())))
}

fn cannot_execute(command: &[OsString], error: &io::Error) -> Failure {
    let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
    let message = format!("cannot execute {name}: {error}");
    match error.kind() {
        io::ErrorKind::NotFound => Failure::not_found(message),
        _ => Failure::cannot_execute(message),
    }
}

fn end_of(end: Result<io::Result<ExitStatus>, RecvError>) -> Result<ExitStatus, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::kernel(format!("cannot wait for the command: {error}"));
    end.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}

/// As a shell has it: 128+N when signal N killed the command.
fn exit_status(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
