//! All processes of the host, from files that never wait for a process: a wedged one is listed as well.

use std::time::{Duration, Instant};

use forensics_incident::text::escape;

use super::{Redact, clock};
use crate::host::deadline::run_within;
use crate::host::proc::{CMDLINE_CAP, Cmdline, ProcDir, Stat, Status, boot_ns_of_ticks, list_pids};

/// Lines of the table.
const TABLE_MAX: usize = 60;
/// Characters of a command line.
const CMDLINE_CHARS: usize = 200;
/// How long the command line of one process may take.
const ENTRY_DEADLINE: Duration = Duration::from_millis(50);

/// A process of the host.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) stat: Stat,
    uid: Option<u32>,
    /// Share of one processor since it started, percent.
    cpu: f64,
}

/// Reads `stat` and `status` of every process, for which the kernel takes no lock that a process can hold for long. What
/// ends meanwhile is left out.
pub(super) fn read_all(deadline: Instant) -> Vec<Entry> {
    let mut buffer = Vec::with_capacity(4096);
    let mut entries = Vec::new();
    for pid in list_pids().unwrap_or_default() {
        if Instant::now() >= deadline {
            break;
        }
        entries.extend(read_entry(pid, &mut buffer));
    }
    entries
}

fn read_entry(pid: u32, buffer: &mut Vec<u8>) -> Option<Entry> {
    let dir = ProcDir::open(pid).ok()?;
    dir.read(c"stat", buffer, 4096).ok()?;
    let stat = Stat::parse(buffer)?;
    let uid = dir.read(c"status", buffer, 1 << 20).ok().and_then(|_| Status::parse(buffer).uid);
    let seconds = |ticks| boot_ns_of_ticks(ticks) as f64 / 1e9;
    let age = (clock::uptime() - seconds(stat.start_ticks)).max(0.01);
    let cpu = seconds(stat.utime_ticks + stat.stime_ticks) / age * 100.0;
    Some(Entry { stat, uid, cpu })
}

/// The processes that used most of a processor since they started.
pub(super) fn table(entries: &[Entry], deadline: Instant, redact: &Redact) -> Vec<String> {
    let mut entries: Vec<_> = entries.iter().collect();
    let total = entries.len();
    entries.sort_by(|a, b| b.cpu.total_cmp(&a.cpu).then(a.stat.pid.cmp(&b.stat.pid)));
    let page = rustix::param::page_size() as i64 / 1024;
    let now = clock::unix_now() - clock::uptime();
    let mut lines = vec![format!(
        "{:>10} {:>7} {:>7} {:>5} {:>9} S {:20} COMMAND",
        "UID", "PID", "PPID", "%CPU", "RSS-KiB", "START"
    )];
    for Entry { stat, uid, cpu } in entries.into_iter().take(TABLE_MAX) {
        let uid = uid.map_or_else(|| "?".to_owned(), |uid| uid.to_string());
        let started = clock::utc(now + boot_ns_of_ticks(stat.start_ticks) as f64 / 1e9);
        let rss = stat.rss_pages.saturating_mul(page);
        let command = command(stat, deadline, redact);
        let (pid, ppid, state) = (stat.pid, stat.ppid, stat.state);
        lines
            .push(format!("{uid:>10} {pid:>7} {ppid:>7} {cpu:>5.1} {rss:>9} {state} {started:20} {command}"));
    }
    if total > TABLE_MAX {
        lines.push(format!("... and {} more", total - TABLE_MAX));
    }
    lines
}

/// The command line, or the name in brackets as `ps` shows it. Reading it waits for the memory lock of the process,
/// so it is given a moment only.
pub(super) fn command(stat: &Stat, deadline: Instant, redact: &Redact) -> String {
    let name = || format!("[{}]", String::from_utf8_lossy(&stat.comm));
    if stat.is_kernel_thread() || stat.state == 'Z' {
        return escape(&name());
    }
    let allowed = ENTRY_DEADLINE.min(deadline.saturating_duration_since(Instant::now()));
    if allowed.is_zero() {
        return escape(&format!("{} (no time for its command line)", name()));
    }
    let pid = stat.pid;
    let read = run_within(allowed, move || {
        let mut buffer = Vec::with_capacity(CMDLINE_CAP + 1);
        let cut = ProcDir::open(pid).ok()?.read(c"cmdline", &mut buffer, CMDLINE_CAP).ok()?;
        Some(Cmdline::parse(&buffer, cut).argv)
    });
    let text = match read {
        Ok(Some(argv)) if !argv.is_empty() => redact(&argv).join(" "),
        Ok(_) => name(),
        Err(overdue) => format!("{} (its command line {overdue})", name()),
    };
    escape(&text.chars().take(CMDLINE_CHARS).collect::<String>())
}
