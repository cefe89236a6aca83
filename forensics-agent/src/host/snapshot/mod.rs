//! The shutdown context: who is being asked to end, who is its parent, who traces it, and under which load.
//!
//! Everything comes from files of `/proc` that are read at once, so a snapshot takes a fraction of a millisecond and can
//! be taken the moment a signal is seen. What cannot be read is absent from the context and named in `missing`.

mod summary;
mod unit;

use std::sync::Arc;

use forensics_incident::model::{Context, Marker, MarkerKind, Missing, Process};
use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::host::markers::{MarkerSpec, MarkerTarget, judge, read_files};
use crate::host::proc::{Environ, ProcDir, ProcError, cgroup_path};
use summary::{Summary, of_known, summarize};
pub use unit::unit_by_invocation;

/// What a snapshot needs from other parts of the agent.
#[derive(Clone)]
pub struct Surroundings<'a> {
    /// Takes the secrets out of a command line, argument by argument.
    pub redact: &'a dyn Fn(&[String]) -> Vec<String>,
    /// Takes the secrets out of one foreign text.
    pub redact_text: &'a dyn Fn(&str) -> String,
    /// The unit of a cgroup path, provided that the `INVOCATION_ID` is of its present run.
    pub unit: &'a dyn Fn(&str, &str) -> Option<String>,
    /// The marker files to look for.
    pub markers: Arc<[MarkerSpec]>,
}

/// A context, and what was learnt on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The context itself.
    pub context: Context,
    /// The markers, whole.
    pub markers: Vec<Marker>,
    /// What could not be read.
    pub missing: Vec<Missing>,
}

/// Takes the shutdown context of a process that is asked to end by `signal`, when that is known.
///
/// # Errors
/// [`ProcError`] when the process itself cannot be read; of everything around it, what is unreadable is only missing.
pub fn snapshot_shutdown_context(
    pid: u32,
    signal: Option<i64>,
    surroundings: &Surroundings<'_>,
) -> Result<Snapshot, ProcError> {
    let mut buffer = Vec::with_capacity(8192);
    let mut missing = Vec::new();
    let dir = ProcDir::open(pid)?;
    let own = summarize(&dir, &mut buffer, surroundings.redact)?;
    if let Some(tgid) = own.status.tgid.filter(|&tgid| tgid != pid) {
        return Err(ProcError::Thread { tid: pid, tgid });
    }
    let environ = Environ::read(&dir, &mut buffer, own.status.waits()).unwrap_or_else(|errno| {
        missing.push(note("environ", format!("cannot read /proc/{pid}/environ: {errno}")));
        Environ::default()
    });
    let mut around = |other: u32| {
        let read = ProcDir::open(other)
            .and_then(|dir| summarize(&dir, &mut buffer, surroundings.redact))
            .map(|summary| summary.shown);
        read.unwrap_or_else(|_| Summary::bare(other))
    };
    let ppid = own.status.ppid.unwrap_or(0);
    let parent = around(ppid);
    let tracer_pid = own.status.tracer_pid;
    let tracer = tracer_pid.map(&mut around);

    let systemd_unit = environ.invocation_id.as_deref().and_then(|id| {
        dir.read(c"cgroup", &mut buffer, 64 << 10).ok()?;
        (surroundings.unit)(&cgroup_path(&buffer)?, id)
    });
    let (Timestamps { ts, ts_monotonic }, loadavg_1m) = (now(), loadavg());
    let context = Context {
        loadavg_1m: Some(loadavg_1m),
        pid,
        planned_stop_marker: None,
        ppid,
        parent,
        own: own.shown,
        signal: signal_name(signal),
        signal_num: signal,
        under_systemd: environ.invocation_id.is_some() || ppid == 1,
        systemd_invocation_id: environ.invocation_id,
        systemd_journal_stream: environ.journal_stream,
        systemd_unit,
        takeover_marker: None,
        takeover_marker_for_self: None,
        tracer,
        tracer_pid,
        ts,
        ts_monotonic,
    };
    let mut snapshot = Snapshot { context, markers: Vec::new(), missing };
    let (uid, euid) = (own.status.uid, own.status.euid);
    let target = MarkerTarget {
        pid,
        ns_pid: own.status.ns_pid,
        // Only a marker asks for it, and there seldom is one.
        start_ticks: 0,
        uid: uid.unwrap_or(u32::MAX),
        euid: euid.unwrap_or(u32::MAX),
        hermes_home: environ.hermes_home,
    };
    add_markers(&mut snapshot, &dir, target, surroundings);
    Ok(snapshot)
}

