//! Goes through the words of one command line and says which parts of each are secret.

use std::ops::Range;

use super::commands::{Command, Part, Taken};
use super::{MAX_DEPTH, names, secrets, shapes};

/// What the word before announced about this one.
#[derive(Debug, Default, PartialEq, Eq)]
enum Expected {
    #[default]
    Nothing,
    /// An option of the command takes this word, and this part of it is secret.
    Value(Part),
    /// A name announced it: `--password`, `X-Api-Key:`.
    Named(String),
    /// A bare secret name; only after `=` or `:` does the value follow.
    Separator(String),
    /// The script of a `sh -c`.
    Script,
    /// Possibly the value of an option that the rules do not know.
    Perhaps,
}

/// The state between two words.
pub(super) struct Scan {
    command: Command,
    expected: Expected,
    depth: usize,
}

impl Scan {
    /// A scan at the beginning of a command line, `depth` levels within others.
    pub(super) fn new(depth: usize) -> Self {
        Self { command: Command::default(), expected: Expected::default(), depth }
    }

    /// The ranges of the next word that are secret.
    pub(super) fn word(&mut self, word: &str) -> Vec<Range<usize>> {
        let expected = std::mem::take(&mut self.expected);
        let option = is_option(word);
        match &expected {
            Expected::Value(part) => return self.inside(word, part.of(word)),
            Expected::Named(name) if !option => {
                let harmless = names::is_harmless_value(name, word);
                // The scheme of a header stands between its name and its secret.
                if is_scheme(word) {
                    self.expected = expected;
                    return Vec::new();
                }
                return self.inside(word, (!harmless).then_some(0..word.len()));
            }
            Expected::Separator(name) if matches!(word, "=" | ":" | "=>") => {
                self.expected = Expected::Named(name.clone());
                return Vec::new();
            }
            _ => {}
        }
        if self.command.is_secret_operand(word) {
            self.command.advance(word, true);
            return self.inside(word, Some(0..word.len()));
        }
        match self.command.option(word) {
            Some(Taken::Here(range)) => return self.inside(word, Some(range)),
            Some(Taken::Next(part)) => {
                self.expected = Expected::Value(part);
                return Vec::new();
            }
            None => {}
        }
        self.expected = self.announced(word);
        if word.chars().any(char::is_whitespace) {
            return self.line(word, expected == Expected::Script);
        }
        self.command.advance(word, expected == Expected::Perhaps);
        let assigned = assignment(word).map(|(_, value)| value);
        self.inside(word, assigned)
    }

    /// What `word` says about the next one.
    fn announced(&self, word: &str) -> Expected {
        let bare = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        let dashed = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        if let Some(name) = dashed {
            return match name {
                _ if name.contains('=') => Expected::Nothing,
                // `sh -c`, `sh -lc`, `node -e`, `perl -ne`.
                _ if name.len() <= 3 && name.ends_with(['c', 'e']) => Expected::Script,
                _ if name.len() >= 3 && is_name(name) && names::is_secret(name) => {
                    Expected::Named(name.to_owned())
                }
                _ if word.starts_with("--") && !name.is_empty() => Expected::Perhaps,
                _ => Expected::Nothing,
            };
        }
        // Of `http.extraheader=Authorization:` the last name counts.
        let header = bare.strip_suffix(':').map(|name| name.rsplit('=').next().unwrap_or(name));
        if let Some(name) = header.map(|name| name.trim_end_matches(['"', '\''])) {
            let named = is_name(name) && name != "pass" && names::is_secret(name);
            return if named { Expected::Named(name.to_owned()) } else { Expected::Nothing };
        }
        if bare.eq_ignore_ascii_case("bearer") {
            return Expected::Named(bare.to_owned());
        }
        match is_name(bare) && names::is_secret(bare) {
            true if self.command.sets_next() => Expected::Named(bare.to_owned()),
            true => Expected::Separator(bare.to_owned()),
            false => Expected::Nothing,
        }
    }

    /// A word with blanks: the value of an assignment, or a command line of its own.
    fn line(&mut self, word: &str, script: bool) -> Vec<Range<usize>> {
        if self.depth >= MAX_DEPTH {
            return std::iter::once(0..word.len()).collect();
        }
        let nested = |from: usize| {
            let inner = secrets(word.get(from..).unwrap_or_default(), self.depth + 1);
            inner.into_iter().map(move |range| range.start + from..range.end + from).collect()
        };
        match word
            .find('=')
            .filter(|&equals| is_name(word.get(..equals).unwrap_or_default().trim_start_matches('-')))
        {
            Some(_) if script => nested(0),
            Some(equals) => match assignment(word) {
                Some((_, value)) => Vec::from([value]),
                None => nested(equals + 1),
            },
            None => nested(0),
        }
    }

