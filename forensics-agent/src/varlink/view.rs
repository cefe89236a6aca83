//! What of a process or an incident a peer may see.

use forensics_incident::model::{
    Cause, Confidence, Incident, Mechanism, OutcomeKind, Process, Signal, Verdict,
};
use serde::Serialize;

/// Ancestors that are shown.
const MAX_ANCESTORS: usize = 8;

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Viewer {
    /// Its effective user.
    pub uid: u32,
}

impl Viewer {
    /// True when a process of these users is the viewer's own. One that runs as two users is nobody's but root's.
    pub fn owns(self, uid: Option<u32>, euid: Option<u32>) -> bool {
        self.is_root() || (uid == Some(self.uid) && euid == Some(self.uid))
    }

    fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// A process as a viewer sees it: of foreign ones, who it is and no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    pid: u32,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmdline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loginuid: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ancestors: Vec<Shown>,
}

impl Shown {
    /// What the viewer sees of a process.
    pub fn of(process: &Process, viewer: Viewer) -> Self {
        let owned = viewer.owns(process.uid, process.euid);
        let ancestors = process.ancestors.iter().take(MAX_ANCESTORS).filter(|_| owned);
        Self {
            pid: process.pid,
            name: process.name.clone(),
            uid: process.uid,
            unit: process.unit.clone(),
            exe: process.exe.clone().filter(|_| owned),
            cmdline: process.cmdline.clone().filter(|_| owned),
            loginuid: process.loginuid.filter(|_| owned),
            ancestors: ancestors.map(|process| Self::of(process, viewer)).collect(),
        }
    }
}

/// Who sent a signal, as a viewer sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Killer {
    signal: String,
    signal_num: u32,
    /// Unix time of the last such signal, seconds.
    ts: f64,
    /// How long ago that was, seconds.
    age_s: f64,
    mechanism: Mechanism,
    repeated: u64,
    #[serde(flatten)]
    sender: Option<Shown>,
    cause: Cause,
    #[serde(skip_serializing_if = "Option::is_none")]
    culprit: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instigator: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
}

impl Killer {
    /// What the viewer sees of a signal that was sent `age_s` seconds ago, and of the verdict on it.
    pub fn of(signal: &Signal, verdict: &Verdict, age_s: f64, viewer: Viewer) -> Self {
        let since_first = signal.last_ns().saturating_sub(signal.boot_ns) as f64 / 1e9;
        let shown = |process: &Process| Shown::of(process, viewer);
        let instigator = verdict.instigator.as_ref();
        Self {
            signal: signal.signal.clone(),
            signal_num: signal.signal_num,
            ts: signal.ts + since_first,
            age_s,
            mechanism: signal.mechanism,
            repeated: signal.repeated,
            sender: signal.sender.as_ref().map(shown),
            cause: verdict.cause,
            culprit: verdict.culprit.as_ref().map(shown),
            instigator: instigator.map(|instigator| shown(&instigator.process)),
            request: instigator.map(|instigator| instigator.request.clone()).filter(|_| viewer.is_root()),
            summary: Some(verdict.summary.clone()).filter(|_| viewer.is_root()),
        }
    }
}

/// An incident as it is kept for those who ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    id: String,
    ts: f64,
    target: Process,
    outcome: OutcomeKind,
    signal: Option<String>,
    cause: Cause,
    confidence: Confidence,
    sender: Option<Process>,
    culprit: Option<Process>,
    summary: String,
}

impl Brief {
    /// Keeps of an incident what is told.
    pub fn of(incident: &Incident) -> Self {
        let Incident { facts, verdict } = incident;
        let alone = |process: &Process| Process { ancestors: Vec::new(), ..process.clone() };
        let last =
            facts.signals.iter().rev().find(|signal| Some(signal.signal_num) == facts.outcome.signal_num);
        Self {
            id: facts.id.clone(),
            ts: facts.ts,
            target: alone(&facts.target),
            outcome: facts.outcome.kind,
            signal: facts.outcome.signal.clone(),
            cause: verdict.cause,
            confidence: verdict.confidence,
            sender: last.and_then(|signal| signal.sender.as_ref()).map(alone),
            culprit: verdict.culprit.as_ref().map(alone),
            summary: verdict.summary.clone(),
        }
    }

    /// The incident's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the viewer sees of it; None when the target is not the viewer's.
    pub fn told(&self, viewer: Viewer) -> Option<Told> {
        let shown = |process: &Process| Shown::of(process, viewer);
        viewer.owns(self.target.uid, self.target.euid).then(|| Told {
            id: self.id.clone(),
            ts: self.ts,
            pid: self.target.pid,
            name: self.target.name.clone(),
            uid: self.target.uid,
            unit: self.target.unit.clone(),
            outcome: self.outcome,
            signal: self.signal.clone(),
            cause: self.cause,
            confidence: self.confidence,
            sender: self.sender.as_ref().map(shown),
            culprit: self.culprit.as_ref().map(shown),
            summary: Some(self.summary.clone()).filter(|_| viewer.is_root()),
        })
    }
}

/// An incident as a viewer sees it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    id: String,
    ts: f64,
    pid: u32,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    outcome: OutcomeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    cause: Cause,
    confidence: Confidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    culprit: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::samples;

    #[test]
    fn of_foreign_processes_no_more_than_who_they_are() {
        let secret = Process {
            pid: 7,
            name: "kill".to_owned(),
            uid: Some(0),
            euid: Some(0),
            unit: Some("cron.service".to_owned()),
            exe: Some("/usr/bin/kill".to_owned()),
            cmdline: Some("kill 9".to_owned()),
            loginuid: Some(1),
            ancestors: vec![Process { pid: 6, ..Process::default() }],
            ..Process::default()
        };
        let seen =
            |process: &Process, uid| serde_json::to_value(Shown::of(process, Viewer { uid })).expect("JSON");
        assert_eq!(
            seen(&secret, 1000),
            json!({ "pid": 7, "name": "kill", "uid": 0, "unit": "cron.service" })
        );
        assert_eq!(seen(&secret, 0)["ancestors"][0]["pid"], 6);
        let own = Process { uid: Some(1000), euid: Some(1000), ..secret.clone() };
        assert_eq!(seen(&own, 1000)["cmdline"], "kill 9");
        let mixed = Process { uid: Some(1000), ..secret };
        assert_eq!(seen(&mixed, 1000)["cmdline"], json!(null), "set-user-ID");
    }

    #[test]
    fn incidents_of_others_are_not_told() {
        let mut incident = samples::pkill();
        (incident.facts.target.uid, incident.facts.target.euid) = (Some(1000), Some(1000));
        let brief = Brief::of(&incident);
        assert!(brief.told(Viewer { uid: 1001 }).is_none());
        assert!(brief.told(Viewer { uid: 1000 }).is_some_and(|told| told.summary.is_none()));
        assert!(brief.told(Viewer { uid: 0 }).is_some_and(|told| told.summary.is_some()));
    }
}
