//! Which host, boot and kernel this is, and how its clocks relate.

use std::io;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// What does not change until the next boot, nearly: a host can be renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the host, as `uname -n`.
    pub hostname: String,
    /// The kernel's boot id, 32 hexadecimal digits, as journald writes it.
    pub boot_id: String,
    /// Release of the kernel, as `uname -r`.
    pub kernel: String,
    /// Machine, as `uname -m`.
    pub machine: String,
}

/// Reads the identity.
///
/// # Errors
/// When `/proc/sys/kernel/random/boot_id` cannot be read or is not a boot id.
pub fn read() -> io::Result<Identity> {
    const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{BOOT_ID}: {error}"));
    let uname = rustix::system::uname();
    let text = std::fs::read_to_string(BOOT_ID).map_err(named)?;
    let boot_id = parse_boot_id(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{BOOT_ID}: not a boot id")))?;
    Ok(Identity {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        boot_id,
        kernel: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
    })
}

/// A UUID without its hyphens.
fn parse_boot_id(text: &str) -> Option<String> {
    let digits: String = text.trim().chars().filter(|&c| c != '-').collect();
    (digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(digits)
}

/// What to add to `CLOCK_BOOTTIME` nanoseconds to get Unix nanoseconds, now. It changes when the clock is set, so it is
/// to be read anew rather than kept.
pub fn realtime_minus_boottime() -> i64 {
    // The real time is read between two readings of the other, so that what passes in between does not count.
    let before = nanoseconds(clock_gettime(ClockId::Boottime));
    let real = nanoseconds(clock_gettime(ClockId::Realtime));
    let after = nanoseconds(clock_gettime(ClockId::Boottime));
    real - (before + (after - before) / 2)
}

/// Unix seconds of a `CLOCK_BOOTTIME` reading in nanoseconds, given [`realtime_minus_boottime`].
pub fn unix_seconds(boot_ns: u64, realtime_minus_boottime: i64) -> f64 {
    let unix = i128::from(boot_ns) + i128::from(realtime_minus_boottime);
    unix as f64 / 1e9
}

/// 64 bits of nanoseconds last until the year 2262.
fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_ids() {
        let id = "0b42fcb1-8c4f-4b43-9d8c-3b0e9d3f2a10\n";
        assert_eq!(parse_boot_id(id).as_deref(), Some("0b42fcb18c4f4b439d8c3b0e9d3f2a10"));
        for bad in ["", "0b42fcb1", "zb42fcb1-8c4f-4b43-9d8c-3b0e9d3f2a10"] {
            assert_eq!(parse_boot_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn this_host() {
        let identity = read().expect("a Linux host");
        assert_eq!(identity.boot_id.len(), 32);
        assert!(!identity.hostname.is_empty() && !identity.kernel.is_empty() && !identity.machine.is_empty());
    }

    #[test]
    fn boot_time_becomes_wall_time() {
        let boot = nanoseconds(clock_gettime(ClockId::Boottime));
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let computed = unix_seconds(u64::try_from(boot).expect("positive"), realtime_minus_boottime());
        assert!((wall.as_secs_f64() - computed).abs() < 0.1, "{computed}");
    }
}
