//! What a test needs of the machine. Without it the test is skipped, and the reason is told.

use std::fmt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::output;

/// The error of a test that cannot run here; see [`crate::test`].
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped: {}", self.0)
    }
}

impl std::error::Error for Skip {}

/// Skips the test unless it runs as root: eBPF programs cannot be attached otherwise.
///
/// # Errors
/// [`Skip`].
pub fn needs_root() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(Skip("needs root".to_owned()));
    }
    Ok(())
}

/// Skips the test unless `program` is in PATH.
///
/// # Errors
/// [`Skip`].
pub fn needs_program(program: &str) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join(program).is_file()) {
        bail!(Skip(format!("needs the program {program}")));
    }
    Ok(())
}

/// Python's interpreter itself: what is in PATH may be a script that only looks for it.
///
/// # Errors
/// [`Skip`].
pub fn needs_python() -> Result<PathBuf> {
    needs_program("python3")?;
    let found = output(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    ensure!(found.status.success(), "{found:?}");
    let path = found.stdout.lines().next().context("python3 does not know where it is")?;
    Ok(PathBuf::from(path))
}
