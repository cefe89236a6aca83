//! `[targets]`: which processes are watched. Each key is the option of `watch` with the same name.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;
use crate::targets::TargetArgs;

/// The table. There is no `pid`: a number that outlives its process would name another one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetsTable {
    pidfile: Vec<Spanned<String>>,
    comm: Vec<Spanned<String>>,
    exe: Vec<Spanned<String>>,
    r#match: Vec<Spanned<String>>,
    all: bool,
    follow_children: bool,
}

impl TargetsTable {
    /// The same as options.
    ///
    /// # Errors
    /// What no process can match, or what depends on where the agent is started.
    pub(super) fn into_args(self) -> Result<TargetArgs, Fault> {
        let Self { pidfile, comm, exe, r#match, all, follow_children } = self;
        Ok(TargetArgs {
            pids: Vec::new(),
            pidfiles: each(pidfile, path)?,
            comms: each(comm, |name| {
                let is_name = !name.is_empty() && !name.contains('\0');
                if is_name { Ok(name.to_owned()) } else { Err("is the name of no process".to_owned()) }
            })?,
            exes: each(exe, path)?,
            patterns: each(r#match, |pattern| Regex::new(pattern).map_err(|error| why_not(&error)))?,
            all,
            follow_children,
        })
    }
}

/// Reads each string, and says which one is wrong.
fn each<T>(strings: Vec<Spanned<String>>, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Fault> {
    let one = |string: Spanned<String>| {
        read(string.as_ref())
            .map_err(|why| Fault { span: string.span(), why: format!("{:?} {why}", string.as_ref()) })
    };
    strings.into_iter().map(one).collect()
}

fn path(text: &str) -> Result<PathBuf, String> {
    let is_good = Path::new(text).is_absolute() && !text.contains('\0');
    if is_good { Ok(PathBuf::from(text)) } else { Err("is no absolute path".to_owned()) }
}

/// The last line says what is wrong; those before it draw an arrow at the place.
fn why_not(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    format!("is no regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
}
