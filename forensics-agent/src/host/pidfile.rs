//! Pidfiles: which process a service says it is.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

/// How much of the file is looked at, bytes. The first line must end in it.
const CONSIDERED: u64 = 64;
/// `PID_MAX_LIMIT` of 64-bit kernels, `include/linux/threads.h`.
const PID_MAX: u32 = 4 << 20;

/// What a pidfile says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pidfile {
    /// The pid on its first line, 1 to 4194304; the process need not exist, or be the one that wrote it.
    pub pid: u32,
    /// Unix time of the last change, seconds. A process that started later did not write it.
    pub modified: f64,
}

/// Why a pidfile was not read.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// It cannot be opened or read.
    #[error("cannot read pidfile {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a directory, a device, a pipe or a socket.
    #[error("pidfile {} is not a regular file", .path.display())]
    NotRegular {
        /// The file.
        path: PathBuf,
    },
    /// Its first line is something else.
    #[error("pidfile {} does not begin with a process id", .path.display())]
    NotAPid {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a pidfile. Never blocks on a pipe and never opens a device, whatever the path leads to.
///
/// # Errors
/// [`PidfileError`], one sentence with the path. What the file says instead of a pid is not repeated: the path may
/// lead to a file that its owner wants to be read by root.
pub fn read(path: &Path) -> Result<Pidfile, PidfileError> {
    let failed = |source: io::Error| PidfileError::Io { path: path.to_owned(), source };
    // O_PATH opens nothing: the file's kind is known before a driver or a pipe gets to see an open(2).
    let handle = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| failed(e.into()))?;
    let stat = rustix::fs::fstat(&handle).map_err(|e| failed(e.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(PidfileError::NotRegular { path: path.to_owned() });
    }
    let mut text = Vec::new();
    reopen(&handle).map_err(failed)?.take(CONSIDERED).read_to_end(&mut text).map_err(failed)?;
    match pid_of(&text) {
        Some(pid) => Ok(Pidfile { pid, modified: stat.st_mtime as f64 + stat.st_mtime_nsec as f64 / 1e9 }),
        None => Err(PidfileError::NotAPid { path: path.to_owned() }),
    }
}

/// The pid on the first line of a file that begins so, 1 to 4194304.
pub(super) fn pid_of(text: &[u8]) -> Option<u32> {
    let text = text.get(..CONSIDERED as usize).unwrap_or(text);
    first_line(text).and_then(parse)
}

/// Opens for reading what an `O_PATH` handle stands for, by the link that proc(5) has for it.
fn reopen(handle: &OwnedFd) -> io::Result<File> {
    let link = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(link, flags, Mode::empty())?.into())
}

/// The first line, when it ends within what was read.
fn first_line(text: &[u8]) -> Option<&[u8]> {
    match text.iter().position(|&byte| byte == b'\n') {
        Some(end) => text.get(..end),
        None => ((text.len() as u64) < CONSIDERED).then_some(text),
    }
}

fn parse(line: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(line.trim_ascii()).ok()?;
    // `parse` alone would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|pid| (1..=PID_MAX).contains(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("pidfile-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("create");
            Self(path)
        }

        fn file(&self, content: &[u8]) -> PathBuf {
            let path = self.0.join("pid");
            std::fs::write(&path, content).expect("write");
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_first_line_counts() {
        let dir = Dir::new("good");
        for content in
            ["42", "42\n", "  42 \r\n", "42\n/var/lib/postgresql\n5432\nmore than sixty-four bytes of it\n"]
        {
            let read = read(&dir.file(content.as_bytes())).expect(content);
            assert_eq!(read.pid, 42, "{content:?}");
            let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            assert!((age.as_secs_f64() - read.modified).abs() < 60.0, "{read:?}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let dir = Dir::new("bad");
        let spaces = " ".repeat(63) + "42\n";
        let bad: [&[u8]; 12] = [
            b"",
            b"\n42\n",
            b"0",
            b"-42",
            b"+42",
            b"42 43",
            b"4194305",
            b"99999999999999999999",
            b"0x2a",
            b"\xff\xfe",
            b"root:x:0:0\n",
            spaces.as_bytes(),
        ];
        for content in bad {
            let path = dir.file(content);
            let message = read(&path).expect_err("refused").to_string();
            assert_eq!(message, format!("pidfile {} does not begin with a process id", path.display()));
        }
    }

    #[test]
    fn only_regular_files_are_opened() {
        let dir = Dir::new("kinds");
        let fifo = dir.0.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .expect("mkfifo");
        for path in [fifo.as_path(), &dir.0, Path::new("/dev/zero")] {
            let message = read(path).expect_err("refused").to_string();
            assert_eq!(message, format!("pidfile {} is not a regular file", path.display()));
        }
    }

    #[test]
    fn a_link_is_followed_and_a_missing_file_is_named() {
        let dir = Dir::new("link");
        let link = dir.0.join("link");
        std::os::unix::fs::symlink(dir.file(b"7\n"), &link).expect("symlink");
        assert_eq!(read(&link).expect("read").pid, 7);
        let gone = dir.0.join("gone");
        let message = read(&gone).expect_err("refused").to_string();
        assert_eq!(
            message,
            format!("cannot read pidfile {}: No such file or directory (os error 2)", gone.display())
        );
    }
}
