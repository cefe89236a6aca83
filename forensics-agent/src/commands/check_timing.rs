//! `check-timing`: does the unit's stop timeout leave the service time to drain?

use std::io::{self, Write};
use std::time::Duration;

use thiserror::Error;

use crate::host::systemd::check;
use crate::host::systemd::timing::Wanted;
use crate::host::systemd::unit::{Scope, UnitPath, unit_of_cgroup};
use crate::report::timing::TimingReport;

/// How long the managers may take. Nothing but the answer is waited for here.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks that systemd gives a service enough time to drain before it kills it.
///
/// Exits with 0 when it does, 1 when it does not, and 3 when that cannot be told.
#[derive(Debug, Clone, clap::Args)]
#[command(group(clap::ArgGroup::new("service").required(true)))]
pub struct Args {
    /// Seconds that the service takes to drain after SIGTERM
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds)]
    pub drain_timeout: f64,

    /// Seconds that it needs beyond that, to close connections and write its state
    #[arg(long, value_name = "SECONDS", value_parser = super::seconds, default_value_t = super::HEADROOM)]
    pub headroom: f64,

    /// A process of the service
    #[arg(short, long, value_name = "PID", group = "service", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Option<u32>,

    /// A unit of the system manager
    #[arg(short, long, value_name = "UNIT", group = "service")]
    pub unit: Option<String>,

    /// A unit of a user's manager
    #[arg(long, value_name = "UNIT", group = "service")]
    pub user_unit: Option<String>,

    /// The user whose unit it is, instead of the caller
    #[arg(long, value_name = "UID", requires = "user_unit", conflicts_with_all = ["pid", "unit"])]
    pub uid: Option<u32>,
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum CheckError {
    /// There is no such process.
    #[error("there is no process {0}")]
    NoSuchProcess(u32),
    /// The name is no unit's.
    #[error("{0:?} is not the name of a unit")]
    NotAUnitName(String),
    /// The cgroup of the process could not be read.
    #[error("the cgroup of process {pid} cannot be read: {error}")]
    Unreadable {
        /// The process.
        pid: u32,
        /// What reading it met.
        error: io::Error,
    },
    /// No unit owns the process.
    #[error("process {0} belongs to no systemd unit")]
    NoUnit(u32),
    /// The manager does not tell.
    #[error(transparent)]
    CannotTell(#[from] check::CheckError),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl CheckError {
    /// The exit status that goes with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoSuchProcess(_) | Self::NotAUnitName(_) => 2,
            Self::Unreadable { .. } | Self::NoUnit(_) | Self::CannotTell(_) => 3,
            Self::Output(_) => 4,
        }
    }
}

/// Checks, prints the answer, and yields the exit status: 0 aligned, 1 not.
pub async fn run(args: &Args, json: bool, out: &mut dyn Write) -> Result<u8, CheckError> {
    let place = place(args)?;
    let wanted = Wanted { drain: args.drain_timeout, headroom: args.headroom };
    let (alignment, properties) = check::check(&place, args.pid, wanted, PATIENCE).await?;
    let report = TimingReport::new(&place, &alignment, &properties);
    if json {
        report.write_json(out)?;
    } else {
        report.write_text(out)?;
    }
    Ok(u8::from(alignment.timing.mismatch))
}

/// The unit that the options name.
fn place(args: &Args) -> Result<UnitPath, CheckError> {
    let named = |unit: &str, scope| {
        UnitPath::named(unit, scope).ok_or_else(|| CheckError::NotAUnitName(unit.to_owned()))
    };
    match (args.pid, &args.unit, &args.user_unit) {
        (Some(pid), _, _) => place_of_process(pid),
        (None, Some(unit), _) => named(unit, Scope::System),
        (None, None, unit) => {
            let uid = args.uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
            named(unit.as_deref().unwrap_or_default(), Scope::User { uid })
        }
    }
}

fn place_of_process(pid: u32) -> Result<UnitPath, CheckError> {
    // cgroup paths are bytes; a unit's part of them is ASCII.
    let cgroup = std::fs::read(format!("/proc/{pid}/cgroup")).map_err(|error| {
        let gone = error.kind() == io::ErrorKind::NotFound
            || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
        if gone { CheckError::NoSuchProcess(pid) } else { CheckError::Unreadable { pid, error } }
    })?;
    unit_of_cgroup(&String::from_utf8_lossy(&cgroup)).ok_or(CheckError::NoUnit(pid))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Cli::try_parse_from(std::iter::once("check-timing").chain(line.split(' '))).map(|cli| cli.args)
    }

    #[test]
    fn options() {
        let args = parse("--drain-timeout 60.5 -u gw").unwrap();
        assert_eq!((args.drain_timeout, args.headroom, args.unit.as_deref()), (60.5, 30.0, Some("gw")));
        assert_eq!(parse("--drain-timeout 6 --user-unit gw --uid 7").unwrap().uid, Some(7));
        for bad in [
            "--drain-timeout 60",
            "-u gw",
            "--drain-timeout 60 -u gw -p 1",
            "--drain-timeout -1 -u gw",
            "--drain-timeout nan -u gw",
            "--drain-timeout 6 -u gw --uid 7",
            "--drain-timeout 6 -p 0",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there() {
        let mut out = Vec::new();
        let gone = parse("--drain-timeout 6 -p 4294967295").unwrap();
        assert_eq!(run(&gone, false, &mut out).await.unwrap_err().exit_code(), 2);
        let junk = parse("--drain-timeout 6 -u a/b").unwrap();
        assert_eq!(run(&junk, false, &mut out).await.unwrap_err().exit_code(), 2);
        let scope = parse("--drain-timeout 6 -u session-3.scope").unwrap();
        let error = run(&scope, false, &mut out).await.unwrap_err();
        assert_eq!((error.exit_code(), error.to_string().as_str()), (3, "session-3.scope is not a service"));
        assert!(out.is_empty());
    }
}
