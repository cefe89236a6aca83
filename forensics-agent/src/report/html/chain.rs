//! The chain from the first actor to the target, as a picture.

use std::fmt::Write as _;

use forensics_incident::model::Verdict;

use super::escape::{html, prose};

/// Boxes for those who acted, arrows with what they did. Nothing when nobody did anything.
pub(super) fn section(verdict: &Verdict) -> String {
    let Some(last) = verdict.chain.last() else { return String::new() };
    let mut steps = String::new();
    for link in &verdict.chain {
        let _ = writeln!(
            steps,
            "<li><span class=\"who\">{}</span><span class=\"did\">{}</span></li>",
            prose(&link.actor),
            html(&link.action)
        );
    }
    let _ = writeln!(steps, "<li><span class=\"who victim\">{}</span></li>", prose(&last.object));
    format!("<section>\n<h2>Who did what</h2>\n<ol class=\"chain\">\n{steps}</ol>\n</section>\n")
}
