//! Asks `journalctl`.

use std::time::Duration;

use thiserror::Error;

use super::Entry;
use crate::host::tool;

/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is read of `journalctl` at most, bytes.
const MAX_OUTPUT: u64 = 1 << 20;

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    /// Fields and values as `FIELD=VALUE`: an entry fits when it fits all fields of one of the groups. Of a field with
    /// several values, one is enough.
    pub any_of: Vec<Vec<String>>,
    /// Nothing before this, Unix seconds.
    pub since: Option<f64>,
    /// Nothing after this, Unix seconds.
    pub until: Option<f64>,
    /// The last so many.
    pub lines: usize,
    /// The fields to be told, besides the times.
    pub fields: &'static [&'static str],
}

/// Why the journal does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    /// `journalctl` is not there, or may not read it, or failed.
    #[error("the journal cannot be read: {0}")]
    Unreadable(String),
    /// It took too long.
    #[error("the journal did not answer within {} s", .0.as_secs())]
    Overdue(Duration),
}

/// Reads entries, oldest first; takes [`PATIENCE`] at most.
///
/// # Errors
/// [`JournalError`]
pub async fn read(query: &Query) -> Result<Vec<Entry>, JournalError> {
    read_within(query, PATIENCE).await
}

/// The same, with a patience of its own.
///
/// # Errors
/// [`JournalError`]
pub async fn read_within(query: &Query, patience: Duration) -> Result<Vec<Entry>, JournalError> {
    let mut command = tool::command("journalctl");
    command.args(arguments(query));
    let said = tokio::time::timeout(patience, tool::run(command, MAX_OUTPUT))
        .await
        .map_err(|_| JournalError::Overdue(patience))?
        .map_err(JournalError::Unreadable)?;
    Ok(entries(&said.stdout, said.cut))
}

fn arguments(query: &Query) -> Vec<String> {
    let Query { any_of, since, until, lines, fields } = query;
    let mut arguments = ["--quiet", "--no-pager", "--output=json"].map(str::to_owned).to_vec();
    arguments.push(format!("--lines={lines}"));
    arguments.push(format!("--output-fields={}", fields.join(",")));
    arguments.extend(since.map(|at| format!("--since=@{at:.6}")));
    arguments.extend(until.map(|at| format!("--until=@{at:.6}")));
    for (index, group) in any_of.iter().enumerate() {
        if index > 0 {
            arguments.push("+".to_owned());
        }
        // Without `=` it would be a path, and `+` alone an operator.
        arguments.extend(group.iter().filter(|field| field.contains('=')).cloned());
    }
    arguments
}

/// The last line may be half of one when the output was cut.
fn entries(output: &[u8], cut: bool) -> Vec<Entry> {
    let mut lines: Vec<&[u8]> = output.split(|&byte| byte == b'\n').collect();
    if cut {
        lines.pop();
    }
    lines.into_iter().filter_map(Entry::parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_times() {
        let query = Query {
            any_of: vec![vec!["_PID=1".into(), "UNIT=a.service".into()], vec!["_COMM=b".into(), "-x".into()]],
            since: Some(5.25),
            until: None,
            lines: 10,
            fields: &["MESSAGE", "UNIT"],
        };
        assert_eq!(
            arguments(&query)[3..],
            [
                "--lines=10",
                "--output-fields=MESSAGE,UNIT",
                "--since=@5.250000",
                "_PID=1",
                "UNIT=a.service",
                "+",
                "_COMM=b"
            ]
        );
    }

    #[test]
    fn half_a_line_is_none() {
        assert_eq!(entries(b"{}\n{}\n", false).len(), 2);
        assert_eq!(entries(b"{}\n{}", true).len(), 1);
        assert_eq!(entries(b"junk\n{}\n[]\n", false).len(), 1);
    }
}
