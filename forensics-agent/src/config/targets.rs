//! `[targets]`: which processes are watched. Each key is the option of `watch` with the same name.

use std::path::{Path, PathBuf};

use regex::Regex;
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;
use crate::host::systemd::unit::Scope;
use crate::targets::{CgroupSelector, TargetArgs, UnitSelector};

/// The table. There is no `pid`: a number that outlives its process would name another one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TargetsTable {
    unit: Vec<Spanned<String>>,
    user_unit: Vec<Spanned<String>>,
    uid: Option<Spanned<u32>>,
    cgroup: Vec<Spanned<String>>,
    pidfile: Vec<Spanned<String>>,
    comm: Vec<Spanned<String>>,
    exe: Vec<Spanned<String>>,
    r#match: Vec<Spanned<String>>,
    all: bool,
    follow_children: bool,
    main: bool,
}

impl TargetsTable {
    /// The same as options.
    ///
    /// # Errors
    /// What no process can match, or what depends on where the agent is started.
    pub(super) fn into_args(self) -> Result<TargetArgs, Fault> {
        let Self { unit, user_unit, uid, cgroup, pidfile, comm, exe, r#match, all, follow_children, main } =
            self;
        if let Some(uid) = uid.as_ref().filter(|_| user_unit.is_empty()) {
            let why = "says whose units user_unit names, and there is no user_unit".to_owned();
            return Err(Fault { span: uid.span(), why });
        }
        let named = |text: &str| match UnitSelector::parse("", text, Scope::System) {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err("is the name of no unit".to_owned()),
        };
        Ok(TargetArgs {
            pids: Vec::new(),
            units: each(unit, named)?,
            user_units: each(user_unit, named)?,
            uid: uid.map(Spanned::into_inner),
            cgroups: each(cgroup, |path| match CgroupSelector::parse(path) {
                Ok(_) => Ok(path.to_owned()),
                Err(_) => Err("is the path of no cgroup".to_owned()),
            })?,
            pidfiles: each(pidfile, path)?,
            comms: each(comm, |name| {
                let is_name = !name.is_empty() && !name.contains('\0');
                if is_name { Ok(name.to_owned()) } else { Err("is the name of no process".to_owned()) }
            })?,
            exes: each(exe, path)?,
            patterns: each(r#match, |pattern| Regex::new(pattern).map_err(|error| why_not(&error)))?,
            all,
            follow_children,
            main_only: main,
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
