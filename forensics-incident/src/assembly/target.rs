//! One target: what is known of it while it lives, and how that becomes an incident.

use crate::attribution::{End, decisive};
use crate::model::{Context, Lost, Marker, MarkerKind, Missing, Outcome, OutcomeKind, Process, ProcessKey};
use crate::signals;

use super::ledger::Ledger;
use super::{AssemblyConfig, Closed, ExitRecord};

/// Marker files that are kept per target.
const MAX_MARKERS: usize = 16;

/// Fields that could not be read, kept per target.
const MAX_NOTES: usize = 32;

/// A request to end that nothing has answered yet.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// When the first one was sent, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) boot_ns: u64,
    /// When the window closes, `CLOCK_BOOTTIME` nanoseconds.
    pub(super) deadline: u64,
    /// Set of the signals that asked, see [`signals::bit`].
    pub(super) signals: u64,
}

/// A process that is being observed.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) process: Process,
    pub(super) ledger: Ledger,
    pub(super) request: Option<Request>,
    context: Option<Context>,
    /// Markers, each with the moment when it was looked at, `CLOCK_BOOTTIME` nanoseconds.
    markers: Vec<(Marker, u64)>,
    /// What could not be read of its surroundings.
    notes: Vec<Missing>,
    /// The end of the last window in which it survived: nothing before explains a later exit.
    since_ns: u64,
}

/// How a target ended, as far as the records say.
pub(super) struct Ending<'a> {
    pub(super) kind: OutcomeKind,
    pub(super) boot_ns: u64,
    pub(super) exit: Option<&'a ExitRecord>,
    /// As wait(2) has it.
    wait_status: Option<u32>,
}

impl<'a> Ending<'a> {
    /// An end that the kernel recorded.
    pub(super) fn of(exit: &'a ExitRecord) -> Self {
        let wait_status = Some(exit.wait_status);
        Self { kind: kind_of(exit.wait_status), boot_ns: exit.boot_ns, exit: Some(exit), wait_status }
    }

    /// An end that the kernel did not record, and that was noticed later.
    pub(super) fn noticed(boot_ns: u64, wait_status: Option<u32>) -> Self {
        let kind = wait_status.map_or(OutcomeKind::Unknown, kind_of);
        Self { kind, boot_ns, exit: None, wait_status }
    }

    /// An end of the observation.
    pub(super) fn survival(boot_ns: u64) -> Self {
        Self { kind: OutcomeKind::Survived, boot_ns, exit: None, wait_status: None }
    }

    /// True when it happened at its moment, and not some time before.
    fn is_timed(&self) -> bool {
        self.exit.is_some() || self.kind == OutcomeKind::Survived
    }

    /// The signal of which the target died.
    pub(super) fn signal(&self) -> Option<u32> {
        let number = self.wait_status? & 0x7f;
        (self.kind == OutcomeKind::Killed).then_some(number)
    }
}

impl Target {
    pub(super) fn new(process: Process) -> Self {
        Self {
            process,
            ledger: Ledger::default(),
            request: None,
            context: None,
            markers: Vec::new(),
            notes: Vec::new(),
            since_ns: 0,
        }
    }

    /// The key by which records name it.
    pub(super) fn key(&self) -> ProcessKey {
        self.process.key()
    }

    /// Keeps the snapshot of the first request; a later one belongs to a signal of less weight.
    pub(super) fn set_context(&mut self, context: Context) {
        if self.context.is_none() {
            self.context = Some(context);
        }
    }

    /// Keeps what could not be read, once for each field.
    pub(super) fn note(&mut self, missing: Missing) {
        if let Some(held) = self.notes.iter_mut().find(|held| held.field == missing.field) {
            *held = missing;
        } else if self.notes.len() < MAX_NOTES {
            self.notes.push(missing);
        }
    }

    /// Keeps a marker that was looked at at `now`; a later one of the same path replaces it, unless only one of them
    /// names this target: a marker for the next one must not hide the one for this.
    pub(super) fn set_marker(&mut self, now: u64, mut marker: Marker) {
        let same = |held: &Marker| held.path == marker.path && held.names_target == marker.names_target;
        if let Some((held, at)) = self.markers.iter_mut().find(|(held, _)| same(held)) {
            // Looked at once more, it does not tell anew who wrote it.
            if marker.writer.is_none() && marker.raw == held.raw && marker.content == held.content {
                marker.writer = held.writer.take();
            }
            (*held, *at) = (marker, now);
        } else if self.markers.len() < MAX_MARKERS {
            self.markers.push((marker, now));
        }
    }

    /// The markers as of the moment `at_ns`, `CLOCK_BOOTTIME` nanoseconds.
    fn markers_at(&self, at_ns: u64) -> Vec<Marker> {
        let since = |seen_ns: u64| (at_ns as f64 - seen_ns as f64) / 1e9;
        self.markers.iter().map(|(marker, seen_ns)| marker.clone().after(since(*seen_ns))).collect()
    }

