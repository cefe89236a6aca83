//! Tables of measurements.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::machine::Machine;
use super::measure::COLUMNS;
pub(super) use super::measure::{Budget, Measure, Statistic, Unit};

/// Runnable processes per CPU from which on the figures are not to be trusted.
const BUSY: f64 = 0.75;

/// What one benchmark found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Section {
    name: String,
    /// How it was measured, for whoever reads the figures.
    method: String,
    measures: Vec<Measure>,
    /// What was left out, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

impl Section {
    pub(super) fn new(name: &str, method: impl Into<String>, measures: Vec<Measure>) -> Self {
        Self { name: name.to_owned(), method: method.into(), measures, notes: Vec::new(), failed: false }
    }

    /// One that could not be measured, for this reason.
    pub(super) fn failed(name: &str, why: &anyhow::Error) -> Self {
        Self { failed: true, ..Self::new(name, format!("it failed: {why:#}"), Vec::new()) }
    }

    pub(super) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// The same without budgets, which are meant for a real machine.
    pub(super) fn unjudged(self) -> Self {
        Self { measures: self.measures.into_iter().map(Measure::unjudged).collect(), ..self }
    }

    fn rows(&self) -> Vec<[String; COLUMNS.len()]> {
        let head = COLUMNS.map(str::to_owned);
        std::iter::once(head).chain(self.measures.iter().map(Measure::cells)).collect()
    }

    /// A table for a terminal.
    pub(super) fn as_text(&self) -> String {
        let rows = self.rows();
        let mut widths = [0; COLUMNS.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = format!("{}: {}\n", self.name, self.method);
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                // Words to the left, figures to the right.
                let is_words = column == 0 || column + 1 == COLUMNS.len();
                let _ = if is_words {
                    write!(line, "  {cell:<width$}")
                } else {
                    write!(line, "  {cell:>width$}")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        text
    }

    fn as_markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.name, self.method);
        for (index, row) in self.rows().iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                text.push_str("|---|--:|--:|--:|--:|---|\n");
            }
        }
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text.push('\n');
        text
    }
}

/// All that a run found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    schema: String,
    machine: Machine,
    /// Load average when the run ended.
    load_1m_after: f64,
    busy: bool,
    benchmarks: Vec<Section>,
}

impl Report {
    pub(super) fn new(before: Machine, after: Machine, benchmarks: Vec<Section>) -> Self {
        let busy = before.load_1m > BUSY * before.cpus as f64;
        Self {
            schema: "forensics-agent/bench/1".to_owned(),
            machine: before,
            load_1m_after: after.load_1m,
            busy,
            benchmarks,
        }
    }

    /// Something could not be measured.
    pub(super) fn has_failed(&self) -> bool {
        self.benchmarks.iter().any(|section| section.failed)
    }

    /// Where it was measured, in one sentence or two.
    pub(super) fn conditions(&self) -> String {
        let Machine { kernel, cpu, cpus, load_1m } = &self.machine;
        let after = self.load_1m_after;
        let mut text = format!(
            "Linux {kernel}, {cpus} CPUs ({cpu}), load average {load_1m:.2} before and {after:.2} after the run."
        );
        if self.machine.is_emulated() {
            text.push_str(
                " The processor is emulated: only ratios within this run count, nanoseconds do not.",
            );
        }
        if self.busy {
            text.push_str(" The machine was busy with something else: the figures are too high.");
        }
        text
    }

    /// For a terminal.
    pub(super) fn as_text(&self) -> String {
        let sections: String = self.benchmarks.iter().map(|section| section.as_text() + "\n").collect();
        format!("{sections}{}\n", self.conditions())
    }

    pub(super) fn as_markdown(&self) -> String {
        let sections: String = self.benchmarks.iter().map(Section::as_markdown).collect();
        format!("{sections}{}\n", self.conditions())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Samples;
    use super::*;

    fn section() -> Section {
        let samples: Samples = (1..=100).map(f64::from).collect();
        let held = |budget| Measure::new("a", Unit::Nanoseconds, &samples).within(budget);
        let measures = vec![
            held(Budget::AtMost(Statistic::Median, 50.0)),
            held(Budget::Below(Statistic::P99, 99.0)),
            held(Budget::AtLeast(Statistic::Min, 2.0)),
            Measure::once("b", Unit::Ratio, 1.234),
        ];
        Section::new("x", "how", measures)
    }

    #[test]
    fn tables() {
        let text = section().as_text();
        assert!(text.contains("  a     50.0 ns  25.0 ns … 75.0 ns  99.0 ns  100  ≤ 50.0 ns: ok\n"), "{text}");
        assert!(text.contains("p99 < 99.0 ns: MISSED"), "{text}");
        let last: Vec<&str> = text.lines().last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(last, ["b", "1.23×", "1"], "{text}");
        let markdown = section().as_markdown();
        assert!(markdown.contains("\n|---|--:|--:|--:|--:|---|\n| a | 50.0 ns |"), "{markdown}");
    }
}
