//! Evidence from the host: `/proc`, cgroups, markers, managers; and the redaction of what is secret.

pub mod cgroup;
pub mod redact;
pub mod systemd;
