//! What the kernel log says of deaths: reports of the out-of-memory killer, of seccomp and of processor exceptions.
//!
//! The log is opened before anything is watched, at its end, and read when a death asks for it: there is nothing to
//! wake up for in between, and the kernel's ring holds what nobody has read yet.

mod faults;
mod oom;
mod seccomp;

use std::{
    collections::VecDeque,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use forensics_incident::model::{CodeLocation, KernelLog, OomReport};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{Mode, OFlags, SeekFrom},
    io::Errno,
};

use faults::FaultReports;
use oom::OomReports;
use seccomp::SeccompReports;

/// Largest record of `/dev/kmsg` (`PRINTKRB_RECORD_MAX`, `kernel/printk/internal.h`), with room to spare.
const RECORD: usize = 16 << 10;
/// How long one reading may take, however much was logged.
const READ_FOR: Duration = Duration::from_millis(20);
/// How long a line is waited for that the kernel writes just after the signal: `__oom_kill_process()` sends first.
const WAIT_FOR: Duration = Duration::from_millis(50);
/// Reports of each kind that are kept.
const KEEP: usize = 64;

/// The kernel log from now on.
#[derive(Debug)]
pub struct KernelLogReader {
    kmsg: OwnedFd,
    buffer: Vec<u8>,
    oom: OomReports,
    seccomp: SeccompReports,
    faults: FaultReports,
}

impl KernelLogReader {
    /// Opens the log at its end.
    ///
    /// # Errors
    ///
    /// As `open(2)` and `lseek(2)` of `/dev/kmsg`: EPERM without CAP_SYSLOG where `kernel.dmesg_restrict` is set.
    pub fn open() -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let kmsg = rustix::fs::open("/dev/kmsg", flags, Mode::empty())?;
        rustix::fs::seek(&kmsg, SeekFrom::End(0))?;
        Ok(Self {
            kmsg,
            buffer: vec![0; RECORD],
            oom: OomReports::default(),
            seccomp: SeccompReports::default(),
            faults: FaultReports::default(),
        })
    }

    /// What the log says of the death of `pid` by the out-of-memory killer; waited for shortly.
    pub fn oom(&mut self, pid: u32) -> Option<KernelLog> {
        let found = self.wait_for(|log| log.oom.take(pid));
        found.map(|oom| KernelLog { oom: Some(oom), seccomp: None })
    }

    /// The last report of the out-of-memory killer, whoever it chose: without its figures about the victim.
    pub fn last_oom(&mut self) -> Option<OomReport> {
        self.read();
        self.oom.last().map(|report| OomReport { anon_rss: None, oom_score_adj: None, ..report.clone() })
    }

    /// What the log says of the death of `pid` by seccomp, which is written before the death.
    pub fn seccomp(&mut self, pid: u32) -> Option<KernelLog> {
        self.read();
        let found = self.seccomp.take(pid);
        found.map(|seccomp| KernelLog { oom: None, seccomp: Some(seccomp) })
    }

    /// In which file the log says that thread `tid` had its last exception, which is written before its signal.
    pub fn fault(&mut self, tid: u32) -> Option<CodeLocation> {
        self.read();
        self.faults.take(tid)
    }

    fn wait_for<T>(&mut self, look: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + WAIT_FOR;
        loop {
            self.read();
            let found = look(self);
            let left = deadline.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                return found;
            }
            let patience = left.try_into().ok()?;
            match poll(&mut [PollFd::new(&self.kmsg, PollFlags::IN)], Some(&patience)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Reads what there is, see `Documentation/ABI/testing/dev-kmsg`.
    fn read(&mut self) {
        let deadline = Instant::now() + READ_FOR;
        while Instant::now() < deadline {
            match rustix::io::read(&self.kmsg, self.buffer.as_mut_slice()) {
                Ok(0) => return,
                Ok(length) => {
                    let record = String::from_utf8_lossy(self.buffer.get(..length).unwrap_or_default());
                    if let Some(line) = text_of_kernel(&record) {
                        self.oom.line(line);
                        self.seccomp.line(line);
                        self.faults.line(line);
                    }
                }
                // The record was overwritten meanwhile, and the next read continues behind it.
                Err(Errno::PIPE | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// The text of `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`, unless a process wrote it: anyone with the rights may
/// write to `/dev/kmsg`, but not with the facility of the kernel (`kernel/printk/printk.c` `devkmsg_write()`).
fn text_of_kernel(record: &str) -> Option<&str> {
    let (head, body) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    (priority >> 3 == 0).then(|| body.lines().next().unwrap_or_default())
}

/// Appends to a bounded queue, the oldest going first.
fn keep<T>(queue: &mut VecDeque<T>, item: T) {
    while queue.len() >= KEEP {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// The value of `key` in `KEY=VALUE` words that `separator` divides.
fn value<'a>(line: &'a str, separator: char, key: &str) -> Option<&'a str> {
    line.split(separator).find_map(|word| word.trim().strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_kernel_is_believed() {
        assert_eq!(text_of_kernel("3,339,5140900,-;Out of memory\n SUBSYSTEM=x"), Some("Out of memory"));
        assert_eq!(text_of_kernel("12,339,5140900,-;Out of memory"), None, "facility 1 is a user's");
        assert_eq!(text_of_kernel("garbage"), None);
    }

    proptest! {
        #[test]
        fn any_line_is_refused_or_read(line in ".{0,160}") {
            let (mut oom, mut seccomp) = (OomReports::default(), SeccompReports::default());
            let mut faults = FaultReports::default();
            let starts = ["", "memory: usage ", "oom-kill:", "Killed process ", "[ ", "audit: type=1326 ", "traps: ", "x[1]: segfault at "];
            for start in starts {
                let line = format!("{start}{line}");
                let _ = text_of_kernel(&line);
                oom.line(&line);
                seccomp.line(&line);
                faults.line(&line);
            }
        }
    }
}
