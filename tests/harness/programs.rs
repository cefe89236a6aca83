//! Where the programs under test are: beside the test programs, in Cargo's target directory.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use forensics_incident::text::shell_join;

/// The agent.
///
/// # Errors
/// When it was not built.
pub fn agent_program() -> Result<PathBuf> {
    built("forensics-agent")
}

/// The agent as a tool of the conformance suite, for a shell. Command lines are shown whole: what is tested is what the
/// kernel saw.
///
/// # Errors
/// When it was not built.
pub fn agent_command() -> Result<String> {
    let program = agent_program()?.to_string_lossy().into_owned();
    Ok(format!("{} -o json --show-cmdline full watch", shell_join(&[program])))
}

/// The program that is killed, `programs/victim.rs`.
///
/// # Errors
/// When it was not built.
pub fn victim_program() -> Result<PathBuf> {
    built("victim")
}

/// The program that kills, `programs/killer.rs`.
///
/// # Errors
/// When it was not built.
pub fn killer_program() -> Result<PathBuf> {
    built("killer")
}

/// The program whose command line cannot be read, `programs/wedged.rs`.
///
/// # Errors
/// When it was not built.
pub(crate) fn wedged_program() -> Result<PathBuf> {
    built("wedged")
}

fn built(name: &str) -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot find the test program itself")?;
    // target/PROFILE/deps/TEST-HASH, or target/PROFILE/PROGRAM
    let directory = test.parent().context("the test program has no directory")?;
    let profile = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    let profile = profile.context("the test program has no directory")?;
    let path = profile.join(name);
    ensure!(path.is_file(), "{} is not built; run `cargo xtask test`, which builds it", path.display());
    Ok(path)
}
