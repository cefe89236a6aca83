//! The agent's own diagnostics: a line each on stderr, apart from what it reports.

use std::io::{self, Write as _};

use forensics_incident::text::escape;
use log::{LevelFilter, Log, Metadata, Record};

/// Writes to stderr, escaped: what is logged may quote foreign bytes.
struct Stderr;

static STDERR: Stderr = Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries have their say too, but not about their own steps. What the kernel programs log bears the name of
        // their crate, `forensics_ebpf`.
        let own = metadata.target().starts_with("forensics_");
        metadata.level() <= if own { log::max_level() } else { LevelFilter::Warn }
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Without a stderr there is nobody to tell.
            let _ = writeln!(
                io::stderr(),
                "forensics-agent: {}: {}",
                record.level().as_str().to_ascii_lowercase(),
                escape(&record.args().to_string())
            );
        }
    }

    fn flush(&self) {}
}

/// Starts them. `quiet` leaves errors only; each `-v` adds a level to warnings; the kernel programs' level is heard
/// in any case.
pub fn start(quiet: bool, verbose: u8, ebpf_log: LevelFilter) {
    let own = match (quiet, verbose) {
        (true, _) => LevelFilter::Error,
        (false, 0) => LevelFilter::Warn,
        (false, 1) => LevelFilter::Info,
        (false, _) => LevelFilter::Debug,
    };
    // A second start (tests in one process) leaves the first logger in place, which is the same one.
    let _ = log::set_logger(&STDERR);
    log::set_max_level(own.max(ebpf_log));
}
