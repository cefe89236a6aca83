use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use forensics_incident::text::escape;

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {} cannot be read: {why}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file does not say what it may say.
    #[error("the configuration {}, {place}: {why}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong, on one line.
        why: String,
    },
}

/// A place in the file: `line 7, key "path"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line, counted from 1.
    pub line: usize,
    /// The key on that line, or the table that it begins.
    pub key: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.key {
            Some(key) => write!(f, ", key \"{}\"", escape(key)),
            None => Ok(()),
        }
    }
}

/// What is wrong, and at which bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) why: String,
}

impl From<toml::de::Error> for Fault {
    fn from(error: toml::de::Error) -> Self {
        Fault { span: error.span().unwrap_or_default(), why: error.message().to_owned() }
    }
}

impl Fault {
    /// The error, with the place looked up in the text.
    pub(super) fn in_file(self, path: &Path, text: &str) -> ConfigError {
        let why = escape(&self.why.split_whitespace().collect::<Vec<_>>().join(" "));
        ConfigError::Content { path: path.to_owned(), place: place(text, self.span.start), why }
    }
}

/// The line of an offset, and the key that this line sets.
fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let line = 1 + before.matches('\n').count();
    let content = text.lines().nth(line - 1).unwrap_or_default();
    let key = match content.split_once('=') {
        Some((key, _)) => key,
        None => content.trim_matches(|c: char| c == '[' || c == ']' || c.is_whitespace()),
    };
    let key = key.trim().trim_matches(['"', '\'']);
    let is_key = !key.is_empty() && !key.contains(['#', '"', '[']);
    Place { line, key: is_key.then(|| key.to_owned()) }
}
