//! Requests that the kernel did not record, since their sender made too many.

/// How long before a signal an unrecorded request may have led to it, nanoseconds: as long as a request that is told with
/// certainty may lie back.
const NEAR_NS: u64 = 10_000_000_000;

/// What the kernel's counter said when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    total: u64,
    /// Of those, how many came between the last two looks that differed.
    recent: u64,
    /// The latest moment at which one of them can have been made, `CLOCK_BOOTTIME` nanoseconds.
    until_ns: u64,
}

impl Dropped {
    /// Takes in what the counter says at a moment.
    pub(super) fn read(&mut self, total: u64, now_ns: u64) {
        if total > self.total {
            let goes_on = self.until_ns.saturating_add(NEAR_NS) >= now_ns;
            self.recent = total - self.total + if goes_on { self.recent } else { 0 };
            self.until_ns = now_ns;
            self.total = total;
        }
    }

    /// How many may have led to a signal, given that the counter was looked at since.
    pub(super) fn near(&self, signal_ns: u64) -> u64 {
        if self.until_ns.saturating_add(NEAR_NS) >= signal_ns { self.recent } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn only_what_was_dropped_lately_leaves_doubt() {
        let mut dropped = Dropped::default();
        assert_eq!(dropped.near(0), 0);
        dropped.read(5, 100 * S);
        dropped.read(7, 101 * S);
        assert_eq!((dropped.near(102 * S), dropped.near(111 * S), dropped.near(112 * S)), (7, 7, 0));
        dropped.read(7, 200 * S);
        assert_eq!(dropped.near(200 * S), 0);
        dropped.read(8, 201 * S);
        assert_eq!(dropped.near(202 * S), 1);
    }
}
