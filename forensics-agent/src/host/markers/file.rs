use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// Largest marker that is read, bytes.
pub const MARKER_CAP: usize = 64 << 10;

/// How often a file that changes while it is read is read anew.
const ATTEMPTS: usize = 3;

/// A file's content at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct FileImage {
    /// What it held.
    pub bytes: Vec<u8>,
    /// Unix time of its last change, seconds.
    pub modified: f64,
}

/// Why a file was not read. The texts continue a sentence that begins with the path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not there, which is how it should be with most markers.
    #[error("does not exist")]
    Absent,
    /// A part of the path is a symbolic link.
    #[error("is reached by a symbolic link, which is not followed")]
    SymbolicLink,
    /// A directory, FIFO, socket or device.
    #[error("is a {0}, not a regular file")]
    NotRegular(&'static str),
    /// It has a second name, which may be that of a file its owner cannot read.
    #[error("has more than one name")]
    Links,
    /// It belongs to somebody who does not speak for the target.
    #[error("belongs to uid {0}, which is neither the target's user nor root")]
    Owner(u32),
    /// It is larger than any marker.
    #[error("holds {size} bytes, more than {cap}")]
    TooLarge {
        /// Its size, bytes.
        size: u64,
        /// What is allowed, bytes.
        cap: usize,
    },
    /// It changed each time that it was read.
    #[error("changes while it is read")]
    Unstable,
    /// The kernel refused.
    #[error("cannot be read: {0}")]
    Io(Errno),
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR => FileError::Absent,
            Errno::LOOP => FileError::SymbolicLink,
            errno => FileError::Io(errno),
        }
    }
}

/// Reads a plain file beneath `root` that belongs to one of `owners`, whatever its path leads to.
///
/// The file is first opened with `O_PATH`, which neither waits for a FIFO's writer nor lets a device driver act, and is
/// read only once it is known for what it is; both descriptors are of the same inode, so nobody can exchange it between.
///
/// # Errors
/// [`FileError`]. May hang on a dead file server: call it by [`crate::host::deadline::run_within`].
pub(in crate::host) fn read_file(
    root: BorrowedFd<'_>,
    path: &[u8],
    owners: &[u32],
    cap: usize,
) -> Result<FileImage, FileError> {
    let handle = open_path(root, path)?;
    let mut before = check(handle.as_fd(), owners, cap)?;
    // Only now is it known for a plain file.
    let file = reopen(&handle)?;
    for _ in 0..ATTEMPTS {
        let bytes = read_to_cap(file.as_fd(), cap)?;
        let after = check(file.as_fd(), owners, cap)?;
        if is_unchanged(&before, &after) && bytes.len() <= cap {
            return Ok(FileImage { bytes, modified: modified(&after) });
        }
        before = after;
    }
    Err(FileError::Unstable)
}

/// Reads a file that is open already and may have lost its name; it must be a plain file of one of `owners` as well.
///
/// # Errors
/// [`FileError`]
pub(super) fn read_open(file: BorrowedFd<'_>, owners: &[u32], cap: usize) -> Result<FileImage, FileError> {
    let stat = check(file, owners, cap)?;
    let mut bytes = read_to_cap(file, cap)?;
    bytes.truncate(cap);
    Ok(FileImage { bytes, modified: modified(&stat) })
}

/// True when an absolute path, seen from the agent's own root, is known to lead nowhere without asking a file server or a
/// disk (`RESOLVE_CACHED`, Linux 5.12).
pub(super) fn is_known_absent(path: &[u8]) -> bool {
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::CACHED;
    let opened = rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    matches!(opened, Err(Errno::NOENT))
}

/// Opens a root for `openat2(2)`.
pub(in crate::host) fn open_root(dir: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, path, flags, Mode::empty())
}

/// Absolute paths start at the target's root, `..` ends there, and no link of any kind is followed.
const RESOLVE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// Opens a path beneath a root with `O_PATH`.
///
/// # Errors
/// What `openat2(2)` says.
pub(super) fn open_path(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut attempts = 0;
    loop {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match rustix::fs::openat2(root, path, flags, Mode::empty(), RESOLVE) {
            // A rename raced with the resolution of `..`; openat2(2) asks to try again.
            Err(Errno::AGAIN) if attempts < ATTEMPTS => attempts += 1,
            result => return result,
        }
    }
}

/// Refuses whatever is not a plain file of a trusted owner.
pub(super) fn check(handle: BorrowedFd<'_>, owners: &[u32], cap: usize) -> Result<Stat, FileError> {
    let stat = rustix::fs::fstat(handle)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(FileError::NotRegular("directory")),
        FileType::Fifo => return Err(FileError::NotRegular("FIFO")),
        FileType::Socket => return Err(FileError::NotRegular("socket")),
        FileType::CharacterDevice => return Err(FileError::NotRegular("character device")),
        FileType::BlockDevice => return Err(FileError::NotRegular("block device")),
        _ => return Err(FileError::NotRegular("file of unknown type")),
    }
    if !owners.contains(&stat.st_uid) {
        return Err(FileError::Owner(stat.st_uid));
    }
    // None: unlinked since it was opened, which is what a gateway does with its marker. What it said still counts.
    if stat.st_nlink > 1 {
        return Err(FileError::Links);
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > cap as u64 {
        return Err(FileError::TooLarge { size, cap });
    }
    Ok(stat)
}

/// Everything that a write or a truncation changes; the owner and link count may change for other reasons.
fn is_unchanged(before: &Stat, after: &Stat) -> bool {
    let key = |stat: &Stat| (stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    key(before) == key(after)
}

fn modified(stat: &Stat) -> f64 {
    stat.st_mtime as f64 + stat.st_mtime_nsec as f64 / 1e9
}

/// Opens the inode of an `O_PATH` descriptor for reading.
fn reopen(handle: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    // A leased file answers O_NONBLOCK with EAGAIN instead of waiting for the lease to break.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

/// Reads a plain file from its beginning, at most one byte more than `cap`.
fn read_to_cap(file: BorrowedFd<'_>, cap: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::with_capacity(4096.min(cap + 1));
    while bytes.len() <= cap {
        bytes.reserve((cap + 1 - bytes.len()).min(4096));
        let offset = bytes.len() as u64;
        match rustix::io::pread(file, spare_capacity(&mut bytes), offset) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    bytes.truncate(cap + 1);
    Ok(bytes)
}
