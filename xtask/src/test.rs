//! `cargo xtask test`: all tests, those against the real kernel included, with one summary.

mod cargo;

use std::process::ExitCode;

use anyhow::Result;

use crate::debian;
use crate::tally::Tally;

/// What tests run besides the programs that every Debian has. Without it those tests are skipped.
const PACKAGES: [&str; 14] = [
    "bpftrace",
    "cron",
    "debootstrap",
    "dumb-init",
    "gdb",
    "logrotate",
    "procps",
    "psmisc",
    "runit",
    "strace",
    "sudo",
    "supervisor",
    "systemd-container",
    "tini",
];

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Run only one kind of tests
    #[arg(long, value_enum, value_name = "KIND")]
    only: Option<Kind>,
}

/// The kinds of tests.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Those inside the crates, which need nothing
    Unit,
    /// Those in `tests/`, which attach to the real kernel and need root
    Kernel,
}

/// Runs the task. The closing line is the last one whatever happens.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut tally = Tally::default();
    if args.only != Some(Kind::Kernel) {
        cargo::unit_tests(args.filter.as_deref(), &mut tally);
    }
    if args.only != Some(Kind::Unit) {
        install_packages(&[]);
        cargo::kernel_tests(args.filter.as_deref(), &mut tally);
    }
    if tally.is_empty() {
        tally.fail("the command line", "no test has such a name");
    }
    print!("{tally}");
    Ok(if tally.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Installs what tests run, and `more`, and says so.
pub(crate) fn install_packages(more: &[&str]) {
    let missing = debian::missing(&[&PACKAGES[..], more].concat());
    if missing.is_empty() || !debian::can_install() {
        return;
    }
    // The tests that need them are skipped then, and say so.
    if let Err(why) = debian::install(&missing) {
        println!("warning: {why:#}");
    }
}
