//! Tables of measurements.

use std::fmt::Write as _;

use serde::Serialize;

use super::machine::Machine;
use super::samples::Samples;

/// Runnable processes per CPU from which on the figures are not to be trusted.
const BUSY: f64 = 0.75;

/// What a measurement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    #[serde(rename = "ns")]
    Nanoseconds,
    #[serde(rename = "us")]
    Microseconds,
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "s")]
    Seconds,
    #[serde(rename = "MiB")]
    Mebibytes,
    /// One thing measured in units of another.
    #[serde(rename = "ratio")]
    Ratio,
    #[serde(rename = "count")]
    Count,
}

impl Unit {
    fn show(self, value: f64) -> String {
        let unit = match self {
            Self::Nanoseconds => " ns",
            Self::Microseconds => " µs",
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
            Self::Mebibytes => " MiB",
            Self::Ratio => "×",
            Self::Count => return format!("{value:.0}"),
        };
        // Three digits.
        let decimals = if value.abs() < 9.995 { 2 } else { usize::from(value.abs() < 99.95) };
        format!("{value:.decimals$}{unit}")
    }
}

/// Which figure a budget is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Statistic {
    Min,
    Median,
    P99,
}

/// What a measurement is held to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Budget {
    AtMost(Statistic, f64),
    Below(Statistic, f64),
    AtLeast(Statistic, f64),
}

/// A budget and whether it is met.
#[derive(Debug, Serialize)]
struct Held {
    statistic: Statistic,
    relation: &'static str,
    limit: f64,
    met: bool,
}

/// One thing that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Measure {
    what: String,
    unit: Unit,
    samples: usize,
    min: f64,
    p25: f64,
    median: f64,
    p75: f64,
    p99: f64,
    max: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<Held>,
}

impl Measure {
    pub(super) fn new(what: impl Into<String>, unit: Unit, samples: &Samples) -> Self {
        Self {
            what: what.into(),
            unit,
            samples: samples.len(),
            min: samples.quantile(0.0),
            p25: samples.quantile(0.25),
            median: samples.median(),
            p75: samples.quantile(0.75),
            p99: samples.quantile(0.99),
            max: samples.quantile(1.0),
            budget: None,
        }
    }

    /// Something that was measured once.
    pub(super) fn once(what: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self::new(what, unit, &Samples::from_iter([value]))
    }

    pub(super) fn within(mut self, budget: Budget) -> Self {
        let of = |statistic| match statistic {
            Statistic::Min => self.min,
            Statistic::Median => self.median,
            Statistic::P99 => self.p99,
        };
        let (statistic, relation, limit, met) = match budget {
            Budget::AtMost(statistic, limit) => (statistic, "≤", limit, of(statistic) <= limit),
            Budget::Below(statistic, limit) => (statistic, "<", limit, of(statistic) < limit),
            Budget::AtLeast(statistic, limit) => (statistic, "≥", limit, of(statistic) >= limit),
        };
        self.budget = Some(Held { statistic, relation, limit, met });
        self
    }

    fn cells(&self) -> [String; COLUMNS.len()] {
        let show = |value| self.unit.show(value);
        let many = |text: String| if self.samples > 1 { text } else { String::new() };
        let budget = self.budget.as_ref().map(|held| {
            let statistic = match held.statistic {
                Statistic::Min => "min ",
                Statistic::Median => "",
                Statistic::P99 => "p99 ",
            };
            let verdict = if held.met { "ok" } else { "MISSED" };
            format!("{statistic}{} {}: {verdict}", held.relation, show(held.limit))
        });
        [
            self.what.clone(),
            show(self.median),
            many(format!("{} … {}", show(self.p25), show(self.p75))),
            // Fewer samples have no hundredth part.
            if self.samples < 100 { String::new() } else { show(self.p99) },
            self.samples.to_string(),
            budget.unwrap_or_default(),
        ]
    }
}

const COLUMNS: [&str; 6] = ["what", "median", "p25 … p75", "p99", "n", "budget"];

/// What one benchmark found.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    name: &'static str,
    /// How it was measured, for whoever reads the figures.
    method: String,
    measures: Vec<Measure>,
}

impl Section {
    pub(super) fn new(name: &'static str, method: impl Into<String>, measures: Vec<Measure>) -> Self {
        Self { name, method: method.into(), measures }
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
        text.push('\n');
        text
    }
}

/// All that a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    schema: &'static str,
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
            schema: "forensics-agent/bench/1",
            machine: before,
            load_1m_after: after.load_1m,
            busy,
            benchmarks,
        }
    }

    /// Where it was measured, in one sentence or two.
    pub(super) fn conditions(&self) -> String {
        let Machine { kernel, cpu, cpus, load_1m } = &self.machine;
        let after = self.load_1m_after;
        let mut text = format!(
            "Linux {kernel}, {cpus} CPUs ({cpu}), load average {load_1m:.2} before and {after:.2} after the run."
        );
        if self.busy {
            text.push_str(" The machine was busy with something else: the figures are too high.");
        }
        text
    }

    pub(super) fn as_markdown(&self) -> String {
        let sections: String = self.benchmarks.iter().map(Section::as_markdown).collect();
        format!("{sections}{}\n", self.conditions())
    }
}

#[cfg(test)]
mod tests {
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
    fn budgets_are_judged_by_their_statistic() {
        let met: Vec<_> = section().measures.iter().map(|m| m.budget.as_ref().map(|held| held.met)).collect();
        assert_eq!(met, [Some(true), Some(false), Some(false), None]);
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

    #[test]
    fn three_digits() {
        let shown = [0.5, 9.994, 9.996, 99.94, 99.96, 1234.5].map(|value| Unit::Ratio.show(value));
        assert_eq!(shown, ["0.50×", "9.99×", "10.0×", "99.9×", "100×", "1234×"]);
        assert_eq!(Unit::Count.show(1e6), "1000000");
    }
}
