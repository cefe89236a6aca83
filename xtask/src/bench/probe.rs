//! The program that measures what can only be measured from within the agent's library, `examples/bench_probe`.

use std::path::PathBuf;

use crate::workspace;

/// Where it is.
pub(super) fn program() -> PathBuf {
    workspace::target().join("release/examples/bench_probe")
}
