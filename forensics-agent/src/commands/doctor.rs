//! `doctor`: what this host offers, and what is lost without each.

use crate::cli::Globals;

use super::failure::Failure;

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the command and yields the exit status: 0 when the agent can work here, else 4.
///
/// # Errors
/// See [`Failure`].
pub fn run(_globals: &Globals, _args: Args) -> Result<u8, Failure> {
    Err(Failure::kernel("the kernel part is not merged yet"))
}
