//! The shutdown context of a target, taken the moment it is asked to end.

use std::sync::Arc;

use forensics_incident::model::{Context, Process};

use crate::{
    cli::ShowCmdline,
    host::{
        markers::MarkerSpec,
        proc::{self, Environ, ProcDir, Stat},
        redact::redact_text,
        snapshot::{Snapshot, Surroundings, context_of_known, snapshot_shutdown_context, unit_by_invocation},
    },
};

/// More than `/proc/PID/stat` ever holds.
const STAT_CAP: usize = 4096;

/// Takes the context of a target from `/proc` as far as that still knows it, and from what was known before where it
/// does not: SIGKILL leaves a zombie without a command line, or nothing at all.
pub(super) fn take(
    target: &Process,
    environ: Option<Environ>,
    signal: u32,
    show: ShowCmdline,
    markers: &Arc<[MarkerSpec]>,
) -> Snapshot {
    let shown = |argv: &[String]| show.shown(argv);
    let surroundings = Surroundings {
        redact: &shown,
        redact_text: &redact_text,
        unit: &unit_by_invocation,
        markers: Arc::clone(markers),
    };
    let signal = Some(i64::from(signal));
    let knows_environ = environ.is_some();
    let known = context_of_known(target, environ.unwrap_or_default(), signal, &surroundings);
    match snapshot_shutdown_context(target.pid, signal, &surroundings) {
        // Looked at afterwards: a pid does not change hands and change back.
        Ok(mut snapshot) if is_still(target) => {
            let is_missing = snapshot.missing.iter().any(|missing| missing.field == "environ");
            // That of a zombie reads as empty.
            let is_emptied =
                snapshot.context.systemd_invocation_id.is_none() && known.systemd_invocation_id.is_some();
            if (is_missing && knows_environ) || is_emptied {
                complete_environ(&mut snapshot.context, &known);
                snapshot.missing.retain(|missing| missing.field != "environ");
            }
            complete(&mut snapshot.context, &known);
            snapshot
        }
        Ok(_) | Err(_) => Snapshot { context: known, markers: Vec::new(), missing: Vec::new() },
    }
}

/// True when the pid is still that of the target, be it a zombie by now.
pub(super) fn is_still(target: &Process) -> bool {
    let mut buffer = Vec::new();
    let Ok(dir) = ProcDir::open(target.pid) else { return false };
    dir.read(c"stat", &mut buffer, STAT_CAP).is_ok()
        && Stat::parse(&buffer).is_some_and(|stat| proc::same_start(target.start_boot_ns, stat.start_ticks))
}

/// What a zombie has lost.
fn complete(context: &mut Context, known: &Context) {
    if context.own.cmdline.is_none() {
        context.own.cmdline.clone_from(&known.own.cmdline);
    }
    if context.parent.cmdline.is_none() && context.parent.pid == known.parent.pid {
        context.parent.cmdline.clone_from(&known.parent.cmdline);
    }
}

/// The same of its environment, which is no longer to be read.
fn complete_environ(context: &mut Context, known: &Context) {
    context.systemd_invocation_id.clone_from(&known.systemd_invocation_id);
    context.systemd_journal_stream.clone_from(&known.systemd_journal_stream);
    context.under_systemd = known.under_systemd;
    if known.systemd_invocation_id.is_some() {
        context.systemd_unit.clone_from(&known.systemd_unit);
    }
}
