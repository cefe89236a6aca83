//! `doctor`: what this host offers, and what is lost without each.

mod checks;
mod print;

use std::io::{self, Write as _};

use serde::Serialize;

use crate::cli::{Format, Globals};
use crate::host::identity::{self, Identity};
use crate::host::{features, privileges::Privileges};
use crate::kernel::load::{Hook, Kernel, KernelTypes};

use super::failure::Failure;
use checks::{Check, Status};

const DETAILS: &str = "\
Nothing is guessed: the hooks are really loaded and attached, and taken away again.

Exits with 0 when the agent can work here, with 4 when not.";

/// Options of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = DETAILS)]
pub struct Args {}

/// One hook, really loaded and attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HookTrial {
    /// As in the ready line: `raw_tracepoint`, `tp_btf`.
    pub name: String,
    /// The kernel took it.
    pub ok: bool,
    /// Why not, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Really loads and attaches each hook, and takes it away again.
pub fn try_hooks() -> Vec<HookTrial> {
    let trial = |hook: Hook, error: Option<String>| HookTrial {
        name: hook.name().to_owned(),
        ok: error.is_none(),
        error,
    };
    match KernelTypes::read() {
        Ok(types) => Kernel::try_hooks(&types)
            .into_iter()
            .map(|tried| trial(tried.hook, tried.result.err().map(|error| error.to_string())))
            .collect(),
        Err(error) => Hook::ALL.into_iter().map(|hook| trial(hook, Some(error.to_string()))).collect(),
    }
}

/// All that doctor says.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    agent_version: &'static str,
    hostname: &'a str,
    kernel: &'a str,
    machine: &'a str,
    works: bool,
    checks: &'a [Check],
    hooks: &'a [HookTrial],
}

/// Runs the command, given how the hooks were taken, and yields the exit status: 0 when the agent can work here, else 4.
///
/// # Errors
/// When `/proc` cannot be read, or the output not be written.
pub fn run(globals: &Globals, _args: &Args, hooks: &[HookTrial]) -> Result<u8, Failure> {
    let unreadable =
        |error: io::Error| Failure::kernel(format!("this host cannot be examined: {error}; mount /proc"));
    let Identity { hostname, boot_id: _, kernel, machine } = identity::read().map_err(unreadable)?;
    let privileges = Privileges::read().map_err(unreadable)?;
    let checks = checks::all(&features::read(), privileges);
    let report = Report {
        schema: "forensics-agent/doctor/1",
        agent_version: env!("CARGO_PKG_VERSION"),
        hostname: &hostname,
        kernel: &kernel,
        machine: &machine,
        works: works(&checks, hooks),
        checks: &checks,
        hooks,
    };
    let mut out = io::stdout().lock();
    let text = match globals.output {
        Format::Json => serde_json::to_string(&report).map_err(io::Error::from).map(|line| line + "\n"),
        Format::Text => Ok(print::text(&report, globals.color.wanted(&out))),
    };
    text.and_then(|text| out.write_all(text.as_bytes()))
        .and_then(|()| out.flush())
        .map_err(|e| Failure::output(&e))?;
    Ok(if report.works { 0 } else { 4 })
}

/// The agent needs everything that is indispensable, and one hook.
fn works(checks: &[Check], hooks: &[HookTrial]) -> bool {
    !checks.iter().any(|check| check.status == Status::Missing) && hooks.iter().any(|hook| hook.ok)
}
