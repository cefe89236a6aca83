//! Processes that kill, and are gone at once.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{put_down, wait};
use crate::{PATIENCE, Record, killer_program};

/// A killer that has done its work.
#[derive(Debug, Clone)]
pub struct Killer {
    /// Its pid.
    pub pid: u32,
    /// Its command line.
    pub argv: Vec<String>,
}

/// Runs `programs/killer.rs` with these arguments, as `["kill", "4242", "9"]`, to its end.
///
/// # Errors
/// When it fails.
pub fn killer(arguments: &[&str]) -> Result<Killer> {
    Killer::run(Command::new(killer_program()?).args(arguments))
}

impl Killer {
    /// Runs a command that kills, to its end.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(command: &mut Command) -> Result<Self> {
        let lossy = |word: &OsStr| word.to_string_lossy().into_owned();
        let argv = std::iter::once(command.get_program()).chain(command.get_args()).map(lossy).collect();
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id();
        let status = wait(&mut child, PATIENCE);
        put_down(&mut child);
        let status = status?;
        ensure!(status.success(), "{command:?} ended with {status}");
        Ok(Self { pid, argv })
    }

    /// Asserts that the process at a path of a record is this one, command line included.
    ///
    /// # Errors
    /// When it is another one.
    pub fn expect(&self, record: &Record, path: &str) -> Result<()> {
        record.expect(&format!("{path}.pid"), self.pid)?;
        record.expect(&format!("{path}.argv"), self.argv.clone())
    }

    /// Asserts that a record blames this process for an external kill, and that it sent the signal at a path.
    ///
    /// # Errors
    /// When it does not.
    pub fn expect_blamed(&self, incident: &Record, signal: &str) -> Result<()> {
        self.expect(incident, &format!("{signal}.sender"))?;
        incident.expect("verdict.cause", "external-kill")?;
        self.expect(incident, "verdict.culprit")
    }
}
