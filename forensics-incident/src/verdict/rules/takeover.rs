use crate::model::{MarkerKind, Verdict};

use super::super::announcement::announced;
use super::super::case::Case;

/// Another instance took its place, and said so in a marker beforehand.
///
/// Evidence: a fresh takeover marker that names this very process, and a sender that fits: the replacer named in it, its
/// writer, a process below or a script above either, or the service manager with a writer from outside the
/// target's unit. Must not match when somebody else sent the signal, nor markers that are stale or for another process.
pub(super) fn takeover(case: &Case<'_>) -> Option<Verdict> {
    announced(case, MarkerKind::Takeover)
}
