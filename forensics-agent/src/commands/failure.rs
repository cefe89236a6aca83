//! How a command fails.

use std::fmt;
use std::io::{self, Write as _};

use forensics_incident::text::escape;

use crate::host::pidfile::PidfileError;
use crate::host::privileges::PrivilegeError;

/// Why a command could not do its work: an exit status, and one sentence for stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub code: u8,
    /// One sentence that names the input; empty when all is said already.
    pub message: String,
}

impl Failure {
    /// The input is wrong, or names a process that does not exist: 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The question cannot be answered here: 3.
    pub fn cannot_tell(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }

    /// The kernel or the privileges do not allow it: 4. The sentence names what is missing and the fix.
    pub fn kernel(message: impl Into<String>) -> Self {
        Self { code: 4, message: message.into() }
    }

    /// `run` was given a command that is there but cannot be executed: 126, as with timeout(1).
    pub fn cannot_execute(message: impl Into<String>) -> Self {
        Self { code: 126, message: message.into() }
    }

    /// `run` was given a command that is not there: 127, as with timeout(1).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: 127, message: message.into() }
    }

    /// The output could not be written. A reader that has gone away ends the agent quietly, with 0.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self { code: 0, message: String::new() },
            _ => Self { code: 4, message: format!("cannot write the output: {error}") },
        }
    }

    /// The same failure as a failure of `run` itself, which is 125 so that it is not taken for the exit status of
    /// the command; 126 and 127 stand.
    #[must_use]
    pub fn of_run(self) -> Self {
        match self.code {
            126 | 127 => self,
            _ => Self { code: 125, message: self.message },
        }
    }

    /// Prints the sentence on stderr and yields the exit status.
    pub fn print(&self) -> u8 {
        if !self.message.is_empty() {
            // Without a stderr there is nobody to tell.
            let _ = writeln!(io::stderr(), "{self}");
        }
        self.code
    }
}

impl From<PrivilegeError> for Failure {
    fn from(error: PrivilegeError) -> Self {
        Self::kernel(error.to_string())
    }
}

impl From<PidfileError> for Failure {
    fn from(error: PidfileError) -> Self {
        Self::usage(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "forensics-agent: {}", escape(&self.message))
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_keeps_its_own_statuses_apart() {
        assert_eq!(Failure::kernel("x").of_run().code, 125);
        assert_eq!(Failure::usage("x").of_run().code, 125);
        assert_eq!(Failure::cannot_execute("x").of_run().code, 126);
        assert_eq!(Failure::not_found("x").of_run().code, 127);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.code, failure.message.as_str()), (0, ""));
        assert_eq!(Failure::output(&io::ErrorKind::StorageFull.into()).code, 4);
    }

    #[test]
    fn one_line_whatever_the_input() {
        let shown = Failure::usage("no such process: a\n\x1b[2Jb").to_string();
        assert_eq!(shown, "forensics-agent: no such process: a\\n\\x1b[2Jb");
    }
}
