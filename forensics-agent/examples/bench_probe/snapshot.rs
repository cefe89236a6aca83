//! Shutdown contexts of a process against the clock.
//!
//! Each line of standard input, `snapshot COUNT` or `bare COUNT`, is answered by the nanoseconds of that many calls. `bare` makes
//! the system calls without which no snapshot is possible, and nothing else.

use std::io::{BufRead as _, Write as _};
use std::os::unix::process::parent_id;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use forensics_agent::host::markers::MarkerSpec;
use forensics_agent::host::redact::{redact, redact_text};
use forensics_agent::host::snapshot::{Surroundings, snapshot_shutdown_context, unit_by_invocation};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

/// Takes them of the process and with the `HERMES_HOME` that are named.
pub(super) fn run(mut words: impl Iterator<Item = String>) -> Result<()> {
    let pid: u32 = words.next().context("no pid")?.parse().context("not a pid")?;
    let home = words.next().context("no home")?;
    let surroundings = Surroundings {
        redact: &redact,
        redact_text: &redact_text,
        unit: &unit_by_invocation,
        markers: MarkerSpec::builtin().into(),
    };
    let files = files(pid, &home);
    let mut buffer = vec![0; 64 << 10];
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (kind, count) = line.split_once(' ').with_context(|| format!("{line:?} is no order"))?;
        let mut times = String::new();
        for _ in 0..count.parse::<u32>().with_context(|| format!("{count:?} is no number"))? {
            let started = Instant::now();
            match kind {
                "snapshot" => drop(snapshot_shutdown_context(pid, Some(15), &surroundings)?),
                "bare" => bare(&files, &mut buffer),
                _ => bail!("{kind:?} is neither snapshot nor bare"),
            }
            times.push_str(&format!("{} ", started.elapsed().as_nanos()));
        }
        println!("{}", times.trim_end());
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// What a snapshot is made of: of the process its status, command line and environment, of its parent (which is that of
/// this program too) status and command line, and the markers, which may not be there.
fn files(pid: u32, home: &str) -> Vec<String> {
    let parent = parent_id();
    let mut files: Vec<String> =
        ["status", "cmdline", "environ"].iter().map(|file| format!("/proc/{pid}/{file}")).collect();
    files.extend(["status", "cmdline"].iter().map(|file| format!("/proc/{parent}/{file}")));
    files.extend(
        [".gateway-takeover.json", ".gateway-planned-stop.json"].map(|file| format!("{home}/{file}")),
    );
    files
}

fn bare(files: &[String], buffer: &mut [u8]) {
    for file in files {
        if let Ok(file) =
            rustix::fs::openat(CWD, file.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        {
            let _ = std::hint::black_box(rustix::io::read(&file, &mut *buffer));
        }
    }
    std::hint::black_box(rustix::system::sysinfo());
    std::hint::black_box((clock_gettime(ClockId::Realtime), clock_gettime(ClockId::Monotonic)));
}
