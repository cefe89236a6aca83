//! The settings of a run in the terms of the kernel programs and of the assembly.

use std::time::Duration;

use forensics_common::{Config, MAX_HIERARCHIES, target_flags};
use forensics_incident::{assembly::AssemblyConfig, signals, verdict::Show};

use super::{Settings, processes::Redact};
use crate::{cli::ShowCmdline, host::redact::redact};

/// How long a target may live on after it was asked to end before it counts as a survivor.
const SURVIVE_AFTER: Duration = Duration::from_secs(300);

/// What the kernel programs record.
///
/// Signals outside the set are context to those inside it and cost little, since identical ones are folded; but
/// what runtimes send themselves all day is recorded only when it was asked for, and faults and profiling timers
/// only when nobody handles them. Of all processes, only the set is recorded. `hierarchies` are those that the selectors
/// of units and cgroups need.
pub(super) fn kernel(settings: &Settings, hierarchies: [u64; MAX_HIERARCHIES]) -> Config {
    use signals::{
        SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGTRAP, SIGURG, SIGVTALRM, SIGWINCH, bit,
    };
    let noise = bit(SIGURG) | bit(SIGCHLD) | bit(SIGWINCH);
    let faults = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE) | bit(SIGTRAP);
    let timers = bit(SIGPROF) | bit(SIGVTALRM);
    let set = settings.signals.mask();
    let wanted = if settings.selectors.all { set } else { !noise | set };
    let record_mask = wanted & !faults & (!timers | set);
    let flags = match (settings.selectors.by_name(), settings.selectors.follow_children) {
        (false, _) => 0,
        (true, false) => target_flags::PROVISIONAL,
        (true, true) => target_flags::PROVISIONAL | target_flags::FOLLOW,
    };
    let follow = if settings.selectors.follow_children { target_flags::FOLLOW } else { 0 };
    Config {
        record_mask,
        unhandled_mask: wanted & (faults | timers) & !record_mask,
        all: u64::from(settings.selectors.all),
        watch_execs: u64::from(flags),
        watch_new_cgroups: u64::from(settings.selectors.by_cgroup()),
        member_flags: u64::from(follow),
        hierarchies,
    }
}

/// What the assembly makes of records.
pub(super) fn assembly(settings: &Settings, unix_minus_boot_s: f64) -> AssemblyConfig {
    AssemblyConfig {
        survive_after_ns: u64::try_from(SURVIVE_AFTER.as_nanos()).unwrap_or(u64::MAX),
        unix_minus_boot_s,
        report_signals: settings.signals.mask(),
        // Whoever names a process wants to know how it ended; of all processes, most end well.
        report_unasked: !settings.selectors.all,
    }
}

/// How a command line is kept.
pub(super) fn redaction(show: ShowCmdline) -> Redact {
    match show {
        ShowCmdline::Full => <[String]>::to_vec,
        ShowCmdline::Redacted | ShowCmdline::Exe => redact,
    }
}

/// How much of a command line a verdict shows.
pub(super) fn show(show: ShowCmdline) -> Show {
    match show {
        ShowCmdline::Full | ShowCmdline::Redacted => Show::Cmdline,
        ShowCmdline::Exe => Show::ExeOnly,
    }
}

/// The level in the terms of the kernel programs.
pub(super) fn ebpf_level(filter: log::LevelFilter) -> Option<aya_log::Level> {
    Some(match filter.to_level()? {
        log::Level::Error => aya_log::Level::Error,
        log::Level::Warn => aya_log::Level::Warn,
        log::Level::Info => aya_log::Level::Info,
        log::Level::Debug => aya_log::Level::Debug,
        log::Level::Trace => aya_log::Level::Trace,
    })
}
