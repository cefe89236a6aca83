//! What many measurements come to.

/// Measurements of one thing, in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest value that at least the share `quantile` (0 to 1) of the measurements does not exceed; not a
    /// number when there are none.
    pub(super) fn quantile(&self, quantile: f64) -> f64 {
        let rank = (quantile * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub(super) fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_measured_values() {
        let samples: Samples = (1..=200).rev().map(f64::from).collect();
        assert_eq!(samples.median(), 100.0);
        assert_eq!(samples.quantile(0.99), 198.0);
        assert_eq!((samples.quantile(0.0), samples.quantile(1.0)), (1.0, 200.0));
        assert_eq!(Samples::from_iter([7.0]).quantile(0.99), 7.0);
        assert!(Samples::default().median().is_nan());
    }
}
