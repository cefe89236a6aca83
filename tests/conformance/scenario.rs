//! What a scenario is.

use std::fmt;

/// One way to come to an end, and what is true of it.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Row of `docs/CATALOGUE.md`.
    pub row: u8,
    /// The program that brings it about, `tests/programs/PROGRAM.py`.
    pub program: &'static str,
    /// Its name, and the mode of the program.
    pub name: &'static str,
    /// Other programs that must be in PATH.
    pub needs: &'static [&'static str],
    /// How the victim ends.
    pub end: End,
    /// The signal that brought it about; 0 for none.
    pub signal: i32,
    /// How that signal came to be; any of these is right.
    pub mechanisms: &'static [&'static str],
    /// On some kernels no event announces it.
    pub may_be_silent: bool,
    /// Why the victim ended; any of these is right.
    pub causes: &'static [&'static str],
    /// Causes that are true and not all that could be known.
    pub plainer: &'static [&'static str],
    /// What the sentences of this project's agent have in them. Not asked of other tools.
    pub words: &'static str,
}

/// How a victim ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a signal.
    Killed(i32),
    /// By itself, with a status.
    Exited(i32),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(signal) => write!(f, "killed by signal {signal}"),
            Self::Exited(status) => write!(f, "exited with status {status}"),
        }
    }
}

/// What a program tells when its scenario is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Who sent the signal; none when the kernel raised it, or there was none.
    pub sender: Option<u32>,
    /// Who is to blame; none when nobody is.
    pub culprit: Option<u32>,
    /// Who may be blamed as well.
    pub others: Vec<u32>,
}

impl Scenario {
    /// A victim that dies of a signal.
    pub(super) const fn killed(
        row: u8,
        program: &'static str,
        name: &'static str,
        signal: i32,
        mechanisms: &'static [&'static str],
        causes: &'static [&'static str],
    ) -> Self {
        Self {
            row,
            program,
            name,
            needs: &[],
            end: End::Killed(signal),
            signal,
            mechanisms,
            may_be_silent: false,
            causes,
            plainer: &[],
            words: "",
        }
    }

    /// A victim that exits by itself.
    pub(super) const fn exited(
        row: u8,
        program: &'static str,
        name: &'static str,
        status: i32,
        causes: &'static [&'static str],
    ) -> Self {
        Self { end: End::Exited(status), signal: 0, ..Self::killed(row, program, name, 0, &[], causes) }
    }

    /// It exits because of a signal that it handles.
    pub(super) const fn after(self, signal: i32, mechanisms: &'static [&'static str]) -> Self {
        Self { signal, mechanisms, ..self }
    }

    pub(super) const fn needs(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }

    pub(super) const fn plainer(self, plainer: &'static [&'static str]) -> Self {
        Self { plainer, ..self }
    }

    pub(super) const fn words(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    pub(super) const fn may_be_silent(self) -> Self {
        Self { may_be_silent: true, ..self }
    }
}
