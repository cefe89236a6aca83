//! One file per command, each thin: read the options, call the parts, choose the exit status.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::builder::TypedValueParser as _;

use crate::cli::{self, Cli, Command, Format, Globals};
use crate::config::Config;
use crate::host::privileges;
use crate::host::proc::{self, PidNamespace};
use crate::host::systemd::timing::Wanted;
use crate::kernel::load::Hook;
use crate::memory;
use crate::report::{JsonReporter, Reporter, TextReporter, Zone};

pub mod check_timing;
pub mod detach;
pub mod diagnose;
pub mod doctor;
pub mod explain;
pub mod failure;
pub mod judge;
pub mod list;
pub mod run;
pub mod show;
pub mod snapshot;
pub mod stats;
pub mod stored;
pub mod watch;

use failure::Failure;

/// Seconds that a service needs beyond its drain, unless it is said otherwise.
const HEADROOM: f64 = 30.0;

/// The whole program: reads the command line, does what it says, and yields the exit status.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    memory::share();
    let result = match cli::parse(args) {
        Ok(Some(cli)) => dispatch(cli),
        Ok(None) => Ok(0),
        Err(failure) => Err(failure),
    };
    ExitCode::from(result.unwrap_or_else(|failure| failure.print()))
}

/// Runs one command and yields its exit status.
fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let Cli { globals, command } = cli;
    match command {
        Command::Watch(args) => event_loop()?.block_on(watch::run(&globals, args)),
        Command::Run(args) => event_loop()
            .and_then(|event_loop| event_loop.block_on(run::run(&globals, args)))
            .map_err(Failure::of_run),
        Command::Snapshot(args) => snapshot::run(&globals, &args),
        Command::CheckTiming(args) => {
            let json = globals.output == Format::Json;
            event_loop()?
                .block_on(check_timing::run(&args, json, &mut io::stdout().lock()))
                .map_err(|error| Failure { code: error.exit_code(), message: error.to_string() })
        }
        Command::Diagnose(args) => diagnose::run(&globals, &args),
        Command::Judge(args) => judge::run(&globals, &args),
        Command::List(args) => list::run(&globals, &args),
        Command::Show(args) => show::run(&globals, &args),
        Command::Stats(args) => stats::run(&globals, &args),
        Command::Explain(args) => event_loop()?.block_on(explain::run(&globals, &args)),
        Command::Detach(args) => detach::run(&globals, &args),
        Command::Doctor(args) => doctor::run(&globals, &args, &doctor::try_hooks()),
    }
}

/// The one event loop; one thread is enough, since nothing in it blocks.
fn event_loop() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::kernel(format!("cannot make an event loop: {error}")))
}

/// A reporter to `out` in the form that was asked for.
pub fn reporter<W: Write + IsTerminal>(globals: &Globals, out: W) -> Reporter<W> {
    let colour = globals.color.wanted(&out);
    reporter_in(globals, out, colour)
}

/// The same, with colours or without.
fn reporter_in<W: Write>(globals: &Globals, out: W, colour: bool) -> Reporter<W> {
    match globals.output {
        Format::Json => Reporter::json(JsonReporter::new(out)),
        Format::Text => Reporter::text(TextReporter::new(out, colour, Zone::Local, globals.quiet)),
    }
}

/// Reads a number of seconds for the command line: 0 or more, fractions allowed.
fn seconds(text: &str) -> Result<f64, String> {
    match text.strip_suffix('s').unwrap_or(text).parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        _ => Err("not a number of seconds".to_owned()),
    }
}

/// Refuses to start where the kernel programs could not be loaded, or where their process numbers would mean other
/// processes than ours.
fn require_kernel_access() -> Result<(), Failure> {
    privileges::check()?;
    match proc::pid_namespace() {
        PidNamespace::Nested => Err(Failure::kernel(
            "the agent runs in a pid namespace of its own, where process numbers are not those of the kernel: run it \
             on the host, or in a container with the host's pid namespace (--pid=host)",
        )),
        PidNamespace::Initial | PidNamespace::Unknown => Ok(()),
    }
}

/// Reads the configuration, when there is one.
fn config(path: Option<&Path>) -> Result<Config, Failure> {
    path.map_or_else(|| Ok(Config::default()), Config::read)
        .map_err(|error| Failure::usage(error.to_string()))
}

/// What a service wants that takes so many seconds to drain: 30 s more, for connections to close and state to write.
fn drain(seconds: f64) -> Wanted {
    Wanted { drain: seconds, headroom: HEADROOM }
}

/// Reads the name of a hook variant for the command line, as the ready line gives it.
fn hook() -> impl clap::builder::TypedValueParser<Value = Hook> {
    clap::builder::PossibleValuesParser::new(Hook::ALL.map(Hook::name)).try_map(|name| {
        Hook::ALL.into_iter().find(|hook| hook.name() == name).ok_or_else(|| format!("{name} is no hook"))
    })
}

/// Reads a log level for the command line.
fn log_level() -> impl clap::builder::TypedValueParser<Value = log::LevelFilter> {
    clap::builder::PossibleValuesParser::new(["off", "error", "warn", "info", "debug", "trace"])
        .try_map(|name| name.parse::<log::LevelFilter>().map_err(|error| error.to_string()))
}
