use std::io::{self, Write};

use forensics_incident::model::{Incident, Process, Signal};
use serde::Serialize;

use super::{Loss, Ready};
use crate::host::clock;
use crate::store::NotStored;

/// Prints each record as one line of JSON with its `schema`.
#[derive(Debug)]
pub struct JsonReporter<W> {
    out: W,
}

#[derive(Serialize)]
struct ReadyLine<'a> {
    schema: &'static str,
    hook: &'a str,
    instigator: &'a str,
    targets: &'a [Process],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waiting: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    persist: Option<&'a str>,
}

#[derive(Serialize)]
struct SignalLine<'a> {
    schema: &'static str,
    target: &'a Process,
    #[serde(flatten)]
    signal: &'a Signal,
}

#[derive(Serialize)]
struct LossLine {
    schema: &'static str,
    ts: f64,
    records: u64,
    total: u64,
    skipped: u64,
}

#[derive(Serialize)]
struct NotStoredLine<'a> {
    schema: &'static str,
    ts: f64,
    records: u64,
    not_stored: &'a NotStored,
}

impl<W: Write> JsonReporter<W> {
    /// Prints to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Prints the first line, `forensics-agent/ready/1`.
    ///
    /// # Errors
    /// As the writer.
    pub fn ready(&mut self, ready: &Ready<'_>) -> io::Result<()> {
        let Ready { hook, instigator, targets, waiting, persist } = *ready;
        let schema = "forensics-agent/ready/1";
        self.line(&ReadyLine { schema, hook, instigator, targets, waiting, persist })
    }

    /// Prints a line of `forensics-agent/signal/1`: the signal's fields, and `target`.
    ///
    /// # Errors
    /// As the writer.
    pub fn signal(&mut self, target: &Process, signal: &Signal) -> io::Result<()> {
        self.line(&SignalLine { schema: "forensics-agent/signal/1", target, signal })
    }

    /// Prints a line of `forensics-agent/incident/1`.
    ///
    /// # Errors
    /// As the writer.
    pub fn incident(&mut self, incident: &Incident) -> io::Result<()> {
        self.line(incident)
    }

    /// Prints a line of `forensics-agent/loss/1`.
    ///
    /// # Errors
    /// As the writer.
    pub fn loss(&mut self, loss: &Loss) -> io::Result<()> {
        let Loss { ts, records, total, skipped } = *loss;
        self.line(&LossLine { schema: "forensics-agent/loss/1", ts, records, total, skipped })
    }

    /// Prints a line of `forensics-agent/loss/1` about an incident that is printed and not stored: `not_stored` has its
    /// `id` and `why`.
    ///
    /// # Errors
    /// As the writer.
    pub fn not_stored(&mut self, failure: &NotStored) -> io::Result<()> {
        self.line(&NotStoredLine {
            schema: "forensics-agent/loss/1",
            ts: clock::unix_s(),
            records: 0,
            not_stored: failure,
        })
    }

    /// The line goes out in one write, so that readers of a shared pipe or file never see half of it.
    fn line(&mut self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.out.write_all(&line)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::text::samples;

    fn printed(print: impl FnOnce(&mut JsonReporter<&mut Vec<u8>>) -> io::Result<()>) -> Value {
        let mut out = Vec::new();
        print(&mut JsonReporter::new(&mut out)).expect("a Vec takes all");
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(text.matches('\n').count(), 1, "one line: {text}");
        assert!(text.ends_with('\n'), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn each_line_has_its_schema() {
        let incident = samples::pkill();
        let target = &incident.facts.target;
        let ready = printed(|r| {
            r.ready(&Ready {
                hook: "raw_tracepoint",
                instigator: "exec",
                targets: std::slice::from_ref(target),
                waiting: &[],
                persist: None,
            })
        });
        assert_eq!(ready["schema"], "forensics-agent/ready/1");
        assert_eq!(ready["hook"], "raw_tracepoint");
        assert_eq!(ready["targets"][0]["pid"], 4242);

        let signal = printed(|r| r.signal(target, &incident.facts.signals[0]));
        assert_eq!(signal["schema"], "forensics-agent/signal/1");
        assert_eq!(signal["target"]["pid"], 4242);
        assert_eq!(signal["signal"], "SIGTERM");
        assert_eq!(signal["sender"]["pid"], 4711);

        let loss = printed(|r| r.loss(&Loss { ts: 1.5, records: 3, total: 7, skipped: 2 }));
        assert_eq!(
            loss,
            serde_json::json!({"schema":"forensics-agent/loss/1","ts":1.5,"records":3,"total":7,"skipped":2})
        );
    }

    #[test]
    fn incidents_read_back() {
        for incident in [samples::pkill(), samples::hostile(), samples::timer()] {
            let value = printed(|r| r.incident(&incident));
            assert_eq!(value["schema"], "forensics-agent/incident/1");
            assert_eq!(serde_json::from_value::<Incident>(value).expect("an incident"), incident);
        }
    }

    #[test]
    fn no_number_makes_a_line_invalid() {
        let mut incident = samples::pkill();
        incident.facts.ts = f64::NAN;
        incident.facts.outcome.after_s = Some(f64::INFINITY);
        assert!(printed(|r| r.incident(&incident))["ts"].is_null());
    }
}
