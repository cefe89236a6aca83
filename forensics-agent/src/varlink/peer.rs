//! Who is at the other end, as the kernel vouches for it.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use tokio::net::UnixStream;

/// A peer as it was when it connected.
#[derive(Debug)]
pub(super) struct Peer {
    /// Its effective user.
    pub(super) uid: u32,
    /// Its process.
    pub(super) pid: u32,
    /// The same process, when the kernel tells by a descriptor (Linux 6.5 and newer).
    pidfd: Option<OwnedFd>,
}

impl Peer {
    /// Asks the kernel.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| pid > 0);
        let pid = pid.ok_or_else(|| io::Error::other("the peer is in a pid namespace that is not ours"))?;
        Ok(Self { uid: credentials.uid(), pid, pidfd: pidfd(stream.as_raw_fd()) })
    }

    /// True when the process has ended, so that its pid may be another's by now. Not known on older kernels.
    pub(super) fn has_ended(&self) -> bool {
        let Some(pidfd) = &self.pidfd else { return false };
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        // A descriptor of a process is readable when that has ended: pidfd_open(2).
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }
}

/// `SO_PEERPIDFD`, see `include/uapi/asm-generic/socket.h`.
fn pidfd(socket: RawFd) -> Option<OwnedFd> {
    let mut fd: libc::c_int = -1;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes one `int` at most, for which there is room, and its length.
    let result = unsafe {
        libc::getsockopt(
            socket,
            libc::SOL_SOCKET,
            libc::SO_PEERPIDFD,
            std::ptr::from_mut(&mut fd).cast(),
            &raw mut length,
        )
    };
    // SAFETY: the kernel has just made the descriptor for us.
    (result == 0 && fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
