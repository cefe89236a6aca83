//! The kernel programs: load, attach, decode their records, resolve their stacks.

pub mod btf;
pub mod kallsyms;
pub mod mechanism;