    /// The incident that this end makes. The target may live on (as a survivor).
    pub(super) fn close(&mut self, ending: &Ending<'_>, config: &AssemblyConfig) -> Closed {
        let unix = |boot_ns: u64| boot_ns as f64 / 1e9 + config.unix_minus_boot_s;
        if let Some(exit) = ending.exit {
            self.ledger.fold(&exit.folds);
        }
        let ts = unix(ending.boot_ns);
        let since_ns = match (&self.request, ending.kind) {
            (Some(request), OutcomeKind::Survived) => request.boot_ns,
            // What came that long before the request has had its time to be answered.
            (Some(request), _) => self.since_ns.max(request.boot_ns.saturating_sub(config.survive_after_ns)),
            // What opened no window explains no more than the window would have.
            (None, _) => self.since_ns.max(ending.boot_ns.saturating_sub(config.survive_after_ns)),
        };
        let end = End { kind: ending.kind, signal: ending.signal(), ts, since_ts: unix(since_ns) };
        let found = decisive(end, &self.process, self.ledger.signals());
        let after_s = found.filter(|_| ending.is_timed()).map(|(_, _, from)| (ts - from).max(0.0));
        let entry = found.and_then(|(index, ..)| self.ledger.entries().get(index));
        let group_id = entry.and_then(|entry| entry.group_id.clone());
        let missing = self.missing();
        let markers =
            self.markers_at(entry.map_or(ending.boot_ns, |entry| entry.signal.last_ns().min(ending.boot_ns)));
        let outcome = outcome(ending, self.process.start_boot_ns, ts, after_s);
        let records = self.ledger.lost(ending.exit.and_then(|exit| exit.signals_seen));
        let lost = Lost { records, ..Lost::default() };
        let closed = Closed {
            group_id,
            target: self.process.clone(),
            outcome,
            signals: self.ledger.signals().cloned().collect(),
            decisive: found.map(|(index, ..)| index),
            context: self.context.take().map(|context| with_markers(context, &markers)),
            markers,
            lost,
            missing,
        };
        self.request = None;
        self.since_ns = ending.boot_ns;
        closed
    }

    /// What could not be read, with field names as in the incident.
    fn missing(&self) -> Vec<Missing> {
        let of_signals = self.ledger.entries().iter().enumerate().flat_map(|(index, entry)| {
            entry.missing.iter().map(move |Missing { field, why }| Missing {
                field: format!("signals[{index}].{field}"),
                why: why.clone(),
            })
        });
        let no_context = self.request.is_some() && self.context.is_none();
        let context = no_context.then(|| Missing {
            field: "context".to_owned(),
            why: "no snapshot was taken before the incident closed".to_owned(),
        });
        context.into_iter().chain(self.notes.iter().cloned()).chain(of_signals).collect()
    }
}

/// The context with the markers of its two keys. A gateway unlinks its marker as soon as it is asked to end, often
/// before the snapshot is taken, so what was seen before counts.
fn with_markers(mut context: Context, markers: &[Marker]) -> Context {
    let stood = |kind: MarkerKind| {
        let name = |marker: &&Marker| marker.path.rsplit('/').next() == Some(kind.hermes_file());
        let of_kind = markers.iter().filter(|marker| marker.kind == kind && marker.fresh).filter(name);
        of_kind.max_by_key(|marker| marker.names_target)
    };
    if context.takeover_marker.is_none()
        && let Some(marker) = stood(MarkerKind::Takeover)
    {
        context.takeover_marker = Some(marker.raw.clone());
        context.takeover_marker_for_self = Some(marker.names_target);
    }
    if context.planned_stop_marker.is_none() {
        context.planned_stop_marker = stood(MarkerKind::PlannedStop).map(|marker| marker.raw.clone());
    }
    context
}

/// How a process ended that has such a wait status.
fn kind_of(wait_status: u32) -> OutcomeKind {
    if wait_status & 0x7f != 0 { OutcomeKind::Killed } else { OutcomeKind::Exited }
}

/// The end in the words of the record.
fn outcome(ending: &Ending<'_>, start_boot_ns: u64, ts: f64, after_s: Option<f64>) -> Outcome {
    let signal_num = ending.signal();
    let exit = ending.exit;
    let exited = exit.filter(|_| ending.kind == OutcomeKind::Exited);
    let caller = exited.and_then(|exit| exit.caller.as_ref());
    let last = exit.map(|exit| (exit.tid, &exit.thread));
    let (exit_tid, exit_thread) = caller.map(|(tid, name)| (*tid, name)).or(last).unzip();
    let lived_ns =
        ending.boot_ns.checked_sub(start_boot_ns).filter(|_| start_boot_ns != 0 && ending.is_timed());
    let status = ending.wait_status.filter(|_| ending.kind == OutcomeKind::Exited);
    Outcome {
        kind: ending.kind,
        signal: signal_num.map(signals::name),
        signal_num,
        exit_code: status.and_then(|status| i32::try_from((status >> 8) & 0xff).ok()),
        core_dumped: signal_num.is_some() && ending.wait_status.is_some_and(|status| status & 0x80 != 0),
        tracer: exit.and_then(|exit| exit.tracer.clone()),
        exit_tid,
        exit_thread: exit_thread.filter(|name| !name.is_empty()).cloned(),
        exit_called: caller.is_some(),
        kernel_stack: exit.map(|exit| exit.kernel_stack.clone()).unwrap_or_default(),
        ts,
        lived_s: lived_ns.map(|ns| ns as f64 / 1e9),
        after_s,
    }
}
