//! Evidence from the host: `/proc`, cgroups, markers, managers; and the redaction of what is secret.

pub mod bpf_programs;
pub mod cgroup;
pub mod cgroup_mounts;
pub mod clock;
pub mod deadline;
pub mod diagnose;
pub mod features;
pub mod hierarchy;
pub mod identity;
pub mod journal;
pub mod kmsg;
pub mod limits;
pub mod markers;
pub mod pidfile;
pub mod pidfiles;
pub mod pressure;
pub mod privileges;
pub mod proc;
pub mod pstore;
pub mod redact;
pub mod snapshot;
pub mod suspension;
pub mod syscalls;
pub mod systemd;
pub mod tool;
pub mod wtmp;
