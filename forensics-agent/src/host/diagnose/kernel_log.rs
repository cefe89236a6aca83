//! The end of the kernel log: what it says of kills, and what it said last.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::clock::{unix_of_monotonic, utc};

/// Lines about kills that are kept, and last lines whatever they are about.
const LINES: usize = 20;
/// Largest record of `/dev/kmsg` (`PRINTKRB_RECORD_MAX`, `kernel/printk/internal.h`), with room to spare.
const RECORD: usize = 16 << 10;
/// Records that are looked at: more than the largest ring of common kernels holds.
const RECORDS_MAX: usize = 200_000;

/// The last lines, those about kills first.
pub(super) fn tail(deadline: Instant) -> Vec<String> {
    let why = match read_kmsg(deadline) {
        Ok(lines) => return choose(&lines),
        Err(errno) => errno,
    };
    match read_syslog() {
        Ok(lines) => choose(&lines),
        Err(_) => journal(deadline)
            .unwrap_or_else(|| vec![format!("the kernel log cannot be read: /dev/kmsg: {why}")]),
    }
}

/// The last lines that speak of a kill, a line that separates, and the last lines.
fn choose(lines: &[String]) -> Vec<String> {
    let last = |lines: Vec<String>| lines.into_iter().rev().take(LINES).rev().collect::<Vec<_>>();
    let mut chosen = last(lines.iter().filter(|line| is_about_a_kill(line)).cloned().collect());
    chosen.push("...".to_owned());
    chosen.extend(last(lines.to_vec()));
    chosen
}

fn is_about_a_kill(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "oom",
        "out of memory",
        "killed",
        "segfault",
        "general protection",
        "trap ",
        "type=1326",
        "hung",
        "blocked for",
    ]
    .iter()
    .any(|word| line.contains(word))
}

/// Reads all records, see `Documentation/ABI/testing/dev-kmsg`.
fn read_kmsg(deadline: Instant) -> Result<Vec<String>, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let kmsg = rustix::fs::open("/dev/kmsg", flags, Mode::empty())?;
    let mut lines = std::collections::VecDeque::new();
    let mut buffer = vec![0; RECORD];
    for _ in 0..RECORDS_MAX {
        match rustix::io::read(&kmsg, buffer.as_mut_slice()) {
            Ok(0) | Err(Errno::AGAIN) => break,
            Ok(length) => lines.extend(parse_record(buffer.get(..length).unwrap_or_default())),
            // The record was overwritten meanwhile (EPIPE), and the next read continues behind it.
            Err(Errno::PIPE | Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if Instant::now() >= deadline {
            break;
        }
    }
    Ok(lines.into())
}

/// `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT` and then lines of properties.
fn parse_record(record: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(record);
    let (head, body) = text.split_once(';')?;
    let microseconds: u64 = head.split(',').nth(2)?.parse().ok()?;
    let moment = utc(unix_of_monotonic(microseconds as f64 / 1e6));
    Some(format!("{moment} {}", body.lines().next().unwrap_or_default()))
}

/// Reads the ring by `syslog(2)`, which may be allowed where the device is not.
fn read_syslog() -> Result<Vec<String>, Errno> {
    /// `SYSLOG_ACTION_READ_ALL`, `include/linux/syslog.h`.
    const READ_ALL: libc::c_int = 3;
    let mut buffer = vec![0_u8; 1 << 20];
    let length = libc::c_int::try_from(buffer.len()).unwrap_or(libc::c_int::MAX);
    // SAFETY: the kernel writes at most `length` bytes to the buffer, which is that long.
    let read = unsafe { libc::klogctl(READ_ALL, buffer.as_mut_ptr().cast(), length) };
    let Ok(read) = usize::try_from(read) else {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    };
    let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default());
    Ok(text.lines().map(str::to_owned).collect())
}

/// Asks journald, which lets members of its groups read the kernel log.
fn journal(deadline: Instant) -> Option<Vec<String>> {
    let program = ["/usr/bin/journalctl", "/bin/journalctl"]
        .into_iter()
        .find(|path| std::fs::exists(path).ok() == Some(true))?;
    let mut command = Command::new(program);
    command.args(["-k", "-q", "-n", "20", "--no-pager", "-o", "short-iso"]).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    // Twenty lines fit into the pipe, so it can end before anybody reads.
    let status = wait_until(&mut child, deadline);
    if status.is_none() {
        let _ = child.kill();
    }
    let output = child.wait_with_output().ok()?;
    let lines: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (status.is_some_and(|status| status.success()) && !lines.is_empty()).then_some(lines)
}

/// Waits for a child until the deadline.
pub(super) fn wait_until(
    child: &mut std::process::Child,
    deadline: Instant,
) -> Option<std::process::ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records() {
        let record = b"6,339,5140900,-;Out of memory: Killed process 7 (x)\xff\n SUBSYSTEM=acpi\n";
        let line = parse_record(record).unwrap();
        assert!(line.ends_with("Z Out of memory: Killed process 7 (x)\u{fffd}"), "{line}");
        assert!(is_about_a_kill(&line));
        assert_eq!(parse_record(b"garbage"), None);
    }

    #[test]
    fn the_tail_is_bounded() {
        let lines: Vec<_> =
            (0..100).map(|n| if n < 50 { format!("oom {n}") } else { n.to_string() }).collect();
        let chosen = choose(&lines);
        assert_eq!(chosen.len(), 41);
        assert_eq!(
            (chosen[0].as_str(), chosen[19].as_str(), chosen[20].as_str()),
            ("oom 30", "oom 49", "...")
        );
        assert_eq!(chosen.last().map(String::as_str), Some("99"));
    }

    proptest! {
        #[test]
        fn any_record_is_refused_or_read(record in prop::collection::vec(any::<u8>(), 0..128)) {
            let _ = parse_record(&record);
        }
    }
}
