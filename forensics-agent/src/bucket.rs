use std::time::Instant;

/// How often something may be done: so many times at once, and so many times an hour in the long run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    burst: f64,
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(burst: u32, per_hour: u32, now: Instant) -> Self {
        let burst = f64::from(burst);
        Self { burst, per_second: f64::from(per_hour) / 3600.0, tokens: burst, at: now }
    }

    /// True when it may be done now, and then it counts as done.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        self.at = now;
        let may = self.tokens >= 1.0;
        if may {
            self.tokens -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_and_then_so_many_an_hour() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 60, start);
        let taken = |bucket: &mut Bucket, after_s: u64| {
            let now = start + Duration::from_secs(after_s);
            (0..100).filter(|_| bucket.take(now)).count()
        };
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, 59), 0);
        assert_eq!(taken(&mut bucket, 61), 1);
        assert_eq!(taken(&mut bucket, 100_000), 3, "no more than the burst, however long it was quiet");
        assert_eq!(taken(&mut bucket, 1), 0, "a clock that goes back gives nothing");
    }
}
