//! The kernel's own ring of messages, which is there without a journal too.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use super::{Kind, Subject, Told, finding};
use crate::host::clock;

/// Largest record of `/dev/kmsg`, with room to spare.
const RECORD: usize = 16 << 10;
/// Records that are read at most.
const MAX_RECORDS: usize = 100_000;

/// What `/dev/kmsg` holds. Its clock stands still while the host is suspended, so times before a suspension are late.
pub(super) fn findings(subject: &Subject) -> Told {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let kmsg =
        rustix::fs::open("/dev/kmsg", flags, Mode::empty()).map_err(|why| format!("/dev/kmsg: {why}"))?;
    let now = clock_gettime(ClockId::Monotonic);
    let boot = clock::unix_s() - (now.tv_sec as f64 + now.tv_nsec as f64 / 1e9);
    let mut buffer = vec![0; RECORD];
    let mut all = Vec::new();
    for _ in 0..MAX_RECORDS {
        let length = match rustix::io::read(&kmsg, buffer.as_mut_slice()) {
            Ok(0) | Err(Errno::AGAIN) => break,
            Ok(length) => length,
            // Overwritten meanwhile; the next read goes on behind it.
            Err(Errno::PIPE | Errno::INTR) => continue,
            Err(why) => return Err(format!("/dev/kmsg: {why}")),
        };
        let record = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default());
        let Some((seconds, text)) = parse(&record) else { continue };
        if let Some(kind) = kind(text, subject) {
            all.push(finding(boot + seconds, kind, "the kernel's log", text));
        }
    }
    Ok(all)
}

/// Seconds and text of `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT`, unless a process wrote it.
fn parse(record: &str) -> Option<(f64, &str)> {
    let (head, body) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u32 = fields.next()?.parse().ok()?;
    let microseconds: u64 = fields.nth(1)?.parse().ok()?;
    (priority >> 3 == 0).then(|| (microseconds as f64 / 1e6, body.lines().next().unwrap_or_default()))
}

/// What a line is about, when that is an end. Of a process, only lines that name it; of a unit, those about all processes, since
/// a log does not keep who belonged to it, unless the line names another cgroup.
pub(super) fn kind(text: &str, subject: &Subject) -> Option<Kind> {
    let kind = if text.contains("Killed process ") || text.starts_with("oom-kill:") {
        Kind::Oom
    } else if text.contains("segfault at ")
        || text.starts_with("traps: ")
        || text.contains("general protection")
    {
        Kind::Crash
    } else if text.contains("type=1326") {
        Kind::Signal
    } else {
        return None;
    };
    let is_about = match subject {
        Subject::Process(pid) => names(text, *pid),
        Subject::Unit(place) => match text.split_once("task_memcg=") {
            Some((_, path)) => {
                path.split(',').next().unwrap_or_default().split('/').any(|part| part == place.unit)
            }
            // The name of a process has at most 15 bytes, and need not be that of the unit.
            None => true,
        },
    };
    is_about.then_some(kind)
}

/// True when a line names a process by its pid: `Killed process 812 (gw)`, `gw[812]: segfault`, `pid=812`. Other numbers are not
/// pids.
fn names(text: &str, pid: u32) -> bool {
    let assigned = format!("pid={pid}");
    text.contains(&format!("Killed process {pid} ("))
        || text.contains(&format!("[{pid}]"))
        || text.split([' ', ',']).any(|word| word == assigned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::unit::{Scope, UnitPath};

    #[test]
    fn lines_about_ends() {
        let gateway = Subject::Unit(UnitPath::named("gw", Scope::System).expect("a unit"));
        let oom = "Out of memory: Killed process 812 (gw) total-vm:1kB, anon-rss:2kB";
        assert_eq!(kind(oom, &Subject::Process(812)), Some(Kind::Oom));
        assert_eq!(kind(oom, &Subject::Process(81)), None);
        let of = "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/a,task_memcg=/system.slice/gw.service,task=gw,pid=8";
        assert_eq!(kind(of, &gateway), Some(Kind::Oom));
        assert_eq!(kind(&of.replace("gw.service", "db.service"), &gateway), None);
        assert_eq!(
            kind("gw[812]: segfault at 8 ip 1 sp 2 error 4", &Subject::Process(812)),
            Some(Kind::Crash)
        );
        let of_another = "gw[812]: segfault at 8 ip 1 sp 2 error 4 likely on CPU 1 (core 1, socket 0)";
        assert_eq!(kind(of_another, &Subject::Process(1)), None, "the number of a processor");
        assert_eq!(kind("eth0: link up", &gateway), None);
    }

    #[test]
    fn only_the_kernel_is_believed() {
        assert_eq!(parse("3,339,5140900,-;Out of memory\n SUBSYSTEM=x"), Some((5.1409, "Out of memory")));
        assert_eq!(parse("12,339,5140900,-;Out of memory"), None);
        assert_eq!(parse("junk"), None);
    }
}
