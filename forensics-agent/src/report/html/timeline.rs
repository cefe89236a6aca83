//! When what happened: the signals and the end.

use std::fmt::Write as _;

use forensics_incident::model::{Facts, OutcomeKind, Signal};
use forensics_incident::text::span;

use super::super::Zone;
use super::super::text::slug;
use super::escape::html;

/// Signals that are shown one by one.
const MAX_SIGNALS: usize = 100;
/// Width of the strip, in units of its own.
const WIDTH: f64 = 600.0;

/// A strip that shows the distances, and a line for each event.
pub(super) fn section(facts: &Facts, zone: Zone) -> String {
    let signals = facts.signals.get(..facts.signals.len().min(MAX_SIGNALS)).unwrap_or_default();
    let end = facts.outcome.ts;
    let start = signals.iter().map(|signal| signal.ts).fold(end, f64::min);
    let mut rows = String::new();
    let mut before = start;
    for signal in signals {
        let _ = writeln!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            html(&zone.clock(signal.ts)),
            later(before, signal.ts),
            what(signal),
            from(signal)
        );
        before = signal.ts;
    }
    let hidden = facts.signals.len() - signals.len();
    if hidden > 0 {
        let _ = writeln!(rows, "<tr><td></td><td></td><td>{hidden} more signals</td><td></td></tr>");
    }
    let ended = match facts.outcome.kind {
        OutcomeKind::Survived => "still alive".to_owned(),
        _ => format!("ended: {}", facts.outcome.in_brief()),
    };
    let _ = writeln!(
        rows,
        "<tr class=\"end\"><td>{}</td><td>{}</td><td>{}</td><td></td></tr>",
        html(&zone.clock(end)),
        later(before, end),
        html(&ended)
    );
    format!(
        "<section>\n<h2>Timeline</h2>\n{}<div class=\"scroll\"><table>\n<thead><tr><th>Time</th><th>Later by</th><th>Event</th><th>From</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n</section>\n",
        strip(signals, start, end)
    )
}

/// The distances in time as a drawing; nothing when there are none.
fn strip(signals: &[Signal], start: f64, end: f64) -> String {
    let length = end - start;
    if !(length.is_finite() && length > 0.0) {
        return String::new();
    }
    let at = |ts: f64| 10.0 + ((ts - start) / length).clamp(0.0, 1.0) * (WIDTH - 20.0);
    let mut marks = String::new();
    for signal in signals.iter().filter(|signal| signal.ts.is_finite()) {
        let _ = write!(
            marks,
            "<line x1=\"{0:.1}\" y1=\"8\" x2=\"{0:.1}\" y2=\"32\"><title>{1}</title></line>",
            at(signal.ts),
            html(&signal.signal)
        );
    }
    format!(
        "<svg class=\"strip\" viewBox=\"0 0 {WIDTH} 40\" role=\"img\" aria-label=\"{} from the first signal to the end\">\
         <line class=\"axis\" x1=\"10\" y1=\"20\" x2=\"{:.1}\" y2=\"20\"></line>{marks}\
         <circle cx=\"{:.1}\" cy=\"20\" r=\"7\"><title>the end</title></circle></svg>\n",
        html(&span(length)),
        WIDTH - 10.0,
        at(end)
    )
}

fn later(before: f64, now: f64) -> String {
    let gap = now - before;
    if gap > 0.0 { html(&format!("+{}", span(gap))) } else { String::new() }
}

fn what(signal: &Signal) -> String {
    let repeated = match signal.repeated {
        0 => String::new(),
        more => format!(" ×{}", more.saturating_add(1)),
    };
    format!(
        "<strong>{}</strong>{repeated} <small>{}, {}</small>",
        html(&signal.signal),
        html(&slug(&signal.mechanism)),
        html(&slug(&signal.result))
    )
}

fn from(signal: &Signal) -> String {
    signal.sender.as_ref().map_or_else(|| "the kernel".to_owned(), super::evidence::process)
}
