//! What people and programs get to see: text and JSON.
//!
//! Reports compute nothing: what is not in the record is not in the report.

pub mod context_line;
pub mod explanation;
pub mod html;
mod journal;
mod json;
pub mod live;
pub mod table;
mod text;
pub mod timing;

#[cfg(test)]
pub(crate) use text::samples;

use std::io::{self, Write};

use forensics_incident::model::{Incident, Process, Signal};

use crate::store::NotStored;
pub use journal::JournalReporter;
pub use json::JsonReporter;
pub use text::{TextReporter, Zone};

/// Everything is attached and every selector is resolved.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    /// The hook that the kernel accepted: `raw_tracepoint`, `tp_btf`.
    pub hook: &'a str,
    /// How those who ask managers are found out: `fentry`, `socket`, `syscalls`, `exec`, `off`.
    pub instigator: &'a str,
    /// The targets that are there now.
    pub targets: &'a [Process],
    /// The options that have selected nothing yet, for which the agent waits.
    pub waiting: &'a [String],
    /// What became of the kernel programs of an earlier agent, where those of this one outlive it: `new`, `adopted`,
    /// `replaced`.
    pub persist: Option<&'a str>,
}

/// Records that were lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Unix time at which it was noticed, seconds.
    pub ts: f64,
    /// Records lost since the last such line.
    pub records: u64,
    /// Records lost since the agent started.
    pub total: u64,
    /// Those of the total for which the kernel skipped a program, since it was being run on that CPU already; the others did not
    /// fit into the ring.
    pub skipped: u64,
}

/// Prints records in the form that was asked for, each complete and flushed before the call returns, and writes incidents to
/// where else they are wanted.
///
/// Every method fails as the writer does; a reader that has gone away is `ErrorKind::BrokenPipe`.
#[derive(Debug)]
pub struct Reporter<W> {
    form: Form<W>,
    journal: Option<JournalReporter>,
}

#[derive(Debug)]
enum Form<W> {
    /// For people.
    Text(TextReporter<W>),
    /// For programs.
    Json(JsonReporter<W>),
}

impl<W: Write> Reporter<W> {
    /// Prints text.
    pub fn text(reporter: TextReporter<W>) -> Self {
        Self { form: Form::Text(reporter), journal: None }
    }

    /// Prints JSON.
    pub fn json(reporter: JsonReporter<W>) -> Self {
        Self { form: Form::Json(reporter), journal: None }
    }

    /// Writes incidents to the journal from now on, or not any more.
    pub fn set_journal(&mut self, journal: Option<JournalReporter>) {
        self.journal = journal;
    }

    /// Prints that the agent is ready.
    ///
    /// # Errors
    /// As the writer.
    pub fn ready(&mut self, ready: &Ready<'_>) -> io::Result<()> {
        match &mut self.form {
            Form::Text(text) => text.ready(ready),
            Form::Json(json) => json.ready(ready),
        }
    }

    /// Prints a signal as it comes.
    ///
    /// # Errors
    /// As the writer.
    pub fn signal(&mut self, target: &Process, signal: &Signal) -> io::Result<()> {
        match &mut self.form {
            Form::Text(text) => text.signal(target, signal),
            Form::Json(json) => json.signal(target, signal),
        }
    }

    /// Prints an incident.
    ///
    /// # Errors
    /// As the writer.
    pub fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        if self.journal.as_mut().is_some_and(|journal| journal.incident(incident)) {
            return Ok(());
        }
        match &mut self.form {
            Form::Text(text) => text.incident(incident),
            Form::Json(json) => json.incident(incident),
        }
    }

    /// Prints that an incident is not in the store.
    ///
    /// # Errors
    /// As the writer.
    pub fn not_stored(&mut self, failure: &NotStored) -> io::Result<()> {
        match &mut self.form {
            Form::Text(text) => text.not_stored(failure),
            Form::Json(json) => json.not_stored(failure),
        }
    }

    /// Prints that records were lost.
    ///
    /// # Errors
    /// As the writer.
    pub fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        if self.journal.as_mut().is_some_and(|journal| journal.loss(loss)) {
            return Ok(());
        }
        match &mut self.form {
            Form::Text(text) => text.loss(loss),
            Form::Json(json) => json.loss(loss),
        }
    }
}
