//! `cargo xtask vm`: the tests against the real kernel, on the kernels that are in use, in virtual machines.
//!
//! Each machine boots one of Debian's cloud kernels with the systemd of a Debian release as process 1, runs every test
//! program of `tests/`, tells the results on its serial line, and powers off. Everything that is fetched or made is
//! kept in `target/vm`.

mod guest;
mod kernel;
mod machine;
mod payload;
mod root;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::tally::Tally;
use crate::{debian, workspace};
use kernel::Series;

/// What making and running the machines takes.
const PACKAGES: [&str; 5] = ["qemu-system-x86", "debootstrap", "cpio", "binutils", "debian-archive-keyring"];

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel to run; may be given several times, all when it is not
    #[arg(long, value_enum, value_name = "SERIES")]
    kernel: Vec<Series>,
    /// Run only tests whose name contains this
    filter: Option<String>,
}

/// Runs the task. The closing line is the last one whatever happens.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let missing = debian::missing(&PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    let payload = payload::build(args.filter.as_deref())?;
    let all = Series::ALL.to_vec();
    let chosen = if args.kernel.is_empty() { &all } else { &args.kernel };
    let mut tally = Tally::default();
    for &series in chosen {
        tally.kind(&format!("Linux {series}"));
        if let Err(why) = run_on(series, &payload, &mut tally) {
            tally.fail(&format!("Linux {series}"), &format!("{why:#}"));
        }
    }
    print!("{tally}");
    Ok(if tally.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_on(series: Series, payload: &std::path::Path, tally: &mut Tally) -> Result<()> {
    let kernel = series.fetch()?;
    let initrd = root::initrd(series.release(), payload)?;
    let accelerator = machine::accelerator(&kernel, &initrd);
    println!("booting Linux {series} with Debian {} ({accelerator})", series.release());
    machine::boot(&kernel, &initrd, accelerator, |line| {
        println!("{series}: {line}");
        // The same tests run on every kernel.
        tally.read(
            &line
                .replace("Running ", &format!("Running {series} "))
                .replace("(/opt/", &format!("({series}/")),
        );
    })?;
    tally.end(true);
    Ok(())
}

/// Where everything is kept.
fn directory() -> Result<PathBuf> {
    let directory = workspace::target().join("vm");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}
