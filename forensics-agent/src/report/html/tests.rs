use super::*;
use crate::report::samples;

fn of(incident: &Incident) -> String {
    page(incident, &serde_json::to_string(incident).expect("JSON"), Zone::Utc)
}

#[test]
fn the_answer_and_all_it_rests_on() {
    let incident = samples::pkill();
    let page = of(&incident);
    assert!(page.starts_with("<!DOCTYPE html>"));
    for text in [&incident.verdict.summary, &incident.verdict.chain[0].actor, &incident.facts.id]
        .into_iter()
        .chain(&incident.verdict.evidence)
    {
        assert!(page.contains(&html(text)) || page.contains(&prose(text)), "{text}");
    }
    for outside in ["http://", "https://", "<script", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn foreign_text_stays_text() {
    let mut incident = samples::hostile();
    let evil = "</title><script>alert(1)</script>\x1b[2J\"' onload=x";
    incident.facts.target.unit = Some(evil.to_owned());
    incident.facts.hostname = evil.to_owned();
    incident.verdict.summary = evil.to_owned();
    incident.verdict.evidence.push(evil.to_owned());
    let page = of(&incident);
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains('\x1b'));
    assert_eq!(page.matches("<ul>").count(), page.matches("</ul>").count());
}

#[test]
fn no_time_is_too_strange() {
    let mut incident = samples::timer();
    for ts in [f64::NAN, f64::INFINITY, -1e300] {
        incident.facts.outcome.ts = ts;
        assert!(of(&incident).ends_with("</html>\n"));
    }
}
