//! Running `cargo test`, and reading along.

use std::io::{BufRead as _, BufReader};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::tally::Tally;
use crate::{command, workspace};

/// The crate of the tests against the real kernel.
const KERNEL_TESTS: &str = "forensics-tests";
/// It builds for the BPF target only.
const KERNEL_PROGRAMS: &str = "forensics-ebpf";
/// The program under test.
const AGENT: &str = "forensics-agent";

/// Runs the tests inside the crates and in their documentation.
pub(super) fn unit_tests(filter: Option<&str>, tally: &mut Tally) {
    let packages = ["--workspace", "--exclude", KERNEL_PROGRAMS, "--exclude", KERNEL_TESTS];
    test("unit tests", &packages, filter, tally);
}

/// Builds the agent and runs the tests that drive it.
pub(super) fn kernel_tests(filter: Option<&str>, tally: &mut Tally) {
    if let Err(why) = command::run(cargo().args(["build", "--package", AGENT])) {
        tally.fail("real-kernel tests", &format!("{why:#}"));
        return;
    }
    test("real-kernel tests", &["--package", KERNEL_TESTS], filter, tally);
}

fn test(what: &str, packages: &[&str], filter: Option<&str>, tally: &mut Tally) {
    let mut test = cargo();
    test.args(["test", "--no-fail-fast"]).args(packages).arg("--").args(filter);
    tally.kind(what);
    if let Err(why) = read_along(&mut test, tally) {
        tally.fail(what, &format!("{why:#}"));
    }
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What is read along must be plain.
    cargo.current_dir(workspace::root()).env("CARGO_TERM_COLOR", "never");
    cargo
}

/// Runs a command, passes its output on, and counts what it says. Both streams go through one pipe, so that what
/// Cargo says stays in order with what the tests say.
fn read_along(test: &mut Command, tally: &mut Tally) -> Result<()> {
    let line = command::line(test);
    println!("$ {line}");
    let (reader, writer) = std::io::pipe().context("cannot make a pipe")?;
    test.stdout(writer.try_clone()?).stderr(writer);
    let mut child = test.spawn().with_context(|| format!("cannot start `{line}`"))?;
    // The command keeps copies of the pipe's writing end, which would keep it open for ever.
    test.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    for bytes in BufReader::new(reader).split(b'\n') {
        let bytes = bytes.with_context(|| format!("cannot read what `{line}` says"))?;
        let text = String::from_utf8_lossy(&bytes);
        println!("{text}");
        tally.read(&text);
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    tally.end(status.success());
    Ok(())
}
