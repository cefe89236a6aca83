//! `diagnose`: writes what the host looks like to a log, by a worker that outlives everybody around.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::diagnose::{LogError, Redact, Request, spawn, work};
use crate::host::proc::exists;

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

/// Starts the worker, or is the worker, and yields the exit status. What is wrong with the input is said on stderr.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &Args, redact: &Redact, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Args { pid, signal, log, timeout, worker } = args;
    // The worker starts in the root directory.
    let log = std::path::absolute(log)?;
    let request = Request { pid: *pid, signal: signal.clone(), log, timeout: *timeout };
    let result = if *worker {
        work(&request, redact)
    } else if exists(*pid) {
        match spawn(&request, &worker_arguments(&request)) {
            Ok(child) => {
                writeln!(out, "{}", child.id())?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    } else {
        return Ok(refuse(&format!("process {pid} does not exist")));
    };
    Ok(match result {
        Ok(()) => 0,
        Err(error) => refuse(&error.to_string()),
    })
}

/// Starts a worker for the agent itself.
///
/// # Errors
/// [`LogError`]
pub fn start(request: &Request) -> Result<std::process::Child, LogError> {
    spawn(request, &worker_arguments(request))
}

fn refuse(why: &str) -> u8 {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "forensics-agent: {}", forensics_incident::text::escape(why));
    2
}

/// The command line with which this program is the worker of a request.
fn worker_arguments(request: &Request) -> Vec<OsString> {
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

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Diagnose(Args),
    }

    #[test]
    fn the_worker_gets_what_its_parent_was_asked() {
        let log = PathBuf::from("-odd name");
        let request = Request { pid: 7, signal: "-x y".to_owned(), log, timeout: Duration::from_millis(1) };
        let mut arguments = vec![OsString::from("forensics-agent")];
        arguments.extend(worker_arguments(&request));
        let Command::Diagnose(args) = Cli::try_parse_from(arguments).unwrap().command;
        let Args { pid, signal, log, timeout, worker } = args;
        assert!(worker);
        assert_eq!(Request { pid, signal, log, timeout }, request);
    }

    #[test]
    fn what_cannot_be_done_is_2() {
        let redact: Redact = std::sync::Arc::new(<[String]>::to_vec);
        let mut args = Args {
            pid: u32::MAX,
            signal: "SIGTERM".to_owned(),
            log: "/dev/null".into(),
            timeout: Duration::from_secs(1),
            worker: false,
        };
        let mut out = Vec::new();
        assert_eq!(run(&args, &redact, &mut out).unwrap(), 2);
        args.pid = std::process::id();
        assert_eq!(run(&args, &redact, &mut out).unwrap(), 2);
        assert_eq!(out, b"");
    }

    #[test]
    fn timeouts() {
        assert_eq!(timeout("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(timeout(bad).is_err(), "{bad}");
        }
    }
}
