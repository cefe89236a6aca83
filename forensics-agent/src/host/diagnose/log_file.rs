use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};

/// A log that would grow beyond this is first renamed, bytes.
pub(super) const ROTATE_AT: u64 = 4 << 20;
/// Renamed logs that are kept: `FILE.1` is the youngest.
const KEPT: u32 = 3;

/// Why the diagnostic cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log cannot be opened, made, locked or written.
    #[error("cannot write the log {}: {source}", .path.display())]
    Io {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, FIFO, socket or device.
    #[error("the log {} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// The worker cannot be started.
    #[error("cannot start the worker of the diagnostic: {0}")]
    Worker(io::Error),
}

/// Makes the log and the directories above it, where they do not exist.
///
/// # Errors
/// [`LogError`]
pub(super) fn prepare(path: &Path) -> Result<(), LogError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(|source| LogError::Io { path: path.to_owned(), source })?;
    }
    open(path).map(drop)
}

/// Appends a block whole: blocks of two workers never mix. When the lock is not had before the deadline the block is
/// written all the same, since one write to a file opened with `O_APPEND` is not torn on a local file system.
///
/// # Errors
/// [`LogError`]
pub(super) fn append(path: &Path, block: &[u8], deadline: Instant) -> Result<(), LogError> {
    append_rotating(path, block, deadline, ROTATE_AT)
}

fn append_rotating(path: &Path, block: &[u8], deadline: Instant, limit: u64) -> Result<(), LogError> {
    let failed = |source: io::Error| LogError::Io { path: path.to_owned(), source };
    loop {
        let mut file = open(path)?;
        let is_locked = lock(&file, deadline);
        let metadata = file.metadata().map_err(failed)?;
        if is_locked {
            // Another worker renamed the log while this one waited for the lock.
            let is_current = std::fs::symlink_metadata(path)
                .is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()));
            if !is_current {
                continue;
            }
            if metadata.len() > 0 && metadata.len() + block.len() as u64 > limit {
                rotate(path).map_err(failed)?;
                continue;
            }
        }
        return file.write_all(block).map_err(failed);
    }
}

/// Opens for appending what is a plain file and belongs to nobody else's eyes. Waits for nothing.
fn open(path: &Path) -> Result<File, LogError> {
    let failed = |source: io::Error| LogError::Io { path: path.to_owned(), source };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|errno| failed(errno.into()))?;
    let file = File::from(fd);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(LogError::NotRegular(path.to_owned()));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(file)
}

/// Waits for the lock until the deadline.
fn lock(file: &File, deadline: Instant) -> bool {
    loop {
        if rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// `FILE.2` becomes `FILE.3`, and so on, and the log becomes `FILE.1`.
fn rotate(path: &Path) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    for number in (1..KEPT).rev() {
        match std::fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(path, numbered(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_whole_and_old_logs_are_kept() {
        let dir = std::env::temp_dir().join(format!("forensics-log-{}", std::process::id()));
        let path = dir.join("deep/er/log");
        prepare(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&dir.join("deep"))), (0o600, 0o700));
        let deadline = Instant::now() + Duration::from_secs(10);
        std::thread::scope(|scope| {
            for letter in ["a", "b", "c", "d"] {
                let path = &path;
                scope.spawn(move || {
                    for _ in 0..25 {
                        let block = format!("{}\n", letter.repeat(999));
                        append_rotating(path, block.as_bytes(), deadline, 40_000).unwrap();
                    }
                });
            }
        });
        let mut lines = 0;
        for name in ["log", "log.1", "log.2"] {
            let text = std::fs::read_to_string(path.with_file_name(name)).unwrap();
            assert!(text.len() <= 40_000);
            assert_eq!(mode(&path.with_file_name(name)), 0o600);
            for line in text.lines() {
                assert!(line.len() == 999 && line.bytes().all(|b| Some(&b) == line.as_bytes().first()));
                lines += 1;
            }
        }
        assert_eq!(lines, 100);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn only_plain_files() {
        let dir = std::env::temp_dir().join(format!("forensics-log-kind-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.join("link")).unwrap();
        assert!(matches!(prepare(&dir.join("link")), Err(LogError::Io { .. })));
        assert!(prepare(&dir).is_err());
        let wide = dir.join("wide");
        std::fs::write(&wide, "x").unwrap();
        std::fs::set_permissions(&wide, std::fs::Permissions::from_mode(0o644)).unwrap();
        prepare(&wide).unwrap();
        assert_eq!(std::fs::metadata(&wide).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(prepare(Path::new("/dev/null")), Err(LogError::NotRegular(_))));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
