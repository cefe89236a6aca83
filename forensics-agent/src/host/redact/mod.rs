//! Redaction of secrets in command lines and other foreign text.
//!
//! Whatever is secret is replaced by [`REDACTED`] before a record is stored, shown or exported. Rules, from the
//! surest to the vaguest: options and operands in which particular commands take a secret (`commands`), options,
//! variables, query parameters and headers whose name says so (`names`), and values that betray themselves
//! by their shape or their randomness (`shapes`). What identifies something and is no secret stays: hex digests,
//! UUIDs, container ids, paths, versions, and the pattern of a `pkill -f`.
//!
//! Everything works on byte ranges of the original text, so that quoting and spacing survive. Time is linear in
//! the length of the text, a command line within a command line (`sh -c '…'`) is followed [`MAX_DEPTH`] levels
//! deep and redacted as a whole below that.

mod commands;
mod names;
mod scan;
mod shapes;
mod words;

use std::ops::Range;

use scan::Scan;
use words::Word;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Levels of command lines within command lines that are looked into.
const MAX_DEPTH: usize = 4;

/// Passes over one text; nothing but text made for it needs more than three.
const MAX_PASSES: usize = 8;

/// Redacts a command line, argument by argument. As many arguments come back as went in.
pub fn redact(argv: &[String]) -> Vec<String> {
    let pass = |argv: &Vec<String>| {
        let mut scan = Scan::new(0);
        let found: Vec<_> = argv.iter().map(|argument| scan.word(argument)).collect();
        // Most command lines hold no secret, and are not written anew.
        let any = found.iter().any(|ranges| !ranges.is_empty());
        any.then(|| argv.iter().zip(found).map(|(argument, ranges)| replace(argument, ranges)).collect())
    };
    settle(argv.to_vec(), pass).unwrap_or_else(|| vec![REDACTED.to_owned(); argv.len()])
}

/// Redacts one flat string: a command line as a shell would read it, a marker, a line of a log.
pub fn redact_text(text: &str) -> String {
    let pass = |text: &String| {
        let found = secrets(text, 0);
        (!found.is_empty()).then(|| replace(text, found))
    };
    settle(text.to_owned(), pass).unwrap_or_else(|| REDACTED.to_owned())
}

/// Repeats a pass until it finds nothing more, or only what stands there already: with one secret gone, another may stand out.
/// None when that takes more passes than any sane text needs.
fn settle<T: PartialEq>(mut text: T, pass: impl Fn(&T) -> Option<T>) -> Option<T> {
    for _ in 0..MAX_PASSES {
        match pass(&text) {
            Some(next) if next != text => text = next,
            _ => return Some(text),
        }
    }
    None
}

/// The byte ranges of `text` that hold secrets, in no particular order.
fn secrets(text: &str, depth: usize) -> Vec<Range<usize>> {
    let mut found = shapes::pem_blocks(text);
    if let Some(value) = scan::header_value(text) {
        found.push(value);
        return found;
    }
    let mut scan = Scan::new(depth);
    let mut words = words::Words::new(text);
    while let Some(word) = words.next_word() {
        let Word { value, .. } = &word;
        found.extend(scan.word(value).into_iter().map(|range| word.raw_range(range)));
    }
    found
}

/// True when the list holds the word. Nearly every entry differs in its first byte, which is seen without a call.
fn is_one_of(list: &[&str], word: &str) -> bool {
    let first = word.as_bytes().first();
    list.iter().any(|entry| entry.as_bytes().first() == first && *entry == word)
}

/// `text` with each of the ranges replaced. Ranges that overlap or touch become one.
fn replace(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    let mut previous_end = None;
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        if previous_end.is_some_and(|end| range.start <= end) {
            done = done.max(range.end);
            previous_end = Some(done);
            continue;
        }
        out.push_str(text.get(done..range.start).unwrap_or_default());
        out.push_str(REDACTED);
        done = range.end;
        previous_end = Some(done);
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests;
