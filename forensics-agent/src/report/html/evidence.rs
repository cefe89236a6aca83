//! What the verdict rests on, and what it was not.

use std::fmt::Write as _;

use forensics_incident::model::{Process, Verdict};
use forensics_incident::text::shell_join;

use super::super::text::slug;
use super::escape::{html, prose};

/// Characters of a command line.
const MAX_CMDLINE: usize = 300;

/// The sentences.
pub(super) fn section(verdict: &Verdict) -> String {
    let mut section = String::new();
    if !verdict.evidence.is_empty() {
        let sentences: String =
            verdict.evidence.iter().map(|sentence| format!("<li>{}</li>\n", prose(sentence))).collect();
        let _ = write!(section, "<section>\n<h2>Evidence</h2>\n<ul>\n{sentences}</ul>\n</section>\n");
    }
    if !verdict.ruled_out.is_empty() {
        let mut rows = String::new();
        for out in &verdict.ruled_out {
            let (cause, because) = (html(&slug(&out.cause)), prose(&out.because));
            let _ = writeln!(rows, "<div><dt>{cause}</dt><dd>{because}</dd></div>");
        }
        let _ = write!(
            section,
            "<section>\n<h2>What it was not</h2>\n<dl class=\"facts\">\n{rows}</dl>\n</section>\n"
        );
    }
    section
}

/// A process: what it runs, and who it is.
pub(super) fn process(process: &Process) -> String {
    let whole = match &process.cmdline {
        Some(cmdline) if !cmdline.is_empty() => cmdline.clone(),
        _ if !process.args().is_empty() => shell_join(process.args()),
        _ => process.exe.clone().unwrap_or_else(|| process.name.clone()),
    };
    let mut shown: String = whole.chars().take(MAX_CMDLINE).collect();
    if shown.len() < whole.len() {
        shown.push('…');
    }
    let uid = process.uid.map_or_else(String::new, |uid| format!(", uid {uid}"));
    let tty = process.tty.as_ref().map_or_else(String::new, |tty| format!(", {}", html(tty)));
    format!("<code>{}</code> <small>pid {}{uid}{tty}</small>", html(&shown), process.pid)
}
