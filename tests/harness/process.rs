//! Processes with deadlines.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long anything may take that takes milliseconds on an idle machine: long enough for the busiest one.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pid of a child, for system calls.
pub(crate) fn pid(child: &Child) -> Result<Pid> {
    let raw = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    raw.context("a child has no pid")
}

/// Waits for the end of a child, without polling.
///
/// # Errors
/// When it is still alive at the deadline.
pub fn wait(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    let pidfd = pidfd_open(pid(child)?, PidfdFlags::empty()).context("pidfd_open")?;
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        match poll(&mut fds, Some(&left.try_into()?)) {
            Ok(0) => bail!("process {} is still alive after {patience:?}", child.id()),
            Ok(_) => return Ok(child.wait()?),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("poll"),
        }
    }
}

/// Kills a child of ours that may still live, and reaps it.
pub(crate) fn put_down(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Sends a signal to a child of ours, which is not reaped yet: its pid cannot be another's.
pub(crate) fn signal(child: &Child, signal: Signal) -> Result<()> {
    kill_process(pid(child)?, signal).with_context(|| format!("cannot send {signal:?} to {}", child.id()))
}

/// What a finished command said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or is still alive after [`PATIENCE`].
pub fn output(command: &mut Command) -> Result<Finished> {
    output_within(command, PATIENCE)
}

/// The same, with a patience of its own.
///
/// # Errors
/// As [`output`].
pub(crate) fn output_within(command: &mut Command, patience: Duration) -> Result<Finished> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let status = wait(&mut child, patience);
    put_down(&mut child);
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Finished {
        status: status.with_context(|| format!("{command:?}"))?,
        stdout: text(stdout),
        stderr: text(stderr),
    })
}

fn read_all(mut pipe: impl std::io::Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The pid of the process whose command line ends with exactly these arguments.
///
/// # Errors
/// When there is none, or more than one.
pub fn find_process(arguments: &[&str]) -> Result<u32> {
    let wanted: String = arguments.iter().flat_map(|argument| [*argument, "\0"]).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("cannot list /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process that has just ended is not the one.
        let cmdline = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let program_end = cmdline.iter().position(|&byte| byte == 0).unwrap_or(cmdline.len());
        if cmdline.get(program_end + 1..) == Some(wanted.as_bytes()) {
            found.push(pid);
        }
    }
    match found.as_slice() {
        [pid] => Ok(*pid),
        _ => bail!("{} processes have the arguments {arguments:?}: {found:?}", found.len()),
    }
}
