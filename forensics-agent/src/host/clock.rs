//! The two clocks of the records.

use rustix::time::{ClockId, clock_gettime};

use super::identity;

/// `CLOCK_BOOTTIME` now, nanoseconds: the clock of the kernel's records.
pub fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000)
        + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Unix time minus `CLOCK_BOOTTIME`, seconds, now.
pub fn unix_minus_boot_s() -> f64 {
    identity::realtime_minus_boottime() as f64 / 1e9
}

/// Unix time now, seconds.
pub fn unix_s() -> f64 {
    identity::unix_seconds(boot_ns(), identity::realtime_minus_boottime())
}
