//! Tables of stored incidents, for people.

use std::io::{self, Write};

use serde::Serialize;

use super::Zone;
use super::text::{Style, cut};
use crate::store::{State, Stats, Summary, Tally};

/// Columns of a terminal that is not asked.
const WIDTH: usize = 120;
/// What an incident is called in the table: the end of its id, which differs even within a millisecond.
const ID_CHARS: usize = 8;
/// The longest bar of the hours.
const BAR: u64 = 40;

/// One object per line.
///
/// # Errors
/// As the writer.
pub fn json(out: &mut impl Write, record: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// One line for each incident: when, who, how, why, by whom. Without `wide`, lines are cut to a terminal's width.
///
/// # Errors
/// As the writer.
pub fn incidents(
    out: &mut impl Write,
    incidents: &[Summary],
    colour: bool,
    wide: bool,
    zone: Zone,
) -> io::Result<()> {
    if incidents.is_empty() {
        return Ok(());
    }
    let style = Style { colour };
    let columns = |summary: &Summary| {
        let who = summary.unit.as_deref().unwrap_or(&summary.target);
        let cause = match summary.state {
            State::Open => "(open)",
            State::Closed => &summary.cause,
        };
        let by = summary.instigator.as_deref().or(summary.culprit.as_deref()).unwrap_or("-");
        [
            zone.minute(summary.ts),
            format!("{} ({})", cut(who, 40), summary.target_pid),
            cut(&summary.outcome, 12),
            cut(cause, 24),
            id_end(&summary.id),
            cut(by, 200),
        ]
    };
    let heads = ["WHEN", "WHO", "END", "CAUSE", "ID", "BY"].map(str::to_owned);
    let rows: Vec<[String; 6]> = incidents.iter().map(columns).collect();
    let mut widths = [0; 6];
    for row in std::iter::once(&heads).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (index, row) in std::iter::once(&heads).chain(&rows).enumerate() {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = padded.collect::<Vec<_>>().join("  ");
        let line = if wide { line } else { cut(&line, WIDTH) };
        let line = line.trim_end();
        writeln!(out, "{}", if index == 0 { style.dim(line) } else { line.to_owned() })?;
    }
    Ok(())
}

/// The last characters of an id.
fn id_end(id: &str) -> String {
    let from = id.char_indices().rev().nth(ID_CHARS - 1).map_or(0, |(at, _)| at);
    cut(id.get(from..).unwrap_or(id), ID_CHARS)
}

/// What stands in the store, counted.
///
/// # Errors
/// As the writer.
pub fn stats(out: &mut impl Write, stats: &Stats, colour: bool, zone: Zone) -> io::Result<()> {
    let style = Style { colour };
    let Stats { schema: _, incidents, causes, targets, killers, hours, loops } = stats;
    writeln!(out, "{}", style.bold(&format!("{incidents} incidents")))?;
    for (title, tallies) in [("causes", causes), ("who died", targets), ("by whom", killers)] {
        if tallies.is_empty() {
            continue;
        }
        writeln!(out, "\n{}", style.dim(title))?;
        for Tally { name, count } in tallies {
            writeln!(out, "{count:>7}  {}", cut(name, 100))?;
        }
    }
    if !loops.is_empty() {
        writeln!(out, "\n{}", style.dim("again and again"))?;
        for found in loops {
            let (from, to) = (zone.minute(found.from), zone.minute(found.to));
            writeln!(out, "{:>7}  {} from {from} to {to}", found.count, cut(&found.name, 60))?;
        }
    }
    let most = hours.iter().copied().max().unwrap_or(0);
    if most > 0 {
        writeln!(out, "\n{}", style.dim("by hour of the day"))?;
        for (hour, &count) in hours.iter().enumerate().filter(|(_, count)| **count > 0) {
            let bar = "▪".repeat(usize::try_from((count * BAR).div_ceil(most)).unwrap_or(0));
            writeln!(out, "  {hour:02} h  {count:>6}  {bar}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(target: &str) -> Summary {
        Summary {
            id: "01a20dc9-3049-7022-8180-3cb0d466a56b".to_owned(),
            ts: 1_795_490_225.0,
            state: State::Closed,
            target: target.to_owned(),
            target_pid: 812,
            unit: None,
            cause: "pattern-kill".to_owned(),
            intent: "deliberate".to_owned(),
            culprit: Some("pkill -9 -f 'http.server 80'".to_owned()),
            instigator: None,
            outcome: "SIGKILL".to_owned(),
            summary: "It was.".to_owned(),
        }
    }

    fn printed(all: &[Summary]) -> String {
        let mut out = Vec::new();
        incidents(&mut out, all, false, true, Zone::Utc).expect("a Vec takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn a_line_for_each() {
        let open = Summary { state: State::Open, unit: Some("web.service".to_owned()), ..summary("nginx") };
        assert_eq!(
            printed(&[summary("python3"), open]),
            "\
WHEN              WHO                END      CAUSE         ID        BY
2026-11-24 03:17  python3 (812)      SIGKILL  pattern-kill  d466a56b  pkill -9 -f 'http.server 80'
2026-11-24 03:17  web.service (812)  SIGKILL  (open)        d466a56b  pkill -9 -f 'http.server 80'
"
        );
        assert_eq!(printed(&[]), "");
    }

    #[test]
    fn foreign_text_is_escaped() {
        let text = printed(&[summary("a\x1b[2Jb\nc")]);
        assert!(!text.contains('\x1b'), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
