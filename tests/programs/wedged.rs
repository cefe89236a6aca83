//! A process whose command line cannot be read: whoever tries waits until it is gone.
//!
//! `wedged DIRECTORY` tells the pid of a child that holds the lock of its own memory while it waits for a file server, as a
//! process may that has lost its own: a page of a FUSE file, written to by way of a mapping, is replaced by another mapping,
//! whereupon the kernel writes it back. This program is the server, and never answers that. With its end all is let go.
//! Before Linux 6.16 the kernel writes back a copy and does not wait; the child sleeps then.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let directory = words.next().context("no directory")?;
    if words.next().is_some() {
        return hold(&directory);
    }
    // The mount is for nobody else, and goes with this process.
    // SAFETY: there is one thread, and it shares no descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("unshare")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("mount --make-private")?;
    let device = File::options().read(true).write(true).open("/dev/fuse").context("/dev/fuse")?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    mount("none", &directory, "fuse", MountFlags::empty(), CString::new(options)?.as_c_str())
        .context("mount")?;
    let mut child = Command::new(std::env::current_exe()?);
    child.args([&directory, "hold"]).stdin(Stdio::null()).spawn().context("cannot start the child")?;
    serve(device)
}

/// The child's part.
fn hold(directory: &str) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let file = File::options().read(true).write(true).open(format!("{directory}/page")).context("no file")?;
    let map = |address: *mut libc::c_void, flags: i32, file: i32| {
        // SAFETY: a new mapping, or one in the place of a page that only this function knows.
        unsafe { libc::mmap(address, PAGE, libc::PROT_READ | libc::PROT_WRITE, flags, file, 0) }
    };
    let page = map(std::ptr::null_mut(), libc::MAP_SHARED, file.as_raw_fd());
    ensure!(page != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
    // SAFETY: it was just mapped for writing.
    unsafe { page.cast::<u8>().write_volatile(1) };
    println!("ready {}", std::process::id());
    map(page, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED, -1);
    loop {
        std::thread::park();
    }
}

/// Size of the file and of its mapping, bytes.
const PAGE: usize = 4096;

/// Answers what is needed to open and read the one file, see `include/uapi/linux/fuse.h`, and never a write.
fn serve(mut device: File) -> Result<()> {
    const LOOKUP: u32 = 1;
    const GETATTR: u32 = 3;
    const OPEN: u32 = 14;
    const READ: u32 = 15;
    const WRITE: u32 = 16;
    const INIT: u32 = 26;
    /// FORGET, INTERRUPT and BATCH_FORGET want no answer.
    const MUTE: [u32; 4] = [WRITE, 2, 36, 42];
    const FILE: u64 = 2;
    let mut request = vec![0; 1 << 17];
    loop {
        let length = device.read(&mut request).context("/dev/fuse")?;
        let header = request.get(..length.min(40)).unwrap_or_default();
        let bytes = |at: usize| header.get(at..at + 4)?.try_into().ok();
        let word = |at: usize| bytes(at).map_or(0, u32::from_ne_bytes);
        let (opcode, unique, node) = (word(4), [word(8), word(12)], u64::from(word(16)));
        let mut reply = Reply::default();
        match opcode {
            INIT => reply.u32s(&[7, 31, 0, 0, 0, 4096, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            LOOKUP => {
                reply.u64s(&[FILE, 0, 3600, 3600, 0]);
                reply.attributes(FILE);
            }
            GETATTR => {
                reply.u64s(&[3600, 0]);
                reply.attributes(node);
            }
            OPEN => reply.u64s(&[0, 0]),
            READ => reply.body.resize(PAGE, 0),
            _ if MUTE.contains(&opcode) => continue,
            _ => reply.error = -libc::ENOSYS,
        }
        device.write_all(&reply.message(unique))?;
    }
}

/// An answer as it grows.
#[derive(Default)]
struct Reply {
    error: i32,
    body: Vec<u8>,
}

impl Reply {
    fn u32s(&mut self, values: &[u32]) {
        self.body.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }

    fn u64s(&mut self, values: &[u64]) {
        self.body.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }

    /// `struct fuse_attr` of the root directory or of the file.
    fn attributes(&mut self, node: u64) {
        let mode = if node == 1 { libc::S_IFDIR | 0o755 } else { libc::S_IFREG | 0o644 };
        self.u64s(&[node, PAGE as u64, 8, 0, 0, 0]);
        self.u32s(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]);
    }

    fn message(self, unique: [u32; 2]) -> Vec<u8> {
        let length = u32::try_from(16 + self.body.len()).unwrap_or(0);
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(self.error.to_ne_bytes());
        message.extend(unique.iter().flat_map(|word| word.to_ne_bytes()));
        message.extend(self.body);
        message
    }
}
