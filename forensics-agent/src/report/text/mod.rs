//! Text for people: the verdict first, then what it rests on.

mod incident;
mod line;
#[cfg(test)]
pub(crate) mod samples;
mod style;
mod time;

use std::collections::VecDeque;
use std::io::{self, Write};

use forensics_incident::model::{Cause, Facts, Incident, Process, Signal};

use super::{Loss, Ready};
use crate::store::NotStored;
use line::brief;
pub(super) use line::{cut, slug};
pub(super) use style::Style;
pub use time::Zone;

/// What the first line shows of the selectors that have found nothing yet, characters.
const WAITING: usize = 200;

/// How many incidents are remembered, so that what comes later can be short.
const REMEMBERED: usize = 1024;

/// Prints records as text.
#[derive(Debug)]
pub struct TextReporter<W> {
    out: W,
    style: Style,
    zone: Zone,
    quiet: bool,
    shown: VecDeque<Shown>,
    last: Last,
}

/// An incident that was printed.
#[derive(Debug)]
struct Shown {
    id: String,
    group_id: Option<String>,
    cause: Cause,
    in_full: bool,
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
        Self { out, style: Style { colour }, zone, quiet, shown: VecDeque::new(), last: Last::Nothing }
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
        let text = format!("watching {targets}{waiting} (hook {})", cut(ready.hook, 40));
        self.line(&self.style.dim(&text))
    }

    /// Prints a signal in one line.
    ///
    /// # Errors
    /// As the writer.
    pub fn signal(&mut self, target: &Process, signal: &Signal) -> io::Result<()> {
        self.line(&line::event(target, signal, self.zone, self.style))
    }

    /// Prints an incident; in one line when its verdict was printed already for another one that ended by the
    /// same act.
    ///
    /// # Errors
    /// As the writer.
    pub fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        let Incident { facts, verdict } = incident;
        let known = self.shown.iter_mut().find(|shown| shown.id == facts.id);
        let again = known.is_some();
        let in_full = match known {
            // An update of one that its group's verdict stands for: still nothing to add.
            Some(Shown { in_full: false, cause, .. }) if *cause == verdict.cause => return Ok(()),
            // What is new of it is told in a line.
            Some(shown) if shown.cause == verdict.cause && facts.update.is_some() => {
                if let Some(line) = incident::settled(facts, self.style) {
                    return self.line(&line);
                }
                shown.in_full = true;
                true
            }
            Some(shown) => {
                (shown.in_full, shown.cause) = (true, verdict.cause);
                true
            }
            None => {
                let in_full = !self.stands_for(facts, verdict.cause);
                let (id, group_id) = (facts.id.clone(), facts.group_id.clone());
                self.remember(Shown { id, group_id, cause: verdict.cause, in_full });
                in_full
            }
        };
        if in_full {
            let page = incident::full(incident, again, self.zone, self.style);
            let before = if self.last == Last::Nothing { "" } else { "\n" };
            self.last = Last::Verdict;
            self.print(&format!("{before}{page}"))
        } else {
            self.print(&incident::also(facts, self.style))
        }
    }

    /// True when the verdict of another incident stands for this one too.
    fn stands_for(&self, facts: &Facts, cause: Cause) -> bool {
        facts.group_id.is_some()
            && self
                .shown
                .iter()
                .any(|shown| shown.group_id == facts.group_id && shown.cause == cause && shown.in_full)
    }

    fn remember(&mut self, shown: Shown) {
        if self.shown.len() == REMEMBERED {
            self.shown.pop_front();
        }
        self.shown.push_back(shown);
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
