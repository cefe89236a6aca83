//! The words of a flat command line, as a POSIX shell would split it, with the way back to the raw text.

use std::ops::Range;

/// One word of the text, its quotes taken off.
pub(super) struct Word {
    /// The word without its quotes and backslashes.
    pub(super) value: String,
    /// Where it stands in the text, quotes included.
    raw: Range<usize>,
    /// For each byte of `value`: where it stands in the text, and which quote it stands in (0 for none).
    origin: Vec<(Range<usize>, u8)>,
}

impl Word {
    /// The range of the text that holds `range` of the value. It grows to the whole word where the cut would
    /// leave a quote without its partner.
    pub(super) fn raw_range(&self, range: Range<usize>) -> Range<usize> {
        let ends = (self.origin.get(range.start), range.end.checked_sub(1).and_then(|i| self.origin.get(i)));
        match ends {
            (Some((first, open)), Some((last, close)))
                if open == close && range.len() < self.value.len() && first.start < last.end =>
            {
                first.start..last.end
            }
            _ => self.raw.clone(),
        }
    }
}

/// Splits a text into words. A quote without a partner is an ordinary character, as in a log line's "can't".
pub(super) struct Words<'a> {
    text: &'a str,
    at: usize,
    /// The quotes that have no partner from here to the end of the text; keeps the search linear.
    unpaired: [bool; 2],
}

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, unpaired: [false; 2] }
    }

    /// The next word, or None at the end.
    pub(super) fn next_word(&mut self) -> Option<Word> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        let start = self.at;
        let mut word = Word { value: String::new(), raw: start..start, origin: Vec::new() };
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                '\'' | '"' if self.quoted(c, &mut word) => {}
                '\\' => {
                    let from = self.at;
                    self.at += 1;
                    match self.peek() {
                        Some(next) => self.take(next, from, 0, &mut word),
                        None => word.push('\\', from..self.at, 0),
                    }
                }
                c => self.take(c, self.at, 0, &mut word),
            }
        }
        word.raw.end = self.at;
        (self.at > start).then_some(word)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn take(&mut self, c: char, from: usize, quote: u8, word: &mut Word) {
        self.at += c.len_utf8();
        word.push(c, from..self.at, quote);
    }

    /// Takes a quoted part up to its closing quote; false, and nothing taken, when there is none.
    fn quoted(&mut self, quote: char, word: &mut Word) -> bool {
        let double = quote == '"';
        let (index, code) = (usize::from(double), if double { b'"' } else { b'\'' });
        if self.unpaired.get(index).copied().unwrap_or(true) {
            return false;
        }
        let (start, length) = (self.at, word.value.len());
        self.at += 1;
        while let Some(c) = self.peek() {
            let from = self.at;
            if c == quote {
                self.at += 1;
                return true;
            }
            // Within double quotes a backslash escapes only these (POSIX XCU 2.2.3).
            let escaped = self.text.get(from + 1..).and_then(|rest| rest.chars().next());
            if let (true, '\\', Some(next @ ('"' | '\\' | '$' | '`'))) = (double, c, escaped) {
                self.at += 1;
                self.take(next, from, code, word);
            } else {
                self.take(c, from, code, word);
            }
        }
        self.at = start;
        word.value.truncate(length);
        word.origin.truncate(length);
        if let Some(unpaired) = self.unpaired.get_mut(index) {
            *unpaired = true;
        }
        false
    }
}

impl Word {
    fn push(&mut self, c: char, raw: Range<usize>, quote: u8) {
        self.value.push(c);
        self.origin.extend(std::iter::repeat_n((raw, quote), c.len_utf8()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut words = Words::new(text);
        std::iter::from_fn(|| words.next_word()).map(|word| word.value).collect()
    }

    #[test]
    fn splits_as_a_shell_does() {
        assert_eq!(
            split(r#"a 'b c' "d \"e\" \n" f\ g '' h'i'"j""#),
            ["a", "b c", r#"d "e" \n"#, "f g", "", "hij"]
        );
    }

    #[test]
    fn a_lone_quote_is_a_character() {
        assert_eq!(split("can't stop"), ["can't", "stop"]);
        assert_eq!(split("\"a 'b c'"), ["\"a", "b c"]);
    }

    #[test]
    fn ranges_lead_back_to_the_text() {
        let text = "x -p'a b' y";
        let mut words = Words::new(text);
        words.next_word();
        let word = words.next_word().unwrap();
        assert_eq!(&text[word.raw_range(2..5)], "a b");
        assert_eq!(&text[word.raw_range(0..5)], "-p'a b'");
        assert_eq!(&text[word.raw_range(0..3)], "-p'a b'", "a cut through the quote takes the word");
    }
}
