use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix};

/// Entries that may wait for a slow journal. The largest are some 100 KB.
const BACKLOG: usize = 64;
/// How long one entry may wait there.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long they may take when the agent ends.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// A socket to journald. It is connected to nothing, so that journald may be restarted.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    socket: UnixDatagram,
    /// Made when the journal is slow for the first time.
    backlog: Option<Backlog>,
}

/// A thread that sends what the journal did not take at once.
#[derive(Debug)]
struct Backlog {
    queue: SyncSender<Vec<u8>>,
    /// Entries that it has not sent yet.
    waiting: Arc<AtomicUsize>,
}

impl Socket {
    /// # Errors
    /// As `socket(2)`.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { path: path.to_owned(), socket, backlog: None })
    }

    /// Sends an entry at once, or has it sent when the journal is slow.
    ///
    /// # Errors
    /// There is no journal, or it has been slow for long.
    pub(super) fn send(&mut self, entry: Vec<u8>) -> io::Result<()> {
        // What waits goes first.
        if self.backlog.as_ref().is_none_or(Backlog::is_empty) {
            match send(&self.socket, &self.path, &entry) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        let backlog = match &mut self.backlog {
            Some(backlog) => backlog,
            none => none.insert(Backlog::start(&self.path)?),
        };
        backlog.push(entry)
    }
}

impl Backlog {
    fn start(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let (queue, entries) = sync_channel::<Vec<u8>>(BACKLOG);
        let waiting = Arc::<AtomicUsize>::default();
        let (path, left) = (path.to_owned(), Arc::clone(&waiting));
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            for entry in entries {
                if let Err(error) = send(&socket, &path, &entry) {
                    log::warn!("a record did not get into the journal: {error}");
                }
                left.fetch_sub(1, Ordering::AcqRel);
            }
        })?;
        Ok(Self { queue, waiting })
    }

    fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    fn push(&self, entry: Vec<u8>) -> io::Result<()> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.queue.try_send(entry).map_err(|_| {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            io::Error::other(format!("{BACKLOG} records wait for it already"))
        })
    }
}

impl Drop for Backlog {
    /// Gives what waits a last chance.
    fn drop(&mut self) {
        let deadline = Instant::now() + LAST_CHANCE;
        while !self.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// As a datagram, or in a sealed file where it is too large for one.
fn send(socket: &UnixDatagram, path: &Path, entry: &[u8]) -> io::Result<()> {
    match socket.send_to(entry, path) {
        // ENOBUFS where the kernel has no such piece of memory.
        Err(error) if [Errno::MSGSIZE, Errno::NOBUFS].map(Some).contains(&Errno::from_io_error(&error)) => {
            send_file(socket, path, entry)
        }
        sent => sent.map(drop),
    }
}

fn send_file(socket: &UnixDatagram, path: &Path, entry: &[u8]) -> io::Result<()> {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::memfd_create("forensics-agent", flags)?;
    let mut file = std::fs::File::from(file);
    file.write_all(entry)?;
    // journald maps only what cannot change under it.
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let address = SocketAddrUnix::new(path)?;
    rustix::net::sendmsg_addr(socket, &address, &[], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}
