//! The foot of a terminal: a block of lines that is drawn anew in place, while reports scroll above it.
//!
//! The cursor rests on the first line of the block, so that whatever else is printed, by whomever, stands where the block was and
//! not behind it (ECMA-48: CUU, ED).

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forensics_incident::model::{Process, Signal};
use forensics_incident::text::span;

use super::text::{Style, cut};

/// Erases everything from the beginning of the line on.
const ERASE: &[u8] = b"\r\x1b[J";
/// What the name of a target may take, characters.
const NAME: usize = 40;

/// Standard output, with or without a block at its foot.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    is_drawn: Arc<Mutex<bool>>,
}

impl Screen {
    /// True while the block stands at the foot: nothing was printed since it was drawn.
    pub fn is_drawn(&self) -> bool {
        *self.drawn()
    }

    /// Draws a block, each line of which must fit into the terminal.
    ///
    /// # Errors
    /// As standard output.
    pub fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut drawn = self.drawn();
        let mut bytes = ERASE.to_vec();
        bytes.extend_from_slice(lines.join("\r\n").as_bytes());
        bytes.push(b'\r');
        if lines.len() > 1 {
            bytes.extend_from_slice(format!("\x1b[{}A", lines.len() - 1).as_bytes());
        }
        *drawn = !lines.is_empty();
        write_out(&bytes)
    }

    /// Takes the block away.
    ///
    /// # Errors
    /// As standard output.
    pub fn clear(&self) -> io::Result<()> {
        let mut drawn = self.drawn();
        if std::mem::take(&mut *drawn) { write_out(ERASE) } else { Ok(()) }
    }

    fn drawn(&self) -> MutexGuard<'_, bool> {
        self.is_drawn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.clear()?;
        io::stdout().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// A target as the block shows it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Who it is.
    pub target: &'a Process,
    /// Its state, as `/proc/PID/stat` has it; None when it is gone.
    pub state: Option<char>,
    /// Its last signal.
    pub last: Option<&'a Signal>,
}

/// The lines of a block for a terminal of this width: one about all, then one for each target. `now` is `CLOCK_BOOTTIME`,
/// nanoseconds.
pub fn block(
    heading: &str,
    rows: &[Row<'_>],
    more: usize,
    now: u64,
    width: usize,
    colour: bool,
) -> Vec<String> {
    let style = Style { colour };
    // The last column stays free: a terminal may wrap there.
    let width = width.saturating_sub(1).max(1);
    let mut lines = vec![style.bold(&cut(heading, width))];
    for row in rows {
        lines.push(style.dim(&cut(&row.text(now), width)));
    }
    if more > 0 {
        lines.push(style.dim(&cut(&format!("  and {more} more"), width)));
    }
    lines
}

impl Row<'_> {
    fn text(&self, now: u64) -> String {
        let Self { target, state, last } = self;
        let since = |boot_ns: u64| span((now.saturating_sub(boot_ns) / 1_000_000_000) as f64);
        let name = target.unit.as_deref().unwrap_or_else(|| target.program());
        // Foreign names are escaped with the whole line, and what is wider than a column is not worth a table.
        let name: String = name.chars().map(|c| if c.is_ascii() { c } else { '?' }).take(NAME).collect();
        let state = match state {
            Some('R') => "running",
            Some('S' | 'I') => "sleeping",
            Some('D') => "waiting for the kernel",
            Some('T') => "stopped",
            Some('t') => "traced",
            Some('Z' | 'X') | None => "gone",
            Some(_) => "alive",
        };
        let up = if target.start_boot_ns == 0 { "?".to_owned() } else { since(target.start_boot_ns) };
        let last = match last {
            Some(signal) => {
                let from = signal.sender.as_ref().map_or_else(
                    || "the kernel".to_owned(),
                    |sender| {
                        let name: String =
                            sender.name.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
                        format!("{name} ({})", sender.pid)
                    },
                );
                format!("{} from {from} {} ago", signal.signal, since(signal.last_ns()))
            }
            None => "no signal yet".to_owned(),
        };
        format!("  {:>7}  {name}  {state}, up {up}, {last}", target.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_line_for_each_target() {
        let incident = samples::pkill();
        let target = Process {
            unit: None,
            start_boot_ns: 1,
            name: "x\x1b[31m".to_owned(),
            exe: None,
            argv: None,
            ..incident.facts.target
        };
        let signal = &incident.facts.signals[0];
        let now = signal.boot_ns + 3_000_000_000;
        let rows = [
            Row { target: &target, state: Some('S'), last: Some(signal) },
            Row { target: &target, state: None, last: None },
        ];
        let lines = block("watching 3 processes", &rows, 1, now, 200, false);
        assert_eq!(lines.len(), 4);
        assert!(
            lines[1].contains("sleeping, up ") && lines[1].contains("SIGTERM from pkill (4711) 3"),
            "{lines:?}"
        );
        assert!(lines[1].contains("x\\x1b[31m"), "{lines:?}");
        assert!(lines[2].contains("gone") && lines[2].contains("no signal yet"), "{lines:?}");
        for width in [2, 10, 79] {
            let lines = block("watching 3 processes", &rows, 1, now, width, false);
            assert!(lines.iter().all(|line| line.chars().count() < width), "{width}: {lines:?}");
        }
    }
}
