//! Reports of the out-of-memory killer, line by line: `mm/oom_kill.c`, `mm/memcontrol.c`.
//!
//! The kernel writes a report under `oom_lock`, so two of them never mix; other lines may stand between.

use std::collections::VecDeque;

use forensics_incident::model::{Chosen, Consumer, OomReport};

use super::{keep, value};

/// Processes of the table that are kept.
const LARGEST: usize = 5;
/// `TASK_COMM_LEN` of `include/linux/sched.h`, without the end.
const COMM: usize = 15;

/// The reports that nobody has asked for yet.
#[derive(Debug, Default)]
pub(super) struct OomReports {
    /// The one that is being written.
    open: OomReport,
    /// It goes on with everybody else of the cgroup.
    is_group: bool,
    killed: VecDeque<(u32, OomReport)>,
    last: Option<OomReport>,
}

impl OomReports {
    /// The report of which `pid` was the victim.
    pub(super) fn take(&mut self, pid: u32) -> Option<OomReport> {
        let at = self.killed.iter().rposition(|(victim, _)| *victim == pid)?;
        self.killed.remove(at).map(|(_, report)| report)
    }

    /// The last report of all, whoever was the victim.
    pub(super) fn last(&self) -> Option<&OomReport> {
        self.last.as_ref()
    }

    /// Takes in a line of the log.
    pub(super) fn line(&mut self, line: &str) {
        if let Some((trigger, _)) = line.split_once(" invoked oom-killer: ") {
            self.open = OomReport { trigger: Some(trigger.to_owned()), ..OomReport::default() };
            self.is_group = false;
        } else if let Some(usage) = line.strip_prefix("memory: ") {
            (self.open.usage, self.open.limit) = (kib(usage, "usage "), kib(usage, "limit "));
        } else if let Some(summary) = line.strip_prefix("oom-kill:") {
            self.open.cgroup = value(summary, ',', "oom_memcg").map(str::to_owned);
            self.open.chosen = chosen(summary);
        } else if line.starts_with("Tasks in ") && line.ends_with(" due to memory.oom.group set") {
            self.is_group = true;
        } else if let Some(consumer) = consumer(line) {
            let largest = &mut self.open.largest;
            let at = largest.partition_point(|held| held.rss >= consumer.rss);
            largest.insert(at, consumer);
            largest.truncate(LARGEST);
        } else if let Some((reason, victim)) = line.split_once(": Killed process ") {
            self.killed(reason, victim);
        }
    }

    /// `812 (nginx) total-vm:1kB, anon-rss:1kB, …, oom_score_adj:0`
    fn killed(&mut self, reason: &str, victim: &str) {
        let Some(pid) = victim.split(' ').next().and_then(|pid| pid.parse().ok()) else { return };
        // The name may hold anything, so the figures are looked for from the end.
        let figure = |key: &str| {
            let (_, rest) = victim.rsplit_once(key)?;
            rest.split([',', ' ', 'k']).next()
        };
        // Of many reports at once the kernel writes only the last line.
        let opened = self.open.chosen.as_ref().is_some_and(|chosen| chosen.pid == pid || self.is_group);
        if !opened {
            let name = victim.split_once(" (").and_then(|(_, rest)| Some(rest.rsplit_once(") total-vm:")?.0));
            let chosen = name.map(|name| Chosen { pid, name: name.to_owned() });
            self.open = OomReport { chosen, ..OomReport::default() };
            self.is_group = false;
        }
        let report = OomReport {
            is_cgroup: reason.starts_with("Memory cgroup"),
            anon_rss: figure("anon-rss:").and_then(|kib| kib.parse::<u64>().ok()?.checked_mul(1024)),
            oom_score_adj: figure("oom_score_adj:").and_then(|adj| adj.trim().parse().ok()),
            ..self.open.clone()
        };
        self.last = Some(report.clone());
        keep(&mut self.killed, (pid, report));
    }
}

/// Whom `constraint=…,task=victim,pid=20948,uid=0` says that it chose; the name may hold anything.
fn chosen(summary: &str) -> Option<Chosen> {
    let (rest, _) = summary.rsplit_once(",uid=")?;
    let (rest, pid) = rest.rsplit_once(",pid=")?;
    let (_, name) = rest.rsplit_once(",task=")?;
    Some(Chosen { pid: pid.parse().ok()?, name: name.to_owned() })
}

/// The figure after `key` in `usage 32768kB, limit 32768kB, failcnt 43`, in bytes.
fn kib(line: &str, key: &str) -> Option<u64> {
    let (_, rest) = line.split_once(key)?;
    rest.split_once("kB")?.0.parse::<u64>().ok()?.checked_mul(1024)
}

