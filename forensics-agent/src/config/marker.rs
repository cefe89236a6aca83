//! `[[marker]]`: a file by which another service announces its end.

use forensics_incident::model::MarkerKind;
use serde::Deserialize;
use toml::Spanned;

use super::error::Fault;
use crate::host::markers::MarkerSpec;

/// One table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkerTable {
    name: Spanned<String>,
    path: Spanned<String>,
    pid_pointer: Spanned<String>,
    kind: MarkerKind,
}

/// Longest name, bytes: it becomes a part of a field name.
const NAME_MAX: usize = 64;

/// The markers that the tables describe.
///
/// # Errors
/// What no marker can have.
pub(super) fn specs(tables: Vec<MarkerTable>) -> Result<Vec<MarkerSpec>, Fault> {
    let mut known: Vec<String> = MarkerSpec::builtin().into_iter().map(|spec| spec.name).collect();
    let mut specs = Vec::new();
    for MarkerTable { name, path, pid_pointer, kind } in tables {
        check(&name, is_name(name.as_ref()), "must be of letters, digits, - and _, and no longer than 64")?;
        check(&name, !known.contains(name.as_ref()), "is the name of another marker")?;
        check_path(&path)?;
        check(&pid_pointer, is_pointer(pid_pointer.as_ref()), "is no JSON pointer, such as /target/pid")?;
        known.push(name.as_ref().clone());
        let (name, path, pointer) = (name.into_inner(), path.into_inner(), pid_pointer.into_inner());
        specs.push(MarkerSpec { name, path, pointer, kind });
    }
    Ok(specs)
}

fn check(value: &Spanned<String>, is_good: bool, why: &str) -> Result<(), Fault> {
    if is_good {
        return Ok(());
    }
    Err(Fault { span: value.span(), why: format!("{:?} {why}", value.as_ref()) })
}

fn is_name(name: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_good)
}

/// A path that is absolute once its placeholders are replaced, and names a file.
fn check_path(path: &Spanned<String>) -> Result<(), Fault> {
    let text = path.as_ref();
    let is_absolute = ["/", "%h/", "%H/"].iter().any(|start| text.starts_with(start));
    check(path, is_absolute, "must begin with /, %h/ (the user's home) or %H/ (HERMES_HOME)")?;
    let file = text.rsplit('/').next().unwrap_or_default();
    check(path, !matches!(file, "" | "." | ".."), "must name a file, not a directory")?;
    check(path, !text.contains('\0'), "must not contain a NUL")?;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_known = c != '%' || matches!(rest.next(), Some('h' | 'H' | '%'));
        check(path, is_known, "has a % that is not followed by h, H or %")?;
    }
    Ok(())
}

/// RFC 6901: empty for the whole document, else parts that begin with `/`, with `~` as `~0` and `/` as `~1`.
fn is_pointer(pointer: &str) -> bool {
    let escaped = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    (pointer.is_empty() || pointer.starts_with('/')) && escaped
}
