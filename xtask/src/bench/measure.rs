//! One figure with its unit, its spread and what it is held to.

use serde::{Deserialize, Serialize};

use super::samples::Samples;

/// The cells of a measurement in a table.
pub(super) const COLUMNS: [&str; 6] = ["what", "median", "p25 … p75", "p99", "n", "budget"];

/// What a measurement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    statistic: Statistic,
    relation: String,
    limit: f64,
    met: bool,
}

/// One thing that was measured.
#[derive(Debug, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
        self.budget = Some(Held { statistic, relation: relation.to_owned(), limit, met });
        self
    }

    /// The same without a budget.
    pub(super) fn unjudged(self) -> Self {
        Self { budget: None, ..self }
    }

    pub(super) fn cells(&self) -> [String; COLUMNS.len()] {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_judged_by_their_statistic() {
        let samples: Samples = (1..=100).map(f64::from).collect();
        let met = |budget| {
            let measure = Measure::new("a", Unit::Nanoseconds, &samples).within(budget);
            measure.budget.map(|held| held.met)
        };
        assert_eq!(met(Budget::AtMost(Statistic::Median, 50.0)), Some(true));
        assert_eq!(met(Budget::Below(Statistic::P99, 99.0)), Some(false));
        assert_eq!(met(Budget::AtLeast(Statistic::Min, 2.0)), Some(false));
    }

    #[test]
    fn three_digits() {
        let shown = [0.5, 9.994, 9.996, 99.94, 99.96, 1234.5].map(|value| Unit::Ratio.show(value));
        assert_eq!(shown, ["0.50×", "9.99×", "10.0×", "99.9×", "100×", "1234×"]);
        assert_eq!(Unit::Count.show(1e6), "1000000");
    }
}