/// A row of the table of tasks, `dump_task()`: `[    812]    33   812     9041     8681 … 0 nginx`. The second and
/// fourth figures behind the bracket are the process and its resident pages; the name stands last.
fn consumer(line: &str) -> Option<Consumer> {
    let (pid, row) = line.strip_prefix('[')?.split_once(']')?;
    let _: u32 = pid.trim().parse().ok()?;
    let mut columns = row.split_ascii_whitespace();
    let pid = columns.nth(1)?.parse().ok()?;
    let pages: u64 = columns.nth(1)?.parse().ok()?;
    let rss = pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)?;
    let name = columns.next_back()?.chars().take(COMM).collect();
    Some(Consumer { pid, name, rss })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded on 6.18, memory cgroup version 1; lines without a figure of interest left out.
    const RECORDED: &[&str] = &[
        "victim invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
        "CPU: 1 UID: 0 PID: 20948 Comm: victim Not tainted 6.18.44 #1 PREEMPT",
        "memory: usage 32768kB, limit 32768kB, failcnt 43",
        "swap: usage 0kB, limit 9007199254740988kB, failcnt 0",
        "Memory cgroup stats for /forensics-tests-20796-2:",
        "Tasks state (memory values in pages):",
        "[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name",
        "[  20940]     0 20940      541      181      100       81         0   114688        0             0 helper",
        "[  20948]     0 20948     9041     8681     8192      489         0   114688        0             0 victim",
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/forensics-tests-20796-2,task_memcg=/forensics-tests-20796-2,task=victim,pid=20948,uid=0",
        "Memory cgroup out of memory: Killed process 20948 (victim) total-vm:36164kB, anon-rss:32768kB, file-rss:1956kB, shmem-rss:0kB, UID:0 pgtables:112kB oom_score_adj:-5",
    ];

    fn read(lines: &[&str]) -> OomReports {
        let mut reports = OomReports::default();
        for line in lines {
            reports.line(line);
        }
        reports
    }

    #[test]
    fn a_recorded_report() {
        let mut reports = read(RECORDED);
        assert_eq!(reports.take(20940), None, "who stands in the table was not killed");
        let report = reports.take(20948).unwrap();
        assert_eq!(report.cgroup.as_deref(), Some("/forensics-tests-20796-2"));
        assert_eq!((report.usage, report.limit), (Some(32 << 20), Some(32 << 20)));
        assert_eq!((report.anon_rss, report.oom_score_adj), (Some(32 << 20), Some(-5)));
        assert!(report.is_cgroup);
        assert_eq!(report.trigger.as_deref(), Some("victim"));
        assert_eq!(report.chosen, Some(Chosen { pid: 20948, name: "victim".to_owned() }));
        let names: Vec<_> = report.largest.iter().map(|one| (one.pid, one.name.as_str())).collect();
        assert_eq!(names, [(20948, "victim"), (20940, "helper")]);
        assert_eq!(reports.take(20948), None, "a pid that comes again has a report of its own");
    }

    #[test]
    fn a_whole_cgroup() {
        let mut reports = read(RECORDED);
        reports.line("Tasks in /forensics-tests-20796-2 are going to be killed due to memory.oom.group set");
        reports.line("Memory cgroup out of memory: Killed process 20940 (helper) total-vm:1kB, anon-rss:8kB, oom_score_adj:0");
        let report = reports.take(20940).unwrap();
        assert_eq!(report.chosen.map(|chosen| chosen.pid), Some(20948));
        assert_eq!((report.limit, report.anon_rss), (Some(32 << 20), Some(8192)));
    }

    /// `oom_rs` of `mm/oom_kill.c` lets ten reports through in five seconds, and the last line always.
    #[test]
    fn nothing_of_another_report() {
        let mut reports = read(RECORDED);
        reports.line("Memory cgroup out of memory: Killed process 77 (x) y) total-vm:1kB, anon-rss:8kB, oom_score_adj:0");
        let report = reports.take(77).unwrap();
        assert_eq!((report.cgroup, report.limit, report.usage), (None, None, None));
        assert_eq!(report.chosen, Some(Chosen { pid: 77, name: "x) y".to_owned() }));
        assert!(report.largest.is_empty());
    }

    #[test]
    fn the_whole_machine() {
        let line =
            "Out of memory: Killed process 7 (a) anon-rss:9 (b) total-vm:1kB, anon-rss:8kB, oom_score_adj:0";
        let mut reports = read(&["kworker invoked oom-killer: order=0", line]);
        let report = reports.take(7).unwrap();
        assert!(!report.is_cgroup);
        assert_eq!((report.cgroup, report.limit, report.anon_rss), (None, None, Some(8192)));
        assert_eq!(report.chosen.map(|chosen| chosen.name).as_deref(), Some("a) anon-rss:9 (b"));
    }

    #[test]
    fn a_flood_is_bounded() {
        let mut reports = OomReports::default();
        for pid in 0..10_000 {
            reports.line(&format!("Out of memory: Killed process {pid} (x) oom_score_adj:0"));
        }
        assert_eq!(reports.killed.len(), super::super::KEEP);
    }
}
