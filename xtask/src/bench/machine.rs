//! Where and under which load it was measured.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// The machine, now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) cpu: String,
    pub(super) cpus: usize,
    /// Load average of the last minute.
    pub(super) load_1m: f64,
}

impl Machine {
    /// Its instructions are executed by a program: a thing costs something else there, and some cost much more than others.
    pub(super) fn is_emulated(&self) -> bool {
        self.cpu.contains("TCG")
    }

    pub(super) fn read() -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
        let cpuinfo = read("/proc/cpuinfo")?;
        // Arm calls it otherwise, if at all.
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let load = read("/proc/loadavg")?;
        let load_1m = load.split(' ').next().and_then(|word| word.parse().ok());
        Ok(Self {
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            cpu: model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned()),
            cpus: std::thread::available_parallelism()?.get(),
            load_1m: load_1m.context("/proc/loadavg has an unknown format")?,
        })
    }
}
