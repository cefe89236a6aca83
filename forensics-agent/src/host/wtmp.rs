//! wtmp(5): when the host was started and shut down.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Where it is.
pub const PATH: &str = "/var/log/wtmp";
/// Size of `struct utmp` of the C library on 64-bit Linux (`bits/types/struct_utmp.h`), bytes.
const RECORD: usize = 384;
/// Offsets in it: type, name of the user, Unix seconds.
const TYPE: usize = 0;
const USER: usize = 44;
const USER_LENGTH: usize = 32;
const SECONDS: usize = 340;
/// Types (utmp(5)): a change of the run level, a boot.
const RUN_LVL: i16 = 1;
const BOOT_TIME: i16 = 2;
/// What is read at most, bytes: a multiple of the record.
const CAP: u64 = RECORD as u64 * 10_000;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The host started.
    Boot,
    /// The host was shut down.
    Shutdown,
}

/// The boots and shutdowns, oldest first, each with its Unix time, seconds.
///
/// # Errors
/// The file cannot be read.
pub fn read() -> io::Result<Vec<(f64, What)>> {
    let mut file = File::open(PATH)?;
    let records = file.metadata()?.len() / RECORD as u64 * RECORD as u64;
    file.seek(SeekFrom::Start(records.saturating_sub(CAP)))?;
    let mut bytes = Vec::new();
    file.take(CAP).read_to_end(&mut bytes)?;
    Ok(bytes.chunks_exact(RECORD).filter_map(record).collect())
}

fn record(record: &[u8]) -> Option<(f64, What)> {
    let kind = i16::from_ne_bytes(record.get(TYPE..TYPE + 2)?.try_into().ok()?);
    let seconds = i32::from_ne_bytes(record.get(SECONDS..SECONDS + 4)?.try_into().ok()?);
    let user = record.get(USER..USER + USER_LENGTH)?.split(|&byte| byte == 0).next()?;
    // The field has 32 bits; after 2038 it is to be read without a sign.
    let ts = f64::from(seconds as u32);
    match (kind, user) {
        (BOOT_TIME, _) => Some((ts, What::Boot)),
        (RUN_LVL, b"shutdown") => Some((ts, What::Shutdown)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_and_shutdowns() {
        let bytes = |kind: i16, user: &[u8]| {
            let mut bytes = [0u8; RECORD];
            bytes[..2].copy_from_slice(&kind.to_ne_bytes());
            bytes[USER..USER + user.len()].copy_from_slice(user);
            bytes[SECONDS..SECONDS + 4].copy_from_slice(&1_795_000_000i32.to_ne_bytes());
            bytes
        };
        assert_eq!(record(&bytes(BOOT_TIME, b"reboot")), Some((1_795_000_000.0, What::Boot)));
        assert_eq!(record(&bytes(RUN_LVL, b"shutdown")), Some((1_795_000_000.0, What::Shutdown)));
        assert_eq!(record(&bytes(RUN_LVL, b"runlevel")), None);
        assert_eq!(record(&bytes(7, b"ann")), None);
        assert_eq!(record(&[0; 3]), None);
    }
}
