use forensics_incident::model::{Process, ProcessSummary};

use crate::host::proc::{CMDLINE_CAP, Cmdline, ProcDir, ProcError, Status};

/// Characters of a command line that a summary keeps.
const CMDLINE_CHARS: usize = 300;

/// What is shown of a process, and the status that it came from.
pub(super) struct Summary {
    pub(super) shown: ProcessSummary,
    pub(super) status: Status,
}

impl Summary {
    /// Of a process of which only the pid is known, 0 included.
    pub(super) fn bare(pid: u32) -> ProcessSummary {
        ProcessSummary { pid, ..ProcessSummary::default() }
    }
}

/// Reads a summary; the command line is absent when it is empty or may not be read.
///
/// # Errors
/// When `status` cannot be read.
pub(super) fn summarize(
    dir: &ProcDir,
    buffer: &mut Vec<u8>,
    redact: &dyn Fn(&[String]) -> Vec<String>,
) -> Result<Summary, ProcError> {
    let pid = dir.pid();
    dir.read(c"status", buffer, 1 << 20).map_err(|errno| ProcError::from_errno(pid, "status", errno))?;
    let status = Status::parse(buffer);
    let cmdline = dir.read_memory(c"cmdline", buffer, CMDLINE_CAP, status.waits()).ok();
    let cmdline = cmdline.map(|cut| Cmdline::parse(buffer, cut).argv);
    let shown = ProcessSummary {
        cmdline: cmdline.and_then(|argv| shorten(&redact(&argv))),
        name: status.name.clone(),
        pid,
        ppid: status.ppid,
        state: status.state.clone(),
        uid: status.uid.map(|uid| uid.to_string()),
    };
    Ok(Summary { shown, status })
}

/// The summary of a process as it was known.
pub(super) fn of_known(process: &Process, redact: &dyn Fn(&[String]) -> Vec<String>) -> ProcessSummary {
    ProcessSummary {
        cmdline: shorten(&redact(process.args())),
        name: Some(process.name.clone()),
        pid: process.pid,
        ppid: process.ppid,
        state: None,
        uid: process.uid.map(|uid| uid.to_string()),
    }
}

/// The arguments joined by spaces. Secrets are taken out before this, so that none survives by being cut in half.
fn shorten(argv: &[String]) -> Option<String> {
    let joined = argv.join(" ");
    let text = joined.trim();
    let end = text.char_indices().nth(CMDLINE_CHARS).map_or(text.len(), |(at, _)| at);
    (!text.is_empty()).then(|| text.get(..end).unwrap_or(text).to_owned())
}
