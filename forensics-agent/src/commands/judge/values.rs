//! The JSON objects of a text: one in each line, spread over many, or in a list.
//!
//! A text may hold other things in between, since a log is no file of its own. What is wrong costs no more than the line
//! where it begins: reading goes on with the next one.

use std::collections::VecDeque;
use std::io::{self, BufRead};

/// As deep as `serde_json` reads.
const MAX_DEPTH: usize = 127;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An object, whole, which may be broken in itself still.
    Object {
        /// The line where it begins, from 1.
        line: u64,
        /// Its text, from brace to brace.
        text: Vec<u8>,
    },
    /// A line that is none and begins none.
    Bad {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// The objects of a text, in their order.
pub(super) struct Values<R> {
    input: R,
    /// Lines, or the rest of them, that are to be read before the input.
    pending: VecDeque<Line>,
    /// Lines that were taken from the input.
    read: u64,
    /// The line where the list begins that the next object is part of.
    list: Option<u64>,
}

#[derive(Debug)]
struct Line {
    number: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Values<R> {
    /// The objects of `input`.
    pub(super) fn new(input: R) -> Self {
        Self { input, pending: VecDeque::new(), read: 0, list: None }
    }

    /// The next object, or the next thing that is wrong; none at the end.
    ///
    /// # Errors
    /// As the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Found>> {
        while let Some(line) = self.line()? {
            let text = line.text.trim_ascii_start();
            let rest = text.get(1..).unwrap_or_default().trim_ascii_start();
            match (text.first(), self.list) {
                (None, _) => {}
                (Some(b'{'), _) => {
                    let text = text.to_vec();
                    return self.object(Line { text, ..line }).map(Some);
                }
                // A line of a log may begin with a bracket as well.
                (Some(b'['), None) if matches!(rest.first(), None | Some(b'{' | b']')) => {
                    self.list = Some(line.number);
                    self.put_back(line.number, rest);
                }
                (Some(b','), Some(_)) => self.put_back(line.number, rest),
                (Some(b']'), Some(_)) => {
                    self.list = None;
                    self.put_back(line.number, rest);
                }
                _ => {
                    let why = "no JSON object begins here".to_owned();
                    return Ok(Some(Found::Bad { line: line.number, why }));
                }
            }
        }
        let unfinished = self.list.take();
        Ok(unfinished
            .map(|line| Found::Bad { line, why: "the list that begins here does not end".to_owned() }))
    }

    /// The object that a line begins with. Where it is none, the lines behind the first are read anew.
    fn object(&mut self, first: Line) -> io::Result<Found> {
        let start = first.number;
        let mut scan = Scan::default();
        let mut taken = vec![first];
        let why = loop {
            let Some(Line { number, text }) = taken.last() else { break String::new() };
            match scan.feed(text) {
                Fed::More => match self.line()? {
                    Some(line) => taken.push(line),
                    None => break "the object that begins here does not end".to_owned(),
                },
                Fed::Ends(length) => {
                    let (head, rest) = text.split_at_checked(length).unwrap_or((text, b""));
                    let (rest, number) = (rest.to_vec(), *number);
                    let before = taken.len() - 1;
                    let mut text: Vec<u8> =
                        taken.iter().take(before).flat_map(|line| &line.text).copied().collect();
                    text.extend_from_slice(head);
                    self.put_back(number, &rest);
                    return Ok(Found::Object { line: start, text });
                }
                Fed::Broken if *number == start => break "this is no JSON".to_owned(),
                Fed::Broken => break format!("the object that begins here is broken in line {number}"),
            }
        };
        for line in taken.into_iter().skip(1).rev() {
            self.pending.push_front(line);
        }
        Ok(Found::Bad { line: start, why })
    }

    fn put_back(&mut self, number: u64, rest: &[u8]) {
        if !rest.trim_ascii().is_empty() {
            self.pending.push_front(Line { number, text: rest.to_vec() });
        }
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.pending.pop_front() {
            return Ok(Some(line));
        }
        let mut text = Vec::new();
        if self.input.read_until(b'\n', &mut text)? == 0 {
            return Ok(None);
        }
        self.read += 1;
        Ok(Some(Line { number: self.read, text }))
    }
}

/// What a line made of an object.
enum Fed {
    /// It goes on.
    More,
    /// It ends after so many bytes of the line.
    Ends(usize),
    /// It can no longer become one.
    Broken,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Key,
    KeyOrEnd,
    Colon,
    Value,
    ValueOrEnd,
    CommaOrEnd,
}

/// How far an object was read: its grammar, so that one that was cut off is noticed where another begins.
#[derive(Debug)]
struct Scan {
    /// The braces and brackets that are open.
    open: Vec<u8>,
    next: Next,
    /// Inside a string, which is a key or a value.
    string: bool,
    escaped: bool,
    /// Inside a number, `true`, `false` or `null`, whose letters are left to the parser.
    word: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self { open: Vec::new(), next: Next::Value, string: false, escaped: false, word: false }
    }
}

