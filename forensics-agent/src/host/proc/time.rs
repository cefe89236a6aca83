//! Start times: the kernel records exact nanoseconds, `/proc/PID/stat` shows clock ticks of 10 ms.

use rustix::param::clock_ticks_per_second;

/// Nanoseconds of one clock tick, 10,000,000 on every Linux that is in use (`USER_HZ` is 100).
fn ns_per_tick() -> u64 {
    1_000_000_000 / clock_ticks_per_second().max(1)
}

/// The tick in which a moment of `CLOCK_BOOTTIME` falls, as the kernel rounds it (down, `nsec_to_clock_t`).
pub fn ticks_of_boot_ns(boot_ns: u64) -> u64 {
    boot_ns / ns_per_tick()
}

/// The first nanosecond of a tick: what `start_boot_ns` is when only `/proc` was asked.
pub fn boot_ns_of_ticks(ticks: u64) -> u64 {
    ticks.saturating_mul(ns_per_tick())
}

/// True when an exact start time and field 22 of `/proc/PID/stat` can be of one process.
pub fn same_start(boot_ns: u64, ticks: u64) -> bool {
    ticks_of_boot_ns(boot_ns) == ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_is_ten_milliseconds() {
        assert!(same_start(12_345_678_901, 1234));
        assert!(same_start(boot_ns_of_ticks(1234), 1234));
        assert!(!same_start(12_350_000_000, 1234));
        assert_eq!(boot_ns_of_ticks(u64::MAX), u64::MAX);
    }
}
