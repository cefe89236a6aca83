//! Which incidents are meant.

use rusqlite::types::Value;

/// Conditions that all hold; texts are looked for anywhere in a column, `*` and `?` as in file names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Unix seconds, inclusive.
    pub since: Option<f64>,
    /// Unix seconds, inclusive.
    pub until: Option<f64>,
    /// A pid, or a part of the target's name.
    pub target: Option<String>,
    /// A unit; `.service` may be left out.
    pub unit: Option<String>,
    /// A cause, as `oom`.
    pub cause: Option<String>,
    /// A part of the command line or request of who asked, or of who is to blame.
    pub instigator: Option<String>,
}

impl Filter {
    /// The condition in SQL, and its parameters.
    pub(super) fn sql(&self) -> (String, Vec<Value>) {
        let Self { since, until, target, unit, cause, instigator } = self;
        let is_pattern = |text: &str| text.contains(['*', '?']);
        // What is looked for anywhere in a text may be nowhere: then everything is searched, for which there is one index. A `+`
        // keeps SQLite from another one, which would lead through the lines.
        let searches = target.as_ref().is_some_and(|target| target.parse::<u32>().is_err())
            || unit.as_deref().is_some_and(is_pattern)
            || instigator.is_some();
        let plain = |column: &str| format!("{}{column} = ?", if searches { "+" } else { "" });
        let mut terms = vec!["1".to_owned()];
        let mut values = Vec::new();
        let mut add = |term: &str, of: Vec<Value>| {
            terms.push(term.to_owned());
            values.extend(of);
        };
        if let Some(since) = since {
            add("ts >= ?", vec![Value::Real(*since)]);
        }
        if let Some(until) = until {
            add("ts <= ?", vec![Value::Real(*until)]);
        }
        if let Some(target) = target {
            match target.parse::<u32>() {
                Ok(pid) => add("target_pid = ?", vec![Value::Integer(pid.into())]),
                Err(_) => add("target GLOB ?", vec![Value::Text(anywhere(target))]),
            }
        }
        if let Some(unit) = unit {
            let whole = if unit.contains('.') { unit.clone() } else { format!("{unit}.service") };
            // Equality finds its rows in the index in the order of time; a pattern's have to be sorted.
            match is_pattern(&whole) {
                true => add("unit GLOB ?", vec![Value::Text(literal(&whole))]),
                false => add(&plain("unit"), vec![Value::Text(whole)]),
            }
        }
        if let Some(cause) = cause {
            add(&plain("cause"), vec![Value::Text(cause.clone())]);
        }
        if let Some(instigator) = instigator {
            let pattern = Value::Text(anywhere(instigator));
            add("(instigator GLOB ? OR culprit GLOB ?)", vec![pattern.clone(), pattern]);
        }
        (terms.join(" AND "), values)
    }
}

/// A pattern of SQLite's `GLOB` in which `[` means itself.
fn literal(pattern: &str) -> String {
    pattern.replace('[', "[[]")
}

/// The same, to be found anywhere.
fn anywhere(pattern: &str) -> String {
    format!("*{}*", literal(pattern))
}