impl Scan {
    fn feed(&mut self, line: &[u8]) -> Fed {
        for (at, &byte) in line.iter().enumerate() {
            if self.byte(byte).is_none() {
                return Fed::Broken;
            }
            if self.open.is_empty() {
                return Fed::Ends(at + 1);
            }
        }
        Fed::More
    }

    /// Takes a byte; none when it cannot be there.
    fn byte(&mut self, byte: u8) -> Option<()> {
        if self.string {
            return self.byte_of_string(byte);
        }
        let ends_word = byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']');
        if self.word && ends_word {
            (self.word, self.next) = (false, Next::CommaOrEnd);
        }
        match (byte, self.next) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => {}
            (b'"', Next::Key | Next::KeyOrEnd) => (self.string, self.next) = (true, Next::Colon),
            (b'"', Next::Value | Next::ValueOrEnd) => (self.string, self.next) = (true, Next::CommaOrEnd),
            (b':', Next::Colon) => self.next = Next::Value,
            (b',', Next::CommaOrEnd) => {
                self.next = if self.open.last() == Some(&b'{') { Next::Key } else { Next::Value };
            }
            (b'{' | b'[', Next::Value | Next::ValueOrEnd) if !self.word && self.open.len() < MAX_DEPTH => {
                self.open.push(byte);
                self.next = if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
            }
            (b'}', Next::KeyOrEnd | Next::CommaOrEnd) if self.open.last() == Some(&b'{') => self.close(),
            (b']', Next::ValueOrEnd | Next::CommaOrEnd) if self.open.last() == Some(&b'[') => self.close(),
            (
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'+' | b'.',
                Next::Value | Next::ValueOrEnd,
            ) => {
                self.word = true;
            }
            _ => return None,
        }
        Some(())
    }

    fn byte_of_string(&mut self, byte: u8) -> Option<()> {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.string = false,
            // Not even in a string that goes over several lines.
            ..b' ' => return None,
            _ => {}
        }
        Some(())
    }

    fn close(&mut self) {
        self.open.pop();
        self.next = Next::CommaOrEnd;
    }
}

