//! What a run of the suite came to, for people.

use std::fmt;

use super::{Answer, FACETS, Mark, Scenario};

/// The scenarios that were played, one after the other.
#[derive(Debug, Default)]
pub struct Report {
    /// Answers of each facet by mark: right, vague, wrong.
    counts: [[usize; 3]; FACETS.len()],
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<(String, String)>,
}

impl Report {
    /// The head of the table.
    pub fn head() -> String {
        let facets: String = FACETS.iter().map(|facet| format!(" {facet:<9}")).collect();
        format!("{:>3} {:<24}{facets}", "row", "scenario").trim_end().to_owned()
    }

    /// A scenario that was played: its lines of the table.
    pub fn played(&mut self, scenario: &Scenario, answers: &[Answer]) -> String {
        let mut line = format!("{:>3} {:<24}", scenario.row, scenario.name);
        for (answer, counts) in answers.iter().zip(&mut self.counts) {
            line += &format!(" {:<9}", answer.mark.word());
            if let Some(count) = counts.get_mut(answer.mark as usize) {
                *count += 1;
            }
        }
        let mut line = line.trim_end().to_owned();
        let faults = answers.iter().filter(|answer| answer.mark != Mark::Right);
        for Answer { facet, said, truth, .. } in faults.clone() {
            line += &format!("\n      {facet}: said {said}, true is {truth}");
        }
        match faults.count() {
            0 => self.passed += 1,
            _ => self.failed.push(scenario.name.to_owned()),
        }
        line
    }

    /// A scenario that could not be played here.
    pub fn skipped(&mut self, scenario: &Scenario, why: &str) -> String {
        self.skipped.push((scenario.name.to_owned(), why.to_owned()));
        format!("{:>3} {:<24} skipped: {why}", scenario.row, scenario.name)
    }

    /// A scenario that went wrong itself.
    pub fn broken(&mut self, scenario: &Scenario, why: &str) -> String {
        self.failed.push(scenario.name.to_owned());
        format!("{:>3} {:<24} BROKEN: {why}", scenario.row, scenario.name)
    }

    /// True when every scenario that was played is all right.
    pub fn is_green(&self) -> bool {
        self.failed.is_empty()
    }

    fn of(&self, mark: Mark) -> impl Iterator<Item = usize> + '_ {
        self.counts.iter().map(move |counts| counts.get(mark as usize).copied().unwrap_or_default())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, why) in &self.skipped {
            writeln!(f, "SKIPPED {name}: {why}")?;
        }
        for name in &self.failed {
            writeln!(f, "FAILED  {name}")?;
        }
        let right = FACETS.iter().zip(self.of(Mark::Right));
        let right: Vec<String> = right.map(|(facet, count)| format!("{facet} {count}")).collect();
        let (vague, wrong): (usize, usize) = (self.of(Mark::Vague).sum(), self.of(Mark::Wrong).sum());
        let played = self.passed + self.failed.len();
        writeln!(f, "{played} scenarios: {}; vague {vague}, wrong {wrong}", right.join(", "))?;
        writeln!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}
