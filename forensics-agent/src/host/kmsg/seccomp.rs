//! Audit records of seccomp, which the kernel log has where no audit daemon runs: `kernel/auditsc.c`
//! `audit_seccomp()`. Strict mode and the end of a single thread raise no signal, so this is all there is of them.

use std::collections::VecDeque;

use forensics_incident::model::SeccompReport;

use super::{keep, value};
use crate::host::syscalls;

/// `AUDIT_SECCOMP`, `include/uapi/linux/audit.h`.
const PREFIX: &str = "audit: type=1326 ";

/// The records that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct SeccompReports(VecDeque<(u32, SeccompReport)>);

impl SeccompReports {
    /// The last record about `pid`.
    pub(super) fn take(&mut self, pid: u32) -> Option<SeccompReport> {
        let at = self.0.iter().rposition(|(subject, _)| *subject == pid)?;
        self.0.remove(at).map(|(_, report)| report)
    }

    /// Takes in a line of the log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((pid, report)) = line.strip_prefix(PREFIX).and_then(parse) {
            keep(&mut self.0, (pid, report));
        }
    }
}

/// `audit(…): auid=… pid=812 comm="x" exe="/x" sig=9 arch=c000003e syscall=110 compat=0 ip=0x… code=0x0`; what
/// programs choose stands in quotes or in hexadecimal digits (`audit_log_untrustedstring()`).
fn parse(record: &str) -> Option<(u32, SeccompReport)> {
    // A name in quotes may hold blanks; what is looked for stands before and after the names.
    let (before, _) = record.split_once(" comm=")?;
    let (_, after) = record.rsplit_once(" sig=")?;
    let pid = value(before, ' ', "pid")?.parse().ok()?;
    let signal_num = after.split(' ').next()?.parse().ok().filter(|&signal| signal != 0)?;
    let arch = u32::from_str_radix(value(after, ' ', "arch")?, 16).ok()?;
    let number = value(after, ' ', "syscall")?.parse().ok()?;
    let action = u32::from_str_radix(value(after, ' ', "code")?.strip_prefix("0x")?, 16).ok()?;
    Some((pid, SeccompReport { signal_num, syscall: Some(syscalls::name(arch, number)), action }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_recorded_line() {
        let mut reports = SeccompReports::default();
        reports.line(
            "audit: type=1326 audit(1795495890.240:32): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=21127 comm=\"a sig=5\" exe=\"/tmp/victim\" sig=9 arch=c000003e syscall=110 compat=0 ip=0x7fa984d784f7 code=0x0",
        );
        let report = reports.take(21127).unwrap();
        assert_eq!(report, SeccompReport { signal_num: 9, syscall: Some("getppid".to_owned()), action: 0 });
        assert_eq!(reports.take(21127), None);
    }

    #[test]
    fn what_was_only_logged_killed_nobody() {
        let mut reports = SeccompReports::default();
        reports.line(
            "audit: type=1326 audit(1.2:3): auid=0 uid=0 gid=0 ses=1 pid=7 comm=\"x\" exe=\"/x\" sig=0 arch=c000003e syscall=110 compat=0 ip=0x7 code=0x7ffc0000",
        );
        reports
            .line("audit: type=1400 audit(1.2:3): pid=7 comm=\"x\" sig=9 arch=c000003e syscall=1 code=0x0");
        assert_eq!(reports.take(7), None);
    }
}
