//! One file per command, each thin: read the options, call the parts, choose the exit status.

pub mod diagnose;
pub mod snapshot;