/// The same JSON in one line: without the blanks between its parts, and as it is where it has no line breaks.
pub(super) fn in_one_line(text: Vec<u8>) -> Vec<u8> {
    if !text.contains(&b'\n') && !text.contains(&b'\r') {
        return text;
    }
    let (mut string, mut escaped) = (false, false);
    let is_part = |&byte: &u8| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = string,
            b'"' => string = !string,
            _ => {}
        }
        string || !byte.is_ascii_whitespace()
    };
    text.into_iter().filter(is_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u64, String)> {
        let mut values = Values::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(next) = values.next().expect("a slice is read without errors") {
            found.push(match next {
                Found::Object { line, text } => (line, String::from_utf8(in_one_line(text)).expect("UTF-8")),
                Found::Bad { line, why } => (line, format!("bad: {why}")),
            });
        }
        found
    }

    fn objects(text: &str) -> Vec<(u64, String)> {
        let found = all(text);
        assert!(!found.iter().any(|(_, text)| text.starts_with("bad")), "{found:?}");
        found
    }

    #[test]
    fn objects_in_lines_over_lines_and_in_lists() {
        let one = |line: u64| (line, r#"{"a":[1.50,{"b":"} ]\" x"}]}"#.to_owned());
        let flat = r#"{"a":[1.50,{"b":"} ]\" x"}]}"#;
        let pretty = "{\n  \"a\": [\n    1.50,\n    { \"b\": \"} ]\\\" x\" }\n  ]\n}";
        assert_eq!(objects(&format!("{flat}\n\n{flat}")), [one(1), one(3)]);
        assert_eq!(objects(&format!("{flat}{flat} {flat}")), [one(1), one(1), one(1)]);
        assert_eq!(objects(&format!("{pretty}\n{pretty}\n")), [one(1), one(7)]);
        for (list, lines) in [
            (format!("[{flat},{flat}]"), [1, 1]),
            (format!("[\n{flat},\n{flat}\n]\n"), [2, 3]),
            (format!("  [ {flat}\n  , {pretty} ]\r\n"), [1, 2]),
        ] {
            assert_eq!(objects(&list), lines.map(one), "{list}");
        }
        assert_eq!(objects("[]\n[\n]\n{}"), [(4, "{}".to_owned())]);
    }

    #[test]
    fn what_is_wrong_costs_one_line() {
        let cut = r#"{"schema":"x","n":"#;
        for (text, expected) in [
            ("hello\n{}", vec![(1, "bad: no JSON object begins here"), (2, "{}")]),
            ("[1.25] kernel: x\n{}", vec![(1, "bad: no JSON object begins here"), (2, "{}")]),
            ("[1]\n\"x\"\n{}", vec![(1, "bad: no"), (2, "bad: no"), (3, "{}")]),
            ("{\"a\": \"cut\n{}", vec![(1, "bad: this is no JSON"), (2, "{}")]),
            (
                "{\"a\":1,\n{}\n{}",
                vec![(1, "bad: the object that begins here is broken in line 2"), (2, "{}"), (3, "{}")],
            ),
            (
                &format!("{cut}\n{{}}\n{{}}"),
                vec![(1, "bad: the object that begins here is broken in line 3"), (2, "{}"), (3, "{}")],
            ),
            (&format!("{{}}\n{cut}"), vec![(1, "{}"), (2, "bad: the object that begins here does not end")]),
            ("[{},\n{}", vec![(1, "{}"), (2, "{}"), (1, "bad: the list that begins here does not end")]),
            ("{\"a\" 1}", vec![(1, "bad: this is no JSON")]),
            ("{\"a\":}", vec![(1, "bad: this is no JSON")]),
            ("{\"a\":1,}", vec![(1, "bad: this is no JSON")]),
            ("{\"a\":[1,]}", vec![(1, "bad: this is no JSON")]),
            ("{\"a\":[1}]", vec![(1, "bad: this is no JSON")]),
        ] {
            let found = all(text);
            assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
            for ((line, said), (expected_line, start)) in found.iter().zip(&expected) {
                assert!(line == expected_line && said.starts_with(start), "{text}: {found:?}");
            }
        }
        let deep = "[".repeat(500);
        assert_eq!(all(&format!("{{\"a\":{deep}\n{{}}")).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn every_object_is_found_whatever_stands_around(
            noise in "[^{]*", value in "[^\u{0}-\u{1f}]*", pretty in proptest::bool::ANY
        ) {
            let object = serde_json::json!({"key": value, "list": [1, {"of": null}]});
            let text = if pretty { format!("{object:#}") } else { object.to_string() };
            let found = all(&format!("{noise}\n{text}\n"));
            let is_it = |said: &String| {
                serde_json::from_str::<serde_json::Value>(said).is_ok_and(|value| value == object)
            };
            proptest::prop_assert!(found.iter().any(|(_, said)| is_it(said)), "{found:?}");
        }

        #[test]
        fn any_text_comes_to_an_end(text in "[\\[\\]{}\",:1 \n]*") {
            all(&text);
        }
    }
}
