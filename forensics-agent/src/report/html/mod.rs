//! One incident as a page to hand round: one file, no script, no network, good on paper and on a phone.

mod chain;
mod escape;
mod evidence;
mod people;
mod timeline;

use std::fmt::Write as _;

use forensics_incident::model::{Facts, Incident, Verdict};

use super::Zone;
use super::text::slug;
use escape::{html, prose};

const STYLE: &str = include_str!("style.css");

/// The page. `json` is the incident as it was printed.
pub fn page(incident: &Incident, json: &str, zone: Zone) -> String {
    let Incident { facts, verdict } = incident;
    let target = facts.target.unit.as_deref().unwrap_or(facts.target.program());
    let title = html(&format!("{target}: {}", slug(&verdict.cause)));
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"forensics-agent\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    page += &head(facts, verdict, zone);
    page += &chain::section(verdict);
    page += &timeline::section(facts, zone);
    page += &people::section(facts, verdict);
    page += &evidence::section(verdict);
    page += &raw(json);
    let _ = write!(
        page,
        "</main>\n<footer><p>Incident <code>{}</code> on {}, Linux {}, told by forensics-agent {}.</p></footer>\n\
         </body>\n</html>\n",
        html(&facts.id),
        html(&facts.hostname),
        html(&facts.kernel),
        html(&facts.agent_version)
    );
    page
}

/// The answer, and the facts that belong to its first line.
fn head(facts: &Facts, verdict: &Verdict, zone: Zone) -> String {
    let mut rows = vec![
        ("Target", evidence::process(&facts.target)),
        ("When", html(&zone.date(facts.ts))),
        ("Ended by", html(&facts.outcome.in_brief())),
    ];
    if let Some(unit) = &facts.target.unit {
        rows.push(("Unit", html(unit)));
    }
    if let Some(asked) = &verdict.instigator {
        let process = evidence::process(&asked.process);
        rows.push(("Asked for by", format!("{process}<br><code>{}</code>", html(&asked.request))));
    }
    if let Some(culprit) = &verdict.culprit {
        rows.push(("To blame", evidence::process(culprit)));
    }
    let rows: String =
        rows.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")).collect();
    let (cause, intent, confidence) =
        (slug(&verdict.cause), slug(&verdict.intent), slug(&verdict.confidence));
    let advice = verdict.advice.as_ref().map_or_else(String::new, |advice| {
        format!("<p class=\"advice\"><strong>What to change:</strong> {}</p>\n", prose(advice))
    });
    format!(
        "<header class=\"{intent}\">\n<p class=\"tags\"><span>{cause}</span> <span>{intent}</span> \
         <span>{confidence}</span></p>\n<h1>{}</h1>\n{advice}</header>\n<dl class=\"facts\">\n{rows}</dl>\n",
        prose(&verdict.summary)
    )
}

/// Everything that was seen, for whoever wants to look it up.
fn raw(json: &str) -> String {
    let pretty = serde_json::from_str::<serde_json::Value>(json)
        .and_then(|value| serde_json::to_string_pretty(&value))
        .unwrap_or_else(|_| json.to_owned());
    let lines = pretty.lines().map(html).collect::<Vec<_>>().join("\n");
    format!(
        "<section>\n<details>\n<summary>The whole record, as JSON</summary>\n<pre>{lines}</pre>\n</details>\n</section>\n"
    )
}

#[cfg(test)]
mod tests;