/// The context of a process that is gone, from what was known of it and of its environment.
pub fn context_of_known(
    process: &Process,
    environ: Environ,
    signal: Option<i64>,
    surroundings: &Surroundings<'_>,
) -> Context {
    let ppid = process.ppid.unwrap_or(0);
    let known = |process: &Process| of_known(process, surroundings.redact);
    let parent = process.parent().filter(|parent| parent.pid == ppid);
    let Timestamps { ts, ts_monotonic } = now();
    Context {
        loadavg_1m: Some(loadavg()),
        pid: process.pid,
        ppid,
        parent: parent.map_or_else(|| Summary::bare(ppid), known),
        own: known(process),
        signal: signal_name(signal),
        signal_num: signal,
        under_systemd: environ.invocation_id.is_some() || ppid == 1,
        systemd_invocation_id: environ.invocation_id,
        systemd_journal_stream: environ.journal_stream,
        systemd_unit: process.unit.clone(),
        ts,
        ts_monotonic,
        ..Context::default()
    }
}

/// The names of the six signals that a gateway handles; every other is `signal#N`, and none is `UNKNOWN`.
pub fn signal_name(signal: Option<i64>) -> String {
    match signal {
        None => "UNKNOWN".to_owned(),
        Some(number @ (1 | 2 | 3 | 10 | 12 | 15)) => forensics_incident::signals::name(number as u32),
        Some(number) => format!("signal#{number}"),
    }
}

fn add_markers(
    snapshot: &mut Snapshot,
    dir: &ProcDir,
    mut target: MarkerTarget,
    surroundings: &Surroundings<'_>,
) {
    let found = read_files(dir, &target, &surroundings.markers);
    snapshot.missing.extend(found.missing);
    if found.files.is_empty() {
        return;
    }
    match MarkerTarget::read(dir) {
        Ok(read) => target.start_ticks = read.start_ticks,
        Err(error) => snapshot.missing.push(note("markers", error.to_string())),
    }
    let Snapshot { context, markers, missing } = snapshot;
    for file in &found.files {
        let marker = judge(file, &target, context.ts, surroundings.redact_text, missing);
        // The context has room for the two that its keys name; markers of other services stand in `markers` only.
        match (file.spec.name.as_str(), marker.kind) {
            ("takeover_marker", MarkerKind::Takeover) => {
                context.takeover_marker = Some(marker.raw.clone());
                context.takeover_marker_for_self = Some(marker.names_target);
            }
            ("planned_stop_marker", MarkerKind::PlannedStop) => {
                context.planned_stop_marker = Some(marker.raw.clone());
            }
            _ => {}
        }
        markers.push(marker);
    }
}

fn note(field: &str, why: String) -> Missing {
    Missing { field: field.to_owned(), why }
}

struct Timestamps {
    ts: f64,
    ts_monotonic: f64,
}

fn now() -> Timestamps {
    let seconds = |time: Timespec| time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    Timestamps {
        ts: seconds(clock_gettime(ClockId::Realtime)),
        ts_monotonic: seconds(clock_gettime(ClockId::Monotonic)),
    }
}

/// The one-minute load average with two digits, as `/proc/loadavg` prints it.
fn loadavg() -> f64 {
    // Fixed point with 16 binary digits (SI_LOAD_SHIFT, include/uapi/linux/sysinfo.h).
    let [load, ..] = rustix::system::sysinfo().loads;
    (load as f64 / 65536.0 * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests;
