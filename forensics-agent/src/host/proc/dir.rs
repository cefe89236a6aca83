use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::host::deadline::run_within;

/// Why a process could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcError {
    /// There is no such process, or it ended meanwhile.
    #[error("process {pid} does not exist")]
    NotFound {
        /// The pid that was asked for.
        pid: u32,
    },
    /// The number is that of a thread.
    #[error("{tid} is a thread of process {tgid}, not a process")]
    Thread {
        /// The number that was asked for.
        tid: u32,
        /// The process that it belongs to.
        tgid: u32,
    },
    /// The kernel refused.
    #[error("cannot read /proc/{pid}/{file}: {source}")]
    Io {
        /// The pid that was asked for.
        pid: u32,
        /// Name beneath `/proc/PID`; empty for the directory itself.
        file: &'static str,
        /// The kernel's answer.
        source: Errno,
    },
    /// The kernel's text was not understood.
    #[error("/proc/{pid}/{file} has an unknown format")]
    Malformed {
        /// The pid that was asked for.
        pid: u32,
        /// Name beneath `/proc/PID`.
        file: &'static str,
    },
}

impl ProcError {
    /// The kernel's answer about a file, with the two that mean that the process is gone told apart:
    /// `ENOENT` from a lookup and `ESRCH` from a read.
    pub(in crate::host) fn from_errno(pid: u32, file: &'static str, source: Errno) -> Self {
        match source {
            Errno::NOENT | Errno::SRCH => ProcError::NotFound { pid },
            _ => ProcError::Io { pid, file, source },
        }
    }
}

/// An open `/proc/PID`.
#[derive(Debug)]
pub struct ProcDir {
    pid: u32,
    fd: OwnedFd,
}

impl ProcDir {
    /// Opens the directory of a process (or of a thread: [`super::Status::tgid`] tells).
    ///
    /// # Errors
    /// [`ProcError::NotFound`] when there is no such process, [`ProcError::Io`] otherwise.
    pub fn open(pid: u32) -> Result<Self, ProcError> {
        let fd = rustix::fs::openat(
            CWD,
            format!("/proc/{pid}"),
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|source| ProcError::from_errno(pid, "", source))?;
        Ok(ProcDir { pid, fd })
    }

    /// The pid that it was opened for.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Replaces `buffer` by the file's first `cap` bytes, and says whether there was more.
    ///
    /// The files of `/proc/PID` are generated whole by one `read(2)` when the buffer holds them (`seq_file`
    /// with `single_open`, `get_mm_cmdline`, `environ_read`), so a read that does not fill the buffer was the last.
    ///
    /// # Errors
    /// What `openat(2)` or `read(2)` says; `ESRCH` or `ENOENT` when the process is gone.
    pub fn read(&self, file: &CStr, buffer: &mut Vec<u8>, cap: usize) -> Result<bool, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&self.fd, file, flags, Mode::empty())?;
        buffer.clear();
        while buffer.len() <= cap {
            buffer.reserve(cap.saturating_add(1).saturating_sub(buffer.len()).min(FIRST_READ));
            let room = buffer.capacity() - buffer.len();
            match rustix::io::read(&file, spare_capacity(buffer)) {
                Ok(n) if n < room => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        let more = buffer.len() > cap;
        buffer.truncate(cap);
        Ok(more)
    }

    /// Reads a file that the kernel takes from the memory of the process (`cmdline`, `environ`), otherwise as
    /// [`ProcDir::read`].
    ///
    /// The kernel waits for the lock of that memory, and a process that waits for a dead file server may hold it for ever.
    /// So of a process that `waits` uninterruptibly (state `D`) it is read by a helper, which is given 50 ms.
    ///
    /// # Errors
    /// As [`ProcDir::read`]; `ETIMEDOUT` when the time is up.
    pub fn read_memory(
        &self,
        file: &'static CStr,
        buffer: &mut Vec<u8>,
        cap: usize,
        waits: bool,
    ) -> Result<bool, Errno> {
        if !waits {
            return self.read(file, buffer, cap);
        }
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0)?;
        let dir = ProcDir { pid: self.pid, fd };
        let read = run_within(MEMORY_DEADLINE, move || {
            let mut bytes = Vec::new();
            dir.read(file, &mut bytes, cap).map(|more| (bytes, more))
        });
        let more;
        (*buffer, more) = read.unwrap_or(Err(Errno::TIMEDOUT))?;
        Ok(more)
    }

    /// Whether a symbolic link is known to point to `expected`, without memory of its own.
    pub fn is_link_to(&self, name: &CStr, expected: &[u8]) -> bool {
        let mut buffer = [std::mem::MaybeUninit::uninit(); 64];
        let target = rustix::fs::readlinkat_raw(&self.fd, name, buffer.as_mut_slice());
        target.is_ok_and(|(target, _)| *target == *expected)
    }

    /// Where a symbolic link points, as the kernel prints it.
    ///
    /// # Errors
    /// What `readlinkat(2)` says: `ENOENT` for the executable of a kernel thread or of a zombie, `EACCES` without
    /// the right to ptrace the process.
    pub fn link(&self, name: &CStr) -> Result<Vec<u8>, Errno> {
        rustix::fs::readlinkat(&self.fd, name, Vec::with_capacity(256)).map(std::ffi::CString::into_bytes)
    }
}

impl AsFd for ProcDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How long the memory of a process that waits uninterruptibly may take.
const MEMORY_DEADLINE: Duration = Duration::from_millis(50);

/// Bytes asked for at first: more than `stat`, `status`, `cgroup` and most command lines ever hold.
const FIRST_READ: usize = 4096 + 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_that_ended_is_not_found_even_through_an_open_directory() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let dir = ProcDir::open(child.id()).unwrap();
        let mut buffer = Vec::new();
        assert!(dir.read(c"stat", &mut buffer, 4096).is_ok());
        child.kill().unwrap();
        child.wait().unwrap();
        let errno = dir.read(c"stat", &mut buffer, 4096).unwrap_err();
        assert_eq!(ProcError::from_errno(1, "stat", errno), ProcError::NotFound { pid: 1 });
        assert_eq!(
            ProcDir::open(child.id()).err(),
            Some(ProcError::NotFound { pid: child.id() }),
            "the pid was reused within the test"
        );
    }

    #[test]
    fn the_cap_is_kept_and_reported() {
        let dir = ProcDir::open(std::process::id()).unwrap();
        let mut buffer = Vec::new();
        assert_eq!(dir.read(c"status", &mut buffer, 10), Ok(true));
        assert_eq!(buffer.len(), 10);
        assert_eq!(dir.read(c"status", &mut buffer, 1 << 20), Ok(false));
        assert!(buffer.len() > 10);
    }
}
