use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

use super::super::file::{FileError, FileImage, MARKER_CAP, check, read_open};
use super::{Drained, WatchError};

/// Events of one `drain`, at most; each holds a descriptor.
const BATCH: usize = 256;
/// `sizeof(struct fanotify_event_metadata)`, `include/uapi/linux/fanotify.h`.
const METADATA: usize = 24;

/// A fanotify group that hands out every file that was written and closed in the marked directories.
#[derive(Debug)]
pub(super) struct Fanotify(OwnedFd);

/// A file that was written and closed.
#[derive(Debug)]
pub(super) struct Written {
    file: OwnedFd,
    /// Pid of the process that closed it, 0 when it is outside the agent's pid namespace.
    pub(super) pid: u32,
}

impl Fanotify {
    /// # Errors
    /// [`WatchError`]
    pub(super) fn new() -> Result<Fanotify, WatchError> {
        let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let file_flags =
            libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_LARGEFILE | libc::O_NOATIME;
        // SAFETY: the call takes two integers and returns a new descriptor or -1.
        let fd = unsafe { libc::fanotify_init(flags, file_flags.cast_unsigned()) };
        if fd < 0 {
            return Err(match last_errno() {
                Errno::PERM => WatchError::Privilege,
                errno => WatchError::Kernel { call: "fanotify_init", errno },
            });
        }
        // SAFETY: the kernel just made this descriptor for us and nobody else knows it.
        Ok(Fanotify(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Asks for the files of a directory, given any descriptor of it.
    ///
    /// # Errors
    /// What `fanotify_mark(2)` says.
    pub(super) fn mark(&self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        self.change(libc::FAN_MARK_ADD | libc::FAN_MARK_ONLYDIR, directory)
    }

    /// Asks for them no more. Fails when the directory is gone, and then there is nothing to do.
    pub(super) fn unmark(&self, directory: BorrowedFd<'_>) {
        let _ = self.change(libc::FAN_MARK_REMOVE | libc::FAN_MARK_ONLYDIR, directory);
    }

    fn change(&self, action: libc::c_uint, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        // An O_PATH descriptor is refused itself (`fdget` in `fanotify_find_path`), its link in /proc is not.
        let path = format!("/proc/self/fd/{}\0", directory.as_raw_fd());
        let mask = libc::FAN_CLOSE_WRITE | libc::FAN_EVENT_ON_CHILD;
        // SAFETY: the path ends with a NUL and outlives the call, which reads nothing else.
        let result = unsafe {
            libc::fanotify_mark(self.0.as_raw_fd(), action, mask, libc::AT_FDCWD, path.as_ptr().cast())
        };
        if result < 0 { Err(last_errno()) } else { Ok(()) }
    }

    /// The files that wait to be looked at.
    pub(super) fn read(&self, drained: &mut Drained) -> Vec<Written> {
        let mut buffer = [MaybeUninit::uninit(); BATCH * METADATA];
        let events = match rustix::io::read(&self.0, buffer.as_mut_slice()) {
            Ok((events, _)) => events,
            Err(Errno::AGAIN | Errno::INTR) => return Vec::new(),
            Err(_) => {
                // A file could not be opened for us (too many open files, an I/O error); its event is spent.
                (drained.lost, drained.more) = (true, true);
                return Vec::new();
            }
        };
        drained.more |= events.len() + METADATA > BATCH * METADATA;
        let mut written = Vec::with_capacity(events.len() / METADATA);
        let mut rest = &*events;
        while let Some((event, length)) = Event::parse(rest) {
            if event.mask & libc::FAN_Q_OVERFLOW != 0 || event.fd < 0 {
                drained.lost = true;
            } else {
                // SAFETY: the kernel made this descriptor for the reader of the event, which is us alone.
                let file = unsafe { OwnedFd::from_raw_fd(event.fd) };
                written.push(Written { file, pid: event.pid });
            }
            rest = rest.get(length..).unwrap_or_default();
        }
        written
    }
}

impl AsFd for Fanotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The fields of `struct fanotify_event_metadata` that matter here.
struct Event {
    mask: u64,
    fd: i32,
    pid: u32,
}

impl Event {
    /// Reads the first event of a buffer and tells its length.
    fn parse(bytes: &[u8]) -> Option<(Event, usize)> {
        let field = |at: usize| bytes.get(at..at + 4)?.try_into().ok();
        let length = u32::from_ne_bytes(field(0)?) as usize;
        let mask = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
        let (fd, pid) = (i32::from_ne_bytes(field(16)?), u32::from_ne_bytes(field(20)?));
        (length >= METADATA).then_some((Event { mask, fd, pid }, length))
    }
}

impl Written {
    /// The file itself.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Its path now, or the last one that it had, as the agent's root sees it.
    fn path(&self) -> Option<Vec<u8>> {
        let link = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let path = rustix::fs::readlink(link, Vec::new()).ok()?.into_bytes();
        // The kernel appends this to a path that was unlinked (`d_path`); a linked file may be called so as well.
        let is_unlinked = rustix::fs::fstat(&self.file).is_ok_and(|stat| stat.st_nlink == 0);
        Some(match path.strip_suffix(b" (deleted)") {
            Some(path) if is_unlinked => path.to_vec(),
            _ => path,
        })
    }

    /// The last part of its path.
    pub(super) fn name(&self) -> Option<Vec<u8>> {
        self.path()?.rsplit(|&b| b == b'/').next().map(<[u8]>::to_vec)
    }

    /// The path without its last part; empty for the root directory.
    pub(super) fn parent(&self) -> Option<Vec<u8>> {
        let path = self.path()?;
        let slash = path.iter().rposition(|&b| b == b'/')?;
        path.get(..slash).map(<[u8]>::to_vec)
    }

    /// True for a plain file that is no larger than a marker may be.
    pub(super) fn is_small_file(&self) -> bool {
        match rustix::fs::fstat(&self.file) {
            Ok(stat) => check(self.file.as_fd(), &[stat.st_uid], MARKER_CAP).is_ok(),
            Err(_) => false,
        }
    }

    /// Its content, when it may be trusted.
    ///
    /// # Errors
    /// [`FileError`]
    pub(super) fn image(&self, owners: &[u32]) -> Result<FileImage, FileError> {
        read_open(self.file.as_fd(), owners, MARKER_CAP)
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
