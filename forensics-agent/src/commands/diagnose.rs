//! `diagnose`: writes what the host looks like to a log, by a worker that outlives everybody around.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Globals;
use crate::host::diagnose::{Redact, Request, spawn, work};
use crate::host::proc::exists;

use super::failure::Failure;

const DETAILS: &str = "\
Prints the pid of the worker and returns at once. The worker leaves the cgroup of its caller when it can (as root), and says
so in the log when it cannot.

Exits with 0, or with 2 when the process does not exist or the log cannot be written.";

/// Options of `diagnose`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {
    /// The process that is being stopped
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: u32,
    /// The signal that it received
    #[arg(long, value_name = "S")]
    pub signal: String,
    /// Where to append the report; mode 0600, rotated at 4 MiB
    #[arg(long, value_name = "FILE")]
    pub log: PathBuf,
    /// Seconds that it may take, fractions allowed
    #[arg(long, value_name = "S", default_value = "5", value_parser = timeout)]
    pub timeout: Duration,
    /// Be the worker
    #[arg(long, hide = true)]
    pub worker: bool,
}

/// Starts the worker, or is the worker, and yields the exit status.
///
/// # Errors
/// See [`Failure`].
pub fn run(globals: &Globals, args: &Args) -> Result<u8, Failure> {
    let Args { pid, signal, log, timeout, worker } = args;
    let unusable =
        |error: &dyn std::fmt::Display| Failure::usage(format!("--log {}: {error}", log.display()));
    // The worker starts in the root directory.
    let log = std::path::absolute(log).map_err(|error| unusable(&error))?;
    let request = Request { pid: *pid, signal: signal.clone(), log, timeout: *timeout };
    if *worker {
        let show = globals.shown();
        let redact: Redact = Arc::new(move |argv: &[String]| show.shown(argv));
        work(&request, &redact).map_err(|error| Failure::usage(error.to_string()))?;
        return Ok(0);
    }
    if !exists(*pid) {
        return Err(Failure::usage(format!("process {pid} does not exist")));
    }
    let child = spawn(&request, &worker_arguments(globals, &request))
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", child.id()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))?;
    Ok(0)
}

/// The command line with which this program is the worker of a request.
fn worker_arguments(globals: &Globals, request: &Request) -> Vec<OsString> {
    let Request { pid, signal, log, timeout } = request;
    let seconds = format!("--timeout={}", timeout.as_secs_f64());
    let mut log_option = OsString::from("--log=");
    log_option.push(log);
    let signal_option = format!("--signal={signal}");
    [
        "diagnose".into(),
        "--worker".into(),
        format!("--pid={pid}").into(),
        signal_option.into(),
        log_option,
        seconds.into(),
        "--show-cmdline".into(),
        globals.shown().name().into(),
    ]
    .into()
}

/// Reads the timeout: a millisecond to an hour.
fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=3600.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "not a number of seconds from 0.001 to 3600".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command, ShowCmdline};

    #[test]
    fn the_worker_gets_what_its_parent_was_asked() {
        let log = PathBuf::from("-odd name");
        let request = Request { pid: 7, signal: "-x y".to_owned(), log, timeout: Duration::from_millis(1) };
        let mut arguments = vec![OsString::from("forensics-agent")];
        let Cli { globals, .. } = Cli::try_parse_from(["x", "--show-cmdline", "exe", "doctor"]).unwrap();
        arguments.extend(worker_arguments(&globals, &request));
        let Cli { globals, command: Command::Diagnose(args) } = Cli::try_parse_from(arguments).unwrap()
        else {
            panic!("another command");
        };
        assert_eq!(globals.show_cmdline, Some(ShowCmdline::Exe));
        let Args { pid, signal, log, timeout, worker } = args;
        assert!(worker);
        assert_eq!(Request { pid, signal, log, timeout }, request);
    }

    #[test]
    fn what_cannot_be_done_is_2() {
        let refused = |pid: u32, log: &str| {
            let (pid, log) = (format!("--pid={pid}"), format!("--log={log}"));
            let Cli { globals, command: Command::Diagnose(args) } =
                Cli::try_parse_from(["x", "diagnose", &pid, "--signal=TERM", &log]).unwrap()
            else {
                panic!("another command");
            };
            run(&globals, &args).unwrap_err()
        };
        assert_eq!(refused(u32::MAX, "/tmp/x").code, 2);
        let device = refused(std::process::id(), "/dev/null");
        assert_eq!(device.code, 2);
        assert!(device.message.contains("/dev/null"), "{}", device.message);
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
