//! One agent at a time has what is pinned.

use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A lock, which the kernel takes away when its process ends, however that comes about.
#[derive(Debug)]
pub(super) struct Lock {
    #[expect(dead_code, reason = "closing it gives the lock up")]
    file: File,
}

/// Why there is none.
#[derive(Debug)]
pub(super) enum LockError {
    /// This process has it.
    Held(u32),
    /// The file cannot be used.
    Failed(io::Error),
}

impl From<io::Error> for LockError {
    fn from(why: io::Error) -> Self {
        Self::Failed(why)
    }
}

impl Lock {
    /// Takes the lock of a file, which is made when it is not there. POSIX locks, unlike those of flock(2), are not inherited
    /// by children, who may outlive the agent.
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            // Its socket is there as well, which all may connect to.
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
            std::fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        }
        let file = File::options().read(true).append(true).create(true).mode(0o600).open(path)?;
        let mut lock = whole_file();
        // SAFETY: the descriptor is open, and the structure lives as long as the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw const lock) } == 0 {
            return Ok(Self { file });
        }
        let why = io::Error::last_os_error();
        if !matches!(why.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) {
            return Err(why.into());
        }
        // SAFETY: as above; the kernel writes who has it.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLK, &raw mut lock) } != 0 {
            return Err(io::Error::last_os_error().into());
        }
        match u32::try_from(lock.l_pid) {
            Ok(pid) if i32::from(lock.l_type) != libc::F_UNLCK => Err(LockError::Held(pid)),
            // It was given up in between.
            _ => Self::take(path),
        }
    }
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}
