//! Text for people: the verdict first, then what it rests on.

mod incident;
mod line;
#[cfg(test)]
pub(super) mod samples;
mod style;
mod time;

use std::collections::VecDeque;
use std::io::{self, Write};

use forensics_incident::model::{Cause, Incident, Process, Signal};

use super::{Loss, Ready};
use line::{brief, cut};
use style::Style;
pub use time::Zone;

/// How many groups and incidents are remembered, so that what comes later can be short.
const REMEMBERED: usize = 256;

/// Prints records as text.
#[derive(Debug)]
pub struct TextReporter<W> {
    out: W,
    style: Style,
    zone: Zone,
    quiet: bool,
    shown: VecDeque<Shown>,
}

/// An incident whose verdict was printed in full.
#[derive(Debug)]
struct Shown {
    id: String,
    group_id: Option<String>,
    cause: Cause,
}

impl<W: Write> TextReporter<W> {
    /// Prints to `out`: with colours or without, times in this zone, without progress when `quiet`.
    pub fn new(out: W, colour: bool, zone: Zone, quiet: bool) -> Self {
        Self { out, style: Style { colour }, zone, quiet, shown: VecDeque::new() }
    }

    /// Prints what is watched.
    ///
    /// # Errors
    /// As the writer.
    pub fn ready(&mut self, ready: &Ready<'_>) -> io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        let targets = match ready.targets {
            [] => "for processes that are yet to start".to_owned(),
            [one] => brief(one),
            [first, rest @ ..] => format!("{} and {} more", brief(first), rest.len()),
        };
        let text = format!("watching {targets} (hook {})", cut(ready.hook, 40));
        self.print(format!("{}\n", self.style.dim(&text)))
    }

    /// Prints a signal in one line.
    ///
    /// # Errors
    /// As the writer.
    pub fn signal(&mut self, target: &Process, signal: &Signal) -> io::Result<()> {
        self.print(format!("{}\n", line::event(target, signal, self.zone, self.style)))
    }

    /// Prints an incident; in one line when its verdict was printed already for another one that ended by the
    /// same act.
    ///
    /// # Errors
    /// As the writer.
    pub fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        let Incident { facts, verdict } = incident;
        let again = self.shown.iter().any(|shown| shown.id == facts.id);
        let grouped = !again
            && facts.group_id.is_some()
            && self
                .shown
                .iter()
                .any(|shown| shown.group_id == facts.group_id && shown.cause == verdict.cause);
        if grouped {
            return self.print(incident::also(facts, self.style));
        }
        if !again {
            if self.shown.len() == REMEMBERED {
                self.shown.pop_front();
            }
            let (id, group_id) = (facts.id.clone(), facts.group_id.clone());
            self.shown.push_back(Shown { id, group_id, cause: verdict.cause });
        }
        self.print(incident::full(incident, again, self.zone, self.style))
    }

    /// Prints that records were lost.
    ///
    /// # Errors
    /// As the writer.
    pub fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let Loss { ts, records, total } = *loss;
        let clock = self.zone.clock(ts);
        let text = format!(
            "{clock}  {records} kernel records were lost ({total} so far); verdicts may be incomplete"
        );
        self.print(format!("{}\n", self.style.warning(&text)))
    }

    fn print(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        self.out.write_all(text.as_ref().as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
