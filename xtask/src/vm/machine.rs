//! A virtual machine: QEMU, its serial lines, and an end to its patience.

use std::fmt;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{buttons::Buttons, guest, image, scratch};

/// How long a machine on KVM takes at most to show that it works.
const PROBE: Duration = Duration::from_secs(10);
/// Memory of a machine.
const MEMORY: &str = "2G";

/// What a machine is made of. It may write to all of its disks.
#[derive(Debug)]
pub(super) struct Hardware<'a> {
    pub(super) root: &'a Path,
    pub(super) payload: &'a Path,
    pub(super) modules: &'a Path,
    /// What it writes to its root is there when it is switched on again; otherwise nothing is kept.
    pub(super) root_lasts: bool,
}

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

impl Accelerator {
    /// KVM when a machine really boots on it, emulation otherwise. It is tried once.
    pub(super) fn of_this_host(kernel: &Path) -> Result<Self> {
        static KNOWN: std::sync::OnceLock<Accelerator> = std::sync::OnceLock::new();
        if let Some(known) = KNOWN.get() {
            return Ok(*known);
        }
        let console = scratch()?.join("console-probe.log");
        let boots = || -> Result<bool> {
            // Without a root the kernel panics, which is as good a sign of life as any.
            let mut probe = command(kernel, None, Self::Kvm, &console, "panic=-1");
            let mut machine = probe.stderr(Stdio::null()).spawn()?;
            follow(&mut machine, PROBE, |_| ControlFlow::Continue(()))?;
            Ok(String::from_utf8_lossy(&std::fs::read(&console)?).contains("Kernel panic"))
        };
        let works = Path::new("/dev/kvm").exists() && boots().unwrap_or(false);
        Ok(*KNOWN.get_or_init(|| if works { Self::Kvm } else { Self::Emulation }))
    }
}

/// Boots a machine and hands on the lines of the serial port that its work writes to, until it powers itself off; as often as it
/// asks for it. What the kernel and the system say goes to the file `console`.
///
/// # Errors
/// It took longer than `limit`, or it ended before its work was done.
pub(super) fn boot(
    kernel: &Path,
    hardware: &Hardware<'_>,
    accelerator: Accelerator,
    console: &Path,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> Result<()> {
    // A busy host delivers the interrupts of an emulated timer too late for the kernel's test of it, and it gives up.
    let parameters = format!(
        "root={} rootwait rw init={} panic=-1 loglevel=5 mitigations=off no_timer_check \
         systemd.show_status=0 systemd.journald.forward_to_console=0",
        image::ROOT,
        guest::INIT
    );
    std::fs::write(console, "").with_context(|| format!("cannot write {}", console.display()))?;
    let buttons = Buttons::new(console)?;
    let mut pressed = Ok(());
    let mut last = "nothing".to_owned();
    let mut done = false;
    let mut again = true;
    while again {
        again = false;
        let mut command = command(kernel, Some(hardware), accelerator, console, &parameters);
        command.args(buttons.arguments());
        let mut machine = command.spawn().context("cannot start qemu-system-x86_64")?;
        let ended = follow(&mut machine, limit, |text| {
            done |= text == guest::DONE;
            again |= [guest::OFF_AND_ON, guest::PULL_THE_PLUG, guest::PRESS_THE_BUTTON].contains(&text);
            if !text.trim().is_empty() {
                text.clone_into(&mut last);
            }
            line(text);
            if text == guest::PRESS_THE_BUTTON {
                pressed = buttons.press_power();
            }
            if text == guest::PULL_THE_PLUG || pressed.is_err() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        ended.with_context(|| format!("the last that it said: {last}"))?;
        std::mem::replace(&mut pressed, Ok(()))?;
    }
    ensure!(done, "the machine ended before its work was done; the last that it said: {last}");
    Ok(())
}

fn command(
    kernel: &Path,
    hardware: Option<&Hardware<'_>>,
    accelerator: Accelerator,
    console: &Path,
    parameters: &str,
) -> Command {
    // It ends with this program, however that ends.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    match accelerator {
        Accelerator::Kvm => qemu.args(["-accel", "kvm", "-cpu", "host"]),
        // One thread for both processors: where each has its own, one now and then goes on executing what the other has rewritten, as
        // kernels rewrite their code when a tracepoint is attached, and loops there for ever.
        Accelerator::Emulation => qemu.args(["-accel", "tcg,thread=single", "-cpu", "max,la57=off"]),
    };
    qemu.args(["-machine", "q35", "-smp", "2", "-m", MEMORY, "-display", "none", "-nic", "none"]);
    qemu.arg("-chardev").arg(format!("file,id=console,path={},append=on", console.display()));
    qemu.args(["-serial", "chardev:console", "-serial", "stdio", "-no-reboot"]);
    // NVMe and ext4 are in every cloud kernel itself, so that none needs an initial file system.
    if let Some(Hardware { root, payload, modules, root_lasts }) = hardware {
        qemu.args(["-device", "nvme,id=nvme0,serial=vm"]);
        for (number, (file, lasts)) in
            [(root, *root_lasts), (payload, false), (modules, false)].into_iter().enumerate()
        {
            let (id, file, snapshot) = (number + 1, file.display(), if lasts { "off" } else { "on" });
            qemu.arg("-drive")
                .arg(format!("file={file},format=raw,if=none,id=disk{id},snapshot={snapshot},cache=unsafe"));
            qemu.arg("-device").arg(format!("nvme-ns,drive=disk{id},bus=nvme0,nsid={id}"));
        }
    }
    qemu.arg("-kernel").arg(kernel).arg("-append").arg(format!("console=ttyS0 {parameters}"));
    qemu.stdin(Stdio::null()).stdout(Stdio::piped());
    qemu
}

/// Hands on what the machine says until it ends, and ends it when it is told to or when that takes too long.
fn follow(machine: &mut Child, limit: Duration, mut line: impl FnMut(&str) -> ControlFlow<()>) -> Result<()> {
    let output = machine.stdout.take().context("QEMU has no output")?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + limit;
    let ended = loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) if line(&text).is_break() => break true,
            Ok(_) => {}
            Err(RecvTimeoutError::Disconnected) => break true,
            Err(RecvTimeoutError::Timeout) => break false,
        }
    };
    let _ = machine.kill();
    let _ = machine.wait();
    if !ended {
        bail!("the machine was ended at its time limit of {} s (--time-limit)", limit.as_secs());
    }
    Ok(())
}
