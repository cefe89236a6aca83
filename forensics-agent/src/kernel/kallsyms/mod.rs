//! The names of kernel functions by address, from `/proc/kallsyms`.
//!
//! Reading that file costs: 55 ms for the 122,117 lines of a 6.18 kernel, 43 of them in the kernel, which
//! formats every line anew and cannot seek. An incident must not wait for that, so that the table is read
//! once, in the background after the programs are attached, and answers in well under a microsecond from
//! then on. It keeps text symbols only, and of those none that no return address can lie in (half of all
//! are `__pfx_` paddings): 64,000 remain, in 1.8 MB.

mod table;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use table::{Builder, Table};
use thiserror::Error;

/// Where the kernel lists its symbols.
pub const PATH: &str = "/proc/kallsyms";
/// Where `packaging/forensics-agent.service` has the same list: systemd hides it together with the kernel's settings
/// (`ProtectKernelTunables=` in systemd.exec(5)).
const PATH_IN_SERVICE: &str = "/run/forensics-agent/kallsyms";

/// Bytes of a line that are looked at: address, type, `KSYM_NAME_LEN` (512 since 6.1) and `MODULE_NAME_LEN`.
const MAX_LINE: u64 = 1024;
/// Bytes from the start of a function that still belong to it. Larger ones are rare; farther off lies
/// code that came after the table was read (a module, a JIT-compiled program).
const MAX_FUNCTION: u64 = 64 * 1024;

/// Why there are no names.
#[derive(Debug, Error)]
pub enum KallsymsError {
    /// The file could not be read.
    #[error("cannot read the kernel's symbols from {path}: {source}")]
    Unreadable {
        /// The file that was tried.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel shows every address as zero.
    #[error(
        "the kernel hides the addresses of its symbols: CAP_SYSLOG is missing, or kernel.kptr_restrict is 2"
    )]
    Hidden,
    /// There is not one text symbol in it.
    #[error("the kernel lists no symbols: CONFIG_KALLSYMS is missing, or the file is damaged")]
    Empty,
}

/// Functions of the running kernel, its modules and its JIT-compiled programs as they were when it was read.
#[derive(Debug)]
pub struct Kallsyms {
    table: Table,
}

/// A function and a place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name with the compiler's suffixes and the module: `ext4_sync_file [ext4]`, `__tty_hangup.part.0`.
    /// [`super::mechanism::base_name`] takes them off.
    pub name: &'a str,
    /// Bytes from its start to the address.
    pub offset: u64,
}

impl Kallsyms {
    /// Reads the symbols of the running kernel. Takes as long as [`Self::load`].
    ///
    /// # Errors
    ///
    /// As [`Self::load`].
    pub fn load_running() -> Result<Self, KallsymsError> {
        Self::load(Path::new(PATH)).or_else(|error| match error {
            KallsymsError::Hidden => Err(error),
            KallsymsError::Unreadable { .. } | KallsymsError::Empty => {
                Self::load(Path::new(PATH_IN_SERVICE)).map_err(|_| error)
            }
        })
    }

    /// Reads a symbol file. Takes some 55 ms: not for a thread that somebody waits for.
    ///
    /// # Errors
    ///
    /// [`KallsymsError`]; above all [`KallsymsError::Hidden`] without CAP_SYSLOG.
    pub fn load(path: &Path) -> Result<Self, KallsymsError> {
        let unreadable = |source| KallsymsError::Unreadable { path: path.display().to_string(), source };
        let file = File::open(path).map_err(unreadable)?;
        Self::read(BufReader::with_capacity(64 * 1024, file)).map_err(|error| match error {
            ReadError::Io(source) => unreadable(source),
            ReadError::Useless(error) => error,
        })
    }

    fn read(mut reader: impl BufRead) -> Result<Self, ReadError> {
        let mut builder = Builder::default();
        let mut line = Vec::with_capacity(256);
        let mut hidden = false;
        let mut starts_line = true;
        loop {
            line.clear();
            if reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let ends_line = line.last() == Some(&b'\n');
            // Pieces of a line that is too long are no lines; the last line may lack its end.
            let is_whole = starts_line && (ends_line || (line.len() as u64) < MAX_LINE);
            if is_whole && let Some((address, name)) = parse(&line) {
                hidden |= address == 0;
                if address != 0 {
                    builder.push(address, name);
                }
            }
            starts_line = ends_line;
        }
        match builder.finish() {
            Some(table) => Ok(Self { table }),
            None if hidden => Err(ReadError::Useless(KallsymsError::Hidden)),
            None => Err(ReadError::Useless(KallsymsError::Empty)),
        }
    }

    /// The function that a return address leads back to: the one that holds the byte before it, since a
    /// call may be the last instruction of a function.
    pub fn resolve(&self, return_address: u64) -> Option<Symbol<'_>> {
        let (start, name) = self.table.at_or_before(return_address.checked_sub(1)?)?;
        let offset = return_address - start;
        (offset <= MAX_FUNCTION).then_some(Symbol { name, offset })
    }

    /// The names on a stack; what has none is written as a hexadecimal address.
    pub fn names(&self, stack: &[u64]) -> Vec<String> {
        let name = |address: &u64| {
            self.resolve(*address).map_or_else(|| format!("{address:#x}"), |symbol| symbol.name.to_owned())
        };
        stack.iter().map(name).collect()
    }
}

enum ReadError {
    Io(io::Error),
    Useless(KallsymsError),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A text symbol's address and name (with its module) from a line `address type name[\t[module]]`, as
/// `kernel/kallsyms.c` s_show() writes it. None for data, for what is no line, and for symbols in which no
/// return address can lie.
fn parse(line: &[u8]) -> Option<(u64, &str)> {
    /// Paddings and preambles before functions, jump pads of static calls, bodies that do nothing.
    const NEVER_ON_A_STACK: &[&str] = &["__pfx_", "__cfi_", "__SCT__", "__probestub_"];

    let line = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line)).ok()?;
    let (address, rest) = line.split_once(' ')?;
    let (kind, name) = rest.split_once(' ')?;
    let is_text = matches!(kind, "t" | "T" | "w" | "W");
    let is_clean = name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b'\t') && !name.is_empty();
    if !is_text || !is_clean || NEVER_ON_A_STACK.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    // from_str_radix would take a sign.
    let is_hex = address.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u64::from_str_radix(address, 16).ok().filter(|_| is_hex)?, name))
}
