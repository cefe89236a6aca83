//! Arguments as `getopt_long(3)` reads them: options anywhere, words between them.

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed<'a> {
    /// Options by name without dashes, each with its value if it takes one.
    options: Vec<(&'a str, &'a str)>,
    /// What is no option.
    pub(super) words: Vec<&'a str>,
}

impl<'a> Parsed<'a> {
    /// Takes it apart; `valued` names the options that take a value, long ones and single letters.
    pub(super) fn new(arguments: &'a [String], valued: &[&str]) -> Self {
        let mut parsed = Self::default();
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            if argument == "--" {
                parsed.words.extend(arguments);
                break;
            }
            if let Some(long) = argument.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some(pair) => pair,
                    None if valued.contains(&long) => (long, arguments.next().unwrap_or_default()),
                    None => (long, ""),
                };
                parsed.options.push((name, value));
            } else if let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                for (at, letter) in letters.char_indices() {
                    let end = at + letter.len_utf8();
                    let name = letters.get(at..end).unwrap_or_default();
                    if !valued.contains(&name) {
                        parsed.options.push((name, ""));
                        continue;
                    }
                    let rest = letters.get(end..).unwrap_or_default();
                    let value = if rest.is_empty() { arguments.next().unwrap_or_default() } else { rest };
                    parsed.options.push((name, value));
                    break;
                }
            } else {
                parsed.words.push(argument);
            }
        }
        parsed
    }

    /// True when one of these options was given.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.value(names).is_some()
    }

    /// The value of the last of these options.
    pub(super) fn value(&self, names: &[&str]) -> Option<&'a str> {
        self.options.iter().rev().find(|(name, _)| names.contains(name)).map(|(_, value)| *value)
    }
}
