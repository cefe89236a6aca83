//! The buttons of a virtual machine.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// What people can press at a machine: QEMU's monitor, by two named pipes.
pub(super) struct Buttons {
    pipes: PathBuf,
}

impl Buttons {
    /// The pipes are beside the file `console`.
    pub(super) fn new(console: &Path) -> Result<Self> {
        let pipes = console.with_extension("monitor");
        let buttons = Self { pipes };
        for end in ["in", "out"] {
            let pipe = buttons.pipe(end);
            let _ = std::fs::remove_file(&pipe);
            let made = mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0);
            made.with_context(|| format!("cannot make {}", pipe.display()))?;
        }
        Ok(buttons)
    }

    fn pipe(&self, end: &str) -> PathBuf {
        PathBuf::from(format!("{}.{end}", self.pipes.display()))
    }

    /// What QEMU needs.
    pub(super) fn arguments(&self) -> [String; 4] {
        let pipes = format!("pipe,id=monitor,path={}", self.pipes.display());
        ["-chardev".to_owned(), pipes, "-mon".to_owned(), "chardev=monitor,mode=readline".to_owned()]
    }

    /// The button tells the machine by ACPI.
    pub(super) fn press_power(&self) -> Result<()> {
        let pipe = self.pipe("in");
        let press = || File::options().write(true).open(&pipe)?.write_all(b"system_powerdown\n");
        press().with_context(|| format!("cannot write to {}", pipe.display()))
    }
}
