//! What can still be known of ends that nobody watched: from logs that the host keeps anyway.
//!
//! Each source has a file of its own and yields findings, each with its time and where it stands. What explains an end is
//! decided in [`conclude`], and never with certainty: logs tell what somebody wrote, not what happened.

mod audit;
mod conclude;
mod journal;
mod kernel_log;
mod manager;
mod packages;
mod wtmp;

use std::ops::Range;

use serde::Serialize;

use crate::host::systemd::unit::UnitPath;

pub use conclude::{Death, conclude};

/// Findings of one source at most, the latest.
const MAX_FINDINGS: usize = 500;
/// Characters of a finding.
const MAX_TEXT: usize = 300;

/// Whose ends are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A unit.
    Unit(UnitPath),
    /// A process.
    Process(u32),
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It ended because of a signal.
    Killed,
    /// It exited.
    Exited,
    /// Somebody's signal to it.
    Signal,
    /// The out-of-memory killer.
    Oom,
    /// A processor exception, or a core dump.
    Crash,
    /// A watchdog that was not fed.
    Watchdog,
    /// A stop that took too long.
    StopTimeout,
    /// It ran for longer than it may.
    RuntimeLimit,
    /// Its manager stops it.
    Stop,
    /// The host goes down.
    Shutdown,
    /// The host starts.
    Boot,
    /// A command that somebody ran as root.
    Command,
    /// Packages change.
    Packages,
    /// What it said last, or what is said of it.
    Line,
}

/// One thing that a source tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// Unix time, seconds.
    pub ts: f64,
    /// What it is about.
    pub kind: Kind,
    /// Where it stands.
    pub source: String,
    /// In the words of the source, redacted.
    pub text: String,
}

/// A source that does not tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silent {
    /// Which.
    pub source: String,
    /// Why.
    pub why: String,
}

/// All that was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    /// Oldest first.
    pub findings: Vec<Finding>,
    /// How the subject is now, with the source.
    pub now: Option<String>,
    /// Sources that do not tell.
    pub silent: Vec<Silent>,
}

/// What a source yields: findings, or why there are none.
type Told = Result<Vec<Finding>, String>;

/// Asks all sources for what happened within a span of Unix time, seconds.
pub async fn gather(subject: &Subject, span: Range<f64>) -> Gathered {
    let mut gathered = Gathered::default();
    let told = [
        ("the journal", journal::findings(subject, &span).await),
        ("the kernel log", kernel_log::findings(subject)),
        ("/var/log/audit/audit.log", audit::findings(subject)),
        ("/var/log/wtmp", wtmp::findings()),
        ("/var/log/apt/history.log", packages::apt()),
        ("/var/log/dpkg.log", packages::dpkg()),
    ];
    for (source, told) in told {
        match told {
            Ok(findings) => {
                let mut findings: Vec<Finding> =
                    findings.into_iter().filter(|finding| span.contains(&finding.ts)).collect();
                findings.drain(..findings.len().saturating_sub(MAX_FINDINGS));
                gathered.findings.extend(findings);
            }
            Err(why) => gathered.silent.push(Silent { source: source.to_owned(), why }),
        }
    }
    match manager::now(subject).await {
        Ok(now) => gathered.now = Some(now),
        Err(why) => gathered.silent.push(Silent { source: "the manager".to_owned(), why }),
    }
    gathered.findings.sort_by(|a, b| a.ts.total_cmp(&b.ts));
    // The kernel's lines stand in its own log and in the journal.
    gathered.findings.dedup_by(|b, a| a.kind == b.kind && a.text == b.text && (b.ts - a.ts).abs() < 2.0);
    gathered
}

/// A finding in the words of its source.
fn finding(ts: f64, kind: Kind, source: &str, text: &str) -> Finding {
    let text = crate::host::redact::redact_text(text.trim());
    Finding { ts, kind, source: source.to_owned(), text: forensics_incident::text::clip(&text, MAX_TEXT) }
}

/// The end of a log file, bytes at most; what is lost of the first line is lost.
fn tail(path: &str, cap: u64) -> Result<String, String> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(cap)))?;
        let mut bytes = Vec::new();
        file.take(cap).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|why| match why.kind() {
        std::io::ErrorKind::NotFound => "it is not there".to_owned(),
        _ => why.to_string(),
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
