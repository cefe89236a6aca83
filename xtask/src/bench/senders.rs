//! Threads that send signals, each on a core of its own.

use std::time::Instant;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::kills;
use super::samples::Samples;

/// Signals in a batch whose time is taken.
const BATCH: u32 = 1_000;

/// What it took to send all signals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// From the first to the last.
    pub(super) seconds: f64,
    /// The median of all batches, of one call.
    pub(super) call_ns: f64,
}

/// Sends SIGTERM `signals` times in all, from so many cores at once.
pub(super) fn send(pid: Pid, signals: u32, cores: u32) -> Result<Sent> {
    let allowed = sched_getaffinity(None).context("cannot ask for the cores")?;
    let allowed: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core)).collect();
    let started = Instant::now();
    let threads: Vec<_> = (0..cores)
        .map(|number| {
            // With fewer cores than threads, some share one.
            let core = allowed.get(number as usize % allowed.len().max(1)).copied();
            std::thread::spawn(move || -> Result<Vec<f64>> {
                let mut own = CpuSet::new();
                own.set(core.context("there is no core")?);
                sched_setaffinity(None, &own).context("cannot stay on a core")?;
                (0..signals / cores / BATCH).map(|_| kills::timed(pid, Signal::TERM, BATCH)).collect()
            })
        })
        .collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().ok().context("a sender panicked")??);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Sent { seconds, call_ns: Samples::from_iter(times).median() })
}
