//! Where things are pinned, and what goes with them elsewhere.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::PinError;

/// Where the lock is, and what was taken off the ring.
const RUN: &str = "/run/forensics-agent";

/// True for a directory into which nobody else can have put anything.
pub(super) fn is_own(metadata: &Metadata) -> bool {
    metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o022 == 0
}

/// A file that goes with a directory of pins, whose parent must be there.
pub(super) fn beside(directory: &Path, kind: &str) -> Result<PathBuf, PinError> {
    let no_name = || PinError::NoName { path: directory.to_owned() };
    let name = directory.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
    let parent = directory.parent().ok_or_else(no_name)?;
    // Another path to the same place is the same.
    let parent = parent.canonicalize().map_err(|why| PinError::Failed { path: parent.to_owned(), why })?;
    let place = hash(parent.join(name).as_os_str().as_bytes());
    Ok(Path::new(RUN).join(format!("{name}-{place:016x}.{kind}")))
}

/// FNV-1a, 64 bits (RFC 9923): the same in each build, unlike that of the standard library.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_files_of_its_own() {
        let name = |path: &str| beside(Path::new(path), "lock").unwrap();
        assert_ne!(name("/tmp/pins"), name("/pins"));
        assert_ne!(name("/pins"), name("/pins-next"));
        assert_eq!(name("/tmp/pins"), name("/tmp/../tmp/./pins/"));
        assert!(name("/pins").file_name().unwrap().to_str().unwrap().starts_with("pins-"));
        assert!(matches!(beside(Path::new("/"), "lock"), Err(PinError::NoName { .. })));
        // The vectors of Fowler, Noll and Vo.
        assert_eq!((hash(b""), hash(b"foobar")), (0xcbf2_9ce4_8422_2325, 0x8594_4171_f739_67e8));
    }
}
