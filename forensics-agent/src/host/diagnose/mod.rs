//! The diagnostic: what a host looks like while a process is being stopped, written to a log by a worker that outlives the
//! process, its parent and their cgroup.
//!
//! The worker is this very program, started again and detached. It runs no other program to look around, builds its
//! report in memory and appends it with one write, so that two at once give two whole blocks.

mod block;
mod cgroups;
mod clock;
mod kernel_log;
mod log_file;
mod processes;
mod tree;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use block::{Block, Section};
pub use log_file::LogError;

/// Takes the secrets out of a command line, argument by argument.
pub type Redact = Arc<dyn Fn(&[String]) -> Vec<String> + Send + Sync>;

/// What to diagnose, and where to write it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The process that is being stopped.
    pub pid: u32,
    /// The signal that it received, as it is to be called.
    pub signal: String,
    /// The log; it is made with mode 0600, in directories of mode 0700.
    pub log: PathBuf,
    /// How long it may take altogether.
    pub timeout: Duration,
}

/// Checks that the log can be written and starts a detached worker: this program again with `arguments`, which must
/// lead to [`work`]. The caller either ends soon or waits for the child some day.
///
/// # Errors
/// [`LogError`]
pub fn spawn(request: &Request, arguments: &[OsString]) -> Result<Child, LogError> {
    log_file::prepare(&request.log)?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).current_dir("/");
    // A pipe that a caller reads to its end must not wait for the worker.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: between fork and exec the closure makes one system call and touches no memory of the parent.
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    command.spawn().map_err(LogError::Worker)
}

/// Does the worker's part: leaves the cgroup that may be killed, looks around, and appends the report to the log.
/// What has not answered when the time is up is left out, and the report says so.
///
/// # Errors
/// [`LogError`] when the log cannot be written.
pub fn work(request: &Request, redact: &Redact) -> Result<(), LogError> {
    let deadline = Instant::now() + request.timeout;
    let mut notes = cgroups::leave(deadline);
    let (sender, sections) = mpsc::channel();
    let look = {
        let (pid, redact) = (request.pid, Arc::clone(redact));
        move || block::look_around(pid, deadline, &redact, &sender)
    };
    if let Err(error) = std::thread::Builder::new().name("forensics-look".to_owned()).spawn(look) {
        notes.push(format!("no thread to look around with: {error}"));
    }
    let mut block = Block::new(&request.signal, request.pid);
    notes.extend(collect(request, &mut block, &sections, deadline));
    log_file::append(&request.log, block.finish(&notes).as_bytes(), deadline)
}

/// Adds sections as they come, until all are there or the time is up, which is then said.
fn collect(
    request: &Request,
    block: &mut Block,
    sections: &Receiver<Section>,
    deadline: Instant,
) -> Option<String> {
    // Leaves time to write.
    let enough =
        deadline.checked_sub((request.timeout / 10).min(Duration::from_millis(50))).unwrap_or(deadline);
    loop {
        match sections.recv_timeout(enough.saturating_duration_since(Instant::now())) {
            Ok(section) => block.add(section),
            // Whoever looked around stopped where the time was up.
            Err(RecvTimeoutError::Disconnected) if Instant::now() < enough => return None,
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {
                return Some(format!("incomplete: {} ms were not enough", request.timeout.as_millis()));
            }
        }
    }
}

#[cfg(test)]
mod tests;
