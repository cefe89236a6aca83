//! The bytes of a BTF file.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Deref;
use std::path::Path;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A BTF file whole: as the kernel has it in memory since Linux 6.16, else a copy, which takes ten times longer.
#[derive(Debug)]
pub enum Blob {
    /// The kernel's own pages.
    Mapped {
        /// The first byte.
        at: NonNull<u8>,
        /// How many there are.
        len: usize,
    },
    /// A copy.
    Copied(Vec<u8>),
}

// SAFETY: the memory belongs to no thread, and nobody writes to it.
unsafe impl Send for Blob {}
// SAFETY: as above.
unsafe impl Sync for Blob {}

impl Blob {
    /// Opens a file of `/sys/kernel/btf`. Any other one is copied too, since it could shrink while it is mapped.
    ///
    /// # Errors
    ///
    /// As opening and reading it.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        if path.starts_with("/sys/kernel/btf")
            && let Ok(len) = usize::try_from(file.metadata()?.len())
            // SAFETY: a new mapping, which nothing else refers to. The kernel never changes its type information.
            && let Ok(at) = unsafe {
                mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::PRIVATE, &file, 0)
            }
            && let Some(at) = NonNull::new(at.cast())
        {
            return Ok(Self::Mapped { at, len });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self::Copied(bytes))
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            // SAFETY: the mapping is that long, and lives as long as this does.
            Self::Mapped { at, len } => unsafe { std::slice::from_raw_parts(at.as_ptr(), *len) },
            Self::Copied(bytes) => bytes,
        }
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if let Self::Mapped { at, len } = self {
            // SAFETY: the mapping that `load` made; nobody keeps a reference into it.
            let _ = unsafe { munmap(at.as_ptr().cast(), *len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Blob;

    #[test]
    fn it_is_the_file() {
        let path = Path::new("/sys/kernel/btf/vmlinux");
        let Ok(bytes) = std::fs::read(path) else {
            eprintln!("SKIPPED: this kernel offers no type information");
            return;
        };
        assert!(*Blob::load(path).unwrap() == *bytes);
    }

    #[test]
    fn other_files_are_copied() {
        let path = Path::new("/proc/self/status");
        let blob = Blob::load(path).unwrap();
        assert!(matches!(&blob, Blob::Copied(bytes) if bytes.starts_with(b"Name:")));
        assert!(Blob::load(Path::new("/sys/kernel/btf/no-such-module")).is_err());
    }
}
