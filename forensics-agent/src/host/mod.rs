//! Evidence from the host: `/proc`, cgroups, markers, managers; and the redaction of what is secret.

pub mod deadline;
pub mod diagnose;
pub mod markers;
pub mod proc;
pub mod snapshot;
