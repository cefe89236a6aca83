use std::fmt::Write as _;
use std::sync::mpsc::Sender;
use std::time::Instant;

use forensics_incident::text::escape;
use uuid::Uuid;

use super::{Redact, clock, kernel_log, processes, tree};

/// A part of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    title: String,
    lines: Vec<String>,
}

/// A report as it grows. Foreign text has no line breaks left when it gets here, so nothing can forge a heading.
#[derive(Debug)]
pub(super) struct Block {
    run: Uuid,
    text: String,
}

impl Block {
    /// Begins a report with an id of its own.
    pub(super) fn new(signal: &str, pid: u32) -> Block {
        let run = Uuid::now_v7();
        let text = format!("=== shutdown diagnostic @ {} === run={run} pid={pid}\n", escape(signal));
        let mut block = Block { run, text };
        block.add(section("date", vec![clock::utc(clock::unix_now())]));
        block
    }

    /// Adds a section.
    pub(super) fn add(&mut self, section: Section) {
        let Section { title, lines } = section;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "--- {title} ---");
        for line in lines {
            let _ = writeln!(self.text, "{}", escape(&line));
        }
    }

    /// Ends the report with what has to be said about itself.
    pub(super) fn finish(mut self, notes: &[String]) -> String {
        if !notes.is_empty() {
            self.add(section("notes", notes.to_vec()));
        }
        let _ = writeln!(self.text, "=== end === run={}", self.run);
        self.text
    }
}

fn section(title: &str, lines: Vec<String>) -> Section {
    Section { title: title.to_owned(), lines }
}

/// Sends one section after the other, the quickest first: what comes too late is missing at the end.
pub(super) fn look_around(pid: u32, deadline: Instant, redact: &Redact, out: &Sender<Section>) {
    // Nobody listens any more when the time is up.
    let _ = send(pid, deadline, redact, out);
}

fn send(
    pid: u32,
    deadline: Instant,
    redact: &Redact,
    out: &Sender<Section>,
) -> Result<(), std::sync::mpsc::SendError<Section>> {
    let load = std::fs::read("/proc/loadavg").map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let load = load.unwrap_or_else(|error| format!("cannot be read: {error}"));
    out.send(section("/proc/loadavg", vec![load]))?;
    let entries = processes::read_all(deadline);
    out.send(section(&format!("tree of {pid}"), tree::tree(pid, &entries, deadline, redact)))?;
    out.send(section("recent kernel log (oom/killed, then the last)", kernel_log::tail(deadline)))?;
    out.send(section("processes (top 60 by cpu)", processes::table(&entries, deadline, redact)))
}
