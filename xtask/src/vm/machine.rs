//! A virtual machine: QEMU, its serial line, and an end to its patience.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::guest;

/// How long a machine may run all tests; an emulated one takes two minutes.
const PATIENCE: Duration = Duration::from_secs(900);
/// How long a machine on KVM takes at most to show that it works.
const PROBE: Duration = Duration::from_secs(10);

/// How the machine's instructions are executed. Never both: a KVM that is there and does not work hangs instead of
/// giving way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    Emulation,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Emulation => "emulated",
        })
    }
}

/// KVM when a machine really boots on it, emulation otherwise.
pub(super) fn accelerator(kernel: &Path, initrd: &Path) -> Accelerator {
    let boots = || -> Result<bool> {
        // Without a process 1 the kernel panics, which is as good a sign of life as any.
        let mut machine = start(kernel, initrd, Accelerator::Kvm, "rdinit=/none panic=-1")?;
        let mut panicked = false;
        let _ = follow(&mut machine, PROBE, |line| panicked |= line.contains("Kernel panic"));
        Ok(panicked)
    };
    let works = Path::new("/dev/kvm").exists() && boots().unwrap_or(false);
    if works { Accelerator::Kvm } else { Accelerator::Emulation }
}

/// Boots a machine and hands on the lines of its serial port, until it powers itself off.
///
/// # Errors
/// It did not, or not all test programs ran.
pub(super) fn boot(
    kernel: &Path,
    initrd: &Path,
    accelerator: Accelerator,
    mut line: impl FnMut(&str),
) -> Result<()> {
    let parameters = "rdinit=/init panic=-1 quiet loglevel=1 systemd.show_status=0 systemd.log_target=null";
    let mut machine = start(kernel, initrd, accelerator, parameters)?;
    let mut done = false;
    follow(&mut machine, PATIENCE, |text| {
        done |= text == guest::DONE;
        line(text);
    })?;
    ensure!(done, "the machine ended before its tests did");
    Ok(())
}

fn start(kernel: &Path, initrd: &Path, accelerator: Accelerator, parameters: &str) -> Result<Child> {
    let mut qemu = Command::new("qemu-system-x86_64");
    match accelerator {
        Accelerator::Kvm => qemu.args(["-accel", "kvm", "-cpu", "host"]),
        Accelerator::Emulation => qemu.args(["-accel", "tcg,thread=multi", "-cpu", "max"]),
    };
    qemu.args(["-machine", "q35", "-smp", "2", "-m", "3G", "-nographic", "-no-reboot", "-nic", "none"]);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(initrd);
    qemu.arg("-append").arg(format!("console=ttyS0 {parameters}"));
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    qemu.spawn().context("cannot start qemu-system-x86_64")
}

/// Hands on what the machine says until it ends, and ends it when that takes too long.
fn follow(machine: &mut Child, patience: Duration, mut line: impl FnMut(&str)) -> Result<()> {
    let output = machine.stdout.take().context("QEMU has no output")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + patience;
    let ended = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    let _ = machine.kill();
    let _ = machine.wait();
    if !ended {
        bail!("the machine was still running after {} s", patience.as_secs());
    }
    Ok(())
}
