use crate::model::{MarkerKind, Verdict};

use super::super::announcement::announced;
use super::super::case::Case;

/// Somebody stopped it on purpose, and said so in a marker beforehand.
///
/// Evidence as for a takeover, with the stopper named in a planned-stop marker. Must not match what `ExecStop=` of
/// the target's own unit wrote: that tells how the manager stops it, not who wanted it.
pub(super) fn planned_stop(case: &Case<'_>) -> Option<Verdict> {
    announced(case, MarkerKind::PlannedStop)
}