    /// The range that a rule found, and all that the word gives away by itself.
    fn inside(&self, word: &str, found: Option<Range<usize>>) -> Vec<Range<usize>> {
        if found.as_ref().is_some_and(|range| range.len() == word.len()) {
            return found.into_iter().collect();
        }
        let mut ranges: Vec<_> = found.into_iter().collect();
        ranges.extend(parameters(word));
        ranges.extend(shapes::url_userinfo(word));
        ranges.extend(shapes::tokens(word));
        ranges.extend(shapes::pem_blocks(word));
        ranges
    }
}

/// The value of a text that is one header with a secret: all that follows `Authorization:` and its scheme.
pub(super) fn header_value(text: &str) -> Option<Range<usize>> {
    let names = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
    let (name, rest) = text.split_once(':')?;
    if !names.iter().any(|header| name.trim().eq_ignore_ascii_case(header)) {
        return None;
    }
    let value = rest.trim();
    let secret = match value.split_once(char::is_whitespace) {
        Some((scheme, secret)) if is_scheme(scheme) => secret.trim_start(),
        _ => value,
    };
    let end = text.trim_end().len();
    (!secret.is_empty()).then(|| end - secret.len()..end)
}

/// `name=value` or `--name=value` with a secret name: the name, and where the value stands.
fn assignment(word: &str) -> Option<(&str, Range<usize>)> {
    let (name, value) = word.split_once('=')?;
    let name = name.trim_start_matches('-');
    let secret = is_name(name) && names::is_secret(name) && !names::is_harmless_value(name, value);
    secret.then(|| (name, word.len() - value.len()..word.len()))
}

/// Values of secret names within a word: `?access_token=…&`, `user=x,password=…`, `{"password":"…"}`.
fn parameters(word: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, separator) in word.match_indices(['=', ':']) {
        if found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        let (before, after) = (word.get(..at).unwrap_or_default(), word.get(at + 1..).unwrap_or_default());
        let unquoted = before.trim_end_matches(['"', '\'']);
        let name_start = name_start(unquoted);
        let name = unquoted.get(name_start..).unwrap_or_default();
        let preceding = unquoted.get(..name_start).and_then(|text| text.chars().next_back());
        let quoted_name = unquoted.len() < before.len();
        // A colon follows many things that are no names: a drive, a scheme, a tag.
        let colon = separator == ":";
        if colon && (after.starts_with('/') || !(quoted_name || matches!(preceding, None | Some('{' | ','))))
        {
            continue;
        }
        let name = name.trim_start_matches('-');
        if (colon && name == "pass") || !names::is_secret(name) {
            continue;
        }
        let (start, length) = value(after, preceding);
        let text = after.get(start..start + length).unwrap_or_default();
        if !names::is_harmless_value(name, text) {
            found.push(at + 1 + start..at + 1 + start + length);
        }
    }
    found
}

/// Where the name at the end of `text` begins.
fn name_start(text: &str) -> usize {
    let longest = text.len().saturating_sub(names::MAX_NAME);
    let tail = text.bytes().enumerate().rev().take_while(|&(at, b)| at >= longest && is_name_byte(b));
    tail.last().map_or(text.len(), |(at, _)| at)
}

/// Start and length of the value at the beginning of `text`, by what stood in front of its name.
fn value(text: &str, preceding: Option<char>) -> (usize, usize) {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let inner = text.get(1..).unwrap_or_default();
        let mut escaped = false;
        let end = inner.find(|c: char| {
            let closes = c == quote && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        return (1, end.unwrap_or(inner.len()));
    }
    let stops: &[char] = match preceding {
        Some('?' | '&') => &['&', '#', '"', '\''],
        Some(',') => &[',', '"', '\''],
        Some(';') => &[';', '"', '\''],
        _ => return (0, text.len()),
    };
    (0, text.find(stops).unwrap_or(text.len()))
}

/// An option rather than a secret that happens to begin with a dash.
fn is_option(word: &str) -> bool {
    let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { return false };
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') || (name.len() == 1 && !word.starts_with("--"))
}

/// The schemes of an `Authorization` header (RFC 9110, section 11).
fn is_scheme(word: &str) -> bool {
    let schemes = [
        "basic",
        "bearer",
        "digest",
        "negotiate",
        "ntlm",
        "token",
        "apikey",
        "aws4-hmac-sha256",
        "hoba",
        "mutual",
    ];
    schemes.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= names::MAX_NAME && text.bytes().all(is_name_byte)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
}
