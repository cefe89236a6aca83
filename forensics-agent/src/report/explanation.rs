//! What logs tell of ends, for people and for programs.

use std::io::{self, Write};
use std::ops::Range;

use forensics_incident::model::Confidence;
use forensics_incident::text::{escape, quote};
use serde::Serialize;

use super::Zone;
use super::text::Style;
use crate::explain::{Death, Silent, Subject};

/// The ends of one subject.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    since: f64,
    until: f64,
    deaths: Vec<Death>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    silent: Vec<Silent>,
}

impl Explanation {
    /// Of ends within a span of Unix time, seconds.
    pub fn new(
        subject: &Subject,
        span: Range<f64>,
        deaths: Vec<Death>,
        now: Option<String>,
        silent: Vec<Silent>,
    ) -> Self {
        let (unit, pid) = match subject {
            Subject::Unit(place) => (Some(place.unit.clone()), None),
            Subject::Process(pid) => (None, Some(*pid)),
        };
        let Range { start: since, end: until } = span;
        Self { schema: "forensics-agent/explanation/1", unit, pid, since, until, deaths, now, silent }
    }

    /// Prints it as text.
    ///
    /// # Errors
    /// As the writer.
    pub fn print(&self, out: &mut impl Write, colour: bool, zone: Zone) -> io::Result<()> {
        let style = Style { colour };
        let name = match (&self.unit, self.pid) {
            (Some(unit), _) => unit.clone(),
            (None, pid) => format!("process {}", pid.unwrap_or_default()),
        };
        let count = match self.deaths.len() {
            0 => "no source tells of an end".to_owned(),
            1 => "1 end".to_owned(),
            count => format!("{count} ends"),
        };
        let (since, until) = (zone.minute(self.since), zone.minute(self.until));
        writeln!(out, "{}, from {since} to {until}: {count}", escape(&name))?;
        for death in &self.deaths {
            let confidence = match death.confidence {
                Confidence::Likely => "likely",
                _ => "possibly",
            };
            let line = format!("{}  {confidence}, {}.", zone.date(death.ts), escape(&death.explanation));
            writeln!(out, "{}", style.bold(&format!("● {line}")))?;
            for finding in &death.findings {
                let text = quote(&escape(&finding.text));
                writeln!(out, "  {}  {text} ({})", zone.clock(finding.ts), escape(&finding.source))?;
            }
        }
        if let Some(now) = &self.now {
            writeln!(out, "{}", escape(now))?;
        }
        for Silent { source, why } in &self.silent {
            writeln!(out, "{}", style.dim(&format!("not asked: {source}, {}", escape(why))))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{Finding, Kind};

    #[test]
    fn every_sentence_has_its_source_and_no_foreign_character() {
        let finding = Finding {
            ts: 1_795_490_225.0,
            kind: Kind::Killed,
            source: "the journal, systemd".to_owned(),
            text: "gw: \x1b[31mred\n".to_owned(),
        };
        let death = Death {
            ts: finding.ts,
            explanation: "somebody killed it".to_owned(),
            confidence: Confidence::Possible,
            findings: vec![finding],
        };
        let silent = Silent { source: "/var/log/wtmp".to_owned(), why: "it is not there".to_owned() };
        let explanation = Explanation::new(
            &Subject::Process(812),
            1_795_490_000.0..1_795_491_000.0,
            vec![death],
            None,
            vec![silent],
        );
        let mut out = Vec::new();
        explanation.print(&mut out, false, Zone::Utc).expect("a Vec takes all");
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "process 812, from 2026-11-24 03:13 to 2026-11-24 03:30: 1 end\n\
             ● 2026-11-24 03:17:05.000 UTC  possibly, somebody killed it.\n  \
             03:17:05.000  `gw: \\x1b[31mred\\n` (the journal, systemd)\n\
             not asked: /var/log/wtmp, it is not there\n"
        );
    }
}
