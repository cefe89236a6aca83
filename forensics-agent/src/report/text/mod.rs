//! Text for people: the verdict first, then what it rests on.

mod folding;
mod incident;
mod line;
#[cfg(test)]
pub(crate) mod samples;
mod style;
mod time;

use std::io::{self, Write};

use forensics_incident::model::{Incident, Process, Signal};

use super::{Loss, Ready};
use crate::store::NotStored;
use folding::{Folding, Form};
use line::brief;
pub(super) use line::{cut, slug};
pub(super) use style::Style;
pub use time::Zone;

/// What the first line shows of the selectors that have found nothing yet, characters.
const WAITING: usize = 200;

/// Prints records as text.
#[derive(Debug)]
pub struct TextReporter<W> {
    out: W,
    style: Style,
    zone: Zone,
    quiet: bool,
    folding: Folding,
    last: Last,
}

/// What was printed last, so that blank lines stand around verdicts and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Line,
    Verdict,
}

impl<W: Write> TextReporter<W> {
    /// Prints to `out`: with colours or without, times in this zone, without progress when `quiet`.
    pub fn new(out: W, colour: bool, zone: Zone, quiet: bool) -> Self {
        Self { out, style: Style { colour }, zone, quiet, folding: Folding::default(), last: Last::Nothing }
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
            [] if ready.waiting.is_empty() => "for processes that are yet to start".to_owned(),
            [] => "nothing yet".to_owned(),
            [one] => brief(one),
            [first, rest @ ..] => format!("{} and {} more", brief(first), rest.len()),
        };
        let waiting = match ready.waiting {
            [] => String::new(),
            all => format!("; waiting for {}", cut(&all.join(", "), WAITING)),
        };
        let earlier = match ready.persist {
            Some("adopted") => "; the kernel programs of an earlier agent go on",
            Some("replaced") => "; the kernel programs of an earlier agent are replaced",
            _ => "",
        };
        let text = format!("watching {targets}{waiting}{earlier} (hook {})", cut(ready.hook, 40));
        self.line(&self.style.dim(&text))
    }

    /// Prints a signal in one line.
    ///
    /// # Errors
    /// As the writer.
    pub fn signal(&mut self, target: &Process, signal: &Signal) -> io::Result<()> {
        self.line(&line::event(target, signal, self.zone, self.style))
    }

    /// Prints an incident; in a line, or not at all, when its verdict was printed already for another one.
    ///
    /// # Errors
    /// As the writer.
    pub fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        let facts = &incident.facts;
        match self.folding.form(incident) {
            Form::Full => self.page(incident, false),
            Form::Anew => self.page(incident, true),
            Form::Again => self.line(&incident::again(incident, self.zone, self.style)),
            Form::Also => self.print(&incident::also(facts, self.style)),
            Form::AlsoMore => self.print(&incident::also_more(self.style)),
            Form::Settled => match incident::settled(facts, self.style) {
                Some(line) => self.line(&line),
                None => Ok(()),
            },
            Form::Nothing => Ok(()),
        }
    }

    fn page(&mut self, incident: &Incident, anew: bool) -> io::Result<()> {
        let page = incident::full(incident, anew, self.zone, self.style);
        let before = if self.last == Last::Nothing { "" } else { "\n" };
        self.last = Last::Verdict;
        self.print(&format!("{before}{page}"))
    }

    /// Prints that records were lost.
    ///
    /// # Errors
    /// As the writer.
    pub fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let Loss { ts, records, total, skipped: _ } = *loss;
        let clock = self.zone.clock(ts);
        let text = format!(
            "{clock}  {records} kernel records were lost ({total} so far); verdicts may be incomplete"
        );
        self.line(&self.style.warning(&text))
    }

    /// Prints that an incident is not in the store.
    ///
    /// # Errors
    /// As the writer.
    pub fn not_stored(&mut self, failure: &NotStored) -> io::Result<()> {
        let NotStored { id, why } = failure;
        let text = format!("the incident {} could not be stored: {}", cut(id, 40), cut(why, 200));
        self.line(&self.style.warning(&text))
    }

    /// Prints a line that has nothing to do with what stands above it.
    fn line(&mut self, text: &str) -> io::Result<()> {
        let before = if self.last == Last::Verdict { "\n" } else { "" };
        self.last = Last::Line;
        self.print(&format!("{before}{text}\n"))
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
