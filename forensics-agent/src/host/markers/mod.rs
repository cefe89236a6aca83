//! Marker files: how the operator of a service announces that its end is meant.
//!
//! Whoever owns the target may be hostile to root, so a marker is opened through the target's own root without
//! following any symbolic link, must be a plain file of the target's user or of root, and is read up to a cap by a
//! thread that nobody waits for longer than a deadline. Markers are read and never deleted.

mod file;
mod judge;
mod paths;
mod read;
mod timestamp;
mod watch;

use forensics_incident::model::MarkerKind;

pub use file::{FileError, FileImage, MARKER_CAP};
pub(in crate::host) use file::{open_root, read_file};
pub use judge::{MarkerTarget, Redact, judge};
pub use paths::HomeError;
pub use read::{Found, MarkerFile, read_files};
pub use watch::{Drained, MarkerEvent, MarkerWatch, WatchError};

/// A marker file that a service is known to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerSpec {
    /// What people call it, as `takeover_marker`; the field under which it is reported missing.
    pub name: String,
    /// Where it is, as the target sees it: an absolute path once `%h` is replaced by the home of the target's
    /// user, `%H` by its `HERMES_HOME` (else `%h/.hermes`), and `%%` by a percent sign.
    pub path: String,
    /// JSON pointer (RFC 6901) to the pid that it names.
    pub pointer: String,
    /// What it announces.
    pub kind: MarkerKind,
}

impl MarkerSpec {
    /// The two markers of the Hermes gateway.
    pub fn builtin() -> Vec<MarkerSpec> {
        let hermes = |name: &str, kind: MarkerKind| MarkerSpec {
            name: name.to_owned(),
            path: format!("%H/{}", kind.hermes_file()),
            pointer: "/target_pid".to_owned(),
            kind,
        };
        vec![
            hermes("takeover_marker", MarkerKind::Takeover),
            hermes("planned_stop_marker", MarkerKind::PlannedStop),
        ]
    }
}

#[cfg(test)]
mod tests;
