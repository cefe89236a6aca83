//! `cargo xtask vm`: the tests against the real kernel, on the kernels that are in use, in virtual machines.
//!
//! Each machine boots one of Debian's cloud kernels with the systemd of a Debian release as process 1, runs test programs of
//! `tests/`, tells the results on a serial line, and powers off. What is fetched or made once is kept in `target/vm`, what
//! belongs to one run in `target/vm-run`. See docs/VM.md.

mod apt;
pub(crate) mod bench;
mod buttons;
mod console;
mod guest;
mod headers;
mod image;
mod kernel;
mod machine;
mod payload;
mod root;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::tally::Tally;
use crate::{debian, workspace};
pub(crate) use kernel::{Series, choice};
use machine::{Accelerator, Hardware};
use payload::{Payload, Work};
use root::Root;

/// What making and running the machines takes.
const PACKAGES: [&str; 6] =
    ["qemu-system-x86", "mmdebstrap", "e2fsprogs", "kmod", "binutils", "debian-archive-keyring"];

/// How often an emulated machine is started that does not come up.
const MAX_BOOTS: u32 = 3;

/// Arguments of `cargo xtask vm`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel to run, or `all`; may be given several times, all when it is not
    #[arg(long, value_name = "SERIES", value_parser = choice)]
    kernel: Vec<Vec<Series>>,
    /// Run only this test program; may be given several times
    #[arg(long, value_name = "NAME")]
    test: Vec<String>,
    /// Give the machine what containers need (docker, podman); those tests that need it have it anyway
    #[arg(long)]
    with_containers: bool,
    /// Run this script in the machine instead of the tests, as root
    #[arg(long, value_name = "SCRIPT", conflicts_with_all = ["filter", "test"])]
    run: Option<String>,
    /// End a machine that still runs after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1200)]
    time_limit: u64,
    /// Test the agent as it is shipped. Otherwise that is done only when everything is run, since it takes long to build
    #[arg(long)]
    release: bool,
    /// Run only tests whose name contains this
    filter: Option<String>,
}

/// Runs the task. The closing line is the last one whatever happens.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let missing = debian::missing(&PACKAGES);
    if !missing.is_empty() {
        debian::install(&missing)?;
    }
    let work = match &args.run {
        Some(script) => Work::Script(script.clone()),
        None => Work::Tests { filter: args.filter.clone(), programs: args.test.clone() },
    };
    let _alone = locked(&scratch()?)?;
    let is_whole = args.run.is_none() && args.filter.is_none() && args.test.is_empty();
    let mut tally = Tally::default();
    tally.kind("the build");
    match payload::build(&work, args.release || is_whole) {
        Ok(payload) => {
            for series in chosen(args) {
                tally.kind(&format!("Linux {series}"));
                if let Err(why) = run_on(series, &payload, args, &mut tally) {
                    tally.fail(&format!("Linux {series}"), &format!("{why:#}"));
                }
            }
        }
        Err(why) => tally.fail("what is to be run", &format!("{why:#}")),
    }
    if args.run.is_none() || !tally.is_green() {
        print!("{tally}");
    }
    Ok(if tally.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(args: &Args) -> Vec<Series> {
    if args.kernel.is_empty() { Series::ALL.to_vec() } else { args.kernel.concat() }
}

fn run_on(series: Series, payload: &Payload, args: &Args, tally: &mut Tally) -> Result<()> {
    let containers = args.with_containers || payload.needs_containers;
    let set = if containers { Root::Containers } else { Root::Plain };
    let (kernel, root) = {
        let _alone = lock()?;
        (series.fetch()?, set.image(series.release())?)
    };
    let root_lasts = payload.is_booted_again;
    let root = if root_lasts {
        let copy = scratch()?.join(format!("root-{series}.ext4"));
        image::lasting_copy(&root, &copy)?;
        copy
    } else {
        root
    };
    let hardware = Hardware { root: &root, payload: &payload.image, modules: &kernel.modules, root_lasts };
    let limit = Duration::from_secs(args.time_limit);
    run_machine(series, &kernel.image, &hardware, limit, |line| match line {
        Some(line) => {
            println!("{series}: {line}");
            // The same tests run on every kernel.
            tally.read(
                &line
                    .replace("Running ", &format!("Running {series} "))
                    .replace("(/opt/", &format!("({series}/")),
            );
        }
        None => tally.end(true),
    })
}

/// Runs a machine to its end. `line` is given each line of its work, and nothing at its end.
fn run_machine(
    series: Series,
    kernel: &Path,
    hardware: &Hardware<'_>,
    limit: Duration,
    mut line: impl FnMut(Option<&str>),
) -> Result<()> {
    let accelerator = Accelerator::of_this_host(kernel)?;
    let console = scratch()?.join(format!("console-{series}.log"));
    let mut boots = 1;
    loop {
        eprintln!("booting Linux {series} with Debian {} ({accelerator})", series.release());
        let began = Instant::now();
        let mut is_up = false;
        let ran = machine::boot(kernel, hardware, accelerator, &console, limit, |text| {
            is_up = true;
            line(Some(text));
        });
        eprintln!("Linux {series} ran for {} s", began.elapsed().as_secs());
        line(None);
        let Err(why) = ran else { return Ok(()) };
        let why = console::explain(why, &console);
        // An emulated processor now and then trips over the code that a kernel rewrites at its start. Nothing was tested yet.
        if is_up || accelerator != Accelerator::Emulation || boots == MAX_BOOTS {
            return Err(why);
        }
        eprintln!("Linux {series} did not come up: {why:#}; once more");
        boots += 1;
    }
}

/// Where everything is kept that is made once. Several workspaces may share it.
fn directory() -> Result<PathBuf> {
    made(workspace::target().join("vm"))
}

/// Where everything is that belongs to one run.
fn scratch() -> Result<PathBuf> {
    made(workspace::target().join("vm-run"))
}

fn made(directory: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    Ok(directory)
}

/// Waits for whoever fetches or makes something there, and keeps others from it.
fn lock() -> Result<File> {
    locked(&directory()?)
}

fn locked(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another run, which has {}", path.display());
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}
