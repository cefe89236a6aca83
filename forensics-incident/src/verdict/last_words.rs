//! What the target's unit logged before the end.

use crate::text::{clip, span};

use super::case::{Case, quote};

/// Lines that are told.
const MAX_LINES: usize = 3;
/// Characters of a line that a sentence can bear.
const LINE_CHARS: usize = 160;

/// Its last lines, the last one first: that is what it was at.
pub(super) fn last_words(case: &Case<'_>) -> Vec<String> {
    let end = case.facts.outcome.ts;
    let mut said = Vec::new();
    for line in case.facts.unit_log.iter().rev().take(MAX_LINES) {
        let text = quote(&clip(&line.text, LINE_CHARS));
        let when = if line.ts > end {
            "as it ended".to_owned()
        } else {
            format!("{} before the end", span(end - line.ts))
        };
        said.push(match said.is_empty() {
            true => format!("The last that its unit logged, {when}: {text}."),
            false => format!("Before that, {when}: {text}."),
        });
    }
    said
}

#[cfg(test)]
mod tests {
    use crate::model::{Facts, LogLine};
    use crate::sample::{BOOT, exited, nginx};
    use crate::verdict::{Show, judge};

    #[test]
    fn the_last_line_comes_first() {
        let line =
            |at: f64, text: &str| LogLine { ts: BOOT + at, text: text.to_owned(), ..LogLine::default() };
        let unit_log = vec![
            line(10.0, "zero"),
            line(98.0, "one"),
            line(99.5, "two"),
            line(100.2, "cannot bind: \u{1b}[31m`in use`"),
        ];
        let facts = Facts { unit_log, ..exited(nginx(), 100.0, 1, None, Vec::new()) };
        let evidence = judge(&facts, Show::Cmdline).evidence;
        let at = evidence.iter().position(|said| said.starts_with("The last that")).unwrap();
        assert_eq!(
            evidence[at..at + 3],
            [
                "The last that its unit logged, as it ended: `cannot bind: \\x1b[31m\\x60in use\\x60`.",
                "Before that, 500 ms before the end: `two`.",
                "Before that, 2 s before the end: `one`.",
            ]
        );
        assert!(!evidence.iter().any(|said| said.contains("zero")));
    }
}
