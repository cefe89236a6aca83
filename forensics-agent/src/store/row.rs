//! What stands in the columns beside an incident.

use forensics_incident::model::{Incident, Process};
use rusqlite::Row;
use serde::Serialize;

/// Whether an incident is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The target was asked to end, and that is not over.
    Open,
    /// It is over.
    Closed,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// A line of `list`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// UUID of version 7.
    pub id: String,
    /// Unix time of the end, seconds.
    pub ts: f64,
    /// Whether it is complete.
    pub state: State,
    /// Name of the target's program.
    pub target: String,
    /// Its pid.
    pub target_pid: u32,
    /// Its unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The cause, as in the verdict.
    pub cause: String,
    /// The intent, as in the verdict.
    pub intent: String,
    /// Who is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub culprit: Option<String>,
    /// Who asked, and for what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instigator: Option<String>,
    /// How it ended: `SIGKILL`, `exit 3`, `survived`.
    pub outcome: String,
    /// The sentence.
    pub summary: String,
}

/// The columns of [`Summary`], in its order.
pub(super) const COLUMNS: &str =
    "id, ts, state, target, target_pid, unit, cause, intent, culprit, instigator, outcome, summary";

impl Summary {
    /// What the columns say of an incident.
    pub(super) fn of(incident: &Incident, state: State) -> Self {
        let Incident { facts, verdict } = incident;
        let asked = verdict.instigator.as_ref();
        Self {
            id: facts.id.clone(),
            ts: facts.ts,
            state,
            target: facts.target.program().to_owned(),
            target_pid: facts.target.pid,
            unit: facts.target.unit.clone(),
            cause: slug(&verdict.cause),
            intent: slug(&verdict.intent),
            culprit: verdict.culprit.as_ref().map(command),
            instigator: asked.map(|asked| format!("{}: {}", command(&asked.process), asked.request)),
            outcome: facts.outcome.in_brief(),
            summary: verdict.summary.clone(),
        }
    }

    /// Reads [`COLUMNS`].
    pub(super) fn from_row(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        let state: String = row.get(2)?;
        Ok(Self {
            id: row.get(0)?,
            ts: row.get(1)?,
            state: if state == State::Open.name() { State::Open } else { State::Closed },
            target: row.get(3)?,
            target_pid: row.get(4)?,
            unit: row.get(5)?,
            cause: row.get(6)?,
            intent: row.get(7)?,
            culprit: row.get(8)?,
            instigator: row.get(9)?,
            outcome: row.get(10)?,
            summary: row.get(11)?,
        })
    }
}

/// A process as a person would look for it.
fn command(process: &Process) -> String {
    match process.cmdline.as_deref() {
        Some(cmdline) if !cmdline.is_empty() => cmdline.to_owned(),
        _ => process.exe.clone().unwrap_or_else(|| process.name.clone()),
    }
}

/// The name of an enumeration's value as it is in JSON.
fn slug(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}
